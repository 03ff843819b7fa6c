//! What is known about addresses, names and hashes besides what the record says: countries and networks
//! from the user's MaxMind files, and matches with the user's threat lists.
//!
//! Input: the table `[enrich]` and a record that was understood. Output: fields beside it, under ECS's
//! names; what the sender says himself counts more. Files are looked at every few seconds and read again
//! when they changed; one that cannot be read leaves what was read before in force, and says so. When
//! nothing is configured nothing of this runs.

mod geo;
mod indicators;
mod list;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use logwarden_event::{FieldOptions, Timestamp};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics;
use crate::normalize::reading::{Held, Reading};
use geo::Geo;
use indicators::{Indicator, Indicators, Known};

pub use indicators::IndicatorKind;
pub use list::{ListConfig, ListKind};

/// How often files are looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Files of addresses.
const GEO_FILES_MAX: usize = 8;
/// Threat lists.
const LISTS_MAX: usize = 64;
/// Bytes of a list's name.
const LIST_NAME_BYTES_MAX: usize = 100;
/// Matches with threat lists that one event keeps.
const MATCHES_MAX: usize = 4;
/// New indicators that wait to be looked for in the past; further ones are only counted.
const NEW_INDICATORS_MAX: usize = 100_000;

/// The table `[enrich]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichConfig {
    /// MaxMind files (`.mmdb`): country, city and network of addresses. Default: none.
    pub geo: Vec<PathBuf>,
    /// Threat lists. Default: none.
    pub lists: Vec<ListConfig>,
    /// Where relative paths start: the configuration file's directory.
    #[serde(skip)]
    pub base: PathBuf,
}

impl EnrichConfig {
    /// Says what could not work.
    ///
    /// # Errors
    ///
    /// The path of the key, and what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), (String, String)> {
        let wrong = |path: String, problem: String| Err((path, problem));
        if self.geo.len() > GEO_FILES_MAX {
            return wrong("enrich.geo".into(), format!("at most {GEO_FILES_MAX} files"));
        }
        if self.lists.len() > LISTS_MAX {
            return wrong("enrich.lists".into(), format!("at most {LISTS_MAX} lists"));
        }
        for (place, list) in self.lists.iter().enumerate() {
            let path = || format!("enrich.lists[{place}].name");
            if list.name.is_empty() || list.name.len() > LIST_NAME_BYTES_MAX {
                return wrong(path(), format!("must have 1 to {LIST_NAME_BYTES_MAX} bytes"));
            }
            if self.lists[..place].iter().any(|other| other.name == list.name) {
                return wrong(path(), format!("another list is called `{}`", list.name));
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.geo.is_empty() && self.lists.is_empty()
    }
}

/// An indicator that a list has now and had not before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIndicator {
    /// What it is.
    pub kind: IndicatorKind,
    /// The address, network, name or hash, in lower case.
    pub value: String,
    /// The list's name.
    pub list: String,
}

/// The entries of lists, by list: a number for each, in order. What was known of a list that is not among
/// them is nothing.
pub type ListMarks = BTreeMap<String, Vec<u64>>;

/// What changed in threat lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ListNews {
    /// Indicators that a list has now and had not before.
    pub indicators: Vec<NewIndicator>,
    /// The lists that were read since, as they are now.
    pub lists: ListMarks,
}

/// How a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrichReport {
    /// The list's name, or the file's.
    pub name: String,
    /// What is wrong with it now; empty when nothing is.
    pub problem: String,
    /// When what is in force was written, by the file; `None`: nothing was read yet.
    pub written_at: Option<Timestamp>,
    /// Indicators, or 0 for a file of addresses.
    pub indicators: usize,
    /// Lines or objects of it that are no indicator.
    pub left_out: u64,
}

/// What was read, whole: replaced, never changed.
#[derive(Debug, Default)]
struct Tables {
    geo: Vec<Arc<Geo>>,
    indicators: Indicators,
}

/// A file as it was when it was read last.
#[derive(Debug, Default)]
struct Watched {
    stamp: Option<(SystemTime, u64)>,
    written_at: Option<Timestamp>,
    problem: String,
    left_out: u64,
    geo: Option<Arc<Geo>>,
    list: Arc<Vec<Indicator>>,
    /// What the list had before the start, until it is read and compared.
    before: Option<Vec<u64>>,
    /// It was read since somebody asked.
    has_news: bool,
}

/// Everything that is known besides.
#[derive(Debug)]
pub(crate) struct Enrichment {
    config: EnrichConfig,
    tables: RwLock<Arc<Tables>>,
    watched: std::sync::Mutex<Vec<Watched>>,
    new: std::sync::Mutex<Vec<NewIndicator>>,
}

/// Two are the same when they are one.
impl PartialEq for Enrichment {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Enrichment {}

impl Enrichment {
    /// Reads all files; `None` when none is configured. What cannot be read is reported and tried again.
    pub(crate) fn open(config: EnrichConfig) -> Option<Arc<Self>> {
        if config.is_empty() {
            return None;
        }
        let files = config.geo.len() + config.lists.len();
        let watched = std::iter::repeat_with(Watched::default).take(files).collect();
        let enrichment = Self {
            config,
            tables: RwLock::default(),
            watched: std::sync::Mutex::new(watched),
            new: std::sync::Mutex::default(),
        };
        enrichment.refresh();
        Some(Arc::new(enrichment))
    }

    /// Reads what changed, until `shutdown`.
    pub(crate) async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
            let reading = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || reading.refresh()).await {
                warn!(%error, "threat lists were not looked at");
            }
        }
    }

    /// Reads the files that changed since they were read last.
    pub(crate) fn refresh(&self) {
        let mut watched = lock(&self.watched);
        let mut has_changed = false;
        let geo = self.config.geo.iter().map(|path| (path, None));
        let lists = self.config.lists.iter().map(|list| (&list.file, Some(list)));
        for ((path, list), state) in geo.chain(lists).zip(watched.iter_mut()) {
            has_changed |= self.refresh_one(&self.config.base.join(path), list, state);
        }
        if !has_changed {
            return;
        }
        let lists = self.config.lists.iter().map(|list| list.name.as_str());
        let read = watched[self.config.geo.len()..].iter().map(|state| state.list.as_slice());
        let indicators = Indicators::new(lists.zip(read));
        let geo = watched.iter().filter_map(|state| state.geo.clone()).collect();
        let tables = Arc::new(Tables { geo, indicators });
        ::metrics::gauge!(metrics::INDICATORS).set(tables.indicators.len() as f64);
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = tables;
    }

    /// Whether something was read.
    fn refresh_one(&self, path: &Path, list: Option<&ListConfig>, state: &mut Watched) -> bool {
        let read = std::fs::metadata(path).and_then(|meta| Ok((meta.modified()?, meta.len())));
        let stamp = match read {
            Ok(stamp) => stamp,
            Err(error) => {
                note_problem(path, state, error.to_string());
                return false;
            }
        };
        if state.stamp == Some(stamp) {
            return false;
        }
        state.stamp = Some(stamp);
        let read = match list {
            None => Geo::open(path, stamp.1).map(|geo| state.geo = Some(Arc::new(geo))),
            Some(list) => list::read(path, stamp.1, list).map(|read| {
                let known = std::mem::replace(&mut state.list, Arc::new(read.indicators));
                state.left_out = read.left_out;
                let is_first = state.written_at.is_none();
                state.has_news = true;
                match state.before.take() {
                    Some(before) => self.compare(&before, &state.list, &list.name),
                    // It is compared when somebody says what it had before.
                    None if is_first => {}
                    None => self.remember_new(&known, &state.list, &list.name),
                }
            }),
        };
        match read {
            Ok(()) => {
                state.problem.clear();
                state.written_at = Some(instant(stamp.0));
                info!(file = %path.display(), entries = state.list.len(), "file was read");
                true
            }
            Err(problem) => {
                note_problem(path, state, problem);
                false
            }
        }
    }

    fn remember_new(&self, known: &[Indicator], now: &[Indicator], list: &str) {
        let known: HashSet<&Indicator> = known.iter().collect();
        self.remember(now.iter().filter(|one| !known.contains(one)), list);
    }

    fn compare(&self, before: &[u64], now: &[Indicator], list: &str) {
        let is_new = |one: &&Indicator| before.binary_search(&one.mark()).is_err();
        self.remember(now.iter().filter(is_new), list);
    }

    fn remember<'i>(&self, indicators: impl Iterator<Item = &'i Indicator>, list: &str) {
        let mut new = lock(&self.new);
        for one in indicators {
            if new.len() >= NEW_INDICATORS_MAX {
                ::metrics::counter!(metrics::INDICATORS_NOT_LOOKED_FOR_TOTAL).increment(1);
                continue;
            }
            let (kind, value) = (one.kind, one.value.clone());
            new.push(NewIndicator { kind, value, list: list.to_owned() });
        }
    }

    /// Takes what the lists had before the start, to be called once; answers the lists that are none of
    /// ours any more.
    pub(crate) fn compare_with(&self, mut known: ListMarks) -> Vec<String> {
        let mut watched = lock(&self.watched);
        for (list, state) in self.config.lists.iter().zip(&mut watched[self.config.geo.len()..]) {
            let before = known.remove(&list.name).unwrap_or_default();
            match state.written_at {
                Some(_) => self.compare(&before, &state.list, &list.name),
                None => state.before = Some(before),
            }
        }
        known.into_keys().collect()
    }

    /// What changed since this was asked last.
    pub(crate) fn take_news(&self) -> ListNews {
        // No list is read meanwhile, so what is new and what is known fit together.
        let mut watched = lock(&self.watched);
        let mut lists = ListMarks::new();
        for (list, state) in self.config.lists.iter().zip(&mut watched[self.config.geo.len()..]) {
            if std::mem::take(&mut state.has_news) {
                let mut marks: Vec<u64> = state.list.iter().map(Indicator::mark).collect();
                marks.sort_unstable();
                lists.insert(list.name.clone(), marks);
            }
        }
        ListNews { indicators: std::mem::take(&mut lock(&self.new)), lists }
    }

    /// How every file is, in the order of the configuration.
    pub(crate) fn reports(&self) -> Vec<EnrichReport> {
        let geo = self.config.geo.iter().map(|path| path.display().to_string());
        let names = geo.chain(self.config.lists.iter().map(|list| list.name.clone()));
        let report = |(name, state): (String, &Watched)| EnrichReport {
            name,
            problem: state.problem.clone(),
            written_at: state.written_at,
            indicators: state.list.len(),
            left_out: state.left_out,
        };
        names.zip(lock(&self.watched).iter()).map(report).collect()
    }

    /// Adds what is known to a record that was understood.
    pub(crate) fn apply(&self, reading: &mut Reading<'_>) {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner).clone();
        for side in [&SOURCE, &DESTINATION] {
            let place = logwarden_event::standard_field(side.ip);
            let Some(Held::Ip(address)) = place.and_then(|place| reading.first(place)) else {
                continue;
            };
            for geo in &tables.geo {
                geo.apply(address, side, reading);
            }
        }
        if !tables.indicators.is_empty() {
            match_indicators(&tables.indicators, reading);
        }
    }
}

fn note_problem(path: &Path, state: &mut Watched, problem: String) {
    if state.problem != problem {
        warn!(file = %path.display(), "cannot be used, what was read before stays in force: {problem}");
    }
    state.problem = problem;
}

fn instant(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The fields of one end of a connection.
#[derive(Debug)]
struct Side {
    ip: &'static str,
    country: &'static str,
    country_name: &'static str,
    city: &'static str,
    region: &'static str,
    location: &'static str,
    number: &'static str,
    organization: &'static str,
}

static SOURCE: Side = Side {
    ip: "source.ip",
    country: "source.geo.country_iso_code",
    country_name: "source.geo.country_name",
    city: "source.geo.city_name",
    region: "source.geo.region_name",
    location: "source.geo.location",
    number: "source.as.number",
    organization: "source.as.organization.name",
};

static DESTINATION: Side = Side {
    ip: "destination.ip",
    country: "destination.geo.country_iso_code",
    country_name: "destination.geo.country_name",
    city: "destination.geo.city_name",
    region: "destination.geo.region_name",
    location: "destination.geo.location",
    number: "destination.as.number",
    organization: "destination.as.organization.name",
};

/// Adds a field under any name, unless the sender has it.
fn add(reading: &mut Reading<'_>, name: &'static str, value: Held) {
    match logwarden_event::standard_field(name) {
        Some(_) => reading.add_missing(name, value),
        None if reading.sent(name).is_none() => {
            let path = reading.keep(name);
            reading.push(path, value, FieldOptions::default());
        }
        None => {}
    }
}

fn add_text(reading: &mut Reading<'_>, name: &'static str, text: &str) {
    if !text.is_empty() {
        let text = reading.keep(text);
        add(reading, name, Held::Text(text));
    }
}

/// What a field's value is found as in the lists.
fn find(
    indicators: &Indicators,
    name: &str,
    value: Held,
    reading: &Reading<'_>,
) -> Option<Arc<Known>> {
    let text = match value {
        Held::Ip(address) => return indicators.find_address(address),
        Held::Text(text) => reading.str(text),
        _ => return None,
    };
    let name = name.to_ascii_lowercase();
    let ends_with = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if name.contains("hash") || ends_with(&["md5", "sha1", "sha256", "sha512"]) {
        return indicators.find_hash(text);
    }
    if ends_with(&["ip", "address"])
        && let Ok(address) = text.parse::<IpAddr>()
    {
        return indicators.find_address(address);
    }
    let is_name =
        ends_with(&["domain", "dns.question.name", "queryname", "query", "host", "hostname"]);
    if is_name && text.contains('.') { indicators.find_domain(text) } else { None }
}

fn match_indicators(indicators: &Indicators, reading: &mut Reading<'_>) {
    let mut found: Vec<(String, Arc<Known>)> = Vec::new();
    for entry in reading.entries.iter().filter(|entry| !entry.is_dropped) {
        let name = match Reading::standard_of(entry) {
            Some(place) => logwarden_event::STANDARD_FIELDS[usize::from(place)].name,
            None => reading.str(entry.path),
        };
        let Some(known) = find(indicators, name, entry.value, reading) else { continue };
        let is_there = found.iter().any(|(_, other)| Arc::ptr_eq(other, &known));
        if !is_there && found.len() < MATCHES_MAX {
            found.push((name.to_owned(), known));
        }
    }
    for (field, known) in found {
        ::metrics::counter!(metrics::INDICATOR_MATCHES_TOTAL).increment(1);
        let mut push = |name: &'static str, text: &str| {
            if !text.is_empty() {
                let (path, text) = (reading.keep(name), reading.keep(text));
                reading.push(path, Held::Text(text), FieldOptions::default());
            }
        };
        push("threat.indicator.type", known.type_name());
        push("threat.indicator.name", &known.value);
        push("threat.indicator.provider", &known.list);
        push("threat.indicator.description", &known.note);
        push("threat.enrichments.matched.field", &field);
    }
}
