//! What an event is: fields, classes, severity, ids, time.
//!
//! The pure vocabulary of the house. Everything here is data and functions of data; the one door
//! to the outside is [`Clock`], which simulations replace.

mod class;
mod event;
mod field;
mod hidden;
mod id;
mod own;
mod severity;
mod text;
mod time;

pub use class::{Class, Logsource};
pub use event::{DecodeError, Event, EventBuilder, Field, FieldOptions, parts};
pub use field::{FieldSpec, FieldType, STANDARD_FIELDS, Value, standard_field};
pub use hidden::is_hidden;
pub use id::{AlertId, EventId, IdError, NotificationId, Position, SplitId};
pub use own::is_own_name;
pub use severity::Severity;
pub use text::{WORD_BYTES_MAX, has_words_in_order, words};
pub use time::{Clock, ManualClock, SystemClock, TimePart, TimeRange, Timestamp};
