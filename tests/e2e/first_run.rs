//! An empty product, until the first event is seen, a rule is tried and a mail has arrived: by what is on the screen
//! alone.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};
use crate::mail::MailServer;
use crate::programs;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_empty_product_leads_to_the_first_event_the_first_test_and_the_first_mail() {
    let story = "the first run in a browser";
    let ui = programs::repository().join("web/ui");
    if !programs::has(story, &["node", "chromium", "openssl", "curl", "sh"]) {
        return;
    }
    if !ui.join("node_modules/playwright-core").is_dir() {
        println!("NOT TRIED: {story}: `make ui` installs what it needs");
        return;
    }
    let place = Place::new("");
    let mail = MailServer::start(place.root()).await;
    place.configure(&mail.notifier("oncall"));
    let began = Instant::now();
    let node = place.start().await;
    let link = format!("{}/setup#code={}", node.http(), node.setup_code().await);
    let mut command = Command::new(programs::find("node").expect("it is there"));
    command
        .arg("test/first_run.mjs")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("to-see-first-run"))
        .current_dir(ui)
        .env("CHROMIUM", programs::find("chromium").expect("it is there"))
        .env("LOGWARDEN_SETUP", link)
        .env("LOGWARDEN_URL", node.http())
        .env("LOGWARDEN_USER", "ada")
        .env("LOGWARDEN_PASSWORD", "correct horse battery staple");
    let walk = tokio::task::spawn_blocking(move || programs::run(&mut command));
    let output = walk.await.expect("the walk ended well");
    let said = String::from_utf8_lossy(&output.stdout);
    until("the test mail", LONG, async || (!mail.mails().is_empty()).then_some(())).await;
    let summary = said.lines().last().unwrap_or_default();
    println!("first run: {summary}, {:?} from the start of the server", began.elapsed());
    assert_eq!(node.stop().await, Some(0));
}
