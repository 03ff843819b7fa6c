//! Patterns: messages that differ only in their variable parts, a row for each.
//!
//! After Drain (He et al., ICWS 2017): messages of the same number of words and the same first word that
//! is not variable are compared word by word; one that agrees in enough of them joins the pattern, and
//! what differs becomes [`ANY`]. The dashboard does the same with the rows it has loaded
//! (`web/ui/src/search/patterns.ts`).
//! Bounds: [`PATTERNS_MAX`] patterns, [`WORDS_MAX`] words of a message, and the query's memory. Messages
//! that find no room are one row without a pattern, so that the counts add up. Pieces are put together as
//! they are read: which of two similar patterns a message joins may depend on it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use foldhash::quality::RandomState;
use logwarden_event::Timestamp;
use logwarden_index::Piece;

use crate::cell::Cell;
use crate::engine::{Engine, lock};
use crate::error::QueryError;
use crate::language::Pipe;
use crate::request::Coverage;
use crate::scan::{Memory, Scan, for_each_piece};
use crate::table::{Table, sort_rows};

/// Patterns of one query.
const PATTERNS_MAX: usize = 500;
/// Words of a message that are looked at; what follows is variable.
const WORDS_MAX: usize = 60;
/// Words of ten that must agree.
const ALIKE_OF_TEN: usize = 6;
/// Hexadecimal digits that are variable without a decimal one among them.
const HEX_CHARS_MIN: usize = 12;
/// What stands for the variable parts.
const ANY: &str = "<*>";

impl Engine {
    /// Makes a row of each pattern, the most frequent first, and works on the rows.
    pub(crate) async fn mine_patterns(
        &self,
        scan: &Arc<Scan>,
        pipes: &[Pipe],
    ) -> Result<(Table, Coverage), QueryError> {
        let all = Arc::new(Mutex::new(Miner::default()));
        let shared = Arc::clone(&all);
        let work = move |scan: &Scan, piece: &dyn Piece| {
            let (mut miner, mut count) = (Miner::default(), 0);
            let result = scan.visit(piece, scan.plan.range, |event| {
                count += 1;
                let at = event.timestamp();
                let seen = Seen { count: 1, first_at: at, last_at: at };
                miner.add(&words_of(event.message()), seen, &scan.memory)?;
                Ok(ControlFlow::Continue(()))
            });
            scan.add_total(count);
            lock(&shared).merge(miner, &scan.memory)?;
            scan.tell(Vec::new());
            result
        };
        let coverage = for_each_piece(scan, &self.cores, work).await?;
        let mut table = std::mem::take(&mut *lock(&all)).into_table(scan.total());
        table.apply(pipes);
        Ok((table, coverage))
    }
}

/// How often and when messages were seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }
}

struct Pattern {
    words: Vec<Box<str>>,
    seen: Seen,
}

impl Pattern {
    fn size_bytes(words: &[&str]) -> usize {
        let letters: usize = words.iter().map(|word| word.len()).sum();
        size_of::<Self>() + letters + size_of_val(words)
    }

    /// Words that are the same in the same place.
    fn agreeing(&self, words: &[&str]) -> usize {
        self.words.iter().zip(words).filter(|(own, word)| ***own == ***word).count()
    }
}

/// Patterns by the number of their words and the first that is not variable.
#[derive(Default)]
struct Miner {
    groups: Vec<HashMap<Box<str>, Vec<Pattern>, RandomState>>,
    patterns: usize,
    /// Messages that found no room.
    left_out: Option<Seen>,
}

impl Miner {
    fn add(&mut self, words: &[&str], seen: Seen, memory: &Memory) -> Result<(), QueryError> {
        if self.groups.len() <= words.len() {
            self.groups.resize_with(words.len() + 1, HashMap::default);
        }
        let group = &mut self.groups[words.len()];
        let key = words.iter().find(|word| **word != ANY).copied().unwrap_or_default();
        let alike = group.get_mut(key).and_then(|patterns| {
            let agreeing = |pattern: &&mut Pattern| pattern.agreeing(words);
            let best = patterns.iter_mut().max_by_key(agreeing)?;
            (best.agreeing(words) * 10 >= words.len() * ALIKE_OF_TEN).then_some(best)
        });
        if let Some(pattern) = alike {
            for (own, word) in pattern.words.iter_mut().zip(words) {
                if **own != **word {
                    *own = ANY.into();
                }
            }
            pattern.seen.add(seen);
            return Ok(());
        }
        if self.patterns >= PATTERNS_MAX {
            self.left_out.get_or_insert(Seen { count: 0, ..seen }).add(seen);
            return Ok(());
        }
        memory.take(Pattern::size_bytes(words))?;
        self.patterns += 1;
        let words = words.iter().map(|word| (*word).into()).collect();
        group.entry(key.into()).or_default().push(Pattern { words, seen });
        Ok(())
    }

    fn merge(&mut self, other: Self, memory: &Memory) -> Result<(), QueryError> {
        let left_out = other.left_out;
        for pattern in other.into_patterns() {
            let words: Vec<&str> = pattern.words.iter().map(|word| &**word).collect();
            self.add(&words, pattern.seen, memory)?;
            memory.give(Pattern::size_bytes(&words));
        }
        if let Some(seen) = left_out {
            self.left_out.get_or_insert(Seen { count: 0, ..seen }).add(seen);
        }
        Ok(())
    }

    fn into_patterns(self) -> impl Iterator<Item = Pattern> {
        self.groups.into_iter().flatten().flat_map(|(_, patterns)| patterns)
    }

    fn into_table(self, total: u64) -> Table {
        let row = |pattern: Cell, seen: Seen| {
            vec![
                pattern,
                Cell::Integer(seen.count.into()),
                Cell::Float(seen.count as f64 / total.max(1) as f64),
                Cell::Timestamp(seen.first_at),
                Cell::Timestamp(seen.last_at),
            ]
        };
        let left_out = self.left_out;
        let patterns = self.into_patterns();
        let mut rows: Vec<_> = patterns
            .map(|Pattern { words, seen }| row(Cell::String(words.join(" ")), seen))
            .collect();
        sort_rows(&mut rows, &[(1, true), (0, false)]);
        rows.extend(left_out.map(|seen| row(Cell::Null, seen)));
        let columns = [
            ("pattern", "string"),
            ("count", "integer"),
            ("share", "float"),
            ("first_seen", "timestamp"),
            ("last_seen", "timestamp"),
        ];
        Table::new(columns.map(|(name, usual)| (name.to_owned(), usual)).to_vec(), rows)
    }
}

/// The words of a message, those that look variable as [`ANY`].
fn words_of(message: &str) -> Vec<&str> {
    let mut all = message.split_whitespace();
    let mut words: Vec<&str> = all
        .by_ref()
        .take(WORDS_MAX)
        .map(|word| if is_variable(word) { ANY } else { word })
        .collect();
    if all.next().is_some() {
        words.push(ANY);
    }
    words
}

/// Whether a word holds digits, or is a long run of hexadecimal.
fn is_variable(word: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    word.bytes().any(|byte| byte.is_ascii_digit())
        || (word.len() >= HEX_CHARS_MIN && word.bytes().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mine(messages: &[&str], memory: &Memory) -> Result<Miner, QueryError> {
        let mut miner = Miner::default();
        for (second, message) in (0..).zip(messages) {
            let at = Timestamp::from_secs(second);
            miner.add(&words_of(message), Seen { count: 1, first_at: at, last_at: at }, memory)?;
        }
        Ok(miner)
    }

    fn shown(miner: Miner, total: u64) -> Vec<String> {
        let show = |row: &Vec<Cell>| format!("{} {}", row[1], row[0]);
        miner.into_table(total).rows.iter().map(show).collect()
    }

    #[test]
    fn what_differs_is_variable_and_what_is_too_different_another_pattern() {
        let memory = Memory::new(1 << 20);
        let miner = mine(
            &[
                "user ana signed in from 10.0.0.1",
                "user ben signed in from 10.0.0.2",
                "user ana has left",
                "request deadbeefdeadbeef took 5ms",
                "request cafecafe-cafecafe took 7ms",
                "",
            ],
            &memory,
        );
        let other = mine(&["user eve signed in from 10.0.0.9"], &memory).expect("room");
        let mut miner = miner.expect("room");
        miner.merge(other, &memory).expect("room");
        assert_eq!(
            shown(miner, 7),
            [
                "3 user <*> signed in from <*>",
                "2 request <*> took <*>",
                "1 ",
                "1 user ana has left"
            ]
        );
    }

    #[test]
    fn what_finds_no_room_is_counted_and_memory_is_bounded() {
        let words: Vec<String> = (0..PATTERNS_MAX + 3)
            .map(|n| ["x", "y", "z"].map(|side| side.repeat(n + 1)).join(" "))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let lines = shown(mine(&words, &Memory::new(64 << 20)).expect("room"), 503);
        assert_eq!((lines.len(), &*lines[PATTERNS_MAX]), (PATTERNS_MAX + 1, "3 null"));
        assert!(matches!(mine(&words, &Memory::new(1_000)), Err(QueryError::TooExpensive { .. })));
    }
}
