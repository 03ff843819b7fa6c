//! The same event in the forms in which it is shipped, with what the other engine is shown of it.
//!
//! Output: our event, and flat JSON with Sigma's own names. Windows records go through the
//! normalization, nested as the event log has them or under the names of a shipper that speaks ECS;
//! all others are built with the class of the rule they were made for.

use logwarden_event::{Class, Event, EventBuilder, Position, Timestamp, Value as Held};
use logwarden_ingest::{Normalizer, Origin};
use rsigma_parser::{LogSource, SigmaRule};
use serde_json::{Map, Value, json};

/// How an event is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Its fields as they are.
    Flat,
    /// As Windows has it: `Event.System` and `Event.EventData`.
    Raw,
    /// As a shipper of ECS has it: `winlog.channel` and `winlog.event_data`.
    Ecs,
}

/// One event for both engines.
#[derive(Debug)]
pub struct Pair {
    /// Ours.
    pub event: Event,
    /// What was parsed for it.
    pub record: String,
    /// What the other engine looks at.
    pub flat: Value,
    /// The tuples it belongs to.
    pub logsources: Vec<LogSource>,
    /// How it was shipped.
    pub shape: Shape,
}

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";
const POWERSHELL: &str = "Microsoft-Windows-PowerShell/Operational";

/// The channel and number of the records that rules of a category are for.
fn channel_of(category: &str) -> Option<(&'static str, u64)> {
    Some(match category {
        "process_creation" => (SYSMON, 1),
        "file_change" => (SYSMON, 2),
        "network_connection" => (SYSMON, 3),
        "process_termination" => (SYSMON, 5),
        "driver_load" => (SYSMON, 6),
        "image_load" => (SYSMON, 7),
        "create_remote_thread" => (SYSMON, 8),
        "raw_access_thread" => (SYSMON, 9),
        "process_access" => (SYSMON, 10),
        "file_event" => (SYSMON, 11),
        "registry_add" | "registry_delete" => (SYSMON, 12),
        "registry_set" | "registry_event" => (SYSMON, 13),
        "create_stream_hash" => (SYSMON, 15),
        "pipe_created" => (SYSMON, 17),
        "dns_query" => (SYSMON, 22),
        "file_delete" => (SYSMON, 23),
        "ps_script" => (POWERSHELL, 4104),
        "ps_module" => (POWERSHELL, 4103),
        _ => return None,
    })
}

impl Pair {
    /// Ships fields that were made for a rule; `None` when that shape does not exist for them.
    pub fn made(rule: &SigmaRule, fields: &Map<String, Value>, shape: Shape) -> Option<Self> {
        let source = &rule.logsource;
        if shape == Shape::Flat {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            let class = format!(
                "{}/{}/{}",
                part(&source.product),
                part(&source.category),
                part(&source.service)
            );
            return Some(Self::flat(fields, &class));
        }
        if source.product.as_deref() != Some("windows") {
            return None;
        }
        let (channel, number) = channel_of(source.category.as_deref()?)?;
        let mut data = fields.clone();
        for name in ["EventID", "Channel", "Provider_Name", "Computer", "message"] {
            data.remove(name);
        }
        let record = if shape == Shape::Raw {
            json!({ "Event": { "System": { "Channel": channel, "EventID": number,
                "Computer": "ws7" }, "EventData": data } })
        } else {
            json!({ "winlog": { "channel": channel, "event_id": number, "computer_name": "ws7",
                "event_data": data } })
        };
        let mut flat = data;
        flat.insert("Channel".into(), json!(channel));
        flat.insert("EventID".into(), json!(number));
        flat.insert("Computer".into(), json!("ws7"));
        let record = record.to_string();
        let event = stamped(normalized(&record));
        let logsources = logsources_of(&event);
        Some(Self { event, record, flat: Value::Object(flat), logsources, shape })
    }

    fn flat(fields: &Map<String, Value>, class: &str) -> Self {
        let record = Value::Object(fields.clone()).to_string();
        let mut builder = EventBuilder::new(record.as_bytes());
        builder.timestamp(Some(Timestamp::from_secs(1_780_000_000))).class(Class::new(class));
        for (name, value) in fields {
            match value {
                Value::String(text) if name == "message" => {
                    builder.message(text);
                }
                Value::String(text) => {
                    builder.field(name, Held::String(text));
                }
                Value::Bool(value) => {
                    builder.field(name, Held::Bool(*value));
                }
                Value::Number(number) => {
                    let held = match number.as_i64() {
                        Some(whole) => Held::Integer(whole.into()),
                        None => Held::Float(number.as_f64().unwrap_or_default()),
                    };
                    builder.field(name, held);
                }
                _ => {}
            }
        }
        let event = stamped(builder.build());
        let logsources = logsources_of(&event);
        let flat = Value::Object(fields.clone());
        Self { event, record, flat, logsources, shape: Shape::Flat }
    }
}

/// The event of a record, as live.
pub fn normalized(record: &str) -> Event {
    Normalizer.normalize(record.as_bytes(), &Origin::new("d"), Timestamp::from_secs(1_780_000_000))
}

fn stamped(mut event: Event) -> Event {
    event.stamp(Position { lane: 0, seq: 1 }, Timestamp::from_secs(1_780_000_000));
    event
}

fn logsources_of(event: &Event) -> Vec<LogSource> {
    let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    event
        .class()
        .logsources()
        .map(|tuple| LogSource {
            product: part(tuple.product),
            category: part(tuple.category),
            service: part(tuple.service),
            ..LogSource::default()
        })
        .collect()
}
