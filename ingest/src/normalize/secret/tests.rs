//! What is found, and what is left of it.

use proptest::prelude::*;

use super::*;

fn check(record: &str, expected: &[(&str, &str)]) {
    let found: Vec<_> = find(record.as_bytes())
        .iter()
        .map(|secret| (secret.kind, &record[secret.start..secret.end]))
        .collect();
    assert_eq!(found, expected, "{record}");
}

// Made up, in the form of such tokens.
const JWT: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";

#[test]
fn what_has_the_form_of_a_secret_is_one() {
    check("key AKIAIOSFODNN7EXAMPLE used", &[("aws_access_key", "AKIAIOSFODNN7EXAMPLE")]);
    check(&format!("Bearer {JWT}, next"), &[("jwt", JWT)]);
    let key = "-----BEGIN RSA PRIVATE KEY-----\\nMIIEow==\\n-----END RSA PRIVATE KEY-----";
    check(&format!("{{\"a\":\"{key}\\n\"}}"), &[("private_key", key)]);
    check(
        "-----BEGIN PRIVATE KEY-----\nMIIEow",
        &[("private_key", "-----BEGIN PRIVATE KEY-----\nMIIEow")],
    );
    for not in [
        "AKIAIOSFODNN7EXAMPL",
        "XAKIAIOSFODNN7EXAMPLE",
        "AKIAIOSFODNN7EXAMPLEX",
        "AKIAiosfodnn7example",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0",
        "-----BEGIN CERTIFICATE-----\nMIIEow==\n-----END CERTIFICATE-----",
    ] {
        check(not, &[]);
    }
}

#[test]
fn a_password_in_an_address_is_one() {
    for (record, value) in [
        ("connect postgres://bob:s3cr3tPw@db-1/shop", "s3cr3tPw"),
        ("redis://:p@$$w0rd@db-1:6379", "p@$$w0rd"),
        ("amqp://bob:hunter2*@db-1,https://x/@y", "hunter2*"),
        (r#"{"url":"https:\/\/bob:hunter2@shop.example\/a"}"#, "hunter2"),
    ] {
        check(record, &[("password", value)]);
    }
    for not in [
        "https://shop.example:8443/@bob",
        "https://bob@shop.example/a",
        "https://bob:***@db-1 https://bob:xxxxx@db-1 https://bob:${PASS}@db-1",
        "mail http://shop.example, bob:alice@shop.example",
    ] {
        check(not, &[]);
    }
}

#[test]
fn tokens_of_well_known_services_are_known_by_their_beginning() {
    // Made up, in the form of such tokens.
    for token in [
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
        "glpat-abcdefghij1234567890",
        "xoxb-123456789012-abcdefghijkl",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    ] {
        check(&format!("clone with {token} now"), &[("token", token)]);
    }
    for not in ["ghp_short1", "AIzawesomeness", "xghp_16C7e42F292c6912E7710c838347Ae178B4a"] {
        check(not, &[]);
    }
}

#[test]
fn what_has_the_name_of_a_secret_is_one() {
    for (record, kind, value) in [
        ("login password=hunter2 ok", "password", "hunter2"),
        ("?user=a&Password=hunter2&x=1", "password", "hunter2"),
        ("DB_PASSWORD=\"hunter two\"", "password", "hunter two"),
        (r#"{"password":"hunter2"}"#, "password", "hunter2"),
        (r#"{"user.passwd" : "hun\"ter2"}"#, "password", r#"hun\"ter2"#),
        (r#"{"message":"{\"password\":\"hunter2\"}"}"#, "password", "hunter2"),
        (r#"{"pin":1,"password":12345}"#, "password", "12345"),
        ("client_secret=abcd1234", "secret", "abcd1234"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "secret", "wJalrXUtnFEMI/K7MDENG"),
        (r#"{"apiKey":"k-12345"}"#, "api_key", "k-12345"),
        ("access_token=abcdef&x", "token", "abcdef"),
        ("mysql://x?pwd=hunter2", "password", "hunter2"),
        (r#"{"password":"hunter2\\","a":1}"#, "password", r"hunter2\\"),
        (r#"{"m":"{\"password\":\"hunter2\\\\\"}"}"#, "password", r"hunter2\\\\"),
        ("password=\"hunter2", "password", "hunter2"),
        ("Server=db;Uid=sa;Pwd=hunter2;", "password", "hunter2"),
        ("DB_PASS=hunter2", "password", "hunter2"),
        ("user=bob pass=hunter2", "password", "hunter2"),
        (r#"{"dbPass":"hunter2"}"#, "password", "hunter2"),
        (r#"{"dbPassword":"hunter2"}"#, "password", "hunter2"),
        (r#"{"password_new":"hunter2"}"#, "password", "hunter2"),
        (r#"{"passwordConfirm2":"hunter2"}"#, "password", "hunter2"),
        ("API_KEY_PROD=k-12345", "api_key", "k-12345"),
        (r#"{"X-Api-Key":"k-12345"}"#, "api_key", "k-12345"),
        ("X-Api-Key: k-12345", "api_key", "k-12345"),
        (r#"{"APIKey":"k-12345"}"#, "api_key", "k-12345"),
        ("{ user: 'bob', password: 'hunter2' }", "password", "hunter2"),
        (r#""password"=>"hunter2""#, "password", "hunter2"),
    ] {
        check(record, &[(kind, value)]);
    }
    for not in [
        "Failed password for root from 192.0.2.9",
        "Enter password: bob",
        "(using password: YES)",
        "alice : TTY=pts/0 ; PWD=/home/alice ; USER=root",
        r#"{"password_changed":true,"password":null,"passwordPolicy":"strong"}"#,
        "password=***",
        "password=***password:0a1b2c3d***",
        "password=<redacted> password=${DB_PASSWORD} password=xxxxxx",
        r#"{"secretName":"tls-shop","password":""}"#,
        "password=",
        r#"{"class":"main","bypass":"always","pass":true,"cwd":"relative/path"}"#,
        "PWD=relative/path",
        r#"{"passwordPolicyName":"strong","secretVersion":"version 3"}"#,
    ] {
        check(not, &[]);
    }
}

#[test]
fn what_is_said_without_quotes_is_one_unless_it_is_prose() {
    for (record, value) in [
        ("login user: bob password: hunter2 failed", "hunter2"),
        ("Enter password: correcthorse", "correcthorse"),
        (r#"{"message":"bob, password: correct-horse","a":1}"#, "correct-horse"),
        ("password: correcthorse, user: bob", "correcthorse"),
        ("Password:hunter2", "hunter2"),
        ("db_pass: correcthorse host: db-1", "correcthorse"),
        ("{User:bob Password:correcthorse}", "correcthorse"),
        ("{Password:correcthorse User:bob}", "correcthorse"),
    ] {
        check(record, &[("password", value)]);
    }
    check("api_key: abcd-efgh", &[("api_key", "abcd-efgh")]);
    for not in [
        "pam_unix(passwd:chauthtok): password changed for bob",
        "passwd: password for 'bob' changed by 'root'",
        "Invalid password: too short",
        "reset password: requested by the user",
        "password: required",
        "Failed password: 192.0.2.9",
        "could not read secret: shop-tls-2",
        "Enter password: bob",
        "chpasswd: (user bob) pam_chauthtok() failed",
        "tag password:handler",
    ] {
        check(not, &[]);
    }
}

#[test]
fn a_quote_with_fewer_backslashes_than_the_first_closes_nothing() {
    check(r#"password=\\\\"ab" x"#, &[]);
}

#[test]
fn letters_written_as_numbers_are_letters() {
    for (record, value) in [
        (r#"{"pass\u0077ord":"hunter2"}"#, "hunter2"),
        (r#"{"m":"password\u003dhunter2 ok"}"#, "hunter2"),
        (r#"{"m":"a=1\u0026password=hunter2\u0026x=1"}"#, "hunter2"),
        (r#"{"password":"hun\u0074er2"}"#, r"hun\u0074er2"),
        (r#"{"password":"hunter2\u0022x"}"#, r"hunter2\u0022x"),
        (r#"{"m":"{\u0022password\u0022:\u0022hunter2\u0022}"}"#, "hunter2"),
    ] {
        check(record, &[("password", value)]);
    }
    check(
        r#"{"k":"AK\u0049AIOSFODNN7EXAMPLE"}"#,
        &[("aws_access_key", r"AK\u0049AIOSFODNN7EXAMPLE")],
    );
    let bytes = mask(br#"{"m":"{\u0022password\u0022:12345678}"}"#).expect("a secret").bytes;
    let value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let inner = value["m"].as_str().expect("a text");
    assert!(serde_json::from_str::<serde_json::Value>(inner).is_ok(), "{inner}");
}

#[test]
fn lists_and_objects_under_such_a_name_are_secrets() {
    check(
        r#"{"password":["first1","second2"],"a":["other"]}"#,
        &[("password", "first1"), ("password", "second2")],
    );
    check(
        r#"{"password": {"value": "hunter2", "type": "plain", "at": "monday"}, "a": "other"}"#,
        &[("password", "hunter2")],
    );
    check(
        r#"{"m":"{\"password\":[\"hunter2\",12345]}"}"#,
        &[("password", "hunter2"), ("password", "12345")],
    );
    check(r#"{"apiKey":[["k-12345"]]}"#, &[("api_key", "k-12345")]);
    check(
        r#"{"api_keys":["k-12345"],"passwords":{"bob":"hunter2"}}"#,
        &[("api_key", "k-12345"), ("password", "hunter2")],
    );
    check(r#"{"secrets":["shop-tls"],"imagePullSecrets":[{"name":"shop-pull"}]}"#, &[]);
    check(r#"{"secret":{"secretName":"shop-tls","defaultMode":42000}}"#, &[]);
    check(r#"{"secret":{"value":"hunter2","name":"shop-tls"}}"#, &[("secret", "hunter2")]);
    check(r#"{"password":["hunter2""#, &[("password", "hunter2")]);
    check(r#"{"password":["first1","hunter2"#, &[("password", "first1"), ("password", "hunter2")]);
    for record in [
        r#"{"password":[123456,"hunter2"],"a":1}"#,
        r#"{"password":{"old":-12345.5,"new":"x1234"}}"#,
    ] {
        let bytes = mask(record.as_bytes()).expect("a secret").bytes;
        assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(), "{record}");
        assert!(mask(&bytes).is_none(), "what is masked is no secret");
    }
}

#[test]
fn a_value_that_is_cut_is_cut_between_letters() {
    for long in ["x€".repeat(600), "€".repeat(600), format!("ab{}", "€".repeat(600))] {
        let record = format!("password={long}");
        let found = find(record.as_bytes());
        assert!(record.get(found[0].start..found[0].end).is_some_and(|value| value.len() > 1_000));
    }
}

#[test]
fn masking_hides_and_still_tells_equal_from_different() {
    let masked = |record: &str| {
        String::from_utf8(mask(record.as_bytes()).expect("a secret").bytes).expect("text")
    };
    let [one, same, other] =
        ["a password=hunter2", "b password=hunter2", "c password=hunter3"].map(masked);
    assert!(!one.contains("hunter"));
    assert!(one.starts_with("a password=***password:"));
    assert_eq!(one[1..], same[1..]);
    assert_ne!(one[1..], other[1..]);
    assert!(mask(one.as_bytes()).is_none(), "what is masked is no secret");
    assert!(mask(b"nothing here").is_none());
}

#[test]
fn what_was_found_in_the_json_is_hidden_in_the_form_it_came_in() {
    let came = b"\x82\xa7message\xa6signed\xa8password\xaahun\"ter2abc and hun\"ter2abc";
    let made = br#"{"message":"signed","password":"hun\"ter2abc"}"#;
    let masked = mask_with(came, &[made, b""]).expect("a secret");
    let shown = String::from_utf8_lossy(&masked.bytes);
    assert!(!shown.contains("ter2abc") && shown.contains("signed"), "{shown}");
    assert_eq!(shown.matches("***password:").count(), 2, "{shown}");
    assert!(mask_with(b"nothing", &[b"here", b""]).is_none());
}

#[test]
fn each_line_of_a_key_is_hidden_where_it_stands_alone() {
    let came =
        b"<13>a -----BEGIN PRIVATE KEY-----\n<13>a MIIEowIBAAKCAQEAx\n<13>a Zm9vYmFyZm9vYmFyZm9v";
    let made = b"<13>a -----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEAx\nZm9vYmFyZm9vYmFyZm9v";
    let masked = mask_with(came, &[made]).expect("a secret");
    let shown = String::from_utf8_lossy(&masked.bytes);
    assert!(!shown.contains("MIIE") && !shown.contains("Zm9v"), "{shown}");
}

#[test]
fn json_stays_json() {
    for record in [
        r#"{"a":1,"password":12345678901,"b":2}"#,
        r#"{"api_key": 12.5e7}"#,
        r#"{"message":"{\"secret\":98765,\"a\":1}"}"#,
    ] {
        let bytes = mask(record.as_bytes()).expect("a secret").bytes;
        let value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        if let Some(inner) = value["message"].as_str() {
            let inner: serde_json::Value = serde_json::from_str(inner).expect("JSON");
            assert!(inner["secret"].as_str().is_some_and(|mark| mark.starts_with("***secret:")));
        }
        assert_eq!(without_secrets(&bytes), without_secrets(record.as_bytes()));
    }
}

#[test]
fn without_secrets_a_record_is_what_was_kept_of_it_in_another_life() {
    let check = |record: &str, expected: Option<&str>| {
        let blank = without_secrets(record.as_bytes());
        assert_eq!(blank.as_deref(), expected.map(str::as_bytes), "{record}");
    };
    check("a password=hunter2 b", Some("a password=*** b"));
    check("a password=***password:0a1b2c3d*** b", Some("a password=*** b"));
    check("**** ***jwt:00000000*** ***", Some("**** *** ***"));
    for none in ["a b", "***password:0a1b2c3***", "***password:0a1b2c3d", "****", "***"] {
        check(none, None);
    }
}

proptest! {
    #[test]
    fn every_byte_string_is_survived(
        parts in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(vec![
                    "password", "=", "\"", ":", "\\", "eyJ", ".", "AKIA", "-----BEGIN ",
                    "PRIVATE KEY-----", "-----END ", "pwd=", "pwd\"", "apikey", "\\u0070",
                        "\\u0022", "[", "{", "]", "}", ",", "'", "pass", "hunter2", ": ", "12345",
                ]).prop_map(|part| part.as_bytes().to_vec()),
                proptest::collection::vec(any::<u8>(), 0..12),
            ],
            0..12,
        ),
    ) {
        let record = parts.concat();
        let found = find(&record);
        for pair in found.windows(2) {
            prop_assert!(pair[0].end <= pair[1].start);
        }
        if let Some(masked) = mask(&record) {
            prop_assert_eq!(without_secrets(&masked.bytes), without_secrets(&record));
        }
        let text = String::from_utf8_lossy(&record);
        for secret in find(text.as_bytes()) {
            prop_assert!(text.get(secret.start..secret.end).is_some());
        }
    }
}
