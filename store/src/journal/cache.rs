//! The newest groups in memory, so that readers that keep up never touch the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Record;

/// Groups in order, contiguous; the oldest go when there are too many bytes.
pub(crate) struct Cache {
    groups: VecDeque<Cached>,
    bytes: usize,
    bytes_max: usize,
}

struct Cached {
    seq_first: u64,
    records: Arc<[Record]>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { groups: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds the records of one group, which follow all others.
    pub(crate) fn push(&mut self, seq_first: u64, records: Arc<[Record]>) {
        if records.is_empty() {
            return;
        }
        let bytes = records.iter().map(|record| record.event.size_bytes()).sum();
        self.bytes += bytes;
        self.groups.push_back(Cached { seq_first, records, bytes });
        // The newest group stays, however large: readers are waiting for it.
        while self.bytes > self.bytes_max && self.groups.len() > 1 {
            let oldest = self.groups.pop_front();
            self.bytes -= oldest.map_or(0, |oldest| oldest.bytes);
        }
    }

    /// The group that holds `seq`, with its first seq.
    pub(crate) fn find(&self, seq: u64) -> Option<(u64, Arc<[Record]>)> {
        let at = self.groups.partition_point(|group| group.seq_first <= seq).checked_sub(1)?;
        let group = &self.groups[at];
        let is_inside = seq < group.seq_first + group.records.len() as u64;
        is_inside.then(|| (group.seq_first, Arc::clone(&group.records)))
    }
}

/// At most `records_max` records from `seq` on, out of those that begin with `seq_first`; shared
/// when that is all of them.
pub(crate) fn part_of(
    records: &Arc<[Record]>,
    seq_first: u64,
    seq: u64,
    records_max: usize,
) -> Arc<[Record]> {
    let skip = (seq - seq_first) as usize;
    let end = records.len().min(skip.saturating_add(records_max.max(1)));
    if skip == 0 && end == records.len() { Arc::clone(records) } else { records[skip..end].into() }
}

#[cfg(test)]
mod tests {
    use logwarden_event::EventBuilder;

    use super::super::RecordKind;
    use super::*;

    fn records(count: usize) -> Arc<[Record]> {
        let event = EventBuilder::new(b"record").build();
        let record = Record { kind: RecordKind::Event, event, batch_id: None };
        vec![record; count].into()
    }

    #[test]
    fn the_oldest_groups_go_first_and_the_newest_stays() {
        let one = records(10).iter().map(|record| record.event.size_bytes()).sum::<usize>();
        let mut cache = Cache::new(2 * one);
        for group in 0..5 {
            cache.push(1 + group * 10, records(10));
        }
        assert!(cache.find(1).is_none() && cache.find(30).is_none());
        assert_eq!(cache.find(35).map(|(first, _)| first), Some(31));
        assert_eq!(cache.find(50).map(|(first, _)| first), Some(41));
        assert!(cache.find(51).is_none());
        let mut small = Cache::new(1);
        small.push(1, records(3));
        assert!(small.find(3).is_some());
    }

    #[test]
    fn a_part_begins_where_it_is_asked_for() {
        let all = records(10);
        assert!(Arc::ptr_eq(&part_of(&all, 5, 5, 10), &all));
        assert_eq!(part_of(&all, 5, 5, 3).len(), 3);
        assert_eq!(part_of(&all, 5, 14, usize::MAX).len(), 1);
        assert_eq!(part_of(&all, 5, 14, 0).len(), 1);
    }
}
