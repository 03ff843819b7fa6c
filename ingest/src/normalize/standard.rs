//! Places of the standard names that parsers ask for, found when this is compiled.

use logwarden_event::STANDARD_FIELDS;

pub(crate) const EVENT_CATEGORY: u16 = place("event.category");
pub(crate) const EVENT_OUTCOME: u16 = place("event.outcome");
pub(crate) const EVENT_CODE: u16 = place("event.code");
pub(crate) const SERVICE_NAME: u16 = place("service.name");
pub(crate) const HOST_NAME: u16 = place("host.name");
pub(crate) const USER_NAME: u16 = place("user.name");
pub(crate) const USER_ID: u16 = place("user.id");
pub(crate) const USER_DOMAIN: u16 = place("user.domain");
pub(crate) const USER_EMAIL: u16 = place("user.email");
pub(crate) const SOURCE_IP: u16 = place("source.ip");
pub(crate) const PROCESS_NAME: u16 = place("process.name");
pub(crate) const PROCESS_PID: u16 = place("process.pid");
pub(crate) const PROCESS_PARENT_PID: u16 = place("process.parent.pid");
pub(crate) const PROCESS_PARENT_EXECUTABLE: u16 = place("process.parent.executable");
pub(crate) const PROCESS_EXECUTABLE: u16 = place("process.executable");
pub(crate) const PROCESS_COMMAND_LINE: u16 = place("process.command_line");
pub(crate) const LOG_LEVEL: u16 = place("log.level");
pub(crate) const HTTP_STATUS: u16 = place("http.response.status_code");
pub(crate) const HTTP_METHOD: u16 = place("http.request.method");
pub(crate) const HTTP_VERSION: u16 = place("http.version");
pub(crate) const TRANSPORT: u16 = place("network.transport");
pub(crate) const URL_PATH: u16 = place("url.path");
pub(crate) const URL_ORIGINAL: u16 = place("url.original");
pub(crate) const URL_QUERY: u16 = place("url.query");
pub(crate) const DNS_QUESTION: u16 = place("dns.question.name");
pub(crate) const FILE_PATH: u16 = place("file.path");
pub(crate) const DESTINATION_IP: u16 = place("destination.ip");
pub(crate) const ERROR_TYPE: u16 = place("error.type");
pub(crate) const STACK_TRACE: u16 = place("error.stack_trace");
pub(crate) const SECRETS: u16 = place("lw.secrets");
pub(crate) const TIME_SUSPECT: u16 = place("lw.time_suspect");

// One bit of a `u128` for each standard name.
const _: () = assert!(STANDARD_FIELDS.len() <= 128, "standard names fit a bit set");

/// The place of a standard name; does not compile when there is none of this name.
const fn place(name: &str) -> u16 {
    let mut at = 0;
    while at < STANDARD_FIELDS.len() {
        if is_same(STANDARD_FIELDS[at].name.as_bytes(), name.as_bytes()) {
            return at as u16;
        }
        at += 1;
    }
    panic!("this is no standard name")
}

const fn is_same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}
