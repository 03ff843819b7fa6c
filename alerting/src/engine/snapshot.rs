//! The state of every group as the catalog keeps it.
//!
//! Groups change with every event, so they are not written one by one: the groups of a rule lie in
//! [`PARTS`] parts, by a hash of their key, and a part in which something changed is written whole. Form of
//! a part: one zstd frame; in it for each group, in the order of the keys, the length of the key and of the
//! state (`u32`, little-endian), the key, and the state in its binary form.

use std::sync::Arc;

use tracing::warn;

use super::{Engine, Slot};
use crate::trend::Series;
use crate::window::Group;

/// Parts of a rule's groups; a bit of a `u64` for each.
const PARTS: u64 = 64;
/// Bytes of a part before it is compressed; a longer one is not read, and its groups start over.
const PART_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Compressing more would take longer than writing.
const ZSTD_LEVEL: i32 = 1;

/// Some of the groups of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The rule's id.
    pub rule_id: String,
    /// Which of its parts.
    pub number: u32,
    /// Of what the window was defined by.
    pub fingerprint: String,
    /// The groups; `None`: there are none left.
    pub state: Option<Vec<u8>>,
}

/// The bit of the part that a group belongs to, by the FNV-1a hash of its key.
pub(crate) fn part_bit(key: &str) -> u64 {
    let hash = key.bytes().fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    1 << ((hash ^ hash >> 32) % PARTS)
}

impl Engine {
    /// The parts of all rules in which a group changed since the last call.
    pub fn take_changed_parts(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        for (place, rule) in self.rules.rules().iter().enumerate() {
            if let Some(groups) = &mut self.groups[place] {
                let dirty = std::mem::take(&mut groups.dirty);
                let changed = groups.groups.iter().filter(|(_, slot)| dirty & slot.part != 0);
                let states = changed.map(|(key, slot)| (slot.part, &**key, slot.group.encode()));
                pack(&rule.id, &groups.fingerprint, dirty, states, &mut parts);
            }
            if let Some(trends) = &mut self.trends[place] {
                let dirty = std::mem::take(&mut trends.dirty);
                let all = trends.all().map(|(key, series)| (part_bit(key), key, series));
                let changed = all.filter(|(bit, ..)| dirty & bit != 0);
                let states = changed.map(|(bit, key, series)| (bit, &**key, series.encode()));
                pack(&rule.id, &trends.fingerprint, dirty, states, &mut parts);
            }
        }
        parts
    }

    /// Whether any group changed since [`Engine::take_changed_parts`].
    pub fn has_changes(&self) -> bool {
        self.groups.iter().flatten().any(|groups| groups.dirty != 0)
            || self.trends.iter().flatten().any(|trends| trends.dirty != 0)
    }

    /// Takes a part as [`Engine::take_changed_parts`] gave it; answers how many of its groups are not taken:
    /// all when it belongs to no rule whose window is still defined the same.
    pub fn restore(&mut self, part: &Part) -> usize {
        let Some(groups) = part.state.as_deref().and_then(decode) else {
            warn!(rule = part.rule_id, part = part.number, "windows are damaged and start over");
            return 1;
        };
        let place = self.rules.rules().iter().position(|rule| rule.id == part.rule_id);
        let Some(place) = place else { return groups.len() };
        let known = match (&self.groups[place], &self.trends[place]) {
            (Some(groups), _) => &groups.fingerprint,
            (_, Some(trends)) => &trends.fingerprint,
            (None, None) => return groups.len(),
        };
        if *known != part.fingerprint {
            return groups.len();
        }
        groups.iter().filter(|(key, state)| !self.restore_group(place, key, state)).count()
    }

    fn restore_group(&mut self, place: usize, key: &str, state: &[u8]) -> bool {
        let key: Arc<str> = Arc::from(key);
        if let (Some(trends), Some(series)) = (&mut self.trends[place], Series::decode(state)) {
            // What was observed at the same time may have been looked at in part.
            self.judged_before = self.judged_before.max(series.seen());
            trends.restore(key, series);
            return true;
        }
        let (Some(groups), Some(group)) = (&mut self.groups[place], Group::decode(state)) else {
            return false;
        };
        let (age, part) = (group.last_observed(), part_bit(&key));
        groups.by_age.insert((age, key.clone()));
        groups.groups.insert(key, Slot { group, age, part });
        true
    }
}

/// Adds the dirty parts of a rule, of whose groups the states come with the bit of their part.
fn pack<'a>(
    rule_id: &str,
    fingerprint: &str,
    dirty: u64,
    states: impl Iterator<Item = (u64, &'a str, Vec<u8>)>,
    parts: &mut Vec<Part>,
) {
    let mut groups: Vec<Vec<(&str, Vec<u8>)>> = vec![Vec::new(); PARTS as usize];
    for (bit, key, state) in states {
        groups[bit.trailing_zeros() as usize].push((key, state));
    }
    for (number, groups) in (0u32..).zip(groups).filter(|(number, _)| dirty & 1 << number != 0) {
        parts.push(Part {
            rule_id: rule_id.to_owned(),
            number,
            fingerprint: fingerprint.to_owned(),
            state: encode(groups),
        });
    }
}

fn encode(mut groups: Vec<(&str, Vec<u8>)>) -> Option<Vec<u8>> {
    groups.sort_unstable();
    let mut bytes = Vec::new();
    for (key, state) in &groups {
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(state.len() as u32).to_le_bytes());
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(state);
    }
    let packed = || zstd::bulk::compress(&bytes, ZSTD_LEVEL).expect("compressing in memory");
    (!groups.is_empty()).then(packed)
}

/// `None` when it is damaged.
fn decode(part: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let bytes = zstd::bulk::decompress(part, PART_BYTES_MAX).ok()?;
    let mut rest = (!bytes.is_empty()).then_some(&bytes[..])?;
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let key_len = u32::from_le_bytes(*rest.first_chunk()?) as usize;
        let state_len = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?) as usize;
        let key = std::str::from_utf8(rest.get(8..8 + key_len)?).ok()?;
        let state = rest.get(8 + key_len..8 + key_len + state_len)?;
        groups.push((key.to_owned(), state.to_vec()));
        rest = &rest[8 + key_len + state_len..];
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_gives_its_groups_back_and_damage_gives_none() {
        let groups = vec![("b", vec![1, 2]), ("", Vec::new()), ("a", vec![0; 1_000])];
        let part = encode(groups).expect("three groups");
        let owned = |key: &str, state: Vec<u8>| (key.to_owned(), state);
        let expected = [owned("", Vec::new()), owned("a", vec![0; 1_000]), owned("b", vec![1, 2])];
        assert_eq!(decode(&part).expect("whole"), expected);
        assert_eq!(encode(Vec::new()), None);
        for end in 0..part.len() {
            assert_eq!(decode(&part[..end]), None, "cut at {end}");
        }
        let damaged = zstd::bulk::compress(&[9, 0, 0, 0, 0, 0, 0, 0, 1], 1).expect("in memory");
        assert_eq!(decode(&damaged), None, "a key that is longer than the part");
    }
}
