//! OTLP as Protocol Buffers (opentelemetry-proto, `logs.proto` and `common.proto`).
//!
//! Input: a body. Output: its log records, each the JSON object its body holds as text, else rewritten
//! in OTLP's own JSON; the number of those that could be looked into. A broken record costs itself alone.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::documents::Sink as _;
use super::super::door::Records;
use super::super::members::{Object, quoted};
use super::super::protobuf::{Broken, Value, fields, put_bytes, put_varint};
use super::{DEPTH_MAX, LogRecord};

const CODE: &str = "invalid_protobuf";

/// Takes every log record of an `ExportLogsServiceRequest`: `resource_logs` (1).
pub(super) fn take(body: &[u8], records: &mut Records<'_>) -> u64 {
    let mut taker = Taker { records, taken: 0 };
    taker.each(body, 1, |taker, resource_logs| {
        // `ResourceLogs`: resource (1), scope_logs (2).
        let mut common = Object::default();
        for (_, resource) in parts(resource_logs, 1) {
            // `Resource`: attributes (1).
            put_attributes(resource, 1, &mut common)?;
        }
        taker.each(resource_logs, 2, |taker, scope_logs| {
            // `ScopeLogs`: scope (1), log_records (2).
            let mut within = common.clone();
            for (_, scope) in parts(scope_logs, 1) {
                put_scope(scope, &mut within)?;
            }
            taker.each(scope_logs, 2, |taker, record| {
                if taker.records.reject_too_long(taker.taken + 1, record) {
                    return Ok(());
                }
                let read = read(record)?;
                taker.taken += 1;
                read.take(taker.taken, &within, taker.records, || kept(record))
            });
            Ok(())
        });
        Ok(())
    });
    taker.taken
}

/// The response that counts what was rejected: `partial_success` (1) with `rejected_log_records` (1)
/// and `error_message` (2).
pub(super) fn partial_success(rejected: u64, message: &str) -> Vec<u8> {
    let mut inner = vec![0x08];
    put_varint(rejected, &mut inner);
    put_bytes(2, message.as_bytes(), &mut inner);
    let mut response = Vec::new();
    put_bytes(1, &inner, &mut response);
    response
}

struct Taker<'r, 'a> {
    records: &'r mut Records<'a>,
    taken: u64,
}

impl Taker<'_, '_> {
    /// Gives each message in field `wanted` of `message` to `take`; what is broken is a dead letter.
    fn each(
        &mut self,
        message: &[u8],
        wanted: u32,
        mut take: impl FnMut(&mut Self, &[u8]) -> Result<(), Broken>,
    ) {
        let mut rest = fields(message);
        while let Some(field) = rest.next() {
            let (bytes, taken) = match field {
                Ok((number, value)) if number == wanted => {
                    (value.bytes(), take(self, value.bytes()))
                }
                Ok(_) => continue,
                Err(broken) => (rest.rest(), Err(broken)),
            };
            if let Err(broken) = taken {
                self.records.reject(self.taken + 1, bytes, CODE, broken.to_string());
            }
            if self.records.is_full() {
                return;
            }
        }
    }
}

/// The messages in field `wanted`, up to what is broken.
fn parts(message: &[u8], wanted: u32) -> impl Iterator<Item = (u32, &[u8])> {
    fields(message)
        .map_while(Result::ok)
        .filter(move |(number, _)| *number == wanted)
        .map(|(number, value)| (number, value.bytes()))
}

/// `LogRecord`.
fn read(record: &[u8]) -> Result<LogRecord<'_>, Broken> {
    let mut form = Form::default();
    let mut read = LogRecord::default();
    let mut attributes = Object::default();
    for field in fields(record) {
        let (number, value) = field?;
        match number {
            1 => read.time_nanos = value.number(),
            11 => read.observed_nanos = value.number(),
            5 => (read.content, read.is_text) = form.content(value.bytes())?,
            6 => form.put_pair(value.bytes(), &mut attributes, 0)?,
            _ => form.put_plain(number, value, &mut read.around),
        }
    }
    read.around.append(attributes);
    Ok(read)
}

/// The bytes that are kept of a `LogRecord`: OTLP's JSON, unless it would say less.
fn kept(record: &[u8]) -> Result<Cow<'_, [u8]>, Broken> {
    let mut form = Form::default();
    let (mut json, mut attributes) = (Object::default(), Vec::new());
    let (mut time_nanos, mut observed_nanos) = (0, 0);
    for field in fields(record) {
        let (number, value) = field?;
        match number {
            1 => time_nanos = value.number(),
            11 => observed_nanos = value.number(),
            5 => json.put("body", &form.tagged(value.bytes(), 0)?),
            6 => attributes.push(value.bytes()),
            _ => form.put_plain(number, value, &mut json),
        }
    }
    for (name, nanos) in [("timeUnixNano", time_nanos), ("observedTimeUnixNano", observed_nanos)] {
        if nanos != 0 {
            json.put_text(name, &nanos.to_string());
        }
    }
    if !attributes.is_empty() {
        json.put("attributes", &form.tagged_pairs(&attributes, 0)?);
    }
    if form.is_lossy {
        return Ok(Cow::Borrowed(record));
    }
    let json = json.finish();
    Ok(Cow::Owned(if json.is_empty() { b"{}".to_vec() } else { json.into_bytes() }))
}

/// Attributes in field `wanted`, as members.
fn put_attributes(message: &[u8], wanted: u32, object: &mut Object) -> Result<(), Broken> {
    let mut form = Form::default();
    parts(message, wanted).try_for_each(|(_, pair)| form.put_pair(pair, object, 0))
}

/// `InstrumentationScope`: name (1), version (2), attributes (3).
fn put_scope(scope: &[u8], object: &mut Object) -> Result<(), Broken> {
    let mut form = Form::default();
    for field in fields(scope) {
        let (number, value) = field?;
        let name = match number {
            1 => "otel.scope.name",
            2 => "otel.scope.version",
            _ => continue,
        };
        if !value.bytes().is_empty() {
            object.put_text(name, &form.text(value.bytes()));
        }
    }
    put_attributes(scope, 3, object)
}

/// Rewrites values as JSON: plain, or tagged as OTLP's JSON has them.
#[derive(Default)]
struct Form {
    /// A text was no UTF-8 and had to be changed.
    is_lossy: bool,
}

impl Form {
    fn text<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, str> {
        let text = String::from_utf8_lossy(bytes);
        self.is_lossy |= matches!(text, Cow::Owned(_));
        text
    }

    /// What a body says, and whether that is a text: else it is its value as JSON.
    fn content<'b>(&mut self, any: &'b [u8]) -> Result<(Cow<'b, [u8]>, bool), Broken> {
        Ok(match one_of(any)? {
            Some((1, text)) => (Cow::Borrowed(text.bytes()), true),
            _ => (Cow::Owned(self.plain(any, 0)?.into_bytes()), false),
        })
    }

    /// Adds what a `LogRecord` says in a field that is neither time, body nor attribute.
    fn put_plain(&mut self, number: u32, value: Value<'_>, object: &mut Object) {
        match number {
            2 | 7 | 8 if value.number() != 0 => {
                let name = match number {
                    2 => "severityNumber",
                    7 => "droppedAttributesCount",
                    _ => "flags",
                };
                object.put(name, &value.number().to_string());
            }
            3 | 9 | 10 | 12 if !value.bytes().is_empty() => {
                let (name, said) = match number {
                    3 => ("severityText", self.text(value.bytes())),
                    9 => ("traceId", Cow::Owned(hex(value.bytes()))),
                    10 => ("spanId", Cow::Owned(hex(value.bytes()))),
                    _ => ("eventName", self.text(value.bytes())),
                };
                object.put_text(name, &said);
            }
            _ => {}
        }
    }

    /// `KeyValue`: key (1), value (2).
    fn pair<'b>(&mut self, pair: &'b [u8]) -> Result<(Cow<'b, str>, &'b [u8]), Broken> {
        let (mut key, mut value) = (Cow::default(), &[][..]);
        for field in fields(pair) {
            match field? {
                (1, given) => key = self.text(given.bytes()),
                (2, given) => value = given.bytes(),
                _ => {}
            }
        }
        Ok((key, value))
    }

    fn put_pair(&mut self, pair: &[u8], object: &mut Object, depth: usize) -> Result<(), Broken> {
        let (key, value) = self.pair(pair)?;
        let value = self.plain(value, depth)?;
        object.put(&key, &value);
        Ok(())
    }

    /// `AnyValue` as the plain JSON it stands for.
    fn plain(&mut self, any: &[u8], depth: usize) -> Result<String, Broken> {
        if depth > DEPTH_MAX {
            return Ok(quoted(&STANDARD.encode(any)));
        }
        Ok(match one_of(any)? {
            Some((5, array)) => {
                let mut written = Vec::new();
                for field in fields(array.bytes()) {
                    written.push(self.plain(field?.1.bytes(), depth + 1)?);
                }
                format!("[{}]", written.join(","))
            }
            Some((6, list)) => {
                let mut object = Object::default();
                for field in fields(list.bytes()) {
                    self.put_pair(field?.1.bytes(), &mut object, depth + 1)?;
                }
                let object = object.finish();
                if object.is_empty() { "{}".to_owned() } else { object }
            }
            Some((3, whole)) => whole.number().cast_signed().to_string(),
            scalar => self.scalar(scalar).1,
        })
    }

    /// `AnyValue` in OTLP's JSON.
    fn tagged(&mut self, any: &[u8], depth: usize) -> Result<String, Broken> {
        if depth > DEPTH_MAX {
            return Ok(format!(r#"{{"bytesValue":{}}}"#, quoted(&STANDARD.encode(any))));
        }
        Ok(match one_of(any)? {
            Some((5, array)) => {
                let mut written = Vec::new();
                for field in fields(array.bytes()) {
                    written.push(self.tagged(field?.1.bytes(), depth + 1)?);
                }
                format!(r#"{{"arrayValue":{{"values":[{}]}}}}"#, written.join(","))
            }
            Some((6, list)) => {
                let pairs: Result<Vec<_>, _> =
                    fields(list.bytes()).map(|field| field.map(|(_, pair)| pair.bytes())).collect();
                let pairs = self.tagged_pairs(&pairs?, depth + 1)?;
                format!(r#"{{"kvlistValue":{{"values":{pairs}}}}}"#)
            }
            scalar => match self.scalar(scalar) {
                ("", _) => "{}".to_owned(),
                (tag, written) => format!(r#"{{"{tag}":{written}}}"#),
            },
        })
    }

    fn tagged_pairs(&mut self, pairs: &[&[u8]], depth: usize) -> Result<String, Broken> {
        let mut written = Vec::new();
        for pair in pairs {
            let (key, value) = self.pair(pair)?;
            let value = self.tagged(value, depth)?;
            written.push(format!(r#"{{"key":{},"value":{value}}}"#, quoted(&key)));
        }
        Ok(format!("[{}]", written.join(",")))
    }

    /// Tag and JSON of a value without parts: string (1), bool (2), int (3), double (4), bytes (7).
    fn scalar(&mut self, value: Option<(u32, Value<'_>)>) -> (&'static str, String) {
        match value {
            Some((1, text)) => ("stringValue", quoted(&self.text(text.bytes()))),
            Some((2, flag)) => ("boolValue", (flag.number() != 0).to_string()),
            Some((3, whole)) => ("intValue", format!("\"{}\"", whole.number().cast_signed())),
            Some((4, double)) => ("doubleValue", double_json(f64::from_bits(double.number()))),
            Some((7, bytes)) => ("bytesValue", quoted(&STANDARD.encode(bytes.bytes()))),
            _ => ("", "null".to_owned()),
        }
    }
}

/// The field that is set; of several the last one counts.
fn one_of(any: &[u8]) -> Result<Option<(u32, Value<'_>)>, Broken> {
    fields(any).try_fold(None, |_, field| field.map(Some))
}

/// JSON has no words for what is no number; OTLP's JSON says them as text.
fn double_json(double: f64) -> String {
    if double.is_finite() {
        serde_json::to_string(&double).expect("finite numbers are JSON")
    } else if double.is_nan() {
        "\"NaN\"".to_owned()
    } else if double > 0.0 {
        "\"Infinity\"".to_owned()
    } else {
        "\"-Infinity\"".to_owned()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
