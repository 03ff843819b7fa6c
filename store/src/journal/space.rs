//! How full the disk is, and what that means for new batches.
//!
//! Little room refuses batches (429), none makes the journal read-only (507). A reserve file is
//! given up when there is no room, so that the catalog, the index and recovery can work, and is
//! made again before batches are taken again. Leaving a state needs more room than entering it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use logwarden_event::Timestamp;
use tracing::{error, info, warn};

use super::Fullness;
use crate::config::BytesMax;
use crate::disk::{Disk, Volume};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// Less than 15 % of the volume free, at most this: batches are refused for a while.
const LOW_FREE_MAX: u64 = 10 * GIB;
/// Less than 10 % of the volume free, at most this: read-only.
const FULL_FREE_MAX: u64 = 5 * GIB;
const RESERVE_PATH: &str = "reserve";
/// Longest time a sender is told to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Enough.
    Enough,
    /// Batches are refused for a while.
    Low,
    /// Read-only.
    Full,
}

impl Level {
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Enough,
            1 => Self::Low,
            _ => Self::Full,
        }
    }
}

/// What decides about the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) volume: Volume,
    pub(crate) used_bytes: u64,
    pub(crate) bytes_max: u64,
}

/// The level after `before`, by the room there is.
pub(crate) fn decide(room: &Room, before: Level) -> Level {
    let total = room.volume.total_bytes;
    let low = (total / 100 * 15).min(LOW_FREE_MAX);
    let full = full_below(room);
    let extra = (total / 20).min(full / 2);
    let free = room.volume.free_bytes;
    // The quota has no room between little and none: it is ours, nobody else takes of it.
    let quota_extra = if before == Level::Full { room.bytes_max / 20 } else { 0 };
    let is_over_quota = room.used_bytes.saturating_add(quota_extra) >= room.bytes_max;
    let full_below = if before == Level::Full { full + extra } else { full };
    let low_below = if before == Level::Enough { low } else { low + extra };
    if is_over_quota || free < full_below {
        Level::Full
    } else if free < low_below {
        Level::Low
    } else {
        Level::Enough
    }
}

/// With less than this free the volume is full.
fn full_below(room: &Room) -> u64 {
    (room.volume.total_bytes / 100 * 10).min(FULL_FREE_MAX)
}

/// Bytes that may still come before batches are refused.
fn left(room: &Room, level: Level) -> u64 {
    if level != Level::Enough {
        return 0;
    }
    let low = (room.volume.total_bytes / 100 * 15).min(LOW_FREE_MAX);
    let of_quota = room.bytes_max.saturating_sub(room.used_bytes);
    room.volume.free_bytes.saturating_sub(low).min(of_quota)
}

/// Sizes of segments and reserve: together at most a quarter of the volume.
pub(crate) fn sizes(segment_bytes: u64, reserve_bytes: u64, volume_bytes: u64) -> (u64, u64) {
    // Two segments (the open and the next one) and the reserve share the quarter.
    let share = (volume_bytes / 12 / 4096 * 4096).max(MIB);
    (segment_bytes.min(share), reserve_bytes.min(share))
}

/// Watches the room.
pub(crate) struct Space {
    disk: Arc<dyn Disk>,
    bytes_max: BytesMax,
    reserve_bytes: u64,
    level: AtomicU8,
    /// When the level was left for the last time, in nanoseconds.
    since: AtomicU64,
    has_reserve: AtomicBool,
    free_bytes: AtomicU64,
    used_bytes: AtomicU64,
    volume_bytes: AtomicU64,
    room_bytes: AtomicU64,
    has_spare: AtomicBool,
}

impl Space {
    pub(crate) fn new(disk: Arc<dyn Disk>, bytes_max: BytesMax, reserve_bytes: u64) -> Self {
        let has_reserve = disk.open(RESERVE_PATH).is_ok();
        Self {
            disk,
            bytes_max,
            reserve_bytes,
            level: AtomicU8::new(Level::Enough as u8),
            since: AtomicU64::new(0),
            has_reserve: AtomicBool::new(has_reserve),
            free_bytes: AtomicU64::new(0),
            used_bytes: AtomicU64::new(0),
            volume_bytes: AtomicU64::new(0),
            room_bytes: AtomicU64::new(u64::MAX),
            has_spare: AtomicBool::new(true),
        }
    }

    /// How much room there is, as of the last look.
    pub(crate) fn level(&self) -> Level {
        Level::from_byte(self.level.load(Ordering::Relaxed))
    }

    /// Bytes free, as of the last look.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.free_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the volume, as of the last look.
    pub(crate) fn volume_bytes(&self) -> u64 {
        self.volume_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that may still come before batches are refused, as of the last look.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.room_bytes.load(Ordering::Relaxed)
    }

    /// Whether the volume has room for what the server says of itself, as of the last look: it is not full, whatever
    /// the quota says.
    pub(crate) fn has_spare(&self) -> bool {
        self.has_spare.load(Ordering::Relaxed)
    }

    /// What a sender is told, unless there is enough room.
    pub(crate) fn refusal(&self, now: Timestamp) -> Option<Fullness> {
        let level = self.level();
        if level == Level::Enough {
            return None;
        }
        let since = Timestamp::from_nanos(self.since.load(Ordering::Relaxed).cast_signed());
        let least = if level == Level::Full { 30 } else { 5 };
        let retry_after_secs = (now.since(since).as_secs() / 2).max(least);
        let retry_after_secs = retry_after_secs.min(RETRY_AFTER_MAX.as_secs());
        Some(Fullness { is_full: level == Level::Full, retry_after_secs })
    }

    /// Counts what all files take; slow when there are many.
    pub(crate) fn count_used(&self) -> io::Result<()> {
        self.used_bytes.store(self.disk.used_bytes()?, Ordering::Relaxed);
        Ok(())
    }

    /// Looks at the volume and acts on it.
    pub(crate) fn look(&self, now: Timestamp) -> io::Result<Level> {
        let volume = self.disk.volume()?;
        let before = self.level();
        let room = self.room(volume);
        let mut level = decide(&room, before);
        if level == Level::Full {
            self.give_up_reserve()?;
        } else if !self.has_reserve.load(Ordering::Relaxed)
            && let Err(error) = self.make_reserve()
        {
            warn!(error = %error, "the reserve cannot be made: {error}");
            level = before.max(Level::Low);
        }
        self.free_bytes.store(self.disk.volume()?.free_bytes, Ordering::Relaxed);
        self.volume_bytes.store(volume.total_bytes, Ordering::Relaxed);
        self.room_bytes.store(left(&room, level), Ordering::Relaxed);
        self.has_spare.store(room.volume.free_bytes >= full_below(&room), Ordering::Relaxed);
        self.change(before, level, now);
        Ok(level)
    }

    /// The disk said that there is no room, whatever the numbers say.
    pub(crate) fn ran_out(&self, now: Timestamp) {
        if let Err(error) = self.give_up_reserve() {
            error!(error = %error, "the reserve cannot be given up: {error}");
        }
        self.has_spare.store(false, Ordering::Relaxed);
        self.change(self.level(), Level::Full, now);
    }

    fn room(&self, volume: Volume) -> Room {
        // While there is no reserve, its room is not ours to spend.
        let missing = if self.has_reserve.load(Ordering::Relaxed) { 0 } else { self.reserve_bytes };
        Room {
            volume: Volume { free_bytes: volume.free_bytes.saturating_sub(missing), ..volume },
            used_bytes: self.used_bytes.load(Ordering::Relaxed) + missing,
            bytes_max: self.bytes_max.on_volume(volume.total_bytes),
        }
    }

    fn change(&self, before: Level, level: Level, now: Timestamp) {
        if before == level {
            return;
        }
        self.level.store(level as u8, Ordering::Relaxed);
        self.since.store(now.nanos().cast_unsigned(), Ordering::Relaxed);
        match level {
            Level::Enough => info!("there is enough room again, batches are taken"),
            Level::Low => warn!("little room is left, batches are refused"),
            Level::Full => error!("no room is left, the journal is read-only"),
        }
    }

    fn give_up_reserve(&self) -> io::Result<()> {
        if self.has_reserve.swap(false, Ordering::Relaxed) {
            self.disk.remove(RESERVE_PATH)?;
        }
        Ok(())
    }

    fn make_reserve(&self) -> io::Result<()> {
        let file = match self.disk.create_new(RESERVE_PATH) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.open(RESERVE_PATH)?
            }
            made => made?,
        };
        if let Err(error) = file.allocate(self.reserve_bytes) {
            self.disk.remove(RESERVE_PATH)?;
            return Err(error);
        }
        self.has_reserve.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(total_mib: u64, free_mib: u64, used_mib: u64, before: Level, expected: Level) {
        let volume = Volume { total_bytes: total_mib * MIB, free_bytes: free_mib * MIB };
        let bytes_max = total_mib * MIB / 100 * 80;
        let room = Room { volume, used_bytes: used_mib * MIB, bytes_max };
        assert_eq!(decide(&room, before), expected, "{total_mib} {free_mib} {used_mib} {before:?}");
    }

    #[test]
    fn leaving_a_level_needs_more_room_than_entering_it() {
        check(1000, 200, 0, Level::Enough, Level::Enough);
        check(1000, 149, 0, Level::Enough, Level::Low);
        check(1000, 160, 0, Level::Low, Level::Low);
        check(1000, 201, 0, Level::Low, Level::Enough);
        check(1000, 99, 0, Level::Low, Level::Full);
        check(1000, 140, 0, Level::Full, Level::Full);
        check(1000, 160, 0, Level::Full, Level::Low);
        check(1000, 900, 801, Level::Enough, Level::Full);
        check(1000, 900, 790, Level::Full, Level::Full);
        check(1000, 900, 700, Level::Full, Level::Enough);
    }

    #[test]
    fn on_a_large_volume_the_limits_are_absolute() {
        let tib = 1024 * 1024;
        check(tib, 11 * 1024, 0, Level::Enough, Level::Enough);
        check(tib, 9 * 1024, 0, Level::Enough, Level::Low);
        check(tib, 4 * 1024, 0, Level::Enough, Level::Full);
    }

    #[test]
    fn what_is_left_ends_where_batches_are_refused() {
        let left_mib = |free_mib: u64, used_mib: u64, level: Level| {
            let volume = Volume { total_bytes: 1000 * MIB, free_bytes: free_mib * MIB };
            let room = Room { volume, used_bytes: used_mib * MIB, bytes_max: 800 * MIB };
            left(&room, level) / MIB
        };
        assert_eq!(left_mib(160, 0, Level::Enough), 10);
        assert_eq!(left_mib(900, 795, Level::Enough), 5);
        assert_eq!(left_mib(140, 0, Level::Enough), 0);
        assert_eq!(left_mib(900, 0, Level::Low), 0);
    }

    #[test]
    fn a_small_volume_gets_small_segments() {
        assert_eq!(sizes(64 * MIB, 64 * MIB, 96 * MIB), (8 * MIB, 8 * MIB));
        assert_eq!(sizes(64 * MIB, 64 * MIB, 1024 * GIB), (64 * MIB, 64 * MIB));
    }
}
