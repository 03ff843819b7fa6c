//! Rules tried out against a running node: over its past, on single events, and with its threat lists.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, until};

const RULE: &str = "title: Root login\nid: root-login\nlogsource: {}\ndetection:\n  \
                    a: { user.name: root }\n  condition: a\n";

/// Runs a command; answers its exit code and what it printed on both outputs.
fn run(place: &Place, node: &Node, token: &str, arguments: &[&str]) -> (i32, String, String) {
    let file = place.file("token");
    fs::write(&file, token).expect("a token file");
    let mut command: Command = place.command(arguments);
    command.env("LOGWARDEN_URL", node.http()).env("LOGWARDEN_TOKEN_FILE", file);
    let output: Output = command.stdin(Stdio::null()).output().expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn rules_are_backtested_explained_and_judged_by_what_a_node_has() {
    let place = Place::new("");
    fs::create_dir(place.file("rules")).expect("a directory");
    fs::write(place.file("rules/r.yml"), RULE).expect("a rule");
    let (sender, reader) = (place.token("ingest", "shop"), place.token("reader", "desk"));
    let node = place.start().await;
    let line = |user: &str, address: &str| {
        json!({ "k": 1, "user.name": user, "source.ip": address }).to_string() + "\n"
    };
    let lines = line("root", "10.0.0.1") + &line("root", "10.0.0.1") + &line("ana", "10.0.0.2");
    assert_eq!(Client::new(&node, &sender).ingest(lines).await.status, 200);
    Client::new(&node, &reader).wait_for("k:1", 3).await;
    let rules = place.file("rules").display().to_string();
    let backtest = ["rules", "backtest", "--rules", &rules, "--from", "now-1h"];
    let (code, said, complaint) = run(&place, &node, &reader, &backtest);
    assert_eq!(code, 0, "{said}{complaint}");
    assert!(said.starts_with("3 events, all of the range\n1 alert,"), "{said}");
    assert!(said.contains("10.0.0.1"), "{said}");

    let found = Client::new(&node, &reader).search("k:1", 10).await;
    let id_of = |user: &str| {
        let hits = found["hits"].as_array().expect("hits");
        let hit = hits.iter().find(|hit| hit["fields"]["user.name"] == user).expect("the event");
        hit["id"].as_str().expect("an id").to_owned()
    };
    for (user, code, verdict) in [("root", 0, "yes rule"), ("ana", 1, "no  rule")] {
        let id = id_of(user);
        let explain = ["rules", "explain", "root-login", &id, "--rules", &rules];
        let (found, said, complaint) = run(&place, &node, &reader, &explain);
        assert_eq!(found, code, "{said}{complaint}");
        assert!(said.starts_with(verdict) && said.contains(user), "{said}");
    }

    fs::write(place.file("rules/r.yml"), RULE.replace("user.name", "never.there")).expect("a rule");
    let check = ["rules", "check", &rules, "--live"];
    let (code, said, complaint) = run(&place, &node, &reader, &check);
    assert_eq!(code, 0, "{said}{complaint}");
    assert!(said.contains("`root-login` cannot match: no event has never.there"), "{said}");
    fs::write(place.file("rules/r.yml"), RULE.replace("condition: a", "condition: b")).expect("it");
    let (code, said, _) = run(&place, &node, &reader, &backtest);
    assert!(code == 1 && said.starts_with("line 6, column"), "{said}");
}

#[tokio::test]
async fn a_new_entry_of_a_threat_list_is_found_in_what_comes_and_in_what_is_stored() {
    let place = Place::new("[enrich]\n[[enrich.lists]]\nname = \"bad\"\nfile = \"bad.txt\"\n");
    fs::write(place.file("bad.txt"), "192.0.2.1\n").expect("a list");
    let (sender, reader) = (place.token("ingest", "shop"), place.token("reader", "desk"));
    let node = place.start().await;
    let (sender, reader) = (Client::new(&node, &sender), Client::new(&node, &reader));
    let stored = "{\"source.ip\":\"192.0.2.1\"}\n{\"source.ip\":\"192.0.2.2\"}\n";
    assert_eq!(sender.ingest(stored).await.status, 200);
    reader.wait_for("threat.indicator.provider:bad", 1).await;
    fs::write(place.file("bad.txt"), "192.0.2.1\n192.0.2.2\n").expect("a list");
    let titles = until("both alerts", LONG, async || {
        let alerts = reader.get("/api/v1/alerts", &[]).await;
        let items = alerts["items"].as_array().expect("items").clone();
        let titles: Vec<String> = items.iter().map(|one| one["title"].to_string()).collect();
        let has = |text: &str| titles.iter().any(|title| title.contains(text));
        (has("new in list bad") && has("192.0.2.1 of list bad")).then_some(titles)
    });
    println!("told of: {:?}", titles.await);
}

#[tokio::test]
async fn rules_are_imported_as_testing_with_what_was_lost() {
    let place = Place::new("");
    let token = place.token("analyst", "desk");
    let node = place.start().await;
    let client = Client::new(&node, &token);
    let import = async |from: &str, kind: &str, body: String| {
        let path = format!("/api/v1/rules/import?from={from}&name=theirs");
        let request = client.request(reqwest::Method::POST, &path);
        Client::send(request.header("content-type", kind).body(body)).await
    };
    let bad = RULE.replace("root-login", "bad").replace("condition: a", "condition: nothing");
    let answer = import("sigma", "application/yaml", format!("{RULE}---\n{bad}")).await;
    let found = answer.json();
    assert_eq!((answer.status, &found["imported"]), (200, &json!(1)), "{}", answer.text);
    assert_eq!(found["items"][0]["outcome"], "converted");
    assert_eq!(found["items"][1]["outcome"], "refused");
    let rule = client.get("/api/v1/rules/root-login", &[]).await;
    assert_eq!((&rule["state"], &rule["editable"]), (&json!("testing"), &json!(true)));
    let wazuh = r#"<group name="sshd,"><rule id="5710" level="5"><if_sid>5700</if_sid><match>invalid user</match></rule>
        <rule id="5712" level="10" frequency="8" timeframe="120"><if_matched_sid>5710</if_matched_sid><same_source_ip /><description>guessing</description></rule></group>"#;
    let answer = import("wazuh", "application/xml", wazuh.to_owned()).await;
    let made = answer.json()["items"][0]["made"].as_array().map(Vec::len);
    assert!(answer.status == 200 && made.is_some_and(|made| made > 0), "{}", answer.text);
    assert_eq!(import("wazuh", "text/plain", wazuh.to_owned()).await.status, 415);
}
