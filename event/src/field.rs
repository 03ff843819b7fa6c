//! Field values and the standard field names.
//!
//! Names are those of the Elastic Common Schema (ECS 8) where it has one; names under `lw.` are our
//! own. A name's place in [`STANDARD_FIELDS`] is written to the journal: new names go to the end.

use std::net::IpAddr;
use std::sync::LazyLock;

use crate::time::Timestamp;

/// One value, borrowed from its event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// JSON's `null`.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number between `i64::MIN` and `u64::MAX`.
    Integer(i128),
    /// A finite number with a fraction or an exponent.
    Float(f64),
    /// Text.
    String(&'a str),
    /// An IPv4 or IPv6 address; an IPv4-mapped IPv6 address is kept as IPv4.
    Ip(IpAddr),
    /// An instant.
    Timestamp(Timestamp),
    /// What is shown as it was sent: an array of objects, an empty array or object.
    Json(&'a str),
}

impl Value<'_> {
    /// The name of the value's type, as the API gives it.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::String(_) => "string",
            Self::Ip(_) => "ip",
            Self::Timestamp(_) => "timestamp",
            Self::Json(_) => "json",
        }
    }
}

/// As text: strings as they are, numbers in decimal, addresses and times in their usual form.
impl std::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::String(value) | Self::Json(value) => f.write_str(value),
            Self::Ip(value) => value.fmt(f),
            Self::Timestamp(value) => value.fmt(f),
        }
    }
}

/// The type a standard field is expected to have. A value of another type is kept as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// True or false.
    Bool,
    /// An address.
    Ip,
    /// An instant.
    Timestamp,
}

/// A field name everybody agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// The dotted path.
    pub name: &'static str,
    /// What its values should be.
    pub kind: FieldType,
    /// What it means, in one line.
    pub meaning: &'static str,
}

const fn spec(name: &'static str, kind: FieldType, meaning: &'static str) -> FieldSpec {
    FieldSpec { name, kind, meaning }
}

/// Every standard field. The order never changes; new ones go to the end.
pub const STANDARD_FIELDS: &[FieldSpec] = {
    use FieldType::{Bool, Integer, Ip, String, Timestamp};
    &[
        spec("event.kind", String, "what sort of information the event carries"),
        spec(
            "event.category",
            String,
            "the big bucket: authentication, network, process, file, web",
        ),
        spec("event.type", String, "the bucket inside the category: start, end, info, denied"),
        spec("event.action", String, "what was done, such as ssh_login"),
        spec("event.outcome", String, "success, failure or unknown"),
        spec("event.code", String, "the sender's own code for this kind of event"),
        spec("event.reason", String, "why it ended so, in the sender's words"),
        spec("event.dataset", String, "the sender's name for the kind of log"),
        spec("event.duration", Integer, "how long it took, in nanoseconds"),
        spec("event.id", String, "the sender's own id of the event"),
        spec("event.severity", Integer, "the sender's own severity number"),
        spec("service.name", String, "the service that logged"),
        spec("service.version", String, "its version"),
        spec("service.environment", String, "where it runs, such as production"),
        spec("host.name", String, "the host that logged"),
        spec("host.ip", Ip, "its address"),
        spec("user.name", String, "who acted, or was acted upon when there is nobody else"),
        spec("user.id", String, "the unique id of that user"),
        spec("user.domain", String, "the directory the user belongs to"),
        spec("user.email", String, "the user's mail address"),
        spec("user.roles", String, "the user's roles"),
        spec("user.target.name", String, "who was acted upon"),
        spec("source.ip", Ip, "the address it came from"),
        spec("source.port", Integer, "the port it came from"),
        spec("source.address", String, "where it came from, when that is not an address"),
        spec("source.bytes", Integer, "bytes sent by the source"),
        spec("destination.ip", Ip, "the address it went to"),
        spec("destination.port", Integer, "the port it went to"),
        spec("destination.address", String, "where it went to, when that is not an address"),
        spec("network.protocol", String, "the application protocol, such as ssh"),
        spec("network.transport", String, "tcp, udp"),
        spec("network.direction", String, "inbound, outbound"),
        spec("process.name", String, "the program's name"),
        spec("process.pid", Integer, "the process id"),
        spec("process.executable", String, "the program's path"),
        spec("process.command_line", String, "the whole command line"),
        spec("process.parent.name", String, "the parent program's name"),
        spec("process.parent.pid", Integer, "the parent's process id"),
        spec("process.thread.name", String, "the thread that logged"),
        spec("log.level", String, "the level as the sender spelled it"),
        spec("log.logger", String, "the logger inside the program"),
        spec("log.syslog.facility.code", Integer, "the facility, 0 to 23 (RFC 5424)"),
        spec("log.syslog.severity.code", Integer, "the severity, 0 to 7 (RFC 5424)"),
        spec("log.syslog.msgid", String, "the type of message (RFC 5424)"),
        spec("log.syslog.procid", String, "the process, when it is not a number"),
        spec("error.message", String, "what failed, in words"),
        spec("error.type", String, "the kind of error, such as an exception's class"),
        spec("error.stack_trace", String, "the stack trace"),
        spec("http.request.method", String, "GET, POST"),
        spec("http.request.id", String, "the id of the request"),
        spec("http.response.status_code", Integer, "the status, such as 404"),
        spec("http.response.body.bytes", Integer, "bytes of the answer's body"),
        spec("url.path", String, "the path asked for"),
        spec("url.original", String, "the URL as it was asked for"),
        spec("url.query", String, "what followed the question mark"),
        spec("user_agent.original", String, "the user agent, as it was sent"),
        spec("trace.id", String, "the trace this belongs to"),
        spec("span.id", String, "the span this belongs to"),
        spec("transaction.id", String, "the transaction this belongs to"),
        spec("session.id", String, "the session this belongs to"),
        spec("container.id", String, "the container"),
        spec("container.name", String, "the container's name"),
        spec("orchestrator.namespace", String, "the namespace in the orchestrator"),
        spec("orchestrator.resource.name", String, "the resource in the orchestrator"),
        spec("dns.question.name", String, "the name asked for"),
        spec("rule.name", String, "the rule that another product matched"),
        spec("tags", String, "words the sender attached"),
        spec("observer.name", String, "the device that saw the event"),
        spec("lw.original_time", String, "the sender's time where it could not be believed"),
        spec("lw.time_suspect", Bool, "the sender's time could not be believed"),
        spec("lw.truncated", Bool, "the event holds less than was sent; the raw record is whole"),
        spec(
            "lw.duplicate_keys",
            String,
            "keys that stood twice in one object; the last one counts",
        ),
        spec("lw.number_as_text", String, "fields whose number fits no number type, kept as text"),
        spec(
            "lw.invalid_utf8",
            Bool,
            "bytes that are no UTF-8 were replaced; the raw record has them",
        ),
        spec("lw.overflow", String, "fields beyond the limit of one event, as JSON"),
        spec("lw.reason", String, "why a record became a dead letter"),
        spec("lw.code", String, "the code of that reason"),
        spec("lw.peer", String, "the address of the sender's connection"),
        spec("lw.line", Integer, "the line of the batch, from 1 on"),
        spec("lw.raw_base64", String, "a record that is no text, in base 64"),
        spec("lw.protocol", String, "the protocol the record came by"),
        spec("lw.received_at", Timestamp, "when the record's last byte was read"),
        spec("lw.principal", String, "on whose behalf it was done"),
        spec("lw.object", String, "what it was done to"),
        spec("lw.secrets", String, "what looks like a secret, as KIND:PLACE"),
        spec("lw.partial", Bool, "a piece of a longer record that its sender split"),
        spec("event.provider", String, "the part of the product that logged"),
        spec("error.code", String, "the code of the error"),
        spec("user.effective.name", String, "as whom it was done, where that is somebody else"),
        spec("group.name", String, "the group that was acted with or upon"),
        spec("organization.name", String, "the organization it belongs to"),
        spec("source.domain", String, "the name of where it came from"),
        spec("source.geo.country_iso_code", String, "the country of where it came from"),
        spec("destination.domain", String, "the name of where it went to"),
        spec("destination.bytes", Integer, "bytes sent by the destination"),
        spec("process.args", String, "the arguments of the program"),
        spec("process.exit_code", Integer, "how the program ended"),
        spec("process.working_directory", String, "where the program ran"),
        spec("process.parent.executable", String, "the parent program's path"),
        spec("process.parent.command_line", String, "the parent's whole command line"),
        spec("file.path", String, "the path of the file"),
        spec("file.name", String, "the name of the file"),
        spec("dll.path", String, "the path of the library that was loaded"),
        spec("registry.path", String, "the path in the registry"),
        spec("registry.data.strings", String, "what was written to the registry"),
        spec("url.domain", String, "the host that was asked"),
        spec("http.version", String, "the version of HTTP"),
        spec("http.request.referrer", String, "the page that led here"),
        spec("http.request.bytes", Integer, "bytes of the request"),
        spec("dns.question.type", String, "the type of record asked for"),
        spec("dns.response_code", String, "how the name server answered, such as NXDOMAIN"),
        spec("dns.answers.data", String, "what the name server answered"),
        spec("cloud.provider", String, "aws, azure, gcp"),
        spec("cloud.region", String, "the region in the cloud"),
        spec("cloud.account.id", String, "the account, subscription or project in the cloud"),
        spec("cloud.service.name", String, "the service of the cloud"),
        spec("cloud.instance.id", String, "the machine in the cloud"),
        spec("observer.vendor", String, "who made the device that saw the event"),
        spec("observer.product", String, "the model of that device"),
        spec("observer.version", String, "its version"),
        spec("orchestrator.resource.type", String, "the kind of resource in the orchestrator"),
        spec("container.image.name", String, "the image the container was made of"),
        spec("rule.id", String, "the id of the rule that another product matched"),
        spec("rule.category", String, "the kind of that rule"),
        spec("log.file.path", String, "the file the record was read from"),
        spec(
            "lw.joined",
            Integer,
            "of how many records, each a line or a piece of one, it was joined",
        ),
        spec("lw.long_word", Bool, "a word is so long that it is found by its beginning alone"),
    ]
};

/// Slots of the table behind [`standard_field`]: a power of two, at most a quarter of them taken.
const PLACE_SLOTS: usize = 1_024;
const NO_PLACE: u16 = u16::MAX;

/// The place of `name` in [`STANDARD_FIELDS`].
///
/// Asked for every field of every event, so it is an open-addressed table with a cheap hash. Names
/// of senders are looked up but never entered, so nobody can make it slow.
pub fn standard_field(name: &str) -> Option<u16> {
    static PLACES: LazyLock<[u16; PLACE_SLOTS]> = LazyLock::new(|| {
        let mut places = [NO_PLACE; PLACE_SLOTS];
        for (field, place) in STANDARD_FIELDS.iter().zip(0u16..) {
            let mut slot = slot_of(field.name);
            while places[slot] != NO_PLACE {
                slot = (slot + 1) % PLACE_SLOTS;
            }
            places[slot] = place;
        }
        places
    });
    let mut slot = slot_of(name);
    loop {
        let place = PLACES[slot];
        if place == NO_PLACE {
            return None;
        }
        if STANDARD_FIELDS[usize::from(place)].name == name {
            return Some(place);
        }
        slot = (slot + 1) % PLACE_SLOTS;
    }
}

/// Mixes length, beginning and end of a name.
fn slot_of(name: &str) -> usize {
    let bytes = name.as_bytes();
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => {
            let mut short = [0; 8];
            short[..bytes.len()].copy_from_slice(bytes);
            (u64::from_le_bytes(short), 0)
        }
    };
    let mixed = (first ^ last.rotate_left(29) ^ bytes.len() as u64)
        // Fibonacci hashing: the upper bits of the product are well mixed.
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 54) as usize % PLACE_SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_name_is_found_at_its_place() {
        for (place, field) in STANDARD_FIELDS.iter().enumerate() {
            assert_eq!(standard_field(field.name).map(usize::from), Some(place), "{}", field.name);
        }
        assert_eq!(standard_field("nobody.knows"), None);
    }
}
