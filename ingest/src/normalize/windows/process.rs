//! Which process a Windows event is about, and who acted.
//!
//! Input: the fields of an event as the sender named them. Output: the numbers of the process and of its
//! parent, which Security writes in hexadecimal, their names from their paths, and the id of the user where
//! the event names somebody as whom it acted.

use super::super::reading::{Held, Reading, Text};
use super::super::{names, standard};

/// Where what an event says stands, by the shipper that sent it.
pub(super) const DATA: [&str; 4] = ["Event.EventData.", "winlog.event_data.", "EventData.", ""];
/// Ends the path of the name of who acted; his id stands beside it.
const SUBJECT_NAME: &str = "SubjectUserName";
const SUBJECT_ID: &str = "SubjectUserSid";

/// Adds names and numbers. `is_new`: it is the Security channel's event of a new process, in which
/// `ProcessId` is the number of the one that started it.
pub(super) fn name(reading: &mut Reading<'_>, is_new: bool) {
    let pid = number(reading, if is_new { "NewProcessId" } else { "ProcessId" });
    let parent = if is_new { number(reading, "ProcessId") } else { None };
    for (name, place, found) in [
        ("process.pid", standard::PROCESS_PID, pid),
        ("process.parent.pid", standard::PROCESS_PARENT_PID, parent),
    ] {
        if let Some(number) = found {
            if is_new {
                reading.release(place);
            }
            reading.add_missing(name, Held::Signed(number));
        }
    }
    for (path, name) in [
        (standard::PROCESS_EXECUTABLE, "process.name"),
        (standard::PROCESS_PARENT_EXECUTABLE, "process.parent.name"),
    ] {
        if let Some(file) = reading.first_text(path).and_then(|path| file_of(reading, path)) {
            reading.add_missing(name, Held::Text(file));
        }
    }
    if reading.first(standard::USER_ID).is_none()
        && let Some(id) = subject(reading)
    {
        reading.add("user.id", Held::Text(id));
    }
}

/// The number under a name of the event, in decimal or, as `0x1a4`, in hexadecimal.
fn number(reading: &Reading<'_>, name: &str) -> Option<i64> {
    DATA.iter().find_map(|place| match reading.sent(&format!("{place}{name}"))? {
        Held::Signed(number) => Some(number),
        Held::Text(text) => {
            let text = reading.str(text);
            match text.strip_prefix("0x") {
                Some(digits) => i64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            }
        }
        _ => None,
    })
}

fn file_of(reading: &Reading<'_>, path: Text) -> Option<Text> {
    let text = reading.str(path);
    let file = text.rsplit(['\\', '/']).next().filter(|file| !file.is_empty() && *file != "-")?;
    Some(reading.part(path, file))
}

/// The id of who acted, when it is his name that the event is known by.
fn subject(reading: &Reading<'_>) -> Option<Text> {
    let named = reading.path_of(standard::USER_NAME)?;
    let place = named.strip_suffix(SUBJECT_NAME)?;
    match reading.sent(&format!("{place}{SUBJECT_ID}"))? {
        Held::Text(id) if is_somebody(reading.str(id)) => Some(id),
        _ => None,
    }
}

fn is_somebody(id: &str) -> bool {
    !matches!(id, names::NOBODY | "-" | "")
}
