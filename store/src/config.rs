//! Settings of the store: where the data lies, how durable it is, how much room it may take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

const MIB: u64 = 1024 * 1024;

/// Settings of the embedded store. The defaults are safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The directory everything lies in; created with mode 0700 when there is none. Not a key of
    /// the section: the whole configuration names it.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// When a batch counts as durable.
    pub durability: Durability,
    /// Longest time between two syncs with `durability = "unsafe_interval_ms"`, in milliseconds.
    pub unsafe_interval_ms: u64,
    /// Room all data together may take: a share of the volume (`"80%"`) or bytes.
    pub bytes_max: BytesMax,
    /// Whether the process ends when the journal cannot write any more; else searches and the
    /// delivery of alerts go on.
    pub fail_fast: bool,
    /// What happens to new batches when there is no room.
    pub on_full: OnFull,
    /// What happens at start when a segment of the journal is damaged in the middle.
    pub on_corruption: OnCorruption,
    /// What happens at start when checkpoints do not belong to the journal that is found.
    pub on_foreign_journal: OnForeignJournal,
    /// Size of one segment of the journal, in bytes. On a small volume less is used.
    pub segment_bytes: u64,
    /// Room given up when the disk is full, so that what is there can be worked with, in bytes. On
    /// a small volume less is used.
    pub reserve_bytes: u64,
    /// Memory for the newest batches, in bytes; readers that keep up never touch the disk.
    pub cache_bytes_max: usize,
    /// A bucket in which blobs lie, in place of the data directory: a table of its own.
    pub s3: Option<S3Config>,
    /// What secrets that must be kept are sealed with, as 64 hexadecimal digits. Default: a file
    /// `master.key` in the data directory, made at the first start.
    pub master_key: Option<SecretRef>,
    /// Master keys there were before: what is sealed with them is sealed with `master_key` at the next
    /// start or reload, and they can go. Default: none.
    pub master_keys_before: Vec<SecretRef>,
    /// Who must have said where they stand before anything of the journal is trimmed.
    #[serde(skip)]
    pub consumers: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("logwarden-data"),
            durability: Durability::Fsync,
            unsafe_interval_ms: 1_000,
            bytes_max: BytesMax::Percent(80),
            fail_fast: false,
            on_full: OnFull::Reject,
            on_corruption: OnCorruption::Quarantine,
            on_foreign_journal: OnForeignJournal::Refuse,
            segment_bytes: 64 * MIB,
            reserve_bytes: 64 * MIB,
            cache_bytes_max: 32 * MIB as usize,
            s3: None,
            master_key: None,
            master_keys_before: Vec::new(),
            consumers: vec!["index".to_owned(), "detector".to_owned()],
        }
    }
}

/// A bucket of an S3-compatible server, and the part of it that is this node's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The server. Default: Amazon's, of the region.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The bucket; it must exist.
    pub bucket: String,
    /// What the names of all objects begin with; no other node may have the same. Default: nothing.
    #[serde(default)]
    pub prefix: String,
    /// The region requests are signed for. Default `us-east-1`.
    #[serde(default = "default_region")]
    pub region: String,
    /// The key's id, by reference.
    pub access_key: SecretRef,
    /// The secret key, by reference.
    pub secret_key: SecretRef,
    /// Whether the bucket stands in the path, not in the host name. Default true.
    #[serde(default = "default_path_style")]
    pub path_style: bool,
    /// Plain HTTP. Default false.
    #[serde(default)]
    pub allow_http: bool,
    /// Longest time one attempt of a request may take, in seconds. Default 30.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
    /// Attempts after the first one. Default 4.
    #[serde(default = "default_retries_max")]
    pub retries_max: u32,
    /// Bytes of what was read that are kept in the data directory, at most. Default 8 GiB.
    #[serde(default = "default_cache_bytes_max")]
    pub cache_bytes_max: u64,
}

impl S3Config {
    /// The same, with files of secrets that start at `dir` when their path is relative.
    #[must_use]
    pub fn relative_to(self, dir: &Path) -> Self {
        let access_key = self.access_key.relative_to(dir);
        let secret_key = self.secret_key.relative_to(dir);
        Self { access_key, secret_key, ..self }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_secs.max(1))
    }
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

const fn default_path_style() -> bool {
    true
}

const fn default_timeout_secs() -> u64 {
    30
}

const fn default_retries_max() -> u32 {
    4
}

const fn default_cache_bytes_max() -> u64 {
    8 * 1024 * MIB
}

/// When a batch counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// After `fdatasync` returned: it survives a power cut.
    Fsync,
    /// At once; a sync follows within an interval. A power cut loses what came since the last one.
    UnsafeIntervalMs,
}

impl Durability {
    /// As in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::UnsafeIntervalMs => "unsafe_interval_ms",
        }
    }
}

/// What happens to new batches when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// They are refused; nothing stored is lost.
    Reject,
    /// The oldest segments of the journal go, read or not; readers see a gap.
    DropOldest,
}

/// What happens at start when a segment is damaged before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCorruption {
    /// The segment is copied to `quarantine/`, what is valid stays, the rest is a gap.
    Quarantine,
    /// The store does not open.
    Refuse,
}

/// What happens at start when the checkpoints in the catalog belong to another journal, or lie
/// behind the end of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnForeignJournal {
    /// The store does not open: somebody must decide.
    Refuse,
    /// The store opens; the consumers see checkpoints that are not of this journal.
    Accept,
}

/// Room for all data together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BytesMax {
    /// A share of the volume, 1 to 100.
    Percent(u8),
    /// Bytes.
    Bytes(u64),
}

impl BytesMax {
    /// The bytes this comes to on a volume of `volume_bytes`.
    pub fn on_volume(self, volume_bytes: u64) -> u64 {
        match self {
            Self::Percent(percent) => volume_bytes / 100 * u64::from(percent),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Serialize for BytesMax {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Percent(percent) => serializer.collect_str(&format_args!("{percent}%")),
            Self::Bytes(bytes) => serializer.serialize_u64(*bytes),
        }
    }
}

impl<'de> Deserialize<'de> for BytesMax {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Bytes(u64),
            Text(String),
        }
        let text = match Raw::deserialize(deserializer)? {
            Raw::Bytes(bytes) => return Ok(Self::Bytes(bytes)),
            Raw::Text(text) => text,
        };
        text.strip_suffix('%')
            .and_then(|percent| percent.trim().parse().ok())
            .filter(|percent| (1..=100).contains(percent))
            .map(Self::Percent)
            .ok_or_else(|| {
                serde::de::Error::custom(format!("`{text}` is neither bytes nor `1%` to `100%`"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_a_share_or_bytes() {
        let read = |text: &str| serde_json::from_str::<BytesMax>(text).ok();
        assert_eq!(read("\"80%\""), Some(BytesMax::Percent(80)));
        assert_eq!(read("1000"), Some(BytesMax::Bytes(1000)));
        for text in ["\"0%\"", "\"101%\"", "\"80\"", "\"%\"", "-1"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(BytesMax::Percent(80).on_volume(1_000), 800);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<Config>("{\"durabilty\":\"fsync\"}").expect_err("typo");
        assert!(error.to_string().contains("durabilty"), "{error}");
    }
}
