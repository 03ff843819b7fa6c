//! A bounded cache that forgets what was used longest ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Keeps values up to a total weight.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    weight_max: usize,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    entries: HashMap<K, Entry<V>>,
    weight: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    last_use: u64,
}

impl<K: Eq + Hash + Copy, V: Clone> Cache<K, V> {
    /// An empty cache for values of this weight altogether.
    pub(crate) fn new(weight_max: usize) -> Self {
        let inner = Inner { entries: HashMap::new(), weight: 0, uses: 0 };
        Self { weight_max, inner: Mutex::new(inner) }
    }

    /// The value, if it is still there.
    pub(crate) fn get(&self, key: K) -> Option<V> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let uses = inner.uses;
        let entry = inner.entries.get_mut(&key)?;
        entry.last_use = uses;
        Some(entry.value.clone())
    }

    /// Keeps a value; others make room. The newest is kept even when it is too heavy alone.
    pub(crate) fn insert(&self, key: K, value: V, weight: usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let last_use = inner.uses;
        inner.forget(key);
        inner.weight += weight;
        inner.entries.insert(key, Entry { value, weight, last_use });
        if inner.weight > self.weight_max {
            inner.make_room(self.weight_max - self.weight_max / 8);
        }
    }

    /// Forgets the values whose key is not wanted.
    pub(crate) fn retain(&self, is_wanted: impl Fn(&K) -> bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let unwanted: Vec<K> =
            inner.entries.keys().filter(|key| !is_wanted(key)).copied().collect();
        unwanted.into_iter().for_each(|key| inner.forget(key));
    }
}

impl<K: Eq + Hash + Copy, V> Inner<K, V> {
    /// Forgets what was used longest ago until no more than this is kept, but for the newest. A part
    /// is given up at once, so that sorting pays.
    fn make_room(&mut self, weight_max: usize) {
        let mut by_use: Vec<(u64, K)> =
            self.entries.iter().map(|(key, entry)| (entry.last_use, *key)).collect();
        by_use.sort_unstable_by_key(|(last_use, _)| *last_use);
        by_use.pop();
        for (_, key) in by_use {
            if self.weight <= weight_max {
                return;
            }
            self.forget(key);
        }
    }

    fn forget(&mut self, key: K) {
        if let Some(entry) = self.entries.remove(&key) {
            self.weight -= entry.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let cache = Cache::new(10);
        cache.insert("a", 1, 4);
        cache.insert("b", 2, 4);
        assert_eq!(cache.get("a"), Some(1));
        cache.insert("c", 3, 4);
        assert_eq!((cache.get("a"), cache.get("b"), cache.get("c")), (Some(1), None, Some(3)));
        cache.insert("d", 4, 99);
        assert_eq!((cache.get("c"), cache.get("d")), (None, Some(4)));
        cache.retain(|key| *key != "d");
        assert_eq!(cache.get("d"), None);
    }
}
