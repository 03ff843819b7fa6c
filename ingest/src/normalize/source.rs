//! Kinds of sources, each described by a small file in `sources/`: how its records are recognised,
//! which of their fields have standard names, and which logsource tuples they belong to.
//!
//! Input: the fields whose names [`super::names`] knows. Output: whose record it is, what its names
//! mean, and its classes. The files are read once and compiled into one [`Vocabulary`]. Recognising
//! costs a record one bit per field it has anyway looked up, and a closer look at those sources of
//! which it has the first, most telling name; it never walks over all of them. `docs/NORMALIZATION.md`
//! describes the files.

mod condition;
mod registry;

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use logwarden_event::{STANDARD_FIELDS, Severity, standard_field};
use serde::Deserialize;

use super::Parser;
use super::authentication::{self, Outcome};
use super::names::table::{Key, Meaning, NO_KEY, Name, SOURCE_RANK_MAX, Scale, Table};
use super::reading::{Held, Reading};
use super::text::{self, Layout};
use condition::Condition;
use registry::SHEETS;

/// Ranks below are of what a source file says, and of the standard name itself.
pub(crate) const RANKS: u8 = 32;
/// Names by which records are recognised, one bit each.
const TELLING_NAMES_MAX: usize = 256;
/// A program's name that is longer is nobody's.
const PROGRAM_BYTES_MAX: usize = 32;

type Bits = [u64; TELLING_NAMES_MAX / 64];

/// A source file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sheet {
    /// Its records are but wrapped around those of another kind, which is looked for inside.
    envelope: bool,
    /// The kind of log, where its records do not say.
    dataset: String,
    /// Programs whose syslog records are of this kind.
    programs: Vec<String>,
    /// Layouts that such records may have, by their names in [`text::LAYOUTS`].
    text: Vec<String>,
    /// Of JSON records: conditions that must hold together; one of the lists suffices.
    recognise: Vec<Vec<String>>,
    /// Standard names, and `time`, `message`, `level`, `dataset`, `outcome`: where they are found.
    fields: BTreeMap<String, Vec<String>>,
    /// Names that mean something else than they do elsewhere.
    ignore: Vec<String>,
    /// Logsource tuples of all records.
    class: Vec<String>,
    /// Fields of all records.
    set: BTreeMap<String, String>,
    /// What holds for some records alone.
    case: Vec<SheetCase>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SheetCase {
    when: Vec<String>,
    class: Vec<String>,
    set: BTreeMap<String, String>,
    /// How bad it is.
    severity: Option<String>,
    /// The record is an attempt to sign in, which ended so: `success` or `failure`.
    sign_in: Option<String>,
}

/// One kind of source.
#[derive(Debug)]
pub(crate) struct Source {
    /// The name of its file.
    pub(crate) name: &'static str,
    pub(crate) dataset: &'static str,
    pub(crate) is_envelope: bool,
    pub(crate) layouts: Vec<&'static Layout>,
    /// What its names mean, by the number of the name.
    says: Vec<(Key, Vec<Name>)>,
    always: Facts,
    cases: Vec<(Vec<Condition>, Facts)>,
}

/// What holds of a record.
#[derive(Debug, Default)]
struct Facts {
    classes: Vec<&'static str>,
    set: Vec<(&'static str, &'static str)>,
    sign_in: Option<Outcome>,
    severity: Option<Severity>,
}

/// What a source says a name means.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said {
    /// Its meanings.
    pub(crate) names: &'static [Name],
    /// The name is the source's own, whatever it means elsewhere.
    pub(crate) is_own: bool,
}

/// One way to recognise a source.
#[derive(Debug)]
struct Sign {
    source: usize,
    bits: Bits,
    conditions: Vec<Condition>,
}

/// Everything the source files and [`super::names`] say, for the life of the process.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// What names mean.
    pub(crate) table: Table,
    sources: Vec<Source>,
    /// By the number of the first name of each: what to look at more closely.
    signs: Vec<Vec<Sign>>,
    programs: HashMap<String, usize>,
    by_name: HashMap<&'static str, usize>,
}

impl Vocabulary {
    /// Reads the source files at the first call.
    pub(crate) fn get() -> &'static Self {
        static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
        VOCABULARY.get_or_init(|| {
            Self::read(SHEETS).expect("the source files are part of the program and tested")
        })
    }

    fn read(sheets: &[(&'static str, &'static str)]) -> Result<Self, String> {
        let mut read = Vec::new();
        for (name, text) in sheets {
            let sheet: Sheet = toml::from_str(text).map_err(|error| format!("{name}: {error}"))?;
            read.push((*name, sheet));
        }
        let mut vocabulary = Self {
            table: Table::new(),
            sources: Vec::new(),
            signs: Vec::new(),
            programs: HashMap::new(),
            by_name: HashMap::new(),
        };
        // Their names come first, so that they have the lowest numbers.
        for (source, (name, sheet)) in read.iter().enumerate() {
            vocabulary.add_signs(source, sheet).map_err(|error| format!("{name}: {error}"))?;
        }
        for (source, (name, sheet)) in read.into_iter().enumerate() {
            vocabulary.add(source, name, sheet).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(vocabulary)
    }

    fn add_signs(&mut self, source: usize, sheet: &Sheet) -> Result<(), String> {
        for wanted in &sheet.recognise {
            let conditions = conditions(wanted, &mut self.table)?;
            let first = conditions.first().ok_or("a sign without conditions")?.key;
            let mut bits = Bits::default();
            for condition in conditions.iter().filter(|condition| !condition.is_absence()) {
                let key = usize::from(condition.key);
                *bits.get_mut(key / 64).ok_or("too many names to recognise by")? |= 1 << (key % 64);
            }
            let first = usize::from(first);
            if self.signs.len() <= first {
                self.signs.resize_with(first + 1, Vec::new);
            }
            self.signs[first].push(Sign { source, bits, conditions });
        }
        Ok(())
    }

    fn add(&mut self, source: usize, name: &'static str, sheet: Sheet) -> Result<(), String> {
        for program in sheet.programs {
            if self.programs.insert(program.clone(), source).is_some() {
                return Err(format!("program `{program}` is claimed twice"));
            }
        }
        let mut says: BTreeMap<Key, Vec<Name>> = BTreeMap::new();
        for own in &sheet.ignore {
            says.insert(self.table.key(own), Vec::new());
        }
        for (target, names) in &sheet.fields {
            for (rank, name) in (1..).zip(names) {
                if rank >= RANKS {
                    return Err(format!("`{target}` has too many names"));
                }
                let key = self.table.key(name);
                says.entry(key).or_default().extend(meanings(target, rank)?);
            }
        }
        let mut layouts = Vec::new();
        for layout in &sheet.text {
            let known = text::LAYOUTS.iter().find(|known| known.name == layout.as_str());
            layouts.push(known.ok_or_else(|| format!("no layout `{layout}`"))?);
        }
        let mut cases = Vec::new();
        for case in sheet.case {
            let conditions = conditions(&case.when, &mut self.table)?;
            cases.push((conditions, facts(case)?));
        }
        let always = SheetCase { class: sheet.class, set: sheet.set, ..SheetCase::default() };
        self.by_name.insert(name, source);
        self.sources.push(Source {
            name,
            dataset: sheet.dataset.leak(),
            is_envelope: sheet.envelope,
            layouts,
            says: says.into_iter().collect(),
            always: facts(always)?,
            cases,
        });
        Ok(())
    }

    /// The source whose file has this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Source> {
        self.by_name.get(name).map(|source| &self.sources[*source])
    }

    /// The source of a program's syslog records, in whatever case it is written.
    pub(crate) fn of_program(&self, program: &str) -> Option<&Source> {
        let mut lower = [0; PROGRAM_BYTES_MAX];
        let lower = lower.get_mut(..program.len())?;
        lower.copy_from_slice(program.as_bytes());
        lower.make_ascii_lowercase();
        let source = self.programs.get(std::str::from_utf8(lower).ok()?)?;
        Some(&self.sources[*source])
    }
}

fn conditions(texts: &[String], table: &mut Table) -> Result<Vec<Condition>, String> {
    texts.iter().map(|text| Condition::read(text, table)).collect()
}

fn facts(case: SheetCase) -> Result<Facts, String> {
    let mut facts = Facts::default();
    for tuple in case.class {
        if tuple.matches('/').count() != 2 {
            return Err(format!("`{tuple}` is no product/category/service"));
        }
        facts.classes.push(tuple.leak());
    }
    for (name, value) in case.set {
        if standard_field(&name).is_none() {
            return Err(format!("`{name}` is no standard field"));
        }
        facts.set.push((name.leak(), value.leak()));
    }
    if let Some(word) = case.severity {
        let severity = Severity::from_word(&word);
        facts.severity = Some(severity.ok_or(format!("`{word}` is no severity"))?);
    }
    facts.sign_in = match case.sign_in.as_deref() {
        None => None,
        Some("success") => Some(Outcome::Success),
        Some("failure") => Some(Outcome::Failure),
        Some(other) => return Err(format!("`{other}` is no end of a sign-in")),
    };
    Ok(facts)
}

/// What a name means that is listed under `target`.
fn meanings(target: &str, rank: u8) -> Result<Vec<Name>, String> {
    let once = |meaning| Ok(vec![Name { meaning, rank: rank.min(SOURCE_RANK_MAX) }]);
    match target {
        "time" => once(Meaning::Time),
        "message" => once(Meaning::Message),
        "dataset" => once(Meaning::Dataset),
        "outcome" => once(Meaning::Outcome),
        "level" => once(Meaning::Level(Scale::Any)),
        "level.syslog" => once(Meaning::Level(Scale::Syslog)),
        "level.windows" => once(Meaning::Level(Scale::Windows)),
        "level.nxlog" => once(Meaning::Level(Scale::Nxlog)),
        _ => {
            let place = standard_field(target).ok_or(format!("`{target}` is no standard field"))?;
            let field = Name { meaning: Meaning::Field(place), rank };
            let also = match target {
                "event.action" => Some(Meaning::Action),
                "event.outcome" => Some(Meaning::Outcome),
                _ => None,
            };
            Ok([field].into_iter().chain(also.map(|meaning| Name { meaning, rank })).collect())
        }
    }
}

impl Source {
    /// What the name with this number means in its records.
    pub(crate) fn says(&'static self, key: Key) -> Said {
        if key == NO_KEY {
            return Said::default();
        }
        match self.says.binary_search_by_key(&key, |(known, _)| *known) {
            Ok(at) => Said { names: &self.says[at].1, is_own: true },
            Err(_) => Said::default(),
        }
    }
}

/// Whose record it is, by the names of its fields; of several the first in the list of files.
pub(crate) fn recognise(reading: &Reading<'_>) -> Option<&'static Source> {
    let vocabulary = Vocabulary::get();
    let mut bits = Bits::default();
    for known in &reading.known {
        let key = usize::from(known.slot.key);
        if key < TELLING_NAMES_MAX {
            bits[key / 64] |= 1 << (key % 64);
        }
    }
    let mut best = usize::MAX;
    for known in &reading.known {
        let Some(signs) = vocabulary.signs.get(usize::from(known.slot.key)) else { continue };
        for sign in signs {
            let may_be = sign.source < best
                && sign.bits.iter().zip(&bits).all(|(wanted, has)| wanted & !has == 0);
            if may_be && sign.conditions.iter().all(|condition| condition.holds(reading)) {
                best = sign.source;
            }
        }
    }
    vocabulary.sources.get(best)
}

/// The standard fields that have their names by the source file of the record, and that file.
pub(crate) fn named_by_file<'r>(
    reading: &'r Reading<'_>,
) -> impl Iterator<Item = (&'static str, &'static str)> + 'r {
    reading.known.iter().filter_map(|known| {
        let kind = reading.kind?;
        let place = Reading::standard_of(&reading.entries[known.index()])?;
        let mut says = kind.says(known.slot.key).names.iter();
        let is_its = says.any(|name| name.meaning == Meaning::Field(place));
        is_its.then_some((STANDARD_FIELDS[usize::from(place)].name, kind.name))
    })
}

/// Adds what the source file says of records of its kind.
pub(crate) struct Sources;

impl Parser for Sources {
    fn name(&self) -> &'static str {
        "sources"
    }

    fn parse(&self, reading: &mut Reading<'_>) -> bool {
        let Some(kind) = reading.kind else { return false };
        if !kind.dataset.is_empty() && matches!(reading.dataset(), "" | "syslog") {
            let dataset = reading.keep(kind.dataset);
            reading.set_dataset(dataset);
            // What came as syslog of an unknown program is of a kind that is known after all.
            reading.retract_class("linux//syslog");
        }
        for (conditions, facts) in &kind.cases {
            if conditions.iter().all(|condition| condition.holds(reading)) {
                add(reading, facts);
            }
        }
        add(reading, &kind.always);
        true
    }
}

fn add(reading: &mut Reading<'_>, facts: &Facts) {
    for class in &facts.classes {
        reading.add_class(class);
    }
    for (name, value) in &facts.set {
        let Some(place) = standard_field(name) else { continue };
        if reading.first(place).is_none() {
            let value = reading.keep(value);
            reading.add(name, Held::Text(value));
        }
    }
    reading.severity = reading.severity.or(facts.severity);
    if let Some(outcome) = facts.sign_in {
        authentication::mark(reading, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_file_can_be_read() {
        assert!(Vocabulary::read(SHEETS).is_ok_and(|read| read.sources.len() == SHEETS.len()));
    }

    #[test]
    fn a_mistake_in_a_source_file_is_told() {
        for (sheet, expected) in [
            ("recognize = []", "unknown field `recognize`"),
            ("recognise = [[]]", "without conditions"),
            ("text = ['morse']", "no layout `morse`"),
            ("class = ['linux']", "no product/category/service"),
            ("[fields]\n'nobody.knows' = ['x']", "no standard field"),
            ("[set]\n'nobody.knows' = 'x'", "no standard field"),
            ("[[case]]\nwhen = ['a=']\n", "no value"),
            ("[[case]]\nsign_in = 'maybe'\n", "no end of a sign-in"),
        ] {
            let told = Vocabulary::read(&[("a.toml", sheet)]).expect_err(sheet);
            assert!(told.starts_with("a.toml: ") && told.contains(expected), "{sheet}: {told}");
        }
        let twice = [("a", "programs = ['x']"), ("b", "programs = ['x']")];
        assert!(Vocabulary::read(&twice).is_err_and(|told| told.contains("claimed twice")));
    }
}
