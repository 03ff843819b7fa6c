//! What a piece of the index can be asked for: a cheap superset of a filter.
//!
//! [`Lookup::matches`] is what a lookup means, on one event. `null` has neither text nor words. The
//! text of a value is what it displays as; lower case is [`str::to_lowercase`] of the whole text.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use logwarden_event::{Event, Value, has_words_in_order};

use crate::scan::{has_word, has_word_prefix};

/// A condition the index can narrow by. Every event that satisfies it is found; a piece may give
/// more events (never fewer), unless it says that its answer is exact.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Every event.
    All,
    /// No event.
    Nothing,
    /// Events that satisfy each.
    And(Vec<Lookup>),
    /// Events that satisfy any.
    Or(Vec<Lookup>),
    /// Events that do not satisfy it. Exact only where the inner one is exact.
    Not(Box<Lookup>),
    /// The word (as `logwarden_event::words` gives it) stands in the message or, without a `field`,
    /// in any value.
    Word {
        /// `message`, or `None` for the whole record.
        field: Option<&'static str>,
        /// One word.
        word: String,
    },
    /// These words, at least two, stand side by side, in order, in the message or in any one value.
    Phrase {
        /// `message`, or `None` for the whole record.
        field: Option<&'static str>,
        /// The words.
        words: Vec<String>,
    },
    /// A word that begins so, in the message or anywhere.
    WordPrefix {
        /// `message`, or `None` for the whole record.
        field: Option<&'static str>,
        /// The beginning, in lower case.
        prefix: String,
    },
    /// The field, by either of its names, has a value that is this text in lower case.
    Value {
        /// A dotted path, or `dataset`, `severity`, `lw.source`.
        field: String,
        /// The whole value as text, in lower case.
        value: String,
    },
    /// The field has a value that begins so.
    ValuePrefix {
        /// A dotted path, or `dataset`, `severity`, `lw.source`.
        field: String,
        /// The beginning, in lower case.
        prefix: String,
    },
    /// The field has a number in this range.
    Number {
        /// A dotted path.
        field: String,
        /// Lower bound.
        from: Bound<f64>,
        /// Upper bound.
        to: Bound<f64>,
    },
    /// The field has any value but null.
    Exists {
        /// A dotted path.
        field: String,
    },
    /// A text passes a condition of the caller's.
    Text {
        /// `message`, a dotted path, one of `dataset`, `severity`, `lw.source`, or `None` for the
        /// message and every value.
        field: Option<String>,
        /// The condition.
        condition: TextCondition,
    },
    /// Events with these numbers in their lane.
    Seq {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
}

/// A condition on the text of a value, tried once on each different text where texts repeat.
#[derive(Clone)]
pub struct TextCondition {
    test: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    part: Option<String>,
}

impl TextCondition {
    /// The condition that `test` holds.
    ///
    /// With a `part` (ASCII letters, digits and `_`, in lower case), a text passes only if it contains
    /// the part once it is in lower case.
    pub fn new(part: Option<String>, test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { test: Arc::new(test), part }
    }

    /// Whether a text passes.
    pub fn passes(&self, text: &str) -> bool {
        (self.test)(text)
    }

    /// What every text that passes contains, in lower case.
    pub(crate) fn part(&self) -> Option<&str> {
        self.part.as_deref()
    }
}

impl fmt::Debug for TextCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextCondition").field("part", &self.part).finish_non_exhaustive()
    }
}

/// Conditions are the same when one is a clone of the other.
impl PartialEq for TextCondition {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.test, &other.test) && self.part == other.part
    }
}

/// The names that mean a part of the event, not one of its fields.
pub(crate) const EVENT_PARTS: [&str; 3] = ["dataset", "severity", "lw.source"];

impl Lookup {
    /// Whether `event` satisfies the condition.
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::And(lookups) => lookups.iter().all(|lookup| lookup.matches(event)),
            Self::Or(lookups) => lookups.iter().any(|lookup| lookup.matches(event)),
            Self::Not(lookup) => !lookup.matches(event),
            Self::Word { field, word } => any_words(event, *field, |text| has_word(text, word)),
            Self::Phrase { field, words } => {
                any_words(event, *field, |text| has_words_in_order(text, words))
            }
            Self::WordPrefix { field, prefix } => {
                any_words(event, *field, |text| has_word_prefix(text, prefix))
            }
            Self::Value { field, value } => {
                any_text(event, field, |text| lower(text) == value.as_str())
            }
            Self::ValuePrefix { field, prefix } => {
                any_text(event, field, |text| lower(text).starts_with(prefix.as_str()))
            }
            Self::Number { field, from, to } => any_text(event, field, |text| {
                number(text).is_some_and(|number| (*from, *to).contains(&number))
            }),
            Self::Exists { field } => any_text(event, field, |_| true),
            Self::Text { field: None, condition } => {
                is_message_passing(event, condition)
                    || event
                        .fields()
                        .filter_map(|field| text_of(&field.value))
                        .any(|text| condition.passes(&text))
            }
            Self::Text { field: Some(field), condition } if field == "message" => {
                is_message_passing(event, condition)
            }
            Self::Text { field: Some(field), condition } => {
                any_text(event, field, |text| condition.passes(text))
            }
            Self::Seq { first, last } => (*first..=*last).contains(&event.seq()),
        }
    }
}

fn is_message_passing(event: &Event, condition: &TextCondition) -> bool {
    !event.message().is_empty() && condition.passes(event.message())
}

/// The text of a value; `null` has none.
pub(crate) fn text_of<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    match value {
        Value::Null => None,
        Value::String(text) | Value::Json(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// `text` in lower case.
pub(crate) fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// The finite number that `text` reads as.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_number_like =
        text.bytes().next().is_some_and(|b| b.is_ascii_digit() || b"+-.".contains(&b));
    let number = if is_number_like { text.parse::<f64>().ok() } else { None };
    number.filter(|number| number.is_finite())
}

/// The text of that part of the event, empty when there is none; `None` when `field` is none of
/// [`EVENT_PARTS`].
pub(crate) fn event_part<'a>(event: &'a Event, field: &str) -> Option<&'a str> {
    match field {
        "dataset" => Some(event.dataset()),
        "severity" => Some(event.severity().name()),
        "lw.source" => Some(event.source()),
        _ => None,
    }
}

fn any_text(event: &Event, field: &str, mut test: impl FnMut(&str) -> bool) -> bool {
    match event_part(event, field) {
        Some(text) => !text.is_empty() && test(text),
        None => event.values(field).filter_map(|value| text_of(&value)).any(|text| test(&text)),
    }
}

fn any_words(event: &Event, field: Option<&str>, test: impl Fn(&str) -> bool) -> bool {
    test(event.message())
        || field.is_none()
            && event.fields().filter_map(|field| text_of(&field.value)).any(|text| test(&text))
}
