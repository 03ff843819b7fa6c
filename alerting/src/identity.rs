//! Ids that come out the same when the same thing is worked out again.

use logwarden_event::{AlertId, EventId, NotificationId, Timestamp};
use sha2::{Digest, Sha256};

/// The first 128 bits of a hash over `parts`, each with its length so that none runs into the next.
pub(crate) fn hash(parts: &[&[u8]]) -> u128 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().take(16).fold(0u128, |number, byte| (number << 8) | u128::from(*byte))
}

/// The same as 32 hexadecimal digits.
pub(crate) fn hash_text(parts: &[&str]) -> String {
    let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    format!("{:032x}", hash(&parts))
}

/// The id of the alert that `first_event` opened for a rule and group. A replay of the journal
/// comes to the same id, so it cannot open the alert a second time.
pub(crate) fn alert_id(rule_id: &str, group_key: &str, first_event: EventId) -> AlertId {
    let event = first_event.to_u128().to_be_bytes();
    let entropy = hash(&[rule_id.as_bytes(), group_key.as_bytes(), &event]);
    AlertId::from_parts(first_event.observed_at(), entropy)
}

/// The id of one notification: the same alert, occasion and notifier always have the same.
pub(crate) fn notification_id(
    alert: AlertId,
    occasion: &str,
    notifier: &str,
    at: Timestamp,
) -> NotificationId {
    let alert = alert.to_u128().to_be_bytes();
    let entropy = hash(&[&alert, occasion.as_bytes(), notifier.as_bytes()]);
    NotificationId::from_parts(at, entropy)
}
