//! Facets: the values of fields with the most events, which fields there are, and their values.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use logwarden_event::{Event, FieldType, STANDARD_FIELDS, TimeRange, Value, standard_field};
use logwarden_index::{Counted, Piece};

use crate::cell::Cell;
use crate::config::Config;
use crate::engine::{Engine, lock};
use crate::error::QueryError;
use crate::filter::{Filter, Target, Test};
use crate::language::Query;
use crate::request::{Control, Coverage};
use crate::scan::{Memory, Scan, for_each_piece};
use crate::values::{ValueCounts, each_value};
use crate::visibility::Visibility;

/// Fields one request may ask for.
const FIELDS_MAX: usize = 50;

/// Which values to count.
#[derive(Debug, Clone)]
pub struct FacetsRequest {
    /// The condition; pipes up to an aggregation count too.
    pub query: Query,
    /// The events' time.
    pub range: TimeRange,
    /// The fields.
    pub fields: Vec<String>,
    /// Values wanted of each field.
    pub limit: usize,
    /// What may be seen.
    pub visibility: Visibility,
}

/// The most frequent values of each field.
#[derive(Debug, Clone, PartialEq)]
pub struct FacetsAnswer {
    /// In the order asked.
    pub fields: Vec<Facet>,
    /// What the answer rests on.
    pub coverage: Coverage,
}

/// The most frequent values of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Facet {
    /// The field.
    pub name: String,
    /// The type of its values; `string` when they differ.
    pub type_name: &'static str,
    /// Values and events that have them, most events first.
    pub values: Vec<(Cell, u64)>,
    /// Different values there are.
    pub distinct: u64,
    /// Counts and `distinct` are exact. Otherwise there were more than
    /// [`Config::FACET_VALUES_MAX`] values, or more than fit into memory, and those that were met last are not counted.
    pub exact: bool,
}

/// One field that occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldInfo {
    /// The dotted path.
    pub name: String,
    /// The types of its values.
    pub types: Vec<String>,
    /// Events that have it; with several types the sum over the types.
    pub count: u64,
    /// What it means, for a standard field.
    pub description: &'static str,
}

impl Engine {
    /// Counts the values of fields.
    ///
    /// # Errors
    ///
    /// As a search.
    pub async fn facets(
        &self,
        request: FacetsRequest,
        control: Control,
    ) -> Result<FacetsAnswer, QueryError> {
        let turn = self.turn(&control).await?;
        let answer = self.facets_now(request, control).await;
        turn.end(answer)
    }

    async fn facets_now(
        &self,
        request: FacetsRequest,
        control: Control,
    ) -> Result<FacetsAnswer, QueryError> {
        if request.fields.len() > FIELDS_MAX {
            let message = format!("at most {FIELDS_MAX} fields are counted at once");
            return Err(QueryError::Invalid(message));
        }
        let view = request.visibility.view(&request.query);
        let scan = self.scan(view, request.range, control).await?;
        let targets: Vec<Target> =
            request.fields.iter().map(|name| Target::of_name(name)).collect();
        let (all, coverage) = self.count_values(&scan, targets).await?;
        let facets = request.fields.into_iter().zip(all);
        let fields = facets.map(|(name, values)| values.into_facet(name, request.limit)).collect();
        Ok(FacetsAnswer { fields, coverage })
    }

    async fn count_values(
        &self,
        scan: &Arc<Scan>,
        targets: Vec<Target>,
    ) -> Result<(Vec<Values>, Coverage), QueryError> {
        let new =
            |targets: &[Target]| targets.iter().map(|_| Values::default()).collect::<Vec<_>>();
        let all = Arc::new(Mutex::new(new(&targets)));
        let shared = Arc::clone(&all);
        let work = move |scan: &Scan, piece: &dyn Piece| {
            let mut counted = new(&targets);
            let mut untold = Vec::new();
            for (values, target) in counted.iter_mut().zip(&targets) {
                let is_told = scan.count_values(piece, target, |counted| {
                    match counted {
                        Counted::Value(value, times) => {
                            values.add_value(value, times, &scan.memory)
                        }
                        Counted::Integers(numbers) => numbers.iter().for_each(|number| {
                            values.add_value(Value::Integer((*number).into()), 1, &scan.memory)
                        }),
                        Counted::Addresses(addresses) => {
                            for (ip, times) in addresses.iter().filter(|(_, times)| *times > 0) {
                                let ip = Value::Ip(std::net::Ipv4Addr::from_bits(*ip).into());
                                values.add_value(ip, (*times).into(), &scan.memory);
                            }
                        }
                        Counted::Strings(strings) => strings.iter().for_each(|(text, times)| {
                            values.add_value(Value::String(text), times, &scan.memory)
                        }),
                        Counted::Event(event) => values.add(event, target, &scan.memory),
                    }
                    Ok(())
                })?;
                if !is_told {
                    untold.push((values, target));
                }
            }
            let result = match untold.is_empty() {
                true => Ok(()),
                false => scan.visit(piece, scan.plan.range, |event| {
                    for (values, target) in &mut untold {
                        values.add(event, target, &scan.memory);
                    }
                    Ok(ControlFlow::Continue(()))
                }),
            };
            let mut shared = lock(&shared);
            shared.iter_mut().zip(counted).for_each(|(all, one)| all.merge(one, &scan.memory));
            drop(shared);
            scan.tell(Vec::new());
            result
        };
        let coverage = for_each_piece(scan, &self.cores, work).await?;
        let all = std::mem::take(&mut *lock(&all));
        Ok((all, coverage))
    }

    /// The values of a field that begin so, those with the most events first.
    ///
    /// # Errors
    ///
    /// As a search.
    pub async fn values(
        &self,
        name: &str,
        prefix: &str,
        range: TimeRange,
        limit: usize,
        visibility: Visibility,
        control: Control,
    ) -> Result<Facet, QueryError> {
        let test = Test::StartsWith { text: prefix.to_owned(), cased: false };
        let target = Target::of_name(name);
        let filter =
            Filter::is(target.clone(), if prefix.is_empty() { Test::Exists } else { test });
        let query = Query { filter, pipes: Vec::new() };
        let fields = vec![name.to_owned()];
        // Other items of the same arrays are counted too and left out afterwards.
        let request = FacetsRequest { query, range, fields, limit: usize::MAX, visibility };
        let answer = self.facets(request, control).await?;
        let mut facet = answer.fields.into_iter().next().ok_or(QueryError::Internal)?;
        let begins_so = Test::StartsWith { text: prefix.to_owned(), cased: false };
        facet.values.retain(|(cell, _)| begins_so.passes(cell.value()));
        facet.distinct = facet.values.len() as u64;
        facet.values.truncate(limit);
        Ok(facet)
    }

    /// The fields whose name contains `part`, by name. Under a row filter or a mask only
    /// those that may be seen count, and the events are read.
    ///
    /// # Errors
    ///
    /// As a search.
    pub async fn fields(
        &self,
        part: &str,
        visibility: Visibility,
        control: Control,
    ) -> Result<Vec<FieldInfo>, QueryError> {
        let turn = self.turn(&control).await?;
        let answer = self.fields_now(part, visibility, control).await;
        turn.end(answer)
    }

    async fn fields_now(
        &self,
        part: &str,
        visibility: Visibility,
        control: Control,
    ) -> Result<Vec<FieldInfo>, QueryError> {
        let is_partial = visibility.is_partial();
        let view = visibility.view(&Query::all());
        let scan = self.scan(view, TimeRange::ALL, control).await?;
        let all: Arc<Mutex<Fields>> = Arc::default();
        let shared = Arc::clone(&all);
        let part = part.to_lowercase();
        let work = move |scan: &Scan, piece: &dyn Piece| {
            scan.check()?;
            if !is_partial {
                let mut fields = lock(&shared);
                for stat in piece.fields() {
                    fields.add(stat.name, stat.type_name, stat.count, &part);
                }
                return Ok(());
            }
            scan.visit(piece, scan.plan.range, |event| {
                let mut fields = lock(&shared);
                for field in event.fields().filter(|field| field.value != Value::Null) {
                    fields.add(field.path.into(), field.value.type_name().into(), 1, &part);
                }
                Ok(ControlFlow::Continue(()))
            })
        };
        for_each_piece(&scan, &self.cores, work).await?;
        let fields = std::mem::take(&mut *lock(&all));
        Ok(fields.0.into_iter().map(|(name, types)| FieldInfo::new(name, types)).collect())
    }
}

/// Events by name and type.
#[derive(Debug, Default)]
struct Fields(BTreeMap<String, BTreeMap<String, u64>>);

impl Fields {
    /// Adds events; names beyond the index's own limit are left out.
    fn add(&mut self, name: String, type_name: String, count: u64, part: &str) {
        const NAMES_MAX: usize = logwarden_index::Config::FIELDS_MAX;
        let has_room = self.0.len() < NAMES_MAX || self.0.contains_key(&name);
        if has_room && (part.is_empty() || name.to_lowercase().contains(part)) {
            *self.0.entry(name).or_default().entry(type_name).or_default() += count;
        }
    }
}

impl FieldInfo {
    fn new(name: String, types: BTreeMap<String, u64>) -> Self {
        let spec = standard_field(&name).map(|place| &STANDARD_FIELDS[usize::from(place)]);
        Self {
            count: types.values().sum(),
            types: types.into_keys().collect(),
            description: spec.map_or("", |spec| spec.meaning),
            name,
        }
    }
}

/// Events by value.
#[derive(Default)]
struct Values {
    counts: ValueCounts,
    is_cut: bool,
}

impl Values {
    fn add(&mut self, event: &Event, target: &Target, memory: &Memory) {
        // An event counts once for each different value.
        each_value(event, target, &mut |value| self.add_value(value, 1, memory));
    }

    /// Adds a value that so many events have; null is none.
    fn add_value(&mut self, value: Value<'_>, times: u64, memory: &Memory) {
        let has_room = self.counts.len() < Config::FACET_VALUES_MAX;
        let room = |size_bytes: usize| match has_room && memory.take_if_room(size_bytes) {
            true => Ok(()),
            false => Err(()),
        };
        self.is_cut |= self.counts.add_if(value, times, room).is_err();
    }

    fn merge(&mut self, other: Self, memory: &Memory) {
        let is_cut = self.counts.merge(other.counts, Config::FACET_VALUES_MAX, memory);
        self.is_cut |= other.is_cut || is_cut;
    }

    fn into_facet(mut self, name: String, limit: usize) -> Facet {
        let mut counts = self.counts.counts();
        let distinct = counts.len();
        let mut least = 0;
        if (1..distinct).contains(&limit) {
            least = *counts.select_nth_unstable_by(limit - 1, |one, other| other.cmp(one)).1;
        }
        let type_name = self.counts.type_name();
        let mut values: Vec<(String, (Cell, u64))> = self
            .counts
            .into_cells(|times| times >= least)
            .into_iter()
            .map(|(cell, times)| (cell.to_string(), (cell, times)))
            .collect();
        values.sort_by(|(one, (_, one_count)), (other, (_, other_count))| {
            other_count.cmp(one_count).then_with(|| one.cmp(other))
        });
        values.truncate(limit);
        let values = values.into_iter().map(|(_, counted)| counted).collect();
        let type_name = type_name.unwrap_or_else(|| usual_type(&name));
        Facet { name, type_name, values, distinct: distinct as u64, exact: !self.is_cut }
    }
}

/// The type a field should have.
fn usual_type(name: &str) -> &'static str {
    match standard_field(name).map(|place| STANDARD_FIELDS[usize::from(place)].kind) {
        Some(FieldType::Integer) => "integer",
        Some(FieldType::Float) => "float",
        Some(FieldType::Bool) => "bool",
        Some(FieldType::Ip) => "ip",
        Some(FieldType::Timestamp) => "timestamp",
        Some(FieldType::String) | None => "string",
    }
}
