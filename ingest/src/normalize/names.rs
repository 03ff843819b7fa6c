//! What senders call things: from their field names to the standard ones.
//!
//! Input: the fields of a [`Reading`] as the sender named them. Output: the same fields with the
//! standard name beside the sender's, and the time, severity, message and dataset. Names are
//! compared without regard to case, `_` and `-`, so that `clientIp`, `client_ip` and `Client-IP` are
//! one. When several fields claim one standard name the most exact spelling gets it and the others
//! keep their own, so no value is lost and none is counted twice.

mod level;
pub(crate) mod table;

use std::net::{IpAddr, SocketAddr};

use chrono_tz::Tz;
use logwarden_event::{FieldType, STANDARD_FIELDS, Severity, Timestamp};
use smallvec::SmallVec;

use super::reading::{Entry, Held, Known, Looked, Reading};
use super::{source, standard, time};
pub(crate) use level::severity_of;
use table::{Meaning, Name, SOURCE_RANK_MAX, Scale, Table, lookup, unwrapped};

/// A claim further ahead of our clock is not believed (durability contract, "Time").
const FUTURE_MAX: std::time::Duration = std::time::Duration::from_secs(600);
/// Names of better or this rank can be nothing but the time.
const NAMED_TIME_RANK_MAX: u8 = SOURCE_RANK_MAX + 4;
/// The identifier by which Windows says that it means nobody.
pub(super) const NOBODY: &str = "S-1-0-0";
/// Values of one field inside a list that are shown.
const SHOWN_MAX: usize = 8;
/// Added to the rank of a name that was found inside a wrapper.
const WRAPPED: u8 = 100;

/// Finds the standard names of every field, and what is said once for the whole event.
pub(crate) fn resolve(reading: &mut Reading<'_>) {
    recall(reading);
    if reading.kind.is_none_or(|kind| kind.is_envelope) {
        reading.kind = source::recognise(reading).or(reading.kind);
    }
    let kind = reading.kind;
    let mut claims = Claims::new(reading);
    for at in 0..reading.known.len() {
        let known = reading.known[at];
        let (index, extra) = (known.index(), if known.skip > 0 { WRAPPED } else { 0 });
        let entry = reading.entries[index];
        if Reading::standard_of(&entry).is_some() {
            continue;
        }
        let is_inner = entry.options.is_inner;
        let said = kind.map_or(source::Said::default(), |kind| kind.says(known.slot.key));
        // What a source says of its own name replaces what it is taken for elsewhere; a name it
        // says nothing of but that it is its own means nothing.
        let general = known.slot.meanings.iter().flatten().filter(|name| {
            let is_of_parsers = matches!(name.meaning, Meaning::Action | Meaning::Outcome);
            !said.is_own || is_of_parsers && !said.names.is_empty()
        });
        for name in said.names.iter().chain(general) {
            let Name { meaning, rank } = *name;
            if !is_inner || matches!(meaning, Meaning::Field(_)) {
                claims.claim(reading, index, meaning, rank.saturating_add(extra), extra > 0);
            }
        }
    }
    claims.settle(reading);
}

/// Finds out which fields have names we know.
fn recall(reading: &mut Reading<'_>) {
    reading.known.clear();
    let table = Table::get();
    for index in 0..reading.entries.len() {
        let entry = &reading.entries[index];
        if entry.is_dropped || entry.path.is_empty() {
            continue;
        }
        let looked = match entry.looked {
            Looked::No => look_up(reading.str(entry.path)),
            looked => looked,
        };
        if let Looked::Known { skip, slot } = looked {
            reading.known.push(Known::new(index, skip, table.slot_at(slot)));
        }
        reading.entries[index].looked = looked;
    }
}

/// Looks for a sender's name among those we know, alone or inside a wrapper.
pub(super) fn look_up(path: &str) -> Looked {
    if let Some(slot) = lookup(path) {
        return Looked::Known { skip: 0, slot };
    }
    let inner = unwrapped(path);
    match inner.and_then(lookup).zip(inner) {
        Some((slot, inner)) => {
            let skip = path.len() - inner.len();
            Looked::Known { skip: u8::try_from(skip).unwrap_or(u8::MAX), slot }
        }
        None => Looked::Unknown,
    }
}

/// The best claim on something that can be said once.
type Best = Option<(u8, usize)>;

/// Who claims what, while the fields are gone through.
struct Claims {
    /// (standard place, field), in the order of the fields.
    fields: SmallVec<[(u16, u32); 48]>,
    /// Of each standard place, the best claim.
    winners: Winners,
    message: Best,
    dataset: Best,
    level: Option<(u8, usize, Severity)>,
    level_field: Best,
    times: Vec<(u8, usize)>,
}

fn better(best: &mut Best, rank: u8, index: usize) {
    if best.is_none_or(|(known, _)| rank < known) {
        *best = Some((rank, index));
    }
}

impl Claims {
    fn new(reading: &Reading<'_>) -> Self {
        Self {
            fields: SmallVec::new(),
            winners: Winners::new(reading),
            message: None,
            dataset: None,
            level: None,
            level_field: None,
            times: Vec::new(),
        }
    }

    fn claim(
        &mut self,
        reading: &mut Reading<'_>,
        index: usize,
        meaning: Meaning,
        rank: u8,
        is_wrapped: bool,
    ) {
        let entry = reading.entries[index];
        match meaning {
            Meaning::Field(place) => {
                if suits(reading, place, rank, &entry.value) {
                    self.fields.push((place, index as u32));
                    self.winners.offer(place, rank, index as u32);
                }
            }
            Meaning::Message => {
                let may_be = !is_wrapped && index >= reading.message_from;
                if may_be && matches!(entry.value, Held::Text(text) if !text.is_empty()) {
                    better(&mut self.message, rank, index);
                }
            }
            Meaning::Dataset => {
                if !is_wrapped && matches!(entry.value, Held::Text(text) if !text.is_empty()) {
                    better(&mut self.dataset, rank, index);
                }
            }
            Meaning::Time => {
                let may_be = !matches!(entry.value, Held::Null | Held::Bool(_) | Held::Json(_));
                if !is_wrapped && may_be && is_time_alone(reading, index) {
                    self.times.push((rank, index));
                }
            }
            Meaning::Level(scale) => self.claim_level(reading, index, scale, rank),
            Meaning::Action => reading.actions.push(index),
            Meaning::Outcome => reading.outcomes.push(index),
        }
    }

    fn claim_level(&mut self, reading: &Reading<'_>, index: usize, scale: Scale, rank: u8) {
        let value = reading.entries[index].value;
        let severity = severity_of(reading, scale, &value);
        if let Some(severity) = severity
            && self.level.is_none_or(|(known, ..)| rank < known)
        {
            self.level = Some((rank, index, severity));
        }
        let is_text = matches!(value, Held::Text(_));
        if severity.is_some() || (scale == Scale::Any && is_text) {
            better(&mut self.level_field, rank, index);
        }
    }

    fn settle(&mut self, reading: &mut Reading<'_>) {
        for (place, index) in &self.fields {
            let entry = &reading.entries[*index as usize];
            let winner = self.winners.fields[usize::from(*place)] as usize;
            // Items of one array have one path and win together.
            let is_winner = reading.entries.get(winner).is_some_and(|winner| {
                // Each object of a list has paths of its own, which say the same.
                let is_inner = winner.options.is_inner && entry.options.is_inner;
                winner.path == entry.path
                    || is_inner && reading.str(winner.path) == reading.str(entry.path)
            });
            if is_winner && Reading::standard_of(entry).is_none() {
                give(reading, *index as usize, *place);
            }
        }
        self.show_inner(reading);
        self.settle_level(reading);
        if let Some((_, index)) = self.message
            && let Held::Text(text) = reading.entries[index].value
            && reading.message.is_empty()
        {
            let path = reading.entries[index].path;
            reading.message = match reading.str(path) {
                // Container runtimes keep the end of the line.
                "log" => reading.part(text, reading.str(text).trim_end_matches('\n')),
                _ => text,
            };
            if reading.str(path) == "message" {
                reading.entries[index].is_dropped = true;
            }
        }
        if let Some((_, index)) = self.dataset
            && let Held::Text(text) = reading.entries[index].value
        {
            reading.set_dataset(text);
        }
        settle_time(reading, &mut self.times);
    }

    /// What a source file finds inside the objects of a list is shown under its standard name too: there it is
    /// but searched.
    fn show_inner(&self, reading: &mut Reading<'_>) {
        for (place, (winner, rank)) in
            (0u16..).zip(self.winners.fields.iter().zip(&self.winners.ranks))
        {
            let is_by_file = rank % WRAPPED < source::RANKS;
            let Some(first) = reading.entries.get(*winner as usize).copied() else { continue };
            if !is_by_file || *rank == 0 || !first.options.is_inner {
                continue;
            }
            let of_place = |entry: &&Entry| {
                Reading::standard_of(entry) == Some(place) && entry.options.is_inner
            };
            let values: SmallVec<[Held; 4]> =
                reading.entries.iter().filter(of_place).map(|entry| entry.value).collect();
            let name = STANDARD_FIELDS[usize::from(place)].name;
            for value in values.into_iter().take(SHOWN_MAX) {
                reading.add(name, value);
            }
        }
    }

    fn settle_level(&self, reading: &mut Reading<'_>) {
        if let Some((_, _, severity)) = self.level {
            reading.severity = Some(severity);
        }
        let field =
            self.level.map(|(_, index, _)| index).or(self.level_field.map(|(_, index)| index));
        if let Some(index) = field
            && Reading::standard_of(&reading.entries[index]).is_none()
        {
            reading.set_standard(index, standard::LOG_LEVEL);
        }
    }
}

/// Who claims each standard name best.
struct Winners {
    ranks: [u8; STANDARD_FIELDS.len()],
    /// Places of fields; of those that nobody claims none that there is.
    fields: [u32; STANDARD_FIELDS.len()],
}

impl Winners {
    /// What a parser of ours found (a syslog header) has its name for good.
    fn new(reading: &Reading<'_>) -> Self {
        let mut winners = Self {
            ranks: [u8::MAX; STANDARD_FIELDS.len()],
            fields: [u32::MAX; STANDARD_FIELDS.len()],
        };
        for place in reading.entries.iter().filter_map(Reading::standard_of) {
            winners.ranks[usize::from(place)] = 0;
        }
        winners
    }

    fn offer(&mut self, place: u16, rank: u8, field: u32) {
        let place = usize::from(place);
        if rank < self.ranks[place] {
            self.ranks[place] = rank;
            self.fields[place] = field;
        }
    }
}

/// Whether a value can stand under a standard name that its own name suggests. The exact name (rank
/// 0) takes every value.
fn suits(reading: &Reading<'_>, place: u16, rank: u8, value: &Held) -> bool {
    if rank == 0 {
        return true;
    }
    let field = &STANDARD_FIELDS[usize::from(place)];
    match (field.kind, value) {
        (FieldType::String, Held::Bool(_)) if rank < source::RANKS => field.name == "event.outcome",
        (_, Held::Null | Held::Json(_) | Held::Bool(_)) => false,
        (FieldType::Ip, Held::Text(text)) => address(reading.str(*text)).is_some(),
        (FieldType::Integer, Held::Text(text)) => {
            let text = reading.str(*text);
            !text.is_empty() && text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit())
        }
        (FieldType::Integer, Held::Signed(number)) => {
            field.name != "http.response.status_code" || (100..600).contains(number)
        }
        // Windows and web servers write a dash where there is nothing.
        (FieldType::String, Held::Text(text)) if matches!(reading.str(*text), "" | "-") => false,
        (FieldType::String, Held::Text(text))
            if field.name == "user.id" && reading.str(*text) == NOBODY =>
        {
            false
        }
        // A source file knows what stands there.
        (FieldType::String, Held::Text(_)) if rank < source::RANKS => true,
        (FieldType::String, Held::Text(text)) => match field.name {
            "event.action" => is_identifier(reading.str(*text)),
            "event.outcome" => super::authentication::outcome(reading.str(*text)).is_some(),
            _ => true,
        },
        // Ids and codes are often numbers; names are not.
        (FieldType::String, Held::Signed(_) | Held::Unsigned(_)) => {
            field.name.ends_with(".id") || field.name.ends_with(".code")
        }
        _ => false,
    }
}

/// Whether a text names a kind of happening rather than describing one.
fn is_identifier(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'/')
        })
}

/// Gives the field at `index` its standard name; text that is an address becomes one.
fn give(reading: &mut Reading<'_>, index: usize, place: u16) {
    let entry = reading.entries[index];
    if STANDARD_FIELDS[usize::from(place)].kind == FieldType::Ip
        && let Held::Text(text) = entry.value
    {
        match address(reading.str(text)) {
            Some((ip, None)) => reading.entries[index].value = Held::Ip(ip),
            Some((ip, Some(port))) => {
                // The pair stays as the sender wrote it; its halves get the standard names.
                reading.add_missing(STANDARD_FIELDS[usize::from(place)].name, Held::Ip(ip));
                if STANDARD_FIELDS[usize::from(place)].name == "source.ip" {
                    reading.add_missing("source.port", Held::Signed(i64::from(port)));
                }
                return;
            }
            None => {}
        }
    }
    reading.set_standard(index, place);
}

/// An address, or an address and port.
pub(crate) fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    // The longest form, an IPv6 address with scope and port, is shorter than this.
    if text.len() < 2 || text.len() > 64 || !text.bytes().any(|byte| matches!(byte, b'.' | b':')) {
        return None;
    }
    if let Ok(ip) = text.parse() {
        return Some((ip, None));
    }
    text.parse::<SocketAddr>().ok().map(|pair| (pair.ip(), Some(pair.port())))
}

/// Takes the first time that can be read; what cannot be believed is kept as text.
fn settle_time(reading: &mut Reading<'_>, times: &mut [(u8, usize)]) {
    if reading.time_is_given {
        return;
    }
    if let Some(at) = log4j_instant(reading) {
        accept_time(reading, at, |at| at.to_string());
        return;
    }
    if let Some(at) = monolog_datetime(reading) {
        accept_time(reading, at, |at| at.to_string());
        return;
    }
    times.sort_unstable();
    let zone = reading.origin.zone;
    for (_, index) in times.iter() {
        if let Some(at) = calendar(reading, *index) {
            let items = items_from(reading, *index).count();
            reading.entries[*index..*index + items]
                .iter_mut()
                .for_each(|item| item.is_dropped = true);
            accept_time(reading, at, |at| at.to_string());
            return;
        }
        if let Some(at) = time_of(reading, reading.entries[*index].value, zone) {
            let value = reading.entries[*index].value;
            if is_too_far(reading, at) {
                let shown = show(reading, value);
                distrust(reading, &shown);
            } else {
                reading.timestamp = Some(at);
            }
            reading.entries[*index].is_dropped = true;
            return;
        }
    }
    if let Some(at) = date_and_time(reading) {
        accept_time(reading, at, |at| at.to_string());
        return;
    }
    // None could be read. Only a key that can be nothing but the time is worth a mark.
    let named =
        times.iter().find(|(rank, _)| *rank <= NAMED_TIME_RANK_MAX).map(|(_, index)| *index);
    if let Some(index) = named
        && reading.timestamp.is_none()
    {
        let shown = show(reading, reading.entries[index].value);
        distrust(reading, &shown);
        reading.entries[index].is_dropped = true;
    }
}

fn show(reading: &Reading<'_>, value: Held) -> String {
    match value {
        Held::Text(text) => reading.str(text).to_owned(),
        Held::Signed(number) => number.to_string(),
        Held::Unsigned(number) => number.to_string(),
        Held::Float(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The items of the array of which the field at `index` is the first.
fn items_from<'r>(reading: &'r Reading<'_>, index: usize) -> impl Iterator<Item = &'r Entry> {
    let path = reading.entries[index].path;
    reading.entries[index..]
        .iter()
        .take_while(move |entry| entry.options.is_array_item && entry.path == path)
}

/// Whether a field may be a time: of an array its only item, or the first of those that say one together.
fn is_time_alone(reading: &Reading<'_>, index: usize) -> bool {
    if !reading.entries[index].options.is_array_item {
        return true;
    }
    let is_later = index > 0 && items_from(reading, index - 1).count() > 1;
    let items = items_from(reading, index).take(2).count();
    !is_later && (items == 1 || calendar(reading, index).is_some())
}

/// `[2026,1,2,3,4,5,678000000]`, as Jackson writes the local times of Java.
fn calendar(reading: &Reading<'_>, index: usize) -> Option<Timestamp> {
    const PARTS_MAX: usize = 7;
    let parts: Option<SmallVec<[i64; PARTS_MAX]>> = items_from(reading, index)
        .take(PARTS_MAX + 1)
        .map(|item| match item.value {
            Held::Signed(number) => Some(number),
            _ => None,
        })
        .collect();
    time::from_parts(&parts?, reading.origin.zone)
}

/// Date and clock apart, `date=2026-01-02 time=03:04:05 tz="+0100"`, as firewalls and IIS have them.
fn date_and_time(reading: &Reading<'_>) -> Option<Timestamp> {
    let (date, clock) = (reading.sent_str("date")?, reading.sent_str("time")?);
    let zone = reading.sent_str("tz").unwrap_or_default();
    if date.len() + clock.len() + zone.len() > 60 {
        return None;
    }
    time::from_text(&format!("{date} {clock} {zone}"), reading.origin.zone, reading.now)
}

fn time_of(reading: &Reading<'_>, value: Held, zone: Tz) -> Option<Timestamp> {
    match value {
        Held::Text(text) => time::from_text(reading.str(text), zone, reading.now),
        Held::Signed(number) => time::from_integer(i128::from(number)),
        Held::Unsigned(number) => time::from_integer(i128::from(number)),
        Held::Float(number) => time::from_float(number),
        _ => None,
    }
}

/// Log4j2's `instant`: `epochSecond` and `nanoOfSecond`.
fn log4j_instant(reading: &Reading<'_>) -> Option<Timestamp> {
    let Some(Held::Signed(seconds)) = reading.sent("instant.epochSecond") else { return None };
    let nanos = match reading.sent("instant.nanoOfSecond") {
        Some(Held::Signed(nanos)) if (0..1_000_000_000).contains(&nanos) => nanos,
        _ => 0,
    };
    let whole = time::from_integer(i128::from(seconds))?;
    whole.nanos().checked_add(nanos).map(Timestamp::from_nanos)
}

/// The `datetime` of Monolog 1, an object of PHP: `{"date":"2026-01-02 03:04:05.678901","timezone":"Europe/Berlin"}`.
fn monolog_datetime(reading: &Reading<'_>) -> Option<Timestamp> {
    reading.kind.filter(|kind| kind.name == "monolog")?;
    let date = reading.sent_str("datetime.date")?;
    let zone = reading.sent_str("datetime.timezone").unwrap_or_default();
    match zone.parse() {
        Ok(zone) => time::from_text(date, zone, reading.now),
        // An offset or letters.
        Err(_) => time::from_text(&format!("{date} {zone}"), reading.origin.zone, reading.now),
    }
}

/// Takes the sender's time unless it lies too far ahead.
pub(crate) fn accept_time(
    reading: &mut Reading<'_>,
    at: Timestamp,
    original: impl FnOnce(Timestamp) -> String,
) {
    if is_too_far(reading, at) {
        let original = original(at);
        distrust(reading, &original);
    } else {
        reading.timestamp = Some(at);
    }
}

fn is_too_far(reading: &Reading<'_>, at: Timestamp) -> bool {
    at > reading.now.saturating_add(FUTURE_MAX)
}

/// The event takes its `observed_at`; what the sender said is kept.
pub(super) fn distrust(reading: &mut Reading<'_>, original: &str) {
    reading.timestamp = None;
    reading.add_text("lw.original_time", original);
    reading.flag("lw.time_suspect");
}
