//! A real mail server: STARTTLS with a certificate of an authority of its own, AUTH required.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::certificates::make_certificates;
use super::harness::wait::{LONG, until};
use super::programs::{Running, python, repository};

/// The password the server takes; the user is `logwarden`.
pub(crate) const PASSWORD: &str = "the mail server's password";

/// A running server.
pub(crate) struct MailServer {
    folder: PathBuf,
    address: SocketAddr,
    _running: Running,
}

/// A mail it took.
#[derive(Debug)]
pub(crate) struct Mail(Value);

impl MailServer {
    /// Starts one that keeps everything in a new folder of that name below `parent`.
    pub(crate) async fn start(parent: &Path) -> Self {
        Self::start_with(parent, make_certificates).await
    }

    /// The same with files `ca.pem`, `server.pem` and `server.key` that `make` puts into the folder.
    pub(crate) async fn start_with(parent: &Path, make: fn(&Path)) -> Self {
        let folder = parent.join("mail");
        fs::create_dir(&folder).expect("a new folder");
        fs::write(folder.join("password"), PASSWORD).expect("a password");
        make(&folder);
        let port_file = folder.join("port");
        let running = Command::new(python())
            .arg(repository().join("tests/harness/mail_server.py"))
            .arg(&folder)
            .arg(folder.join("server.pem"))
            .arg(folder.join("server.key"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(&port_file).expect("a file for the port"))
            .stderr(fs::File::create(folder.join("stderr.log")).expect("a file for its log"))
            .spawn()
            .map(Running)
            .expect("Python starts");
        let port = until("the mail server says its port", LONG, async || {
            let said = fs::read_to_string(&port_file).unwrap_or_default();
            said.strip_suffix('\n').and_then(|port| port.parse::<u16>().ok())
        })
        .await;
        Self { folder, address: SocketAddr::from(([127, 0, 0, 1], port)), _running: running }
    }

    /// The table of a configuration file that sends mails here.
    pub(crate) fn notifier(&self, name: &str) -> String {
        format!(
            r#"
[[notifiers]]
name = "{name}"
kind = "email"
smtp = "{}"
tls = "starttls"
ca = "{folder}/ca.pem"
username = "logwarden"
password = "file:{folder}/password"
from = "logwarden@example.org"
to = ["oncall@example.org"]
per_hour_max = 1000
"#,
            self.address,
            folder = self.folder.display()
        )
    }

    /// From now on mails are answered with 451, or taken.
    pub(crate) fn refuse(&self, refuses: bool) {
        let mark = self.folder.join("refuse");
        if refuses {
            fs::write(mark, "").expect("a mark");
        } else {
            fs::remove_file(mark).expect("it refused");
        }
    }

    /// Every mail it took, in their order.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let entries = fs::read_dir(&self.folder).expect("its folder");
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
        files.sort();
        let read = |file: &PathBuf| fs::read_to_string(file).expect("a mail");
        files.iter().map(|file| Mail(serde_json::from_str(&read(file)).expect("JSON"))).collect()
    }
}

impl Mail {
    /// A header, decoded; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> String {
        let headers = self.0["headers"].as_array().expect("headers");
        let found = headers.iter().find(|header| {
            header[0].as_str().is_some_and(|found| found.eq_ignore_ascii_case(name))
        });
        found.and_then(|header| header[1].as_str()).unwrap_or_default().to_owned()
    }

    /// The text of its part of this type, such as `text/plain`.
    pub(crate) fn part(&self, kind: &str) -> &str {
        let parts = self.0["parts"].as_array().expect("parts");
        let part = parts.iter().find(|part| part["type"] == kind);
        part.and_then(|part| part["text"].as_str()).unwrap_or_else(|| panic!("no {kind}: {self:?}"))
    }

    /// Everything else the server noted.
    pub(crate) fn fact(&self, name: &str) -> &Value {
        &self.0[name]
    }
}
