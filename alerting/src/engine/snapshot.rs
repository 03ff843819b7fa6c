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
                let changed = changed.map(|(key, slot)| (slot.part, &**key, &slot.group));
                let known_as = (&*rule.id, &*groups.fingerprint);
                parts.extend(pack(known_as, dirty, changed, Group::encode_into));
            }
            if let Some(trends) = &mut self.trends[place] {
                let dirty = std::mem::take(&mut trends.dirty);
                let all = trends.all().map(|(key, series)| (part_bit(key), key, series));
                let changed = all.filter(|(bit, ..)| dirty & bit != 0);
                let known_as = (&*rule.id, &*trends.fingerprint);
                parts.extend(pack(known_as, dirty, changed, Series::encode_into));
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
        if self.fingerprint(place) != Some(&*part.fingerprint) {
            return groups.len();
        }
        groups.iter().filter(|(key, state)| !self.restore_group(place, key, state)).count()
    }

    /// All parts of a rule are to be written anew, and those without a group removed.
    pub(crate) fn note_changed(&mut self, place: usize) {
        self.groups[place].iter_mut().for_each(|groups| groups.dirty = u64::MAX);
        self.trends[place].iter_mut().for_each(|trends| trends.dirty = u64::MAX);
    }

    /// Whether this part is of a rule that is known, but whose window is defined differently now: where.
    pub(crate) fn outgrown(&self, part: &Part) -> Option<usize> {
        let place = self.rules.rules().iter().position(|rule| rule.id == part.rule_id)?;
        (self.fingerprint(place)? != part.fingerprint).then_some(place)
    }

    /// Of what a rule's window is defined by; `None`: it has none.
    fn fingerprint(&self, place: usize) -> Option<&str> {
        let groups = self.groups[place].as_ref().map(|groups| &*groups.fingerprint);
        groups.or_else(|| self.trends[place].as_ref().map(|trends| &*trends.fingerprint))
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
        self.busy.insert(place);
        true
    }
}

/// The dirty parts of a rule, whose groups come with the bit of their part. One part at a time is in memory
/// as it is before it is compressed.
fn pack<'a, S: 'a>(
    (rule_id, fingerprint): (&str, &str),
    dirty: u64,
    groups: impl Iterator<Item = (u64, &'a str, &'a S)>,
    encode_into: impl Fn(&S, &mut Vec<u8>),
) -> Vec<Part> {
    let mut groups: Vec<(u64, &str, &S)> = groups.collect();
    groups.sort_unstable_by_key(|(bit, key, _)| (*bit, *key));
    let mut bytes = Vec::new();
    let numbers = (0u32..64).filter(|number| dirty & 1 << number != 0);
    let part = |number: u32| {
        let start = groups.partition_point(|(bit, ..)| *bit < 1 << number);
        let end = groups.partition_point(|(bit, ..)| *bit <= 1 << number);
        bytes.clear();
        for (_, key, group) in &groups[start..end] {
            put_group(&mut bytes, key, |bytes| encode_into(group, bytes));
        }
        Part {
            rule_id: rule_id.to_owned(),
            number,
            fingerprint: fingerprint.to_owned(),
            state: (start < end).then(|| compress(&bytes)),
        }
    };
    numbers.map(part).collect()
}

fn put_group(bytes: &mut Vec<u8>, key: &str, put_state: impl FnOnce(&mut Vec<u8>)) {
    bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
    let len_at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(key.as_bytes());
    let start = bytes.len();
    put_state(bytes);
    let len = (bytes.len() - start) as u32;
    bytes[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, ZSTD_LEVEL).expect("compressing in memory")
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
        let state = |len: usize| vec![7u8; len];
        let (one, none, many) = (state(2), state(0), state(1_000));
        let bit = 1 << 5;
        let groups = [(bit, "b", &one), (1 << 63, "z", &one), (bit, "", &none), (bit, "a", &many)];
        let dirty = 1 << 5 | 1 << 40 | 1 << 63;
        let put = |state: &Vec<u8>, bytes: &mut Vec<u8>| bytes.extend_from_slice(state);
        let parts = pack(("rule", "print"), dirty, groups.into_iter(), put);
        let numbers: Vec<(u32, bool)> =
            parts.iter().map(|part| (part.number, part.state.is_some())).collect();
        assert_eq!(numbers, [(5, true), (40, false), (63, true)]);
        let part = parts[0].state.as_deref().expect("three groups");
        let owned = |key: &str, state: &Vec<u8>| (key.to_owned(), state.clone());
        let expected = [owned("", &none), owned("a", &many), owned("b", &one)];
        assert_eq!(decode(part).expect("whole"), expected);
        for end in 0..part.len() {
            assert_eq!(decode(&part[..end]), None, "cut at {end}");
        }
        let damaged = compress(&[9, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(decode(&damaged), None, "a key that is longer than the part");
    }
}
