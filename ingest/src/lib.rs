//! Listeners, protocols and normalization: from a record to the journal.
