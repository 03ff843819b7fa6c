//! Indicators of all lists together, found by address, name or hash.
//!
//! Output of a lookup: the indicator of the list that stands first in the configuration. An address is
//! found by itself and by every network it lies in, the narrowest first; a name by itself and by every
//! domain above it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use sha2::{Digest as _, Sha256};

/// Labels of a name that are looked at.
const LABELS_MAX: usize = 16;

/// What an indicator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IndicatorKind {
    /// An address or a network.
    Address = 0,
    /// A name of hosts.
    Domain = 1,
    /// A hash of a file: MD5, SHA-1, SHA-256 or SHA-512.
    Hash = 2,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Indicator {
    pub kind: IndicatorKind,
    /// In lower case; a network in its short form.
    pub value: String,
    /// What the list says about it.
    pub note: String,
}

impl Indicator {
    /// What stands for it, whatever is said about it: the first eight bytes of a SHA-256. The same in every
    /// release, because it is kept.
    pub(super) fn mark(&self) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update([self.kind as u8]);
        hasher.update(&self.value);
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize()[..8]);
        u64::from_be_bytes(first)
    }

    /// Tells what a text is; `None` when it is no indicator of ours.
    pub(super) fn parse(text: &str, note: &str) -> Option<Self> {
        let text = text.trim().trim_matches(['"', '\'']).trim();
        let made = |kind, value: String| {
            let note: String = note.trim().chars().take(200).collect();
            Some(Self { kind, value, note })
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return made(IndicatorKind::Address, address.to_canonical().to_string());
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return made(IndicatorKind::Address, network.trunc().to_string());
        }
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && matches!(text.len(), 32 | 40 | 64 | 128) {
            return made(IndicatorKind::Hash, text.to_ascii_lowercase());
        }
        // Lists break links so that nobody follows them by accident.
        let name = text.replace("[.]", ".").replace("hxxp", "http");
        let name = name.split_once("://").map_or(name.as_str(), |(_, rest)| rest);
        let name = name.split(['/', ':', '?']).next().unwrap_or_default();
        let name = name.trim_start_matches("*.").trim_end_matches('.').to_ascii_lowercase();
        if name != text && name.parse::<IpAddr>().is_ok() {
            return Self::parse(&name, note);
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let is_name = name.len() <= 253
            && name.contains('.')
            && name.split('.').all(is_label)
            && name
                .rsplit('.')
                .next()
                .is_some_and(|top| top.bytes().any(|b| b.is_ascii_alphabetic()));
        if is_name { made(IndicatorKind::Domain, name) } else { None }
    }
}

/// An indicator with the list it is from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub value: String,
    pub list: String,
    pub note: String,
    kind: IndicatorKind,
}

impl Known {
    /// ECS's word for what it is.
    pub(super) fn type_name(&self) -> &'static str {
        match self.kind {
            IndicatorKind::Address if self.value.contains(':') => "ipv6-addr",
            IndicatorKind::Address => "ipv4-addr",
            IndicatorKind::Domain => "domain-name",
            IndicatorKind::Hash => "file",
        }
    }
}

/// All indicators.
#[derive(Debug, Default)]
pub(super) struct Indicators {
    addresses: HashMap<IpAddr, Arc<Known>>,
    networks: HashMap<IpNet, Arc<Known>>,
    /// Lengths of prefixes that occur, the narrowest first: of IPv4, of IPv6.
    prefixes: (Vec<u8>, Vec<u8>),
    texts: HashMap<String, Arc<Known>>,
}

impl Indicators {
    /// Puts lists together, each with its name; what stands first counts.
    pub(super) fn new<'a>(lists: impl Iterator<Item = (&'a str, &'a [Indicator])>) -> Self {
        let mut all = Self::default();
        for (list, indicators) in lists {
            for Indicator { kind, value, note } in indicators {
                let known = Arc::new(Known {
                    value: value.clone(),
                    list: list.to_owned(),
                    note: note.clone(),
                    kind: *kind,
                });
                match (value.parse::<IpAddr>(), value.parse::<IpNet>()) {
                    (Ok(address), _) => {
                        all.addresses.entry(address).or_insert(known);
                    }
                    (_, Ok(network)) => {
                        all.networks.entry(network).or_insert(known);
                    }
                    _ => {
                        all.texts.entry(value.clone()).or_insert(known);
                    }
                }
            }
        }
        let lengths = |is_v4: bool| {
            let of_kind = all.networks.keys().filter(|net| matches!(net, IpNet::V4(_)) == is_v4);
            let mut lengths: Vec<u8> = of_kind.map(IpNet::prefix_len).collect();
            lengths.sort_unstable();
            lengths.dedup();
            lengths.reverse();
            lengths
        };
        all.prefixes = (lengths(true), lengths(false));
        all
    }

    pub(super) fn len(&self) -> usize {
        self.addresses.len() + self.networks.len() + self.texts.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// By the address or a network it lies in.
    pub(super) fn find_address(&self, address: IpAddr) -> Option<Arc<Known>> {
        let address = address.to_canonical();
        if let Some(known) = self.addresses.get(&address) {
            return Some(known.clone());
        }
        let lengths = if address.is_ipv4() { &self.prefixes.0 } else { &self.prefixes.1 };
        lengths.iter().find_map(|length| {
            let network = IpNet::new(address, *length).ok()?.trunc();
            self.networks.get(&network).cloned()
        })
    }

    /// By the name or a domain above it.
    pub(super) fn find_domain(&self, name: &str) -> Option<Arc<Known>> {
        let lower = name.trim_end_matches('.').to_ascii_lowercase();
        let mut rest = lower.as_str();
        for _ in 0..LABELS_MAX {
            if let Some(known) = self.texts.get(rest) {
                return Some(known.clone());
            }
            rest = rest.split_once('.')?.1;
        }
        None
    }

    /// By a hash, or by one of those in a text such as `SHA1=…,MD5=…`.
    pub(super) fn find_hash(&self, text: &str) -> Option<Arc<Known>> {
        let parts = text.split([',', ';', '|', ' ', '=', ':']);
        parts
            .filter(|part| part.len() >= 32)
            .find_map(|part| self.texts.get(&part.to_ascii_lowercase()).cloned())
    }
}
