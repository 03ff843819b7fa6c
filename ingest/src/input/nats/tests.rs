//! What is kept of a stream between connections. The server itself is in the stories.

use super::ledger::{Ledger, Pending};

#[test]
fn what_is_durable_is_known_until_the_server_has_confirmed_it() {
    let mut ledger = Ledger::default();
    ledger.meet("monday", 0);
    ledger.unconfirmed.extend([3, 4, 9]);
    ledger.confirm([3].into_iter());
    ledger.pending = Some(Pending { nonce: [7; 16], numbers: vec![10] });
    let saved = serde_json::to_string(&ledger).expect("plain data");
    let mut loaded: Ledger = serde_json::from_str(&saved).expect("plain data");
    assert_eq!(loaded, ledger);
    // The server has the acknowledgement of 4, and of all before it.
    loaded.meet("monday", 4);
    assert_eq!(loaded.unconfirmed, [9].into());
    // A stream of the same name that was made later has other messages.
    loaded.meet("tuesday", 0);
    assert!(loaded.unconfirmed.is_empty());
}
