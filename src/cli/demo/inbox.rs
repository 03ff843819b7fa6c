//! Where the demo's notifications arrive: a mail server and a webhook receiver on loopback that
//! keep what they get as files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of one mail; longer ones are cut off.
const MAIL_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Both receivers, running until the process ends.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Where the mail server listens.
    pub(crate) smtp: SocketAddr,
    /// Where the webhook receiver listens.
    pub(crate) webhook: SocketAddr,
    /// Where the files lie.
    pub(crate) folder: PathBuf,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    count: AtomicU32,
}

impl Folder {
    fn keep(&self, ending: &str, content: &[u8]) {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let file = self.path.join(format!("{number:04}.{ending}"));
        match std::fs::write(&file, content) {
            Ok(()) => println!("notification: {}", file.display()),
            Err(error) => eprintln!("cannot keep a notification in `{}`: {error}", file.display()),
        }
    }
}

impl Inbox {
    /// Opens both receivers on ports of the system's choice.
    pub(crate) async fn open(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make `{}`", folder.display()))?;
        let kept = Arc::new(Folder { path: folder.to_owned(), count: AtomicU32::new(0) });

        let mail = TcpListener::bind("127.0.0.1:0").await?;
        let smtp = mail.local_addr()?;
        let mail_folder = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok((stream, _)) = mail.accept().await {
                let folder = Arc::clone(&mail_folder);
                tokio::spawn(async move { receive_mail(stream, &folder).await });
            }
        });

        let hooks = TcpListener::bind("127.0.0.1:0").await?;
        let webhook = hooks.local_addr()?;
        let router = Router::new().route("/hook", post(receive_webhook)).with_state(kept);
        tokio::spawn(async move { axum::serve(hooks, router).await });
        Ok(Self { smtp, webhook, folder: folder.to_owned() })
    }
}

async fn receive_webhook(State(folder): State<Arc<Folder>>, body: axum::body::Bytes) -> StatusCode {
    folder.keep("webhook.json", &body);
    StatusCode::NO_CONTENT
}

/// As much of SMTP (RFC 5321) as it takes to receive.
async fn receive_mail(stream: TcpStream, folder: &Folder) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader.take(MAIL_BYTES_MAX));
    writer.write_all(b"220 demo ready\r\n").await?;
    let mut line = String::new();
    while reader.read_line(&mut line).await? > 0 {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                folder.keep("eml", &read_mail(&mut reader).await?);
                b"250 kept\r\n"
            }
            "QUIT" => {
                return writer.write_all(b"221 bye\r\n").await;
            }
            _ => b"250 ok\r\n",
        };
        writer.write_all(answer).await?;
        line.clear();
    }
    Ok(())
}

async fn read_mail(reader: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 && line != b".\r\n" {
        // A leading dot was doubled by the sender (RFC 5321, section 4.5.2).
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        line.clear();
    }
    Ok(mail)
}
