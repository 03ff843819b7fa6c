//! The real binary, as a child of the test.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::wait::{LONG, until};

/// Bytes of a node's log that are shown when its test fails.
const SHOWN_BYTES: usize = 12_000;

/// A folder with a configuration and a data directory: what outlives a process.
pub(crate) struct Place {
    root: TempDir,
    starts: AtomicU32,
}

impl Place {
    /// A new folder under the system's temporary one, with this configuration file.
    pub(crate) fn new(config: &str) -> Self {
        let root = tempfile::Builder::new().prefix("logwarden-test-").tempdir().expect("a folder");
        let place = Self { root, starts: AtomicU32::new(0) };
        place.configure(config);
        place
    }

    /// Writes another configuration; relative paths in it start at this folder.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.file("logwarden.toml"), config).expect("the configuration is written");
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The path of a file beside the configuration.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Where the nodes of this place keep everything.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.file("data")
    }

    /// The command line, with neither the caller's environment nor its settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logwarden"));
        command.args(arguments).current_dir(self.root());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LOGWARDEN_") {
                command.env_remove(name);
            }
        }
        command.env("TZ", "UTC");
        command
    }

    /// Makes a token through the command line. A node that runs here notices it within a second.
    pub(crate) fn token(&self, role: &str, name: &str) -> String {
        let data_dir = self.data_dir();
        let output = self
            .command(&["token", "create", "--role", role, "--name", name, "--data-dir"])
            .arg(data_dir)
            .output()
            .expect("the binary starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a token is text").trim().to_owned()
    }

    /// Starts a node on ports of the system's choice and waits until it takes records.
    pub(crate) async fn start(&self) -> Node {
        let config = self.file("logwarden.toml");
        let data_dir = self.data_dir();
        let mut command = self.command(&["serve", "--http", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]);
        command.arg("--config").arg(config).arg("--data-dir").arg(data_dir);
        self.start_with(command).await
    }

    /// Starts a node by a command that ends in running it, and waits until it takes records.
    pub(crate) async fn start_with(&self, mut command: Command) -> Node {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let said = self.file(&format!("stdout-{number}.log"));
        let log = self.file(&format!("stderr-{number}.log"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&said).expect("a file for what it says"))
            .stderr(File::create(&log).expect("a file for its log"))
            .spawn()
            .expect("the binary starts");
        let mut node = Node { child, said, log, http: String::new(), tcp: Vec::new() };
        until("the node says where it listens", LONG, async || {
            let ended = node.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the node ended at its start: {ended:?}");
            (node.said("tcp: ").is_some()).then_some(())
        })
        .await;
        node.http = node.said("http: ").expect("HTTP is announced first");
        let said = fs::read_to_string(&node.said).expect("what it said");
        let addresses = said.lines().filter_map(|line| line.strip_prefix("tcp: "));
        node.tcp = addresses.map(|address| address.parse().expect("an address")).collect();
        node
    }
}

/// A running node; killed when dropped.
pub(crate) struct Node {
    child: Child,
    said: PathBuf,
    log: PathBuf,
    http: String,
    tcp: Vec<SocketAddr>,
}

impl Node {
    /// The address of API and dashboard, such as `http://127.0.0.1:40001`.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// Where the first listener takes records.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.tcp[0]
    }

    /// The code of the one-time link that a first start prints.
    pub(crate) async fn setup_code(&self) -> String {
        let link = until("the set-up link", LONG, async || self.said("set-up link: ")).await;
        link.split_once("#code=").expect("the code is in the fragment").1.to_owned()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of memory it holds at this moment.
    pub(crate) fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("a number") * 1024
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("the signal is sent");
    }

    /// Kills it as a power cut of the process would: nothing is said or written any more.
    pub(crate) fn kill9(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it ended");
    }

    /// Asks it to stop, as `systemctl stop` does, and gives its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let child = &mut self.child;
        until("the node stops", LONG, async || child.try_wait().expect("a child can be asked"))
            .await
            .code()
    }

    /// The rest of the first whole line of its standard output that begins so.
    fn said(&self, beginning: &str) -> Option<String> {
        let said = fs::read_to_string(&self.said).unwrap_or_default();
        let whole = said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        whole.filter_map(|line| line.strip_prefix(beginning)).next().map(str::to_owned)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let begin = log.len().saturating_sub(SHOWN_BYTES);
            let shown = log.get(log.ceil_char_boundary(begin)..).unwrap_or_default();
            eprintln!("--- log of the node\n{shown}\n--- end of its log");
        }
    }
}
