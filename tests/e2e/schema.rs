//! What the API's own description promises, tried by schemathesis: no 500, no undocumented answer.

use std::path::Path;
use std::process::Command;

use crate::harness::node::{Node, Place};
use crate::programs::{python, repository, run};

/// Requests that are made up for each operation, at most.
const EXAMPLES: &str = "3";
/// The same requests every time.
const SEED: &str = "7";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_one_that_the_description_knows() {
    let schemathesis = python().with_file_name("schemathesis");
    if !schemathesis.is_file() {
        println!(
            "NOT TRIED: the description of the API: scripts/test-tools.sh installs schemathesis"
        );
        return;
    }
    let place = Place::new("");
    let node = place.start().await;
    for role in ["admin", "reader", "ingest"] {
        let token = place.token(role, role);
        let said = run(&mut asking(&schemathesis, &place, &node, &token));
        println!("as {role}: {}", String::from_utf8_lossy(&said.stdout));
    }
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

fn asking(schemathesis: &Path, place: &Place, node: &Node, token: &str) -> Command {
    let mut command = Command::new(schemathesis);
    command
        .current_dir(place.root())
        .env("SCHEMATHESIS_HOOKS", "schema_hooks")
        .env("PYTHONPATH", repository().join("tests/e2e"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("run")
        .arg(format!("{}/api/v1/openapi.json", node.http()))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
        .args(["--max-examples", EXAMPLES, "--seed", SEED, "--phases", "examples,coverage,fuzzing"])
        // One: CPython 3.11 parses lambdas wrongly on two threads at once.
        .args(["--workers", "1", "--request-timeout", "20", "--no-color"]);
    command
}
