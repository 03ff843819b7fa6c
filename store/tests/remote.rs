//! Blobs in a bucket, with a real server: `moto_server`, which `scripts/test-tools.sh` installs.
//!
//! What it cannot do well enough, not answering and refusing, is done by sockets of our own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use logwarden_event::SystemClock;
use logwarden_store::config::S3Config;
use logwarden_store::{BlobError, Blobs, Config, OpenError, SecretRef, Store};

const BUCKET: &str = "logs";

/// A server that is killed in the end.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a server with an empty bucket.
    fn start() -> Self {
        let server = Self::without_bucket();
        server.make_bucket();
        server
    }

    fn without_bucket() -> Self {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools/python/bin");
        let mut child = Command::new(tools.join("python"))
            .arg(tools.join("moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("moto_server is there: scripts/test-tools.sh installs it");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = lines
            .find_map(|line| {
                let line = line.expect("text");
                line.split_once("http://")?.1.split_whitespace().next()?.parse().ok()
            })
            .expect("it says where it listens");
        // It would end when nobody reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn make_bucket(&self) {
        let mut connection = TcpStream::connect(self.address).expect("it listens");
        let host = self.address;
        write!(
            connection,
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        )
        .expect("it reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Settings of a node whose secrets lie in its data directory.
fn config(dir: &Path, address: SocketAddr) -> Config {
    std::fs::write(dir.join("key"), "a-key").expect("a disk");
    let key = SecretRef::File(dir.join("key"));
    let s3 = S3Config {
        endpoint: Some(format!("http://{address}")),
        bucket: BUCKET.to_owned(),
        prefix: "node-1".to_owned(),
        region: "us-east-1".to_owned(),
        access_key: key.clone(),
        secret_key: key,
        path_style: true,
        allow_http: true,
        timeout_secs: 2,
        retries_max: 1,
        cache_bytes_max: 8 << 20,
    };
    let mib = 1 << 20;
    Config {
        data_dir: dir.join("data"),
        s3: Some(s3),
        segment_bytes: mib,
        reserve_bytes: mib,
        ..Config::default()
    }
}

fn open(config: &Config) -> Result<Store, OpenError> {
    // As the process does at its start.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let opened = runtime.block_on(Store::embedded(config, Arc::new(SystemClock)));
    opened.map(|(store, _)| store)
}

fn content(seed: u8) -> Vec<u8> {
    (0..700_000u32).map(|place| (place % 251) as u8 ^ seed).collect()
}

fn put(blobs: &dyn Blobs, name: &str, content: &[u8]) -> Result<(), BlobError> {
    blobs.put_new(name, &mut &*content)
}

#[test]
fn blobs_in_a_bucket_are_as_those_on_a_disk() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&config(dir.path(), server.address)).expect("a bucket");
    let (blobs, first) = (&*store.blobs, content(1));
    assert_eq!(blobs.list("").expect("a list"), Vec::<String>::new());
    put(blobs, "splits/a.lws", &first).expect("a new name");
    put(blobs, "splits/b.lws", &[]).expect("a new name");
    assert_eq!(blobs.size_bytes("splits/a.lws").expect("there"), 700_000);
    for range in [0..0, 0..1, 4_095..4_097, 262_143..600_000, 699_999..700_000, 0..700_000] {
        let read = blobs.get_range("splits/a.lws", range.clone()).expect("there");
        assert_eq!(*read, first[range.start as usize..range.end as usize], "{range:?}");
    }
    let outside = blobs.get_range("splits/a.lws", 0..700_001);
    assert!(matches!(outside, Err(BlobError::Io { .. })), "{outside:?}");
    let again = put(blobs, "splits/a.lws", &content(2));
    assert!(matches!(again, Err(BlobError::Exists(_))), "{again:?}");
    assert_eq!(*blobs.get_range("splits/a.lws", 0..9).expect("there"), first[..9]);
    assert_eq!(blobs.list("splits/").expect("a list"), ["splits/a.lws", "splits/b.lws"]);
    let missing = blobs.get_range("splits/c.lws", 0..1);
    assert!(matches!(missing, Err(BlobError::NotFound(_))), "{missing:?}");
    blobs.delete("splits/a.lws").expect("gone");
    blobs.delete("splits/a.lws").expect("gone already");
    blobs.put_aside("splits/b.lws").expect("aside");
    assert_eq!(blobs.list("").expect("a list"), Vec::<String>::new());
    let gone = blobs.get_range("splits/a.lws", 0..1);
    assert!(matches!(gone, Err(BlobError::NotFound(_))), "{gone:?}");
}

#[test]
fn a_node_finds_its_blobs_again_and_no_other_gets_at_them() {
    let server = Server::start();
    let (dir, other) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let settings = config(dir.path(), server.address);
    let store = open(&settings).expect("a bucket");
    put(&*store.blobs, "splits/a.lws", b"mine").expect("a new name");
    drop(store);
    let store = open(&settings).expect("the same node");
    assert_eq!(&*store.blobs.get_range("splits/a.lws", 0..4).expect("there"), b"mine");
    let refused = open(&config(other.path(), server.address)).err();
    assert!(matches!(refused, Some(OpenError::Blobs(_))), "{refused:?}");
}

#[test]
fn a_server_that_is_killed_is_not_an_empty_one() {
    let mut server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let settings = config(dir.path(), server.address);
    let store = open(&settings).expect("a bucket");
    let (blobs, first) = (&*store.blobs, content(1));
    put(blobs, "splits/a.lws", &first).expect("a new name");
    blobs.get_range("splits/a.lws", 0..1_000).expect("there");
    server.kill();
    let read = blobs.get_range("splits/a.lws", 500..90_000).expect("in the cache");
    assert_eq!(*read, first[500..90_000]);
    let beyond = blobs.get_range("splits/a.lws", 600_000..600_001);
    assert!(matches!(beyond, Err(BlobError::Unavailable { .. })), "{beyond:?}");
    let list = blobs.list("");
    assert!(matches!(list, Err(BlobError::Unavailable { .. })), "{list:?}");
    let new = put(blobs, "splits/b.lws", &first);
    assert!(matches!(new, Err(BlobError::Unavailable { .. })), "{new:?}");
    let delete = blobs.delete("splits/a.lws");
    assert!(matches!(delete, Err(BlobError::Unavailable { .. })), "{delete:?}");
    drop(store);
    // The journal takes what comes: the node starts.
    let store = open(&settings).expect("a node without its bucket");
    let list = store.blobs.list("");
    assert!(matches!(list, Err(BlobError::Unavailable { .. })), "{list:?}");
}

#[test]
fn without_its_bucket_no_blob_is_missing() {
    let server = Server::without_bucket();
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&config(dir.path(), server.address)).expect("a node without its bucket");
    let read = store.blobs.get_range("splits/a.lws", 0..1);
    assert!(matches!(read, Err(BlobError::Unavailable { .. })), "{read:?}");
    let list = store.blobs.list("");
    assert!(matches!(list, Err(BlobError::Unavailable { .. })), "{list:?}");
    server.make_bucket();
    put(&*store.blobs, "splits/a.lws", b"at last").expect("a bucket");
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_only_so_long() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dir = tempfile::tempdir().expect("a directory");
    let address = silent.local_addr().expect("bound");
    let store = open(&config(dir.path(), address)).expect("a node without its bucket");
    let read = store.blobs.get_range("splits/a.lws", 0..1);
    assert!(matches!(read, Err(BlobError::Unavailable { .. })), "{read:?}");
}

#[test]
fn a_server_that_refuses_is_told_apart() {
    let refusing = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = refusing.local_addr().expect("bound");
    std::thread::spawn(move || {
        let body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        let len = body.len();
        for connection in refusing.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut head = [0; 16 * 1024];
            let _ = connection.read(&mut head);
            let _ = write!(
                connection,
                "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\n\
                 Content-Length: {len}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&config(dir.path(), address)).expect("a node without its bucket");
    let read = store.blobs.get_range("splits/a.lws", 0..1);
    assert!(matches!(read, Err(BlobError::Denied { .. })), "{read:?}");
    let list = store.blobs.list("");
    assert!(matches!(list, Err(BlobError::Denied { .. })), "{list:?}");
}
