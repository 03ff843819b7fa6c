//! Words of standard fields in the one spelling that rules may count on.
//!
//! Input: a reading that is complete. Output: `event.outcome` is success, failure or unknown, `network.transport` in
//! lower case and no number, `http.version` without `HTTP/`. What the sender wrote otherwise stays under its own
//! name. A word that is so long that nobody meant it as one is flagged: it is found by its beginning alone.

use super::reading::{Held, Reading};
use super::{authentication, standard};

/// Bytes of a word beyond which the event is flagged (security requirement).
const WORD_BYTES_MAX: usize = 65_530;

/// Spells what is spelled otherwise anew.
pub(super) fn settle(reading: &mut Reading<'_>) {
    authentication::settle_outcome(reading);
    respell(reading, standard::TRANSPORT, "network.transport", transport);
    respell(reading, standard::HTTP_VERSION, "http.version", version);
    if has_long_word(reading.record()) {
        reading.flag("lw.long_word");
    }
}

/// Whether any word, as they are searched for, is longer than [`WORD_BYTES_MAX`].
fn has_long_word(text: &str) -> bool {
    text.len() > WORD_BYTES_MAX
        && text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word.len() > WORD_BYTES_MAX)
}

/// `spell`: the word as it should be, when it is not.
fn respell(
    reading: &mut Reading<'_>,
    place: u16,
    name: &'static str,
    spell: fn(&str) -> Option<String>,
) {
    if reading.first(place).is_none() {
        return;
    }
    for index in 0..reading.entries.len() {
        let entry = reading.entries[index];
        let Held::Text(said) = entry.value else { continue };
        if entry.is_dropped || Reading::standard_of(&entry) != Some(place) {
            continue;
        }
        let Some(meant) = spell(reading.str(said)) else { continue };
        let meant = Held::Text(reading.keep(&meant));
        let path = reading.str(entry.path);
        if path.is_empty() || path == name {
            reading.entries[index].value = meant;
            continue;
        }
        reading.entries[index].forget_standard();
        if !entry.options.is_inner {
            reading.add(name, meant);
        }
    }
}

/// Numbers are those of IANA's list.
fn transport(word: &str) -> Option<String> {
    let meant = match word {
        "1" => "icmp",
        "6" => "tcp",
        "17" => "udp",
        "47" => "gre",
        "50" => "esp",
        "58" => "ipv6-icmp",
        "132" => "sctp",
        _ if word.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            return Some(word.to_ascii_lowercase());
        }
        _ => return None,
    };
    Some(meant.to_owned())
}

fn version(word: &str) -> Option<String> {
    word.strip_prefix("HTTP/").filter(|version| !version.is_empty()).map(str::to_owned)
}
