//! A real rsyslog that takes lines on a socket and forwards them over TCP or by RELP, as a host does.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::harness::wait::{LONG, until};
use super::programs::{Running, find};

/// What an action keeps until the server is there again.
const PATIENCE: &str = r#"action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList" queue.size="100000""#;

/// A running daemon.
pub(crate) struct Rsyslog {
    socket: PathBuf,
    _running: Running,
}

impl Rsyslog {
    /// Starts one that keeps everything in a new folder below `parent` and forwards to `to` over TCP in
    /// the form it takes when nothing else is said.
    pub(crate) async fn start(parent: &Path, to: SocketAddr) -> Self {
        let (ip, port) = (to.ip(), to.port());
        let action = format!(r#"type="omfwd" target="{ip}" port="{port}" protocol="tcp""#);
        Self::start_with(parent, &format!("action({action} {PATIENCE})")).await
    }

    /// The same by RELP, in the form of the manual.
    pub(crate) async fn start_relp(parent: &Path, to: SocketAddr) -> Self {
        let (ip, port) = (to.ip(), to.port());
        let action = format!(
            r#"type="omrelp" target="{ip}" port="{port}" template="RSYSLOG_SyslogProtocol23Format""#
        );
        let module = r#"module(load="omrelp")"#;
        Self::start_with(parent, &format!("{module}\naction({action} {PATIENCE})")).await
    }

    /// Starts one with this part of a configuration, which says where everything goes.
    pub(crate) async fn start_with(parent: &Path, forwarding: &str) -> Self {
        let folder = parent.join("rsyslog");
        fs::create_dir(&folder).expect("a new folder");
        let place = folder.display();
        let socket = folder.join("in.sock");
        let configuration = format!(
            r#"global(workDirectory="{place}")
{forwarding}
module(load="imptcp")
input(type="imptcp" path="{place}/in.sock" unlink="on")
"#
        );
        let file = folder.join("rsyslog.conf");
        fs::write(&file, configuration).expect("a configuration");
        let log = folder.join("stderr.log");
        let running = Command::new(find("rsyslogd").expect("rsyslogd"))
            .arg("-n")
            .arg("-f")
            .arg(&file)
            .arg("-i")
            .arg(folder.join("pid"))
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("a file for its log"))
            .spawn()
            .map(Running)
            .expect("rsyslogd starts");
        until("rsyslog listens", LONG, async || UnixStream::connect(&socket).await.ok().map(drop))
            .await;
        Self { socket, _running: running }
    }

    /// Hands it these lines, as a program does that logs to it.
    pub(crate) async fn log(&self, lines: &[String]) {
        let mut stream = UnixStream::connect(&self.socket).await.expect("it listens");
        let text: String = lines.iter().map(|line| format!("<38>{line}\n")).collect();
        stream.write_all(text.as_bytes()).await.expect("it reads");
        stream.shutdown().await.expect("it reads to the end");
    }
}
