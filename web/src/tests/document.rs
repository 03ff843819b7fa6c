//! The description of the API in the repository is that of the handlers.

use std::path::Path;

#[test]
fn the_committed_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/openapi.json");
    let mut text = crate::openapi().to_pretty_json().expect("serializes");
    text.push('\n');
    if std::env::var_os("LOGWARDEN_BLESS").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "web/ui/openapi.json is stale: run `LOGWARDEN_BLESS=1 cargo nextest run -p logwarden-web \
         the_committed_document_is_up_to_date` and commit it"
    );
}

#[test]
fn every_operation_says_what_it_is_for() {
    let document = serde_json::to_value(crate::openapi()).expect("serializes");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths["/api/v1/ingest"]["post"].is_object(), "the door that another crate serves");
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(!summary.is_empty(), "{method} {path} has no summary");
            assert!(!operation["responses"]["default"].is_null(), "{method} {path}");
        }
    }
}
