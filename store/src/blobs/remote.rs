//! Blobs in a bucket of an S3-compatible server, in the form of [`super::blocks`].
//!
//! A blob is put only under a name that is not taken, and read back: what is published is known to be
//! there. Ranges are read through a cache on the local disk. Whatever goes wrong is told apart: a
//! blob that is missing, a server that does not answer, one that refuses. No failure is an empty
//! answer.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode,
    PutPayload, RetryConfig,
};
use tokio::runtime::Runtime;
use tracing::warn;

use super::blocks::{self, Blocks};
use super::chunks::ChunkCache;
use super::{BlobError, Blobs};
use crate::config::S3Config;
use crate::error::OpenError;

/// Blobs whose checksums are kept; when there are more all are forgotten.
const OPEN_MAX: usize = 1_024;
/// Bytes read from the end when a blob is opened: footer and checksums of nearly all.
const TAIL_BYTES: u64 = 64 * 1024;
/// The longest stored form that is put.
const PUT_BYTES_MAX: usize = 1 << 30;
/// Whose blobs these are.
const OWNER: &str = "owner";
const CONTENT_DIR: &str = "blobs";
const QUARANTINE_DIR: &str = "quarantine";

/// Blobs in a bucket.
pub(crate) struct RemoteBlobs {
    server: Server,
    prefix: String,
    cache: ChunkCache,
    open: Mutex<HashMap<String, Arc<OpenBlob>>>,
    /// The identity of the journal whose blobs these are.
    identity: String,
    is_claimed: AtomicBool,
}

struct OpenBlob {
    stored_bytes: u64,
    blocks: Blocks,
}

/// The end of what is stored, and how long all of it is.
struct Tail {
    stored_bytes: u64,
    bytes: Bytes,
}

impl RemoteBlobs {
    /// Opens the blobs that belong to the journal of this identity. A server that does not answer now
    /// may do so later. Blocks.
    ///
    /// # Errors
    ///
    /// [`OpenError::Blobs`] when the settings make no sense, and when the blobs are another node's.
    pub(crate) fn open_as(
        config: &S3Config,
        identity: [u8; 16],
        cache: ChunkCache,
    ) -> Result<Self, OpenError> {
        let invalid = |error: &dyn std::fmt::Display| OpenError::Blobs(error.to_string());
        let key = config.access_key.resolve().map_err(|error| invalid(&error))?;
        let secret = config.secret_key.resolve().map_err(|error| invalid(&error))?;
        let client = ClientOptions::new()
            .with_allow_http(config.allow_http)
            .with_connect_timeout(config.timeout())
            .with_timeout(config.timeout());
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: config.retries_max as usize,
            retry_timeout: config.timeout() * (config.retries_max + 1),
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_access_key_id(key.expose())
            .with_secret_access_key(secret.expose())
            .with_virtual_hosted_style_request(!config.path_style)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let objects = Arc::new(builder.build().map_err(|error| invalid(&error))?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("blobs")
            .enable_all()
            .build()
            .map_err(|error| invalid(&error))?;
        let prefix = config.prefix.trim_matches('/');
        let blobs = Self {
            server: Server { objects, runtime: Some(runtime) },
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            cache,
            open: Mutex::default(),
            identity: format!("{:032x}", u128::from_be_bytes(identity)),
            is_claimed: AtomicBool::new(false),
        };
        match blobs.claim() {
            Ok(()) => {}
            Err(BlobError::Exists(owner)) => {
                let (bucket, prefix) = (&config.bucket, &blobs.prefix);
                return Err(OpenError::Blobs(format!(
                    "bucket `{bucket}` holds under `{prefix}` the blobs of journal {owner}, not of \
                     this one, {}",
                    blobs.identity
                )));
            }
            Err(error) => warn!(%error, "blobs cannot be had now, the journal keeps what comes"),
        }
        Ok(blobs)
    }

    /// Makes sure whose blobs these are before anything is changed: two nodes with the same bucket and
    /// prefix would remove each other's. [`BlobError::Exists`] names another owner.
    fn claim(&self) -> Result<(), BlobError> {
        if self.is_claimed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let path = Path::from(format!("{}{OWNER}", self.prefix));
        match self.put(OWNER, &path, self.identity.clone().into_bytes().into()) {
            Ok(()) => {}
            Err(BlobError::Exists(_)) => {
                let found = self.server.get(OWNER, &path, None)?.bytes;
                if *found != *self.identity.as_bytes() {
                    let owner = String::from_utf8_lossy(&found).chars().take(64).collect();
                    return Err(BlobError::Exists(owner));
                }
            }
            Err(error) => return Err(error),
        }
        self.is_claimed.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn path_of(&self, name: &str) -> Result<Path, BlobError> {
        blocks::check_name(name)?;
        Ok(Path::from(format!("{}{CONTENT_DIR}/{name}", self.prefix)))
    }

    fn put(&self, name: &str, path: &Path, bytes: Bytes) -> Result<(), BlobError> {
        let (objects, path) = (Arc::clone(&self.server.objects), path.clone());
        self.server.ask(name, async move {
            let payload = PutPayload::from_bytes(bytes);
            objects.put_opts(&path, payload, PutMode::Create.into()).await.map(drop)
        })
    }

    fn find(&self, name: &str) -> Result<Arc<OpenBlob>, BlobError> {
        if let Some(blob) = self.open().get(name) {
            return Ok(Arc::clone(blob));
        }
        let path = self.path_of(name)?;
        let tail = self.server.get(name, &path, Some(GetRange::Suffix(TAIL_BYTES)))?;
        let stored_bytes = tail.stored_bytes;
        let tail_at = stored_bytes - tail.bytes.len() as u64;
        let blocks = Blocks::open(name, stored_bytes, &|range| match range.start >= tail_at {
            true => Ok(tail
                .bytes
                .slice((range.start - tail_at) as usize..(range.end - tail_at) as usize)),
            false => self.server.get_exactly(name, &path, range),
        })?;
        let blob = Arc::new(OpenBlob { stored_bytes, blocks });
        let mut open = self.open();
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(name.to_owned(), Arc::clone(&blob));
        Ok(blob)
    }

    fn forget(&self, name: &str) {
        self.open().remove(name);
        self.cache.forget(name);
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<OpenBlob>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is stored ends as `stored` does, with the checksums of all of it, and is as long.
    fn is_stored(&self, name: &str, path: &Path, stored: &[u8]) -> Result<bool, BlobError> {
        let tail = self.server.get(name, path, Some(GetRange::Suffix(TAIL_BYTES)))?;
        Ok(tail.stored_bytes == stored.len() as u64 && stored.ends_with(&tail.bytes))
    }
}

impl Blobs for RemoteBlobs {
    fn put_new(&self, name: &str, content: &mut dyn Read) -> Result<(), BlobError> {
        let path = self.path_of(name)?;
        self.claim()?;
        let io = |reason: String| BlobError::Io { name: name.to_owned(), reason };
        let mut stored = Vec::new();
        blocks::store(content, |bytes| {
            stored.extend_from_slice(bytes);
            match stored.len() > PUT_BYTES_MAX {
                true => Err(std::io::Error::other("it is too long")),
                false => Ok(()),
            }
        })
        .map_err(|error| io(error.to_string()))?;
        let stored = Bytes::from(stored);
        let put = self.put(name, &path, stored.clone());
        match put {
            // An attempt of ours may have been done although its answer was lost.
            Ok(()) | Err(BlobError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        match (self.is_stored(name, &path, &stored)?, put) {
            (true, _) => Ok(()),
            (false, Err(error)) => Err(error),
            (false, Ok(())) => Err(io("the server does not give back what it took".to_owned())),
        }
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        let blob = self.find(name)?;
        let path = self.path_of(name)?;
        blob.blocks.read(name, range, &|range| {
            self.cache.read(name, blob.stored_bytes, range, &|range| {
                self.server.get_exactly(name, &path, range)
            })
        })
    }

    fn size_bytes(&self, name: &str) -> Result<u64, BlobError> {
        Ok(self.find(name)?.blocks.size_bytes)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        self.claim()?;
        let root = format!("{}{CONTENT_DIR}/", self.prefix);
        let (objects, path) = (Arc::clone(&self.server.objects), Path::from(root.as_str()));
        let found: Vec<String> = self.server.ask(prefix, async move {
            let listed = objects.list(Some(&path));
            listed.map_ok(|object| object.location.to_string()).try_collect().await
        })?;
        let names = found.iter().filter_map(|path| path.strip_prefix(&root));
        let mut names: Vec<String> =
            names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        let path = self.path_of(name)?;
        self.claim()?;
        self.forget(name);
        let objects = Arc::clone(&self.server.objects);
        match self.server.ask(name, async move { objects.delete(&path).await }) {
            Err(BlobError::NotFound(_)) => Ok(()),
            done => done,
        }
    }

    fn put_aside(&self, name: &str) -> Result<(), BlobError> {
        let path = self.path_of(name)?;
        self.claim()?;
        let aside = Path::from(format!("{}{QUARANTINE_DIR}/{name}", self.prefix));
        let objects = Arc::clone(&self.server.objects);
        match self.server.ask(name, async move { objects.copy(&path, &aside).await }) {
            Err(BlobError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.delete(name),
        }
    }
}

/// A server whose answers are waited for: whoever asks blocks, on any thread.
struct Server {
    objects: Arc<dyn ObjectStore>,
    /// Where the requests run; always there until it is dropped.
    runtime: Option<Runtime>,
}

impl Server {
    fn ask<T: Send + 'static>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, object_store::Error>> + Send + 'static,
    ) -> Result<T, BlobError> {
        let ended = || BlobError::Unavailable {
            name: name.to_owned(),
            reason: "the process is about to end".to_owned(),
        };
        let (answer, answered) = mpsc::sync_channel(1);
        let runtime = self.runtime.as_ref().ok_or_else(ended)?;
        runtime.spawn(async move {
            // Whoever asked waits for this.
            let _ = answer.send(work.await);
        });
        answered.recv().map_err(|_| ended())?.map_err(|error| failed(name, &error))
    }

    fn get(&self, name: &str, path: &Path, range: Option<GetRange>) -> Result<Tail, BlobError> {
        let (objects, path) = (Arc::clone(&self.objects), path.clone());
        self.ask(name, async move {
            let options = GetOptions { range, ..GetOptions::default() };
            let found = objects.get_opts(&path, options).await?;
            let stored_bytes = found.meta.size;
            Ok(Tail { stored_bytes, bytes: found.bytes().await? })
        })
    }

    fn get_exactly(&self, name: &str, path: &Path, range: Range<u64>) -> Result<Bytes, BlobError> {
        let wanted = range.end - range.start;
        let bytes = self.get(name, path, Some(GetRange::Bounded(range)))?.bytes;
        if bytes.len() as u64 == wanted {
            return Ok(bytes);
        }
        let reason = format!("{} bytes came, {wanted} were asked for", bytes.len());
        Err(BlobError::Unavailable { name: name.to_owned(), reason })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn failed(name: &str, error: &object_store::Error) -> BlobError {
    use object_store::Error;
    let (name, reason) = (name.to_owned(), error.to_string());
    match error {
        // Without its bucket nothing is known about a blob.
        Error::NotFound { .. } if reason.contains("NoSuchBucket") => {
            BlobError::Unavailable { name, reason }
        }
        Error::NotFound { .. } => BlobError::NotFound(name),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => BlobError::Exists(name),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            BlobError::Denied { name, reason }
        }
        Error::Generic { .. } => BlobError::Unavailable { name, reason },
        _ => BlobError::Io { name, reason },
    }
}
