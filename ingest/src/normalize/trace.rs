//! What error a stack trace in a message is of.
//!
//! Input: a message of several lines. Output: `error.type` and `error.message` of the error that is named before the
//! frames of Java, Node or .NET, or behind those of Python. Where the record names its error nothing is added.

use super::reading::{Held, Reading, Text};

/// Bytes of a message that are looked at.
const LOOKED_AT: usize = 64 << 10;
const TRACEBACK: &str = "Traceback (most recent call last)";
const NAME_BYTES_MAX: usize = 200;
/// How names of errors end that have no package before them.
const ENDS: [&str; 6] = ["Error", "Exception", "Throwable", "Warning", "Exit", "Interrupt"];

/// Adds what error the message shows a trace of.
pub(super) fn describe(reading: &mut Reading<'_>) {
    let whole = reading.message;
    let message = reading.str(whole);
    let message = &message[..message.floor_char_boundary(LOOKED_AT)];
    if !message.contains('\n') {
        return;
    }
    let Some((name, said)) = of_python(message).or_else(|| of_frames(message)) else { return };
    let [name, said] = [name, said].map(|part| match part {
        "" => Text::default(),
        part => reading.part(whole, part),
    });
    let is_named = [super::standard::ERROR_TYPE, super::standard::STACK_TRACE]
        .into_iter()
        .any(|place| reading.first(place).is_some());
    if !is_named {
        reading.add_missing("error.type", Held::Text(name));
        if !said.is_empty() {
            reading.add_missing("error.message", Held::Text(said));
        }
    }
}

/// The line behind the last frames of Python.
fn of_python(message: &str) -> Option<(&str, &str)> {
    let (_, trace) = message.rsplit_once(TRACEBACK)?;
    let is_frame = |line: &&str| line.starts_with([' ', '\t']) || line.is_empty();
    let last = trace.lines().skip(1).find(|line| !is_frame(line))?;
    let (name, said) = last.split_once(": ").unwrap_or((last, ""));
    let name = name.trim_end_matches(':').trim_end();
    is_class(name).then_some((name, said))
}

/// The line before the first frame of Java, Node or .NET.
fn of_frames(message: &str) -> Option<(&str, &str)> {
    let mut lines = message.lines().peekable();
    while let Some(line) = lines.next() {
        let is_before_frame = lines.peek().is_some_and(|next| {
            next.starts_with([' ', '\t']) && next.trim_start().starts_with("at ")
        });
        if is_before_frame {
            return named(line.trim_end());
        }
    }
    None
}

/// The first class that a line names, and what it says behind it.
fn named(line: &str) -> Option<(&str, &str)> {
    let last_word = |text: &'_ str| text.rfind(' ').map_or(0, |at| at + 1);
    for (at, _) in line.match_indices(": ") {
        let name = &line[last_word(&line[..at])..at];
        if is_class(name) {
            return Some((name, &line[at + 2..]));
        }
    }
    let name = &line[last_word(line)..];
    is_class(name).then_some((name, ""))
}

fn is_class(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._$".contains(&byte);
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(is_letter)
        && ENDS.iter().any(|end| name.ends_with(end))
}
