//! Passkeys in Chromium, with an authenticator of its own: added in one's settings, signed in with,
//! taken away.

use std::fs;
use std::process::Command;

use crate::harness::node::Place;
use crate::programs::{find, has, repository, run};

const PASSWORD: &str = "several words make a password";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_signs_in_its_owner() {
    let ui = repository().join("web/ui");
    if !ui.join("node_modules/playwright-core").is_dir()
        || !has("passkeys in a browser", &["node", "chromium"])
    {
        println!("NOT TRIED: passkeys in a browser: `make ui` installs what it needs");
        return;
    }
    let place = Place::new("");
    fs::write(place.file("password"), PASSWORD).expect("written");
    let create = ["user", "create", "ana", "--role", "analyst", "--password-file", "password"];
    run(place.command(&create).args(["--data-dir", "data"]));
    let node = place.start().await;
    // Browsers keep passkeys for names, not for addresses.
    let url = node.http().replace("127.0.0.1", "localhost");
    let mut command = Command::new(find("node").expect("it is there"));
    command
        .arg("test/passkeys.mjs")
        .current_dir(ui)
        .env("CHROMIUM", find("chromium").expect("it is there"))
        .env("LOGWARDEN_URL", url)
        .env("LOGWARDEN_USER", "ana")
        .env("LOGWARDEN_PASSWORD", PASSWORD);
    let walk = tokio::task::spawn_blocking(move || run(&mut command));
    let output = walk.await.expect("the walk ended well");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("passkeys: {}", said.lines().last().unwrap_or_default());
}
