//! How much memory this machine, or the group of processes we run in, has: bounds follow from it.
//!
//! Input: `/proc/meminfo` and the limits of control groups, version 2 and 1. Output: bytes in flight
//! that ingest may hold. Where nothing can be read a machine of [`UNKNOWN_BYTES`] is taken.

use std::fs;

const MIB: u64 = 1 << 20;

/// Files that hold the limit of our control group, in bytes, as seen from inside a container.
const GROUP_FILES: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
/// What is taken where nothing can be read.
const UNKNOWN_BYTES: u64 = 1_280 * MIB;
/// Bytes in flight, at least: what four sources may have under way.
const IN_FLIGHT_MIN: u64 = 64 * MIB;
/// Bytes in flight, at most: more waits longer without being faster.
const IN_FLIGHT_MAX: u64 = 4_096 * MIB;

/// A tenth of the memory, between 64 MiB and 4 GiB.
pub(crate) fn in_flight_bytes() -> usize {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let limits = GROUP_FILES.map(read);
    let bytes = tenth_of(&read("/proc/meminfo"), limits.iter().map(String::as_str));
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn tenth_of<'a>(meminfo: &str, limits: impl Iterator<Item = &'a str>) -> u64 {
    let of_group = limits.filter_map(|limit| limit.trim().parse::<u64>().ok());
    let memory = of_group.chain(total_of(meminfo)).min().unwrap_or(UNKNOWN_BYTES);
    (memory / 10).clamp(IN_FLIGHT_MIN, IN_FLIGHT_MAX)
}

/// The line `MemTotal:  16384000 kB`.
fn total_of(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_what_there_is_within_bounds() {
        let check = |meminfo: &str, limit: &str, expected_mib: u64| {
            let bytes = tenth_of(meminfo, [limit].into_iter());
            assert_eq!(bytes / MIB, expected_mib, "{meminfo:?} {limit:?}");
        };
        let of_machine = "MemFree: 1 kB\nMemTotal:       16384000 kB\n";
        check(of_machine, "", 1_600);
        check(of_machine, "max\n", 1_600);
        check(of_machine, "2147483648\n", 204);
        // Version 1 writes a number beyond all memory for no limit.
        check(of_machine, "9223372036854771712\n", 1_600);
        check("MemTotal: 262144 kB", "", 64);
        check("MemTotal: 1073741824 kB", "", 4_096);
        check("", "", 128);
        assert!(in_flight_bytes() as u64 >= IN_FLIGHT_MIN);
    }
}
