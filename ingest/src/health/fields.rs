//! Which fields the events of a source have: a bounded sketch of samples, and what changes in it.
//!
//! Input: names and kinds of the fields of some events. Output: a report per field, and a [`Drift`]:
//! fields that are new, gone, back or of another kind than before. Everything is counted in samples,
//! not in time, so that a busy source and a quiet one are judged alike. At most [`FIELDS_MAX`] names
//! are kept; what is beyond is counted and never called new.

use std::collections::{BTreeMap, BTreeSet};

use logwarden_event::{Timestamp, Value};
use serde::{Deserialize, Serialize};

/// Fields of one source that are kept.
const FIELDS_MAX: usize = 256;
/// Longer names are not kept.
const NAME_BYTES_MAX: usize = 128;
/// Samples of a source after which a field that was not seen before is new.
const LEARNED_SAMPLES: u64 = 100;
/// Samples of a field after which another kind is a change.
const SETTLED_SAMPLES: u64 = 20;
/// Samples without a field that most events had, after which it is gone.
const GONE_SAMPLES: u64 = 100;
/// Names in one list of a drift.
const NAMES_MAX: usize = 20;

/// What a value is; numbers are one kind, because senders leave out `.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Text,
    Number,
    Bool,
    Ip,
    Time,
    Object,
}

impl Kind {
    /// The kind of a value; nothing says nothing.
    pub(crate) fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Bool),
            Value::Integer(_) | Value::Float(_) => Some(Self::Number),
            Value::String(_) => Some(Self::Text),
            Value::Ip(_) => Some(Self::Ip),
            Value::Timestamp(_) => Some(Self::Time),
            Value::Json(_) => Some(Self::Object),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Ip => "ip",
            Self::Time => "time",
            Self::Object => "object",
        }
    }
}

/// The fields of one source.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    samples: u64,
    known: BTreeMap<String, Known>,
    beyond: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Known {
    kinds: BTreeSet<Kind>,
    samples: u64,
    /// The sample it came with first, and last.
    first: u64,
    last: u64,
    first_at: i64,
    last_at: i64,
    is_gone: bool,
    /// It came when the source was known already.
    is_new: bool,
    /// When it got its newest kind, if it had another one.
    retyped_at: Option<i64>,
}

/// What is known of one field of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldReport {
    /// Its name.
    pub name: String,
    /// `text`, `number`, `bool`, `ip`, `time`, `object`.
    pub kinds: Vec<&'static str>,
    /// The part of the events that have it, 0 to 1.
    pub share: f64,
    /// When it was seen first.
    pub first_seen_at: Timestamp,
    /// When it was seen last.
    pub last_seen_at: Timestamp,
    /// It came when the source was known already.
    pub is_new: bool,
    /// Most events had it, and none has any more.
    pub is_gone: bool,
    /// When it got its newest kind, if it had another one.
    pub retyped_at: Option<Timestamp>,
}

/// What has changed in the fields of a source.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Drift {
    pub(crate) new: BTreeSet<String>,
    pub(crate) gone: BTreeSet<String>,
    pub(crate) back: BTreeSet<String>,
    pub(crate) retyped: BTreeSet<String>,
}

impl Drift {
    pub(crate) fn is_empty(&self) -> bool {
        [&self.new, &self.gone, &self.back, &self.retyped].into_iter().all(BTreeSet::is_empty)
    }
}

fn note(names: &mut BTreeSet<String>, name: &str) {
    if names.len() < NAMES_MAX {
        names.insert(name.to_owned());
    }
}

impl Fields {
    /// Takes one event's fields; what changes goes into `drift`.
    pub(crate) fn take(&mut self, sample: Vec<(String, Kind)>, now: Timestamp, drift: &mut Drift) {
        self.samples += 1;
        let (number, at) = (self.samples, now.nanos());
        let has_learned = number > LEARNED_SAMPLES;
        for (name, kind) in sample {
            if let Some(known) = self.known.get_mut(&name) {
                known.see(&name, kind, (number, at), drift);
                continue;
            }
            if self.known.len() >= FIELDS_MAX || name.len() > NAME_BYTES_MAX {
                self.beyond += 1;
                continue;
            }
            if has_learned {
                note(&mut drift.new, &name);
            }
            let known = Known {
                kinds: BTreeSet::from([kind]),
                samples: 1,
                first: number,
                last: number,
                first_at: at,
                last_at: at,
                is_gone: false,
                is_new: has_learned,
                retyped_at: None,
            };
            self.known.insert(name, known);
        }
        for (name, known) in &mut self.known {
            let was_usual = known.samples >= SETTLED_SAMPLES && known.share() >= 0.5;
            if was_usual && !known.is_gone && number - known.last >= GONE_SAMPLES {
                known.is_gone = true;
                note(&mut drift.gone, name);
            }
        }
    }

    /// What is known of each field.
    pub(crate) fn reports(&self) -> Vec<FieldReport> {
        let report = |(name, known): (&String, &Known)| FieldReport {
            name: name.clone(),
            kinds: known.kinds.iter().map(|kind| kind.name()).collect(),
            share: known.samples as f64 / (self.samples - known.first + 1) as f64,
            first_seen_at: Timestamp::from_nanos(known.first_at),
            last_seen_at: Timestamp::from_nanos(known.last_at),
            is_new: known.is_new,
            is_gone: known.is_gone,
            retyped_at: known.retyped_at.map(Timestamp::from_nanos),
        };
        self.known.iter().map(report).collect()
    }

    /// Sightings of fields that are not kept.
    pub(crate) const fn beyond(&self) -> u64 {
        self.beyond
    }
}

impl Known {
    fn see(&mut self, name: &str, kind: Kind, (number, at): (u64, i64), drift: &mut Drift) {
        if std::mem::take(&mut self.is_gone) {
            note(&mut drift.back, name);
        }
        if self.kinds.insert(kind) && self.samples >= SETTLED_SAMPLES {
            self.retyped_at = Some(at);
            note(&mut drift.retyped, name);
        }
        // An array is several fields of one name.
        if self.last != number {
            self.samples += 1;
        }
        (self.last, self.last_at) = (number, at);
    }

    /// The part of the samples that had it while it was there.
    fn share(&self) -> f64 {
        self.samples as f64 / (self.last - self.first + 1) as f64
    }
}
