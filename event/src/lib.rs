//! What an event is: fields, classes, severity, ids, time.
