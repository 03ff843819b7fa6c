//! What is kept of a stream. The server itself is in the stories.

use proptest::prelude::*;

use super::ledger::{Ledger, Pending};

#[test]
fn what_is_durable_is_known_for_as_long_as_the_stream_is_the_same() {
    let mut ledger = Ledger::default();
    ledger.meet("monday");
    ledger.keep([3, 4, 9]);
    ledger.pending = Some(Pending { nonce: [7; 16], numbers: vec![10] });
    let saved = serde_json::to_string(&ledger).expect("plain data");
    let mut loaded: Ledger = serde_json::from_str(&saved).expect("plain data");
    assert_eq!(loaded, ledger);
    // Another connection to the same stream: a server that was killed may send them again.
    loaded.meet("monday");
    assert!(loaded.has(4) && !loaded.has(5));
    // A stream of the same name that was made later has other messages.
    loaded.meet("tuesday");
    assert!(!loaded.has(4));
}

proptest! {
    #[test]
    fn runs_hold_exactly_what_was_kept(numbers in proptest::collection::vec(0u64..60, 0..60)) {
        let mut ledger = Ledger::default();
        ledger.keep(numbers.iter().copied());
        for number in 0..62 {
            prop_assert_eq!(ledger.has(number), numbers.contains(&number), "{}", number);
        }
    }
}
