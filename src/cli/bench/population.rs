//! Who lives in the made-up company: users and addresses, few of them busy, most of them rare.

use std::net::Ipv4Addr;

use crate::cli::random::Random;

/// Users with an account.
pub(super) const USERS: usize = 10_000;
/// Addresses people and programs come from.
pub(super) const ADDRESSES: usize = 50_000;
/// First names; none is the beginning of another, so that a prefix means one of them.
pub(super) const FIRST_NAMES: [&str; 32] = [
    "amara", "bjorn", "chiara", "dmitri", "elif", "farid", "greta", "hiro", "ines", "jonas",
    "kofi", "lucia", "mateo", "nadia", "olena", "priya", "quentin", "rosa", "samir", "tove", "ugo",
    "valeria", "wanjiru", "ximena", "yusuf", "zofia", "anselm", "bridget", "cyrus", "desta",
    "emeka", "freya",
];

/// Zipf's law with exponent 1: place `k` is chosen in proportion to `1 / (k + 1)`.
///
/// Integers alone, so that every machine chooses the same.
#[derive(Debug)]
pub(super) struct Zipf {
    /// Sums of the weights up to and with each place.
    sums: Vec<u64>,
}

impl Zipf {
    /// Over `places` places, at least one.
    pub(super) fn new(places: usize) -> Self {
        let weights = (1..=places as u64).map(|place| (1 << 40) / place);
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    /// A place, the first most often.
    pub(super) fn pick(&self, random: &mut Random) -> usize {
        let whole = self.sums[self.sums.len() - 1];
        let wanted = random.below(whole);
        self.sums.partition_point(|sum| *sum <= wanted)
    }
}

/// The name of the user at `place`.
pub(super) fn user_name(place: usize) -> String {
    format!("{}{place:04}", FIRST_NAMES[place % FIRST_NAMES.len()])
}

/// The address at `place`, in 10.64.0.0/10; neighbours have nothing in common.
pub(super) fn address(place: usize) -> Ipv4Addr {
    // An odd factor permutes the 22 bits of the network.
    let host = (place as u32).wrapping_mul(2_654_435_761) & 0x3F_FFFF;
    Ipv4Addr::from(0x0A40_0000 | host)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_first_places_are_the_busiest() {
        let (zipf, mut random) = (Zipf::new(1_000), Random::new(1));
        let mut counts = [0u32; 1_000];
        for _ in 0..100_000 {
            counts[zipf.pick(&mut random)] += 1;
        }
        // The harmonic number of 1,000 is 7.49.
        assert!((12_000..15_000).contains(&counts[0]), "{}", counts[0]);
        assert!((6_000..7_500).contains(&counts[1]), "{}", counts[1]);
        assert!(counts[500..].iter().sum::<u32>() < 12_000);
    }

    #[test]
    fn everybody_is_somebody_else() {
        let addresses: HashSet<_> = (0..ADDRESSES).map(address).collect();
        assert_eq!(addresses.len(), ADDRESSES);
        let begin_alike =
            |name: &&str| FIRST_NAMES.iter().filter(|other| other.starts_with(*name)).count() > 1;
        assert_eq!(FIRST_NAMES.iter().find(|name| begin_alike(name)), None);
    }
}
