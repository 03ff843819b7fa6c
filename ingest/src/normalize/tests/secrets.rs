//! Secrets in records: found by default, masked where the source says so.

use super::{Normalizer, Origin, check, now, value};

#[test]
fn a_finding_names_kind_and_place() {
    check(
        r#"{"service":"shop","message":"login","user":{"name":"bob","password":"hunter2"},"key":"AKIAIOSFODNN7EXAMPLE"}"#,
        "lw.secrets=password:user.password aws_access_key:key\nuser.password=hunter2",
    );
    check(r#"{"message":"retry with password=hunter2 failed"}"#, "lw.secrets=password:message");
    check("<13>Feb 10 06:55:46 web-1 shop: token=x api_key=k-12345", "lw.secrets=api_key:api_key");
    check(
        r#"{"pem":"-----BEGIN PRIVATE KEY-----\nMIIEow==\n-----END PRIVATE KEY-----\n"}"#,
        "lw.secrets=private_key:pem",
    );
    check(r#"{"message":"password changed for bob"}"#, "lw.secrets=-");
}

#[test]
fn a_finding_names_a_service() {
    check(
        "<13>Feb 10 06:55:46 web-1 pay[7]: password=hunter2",
        "service.name=pay\nprocess.name=pay",
    );
    check(r#"{"message":"password=hunter2"}"#, "service.name=shop");
    check(r#"{"service":"pay","message":"password=hunter2"}"#, "service.name=pay (service)");
    check("<13>Feb 10 06:55:46 web-1 pay[7]: hello", "service.name=-");
    let mut origin = Origin::new("");
    origin.peer = Some("192.0.2.7".parse().expect("an address"));
    for mask_secrets in [false, true] {
        origin.mask_secrets = mask_secrets;
        let event = Normalizer.normalize(b"password=hunter2", &origin, now());
        assert_eq!(value(&event, "service.name"), "192.0.2.7");
    }
}

#[test]
fn a_masked_record_holds_no_secret_anywhere() {
    let mut origin = Origin::new("shop");
    origin.mask_secrets = true;
    for record in [
        r#"{"service":"shop","message":"password=hunter2 ok","user":{"password":"hunter2"}}"#,
        "<13>Feb 10 06:55:46 web-1 shop: login password=hunter2",
        "password=hunter2",
        "{\"password\":\"hunter2\",\"bad\":\"\u{FFFD}\"}",
    ] {
        let event = Normalizer.normalize(record.as_bytes(), &origin, now());
        let mut encoded = Vec::new();
        event.encode(&mut encoded);
        assert!(memchr::memmem::find(&encoded, b"hunter2").is_none(), "{record}");
        assert!(value(&event, "lw.secrets").starts_with("password:"), "{record}");
        assert!(String::from_utf8_lossy(event.raw()).contains("***password:"), "{record}");
    }
    let record = r#"{"service":"shop","a":1}"#;
    let event = Normalizer.normalize(record.as_bytes(), &origin, now());
    assert_eq!(event.raw(), record.as_bytes());
}

#[test]
fn what_stands_around_a_record_is_masked_too() {
    let mut origin = Origin::new("shop");
    origin.mask_secrets = true;
    let wrapped = super::super::Wrapped {
        content: br#"{"password":"hunter2"}"#,
        must_be_json: true,
        envelope: r#"{"api_key":"k-12345"}"#,
        ..super::super::Wrapped::bare(br#"{"event":"{\"password\":\"hunter2\"}"}"#)
    };
    let event = Normalizer.normalize_wrapped(&wrapped, &origin, now()).expect("JSON");
    let mut encoded = Vec::new();
    event.encode(&mut encoded);
    for secret in [&b"hunter2"[..], b"k-12345"] {
        assert!(memchr::memmem::find(&encoded, secret).is_none());
    }
    assert_eq!(value(&event, "lw.secrets"), "password:password api_key:api_key");
    let masked = value(&event, "password");
    assert!(String::from_utf8_lossy(event.raw()).contains(&masked), "one hash for one secret");
}
