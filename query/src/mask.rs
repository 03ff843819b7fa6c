//! Hiding fields from those who may not see them.
//!
//! A hidden field is gone, and so is the record as it was received. Where its value stands in
//! another text of the event, as in a message that was made from it, [`HIDDEN`] stands instead: as
//! whole words, ASCII case ignored. A value that is written differently there is not recognised;
//! whoever must not read a message at all has `message` hidden too.

use std::borrow::Cow;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use logwarden_event::{Event, EventBuilder, Field, Value, words};

use crate::filter::{Filter, Predicate, Target, Test};

/// What stands where something was hidden.
pub const HIDDEN: &str = "***";

/// Names in a mask.
const NAMES_MAX: usize = 256;

/// Parts of an event that are no fields: they decide what an event is and cannot be hidden.
const PARTS: [&str; 3] = ["severity", "dataset", "timestamp"];

/// The names of hidden fields, each with everything below it; `message` is the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask(Arc<[String]>);

/// Why names make no mask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// It is a part of every event.
    #[error("`{0}` is no field and cannot be hidden")]
    NoField(String),
    /// There are too many.
    #[error("a mask has at most {NAMES_MAX} names")]
    TooMany,
}

impl Mask {
    /// Hides these fields, by either of their names; case is ignored.
    ///
    /// # Errors
    ///
    /// [`MaskError`] when one of them is no field, or there are more than 256.
    pub fn new(names: &[String]) -> Result<Self, MaskError> {
        let is_part = |name: &&String| {
            name.trim().is_empty() || PARTS.contains(&name.as_str()) || name.starts_with("lw.")
        };
        if let Some(name) = names.iter().find(is_part) {
            return Err(MaskError::NoField(name.clone()));
        }
        if names.len() > NAMES_MAX {
            return Err(MaskError::TooMany);
        }
        Ok(Self(names.iter().map(|name| name.to_ascii_lowercase()).collect()))
    }

    /// Whether nothing is hidden.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left of an event.
    pub(crate) fn apply<'e>(&self, event: &'e Event) -> Cow<'e, Event> {
        if self.is_empty() {
            return Cow::Borrowed(event);
        }
        let hidden = event.fields().filter(|field| self.hides_field(field));
        let hidden = hidden.filter(|field| !matches!(field.value, Value::Null | Value::Bool(_)));
        let words = HiddenWords::of(hidden.map(|field| field.value.to_string()));
        let mut masked = EventBuilder::new(b"");
        masked
            .timestamp(Some(event.timestamp()))
            .severity(event.severity())
            .source(event.source())
            .dataset(event.dataset())
            .class(event.class());
        if !self.covers("message") {
            masked.message(&words.replaced(event.message()));
        }
        for field in event.fields().filter(|field| !self.hides_field(field)) {
            let text;
            let value = match field.value {
                Value::String(whole) => {
                    text = words.replaced(whole);
                    Value::String(&text)
                }
                // What is left of it might be no JSON any more.
                Value::Json(whole) if words.stand_in(whole) => Value::String(HIDDEN),
                Value::Ip(address) if words.stand_in(&address.to_string()) => Value::String(HIDDEN),
                value => value,
            };
            masked.field_with(field.path, field.alias, value, field.options);
        }
        let mut masked = masked.build();
        masked.stamp(event.id().position(), event.observed_at());
        Cow::Owned(masked)
    }

    /// A condition on events as they are that holds wherever `filter` holds for what is left of them.
    pub(crate) fn unmasked(&self, filter: &Filter) -> Filter {
        match filter {
            Filter::And(filters) => {
                Filter::And(filters.iter().map(|filter| self.unmasked(filter)).collect())
            }
            Filter::Or(filters) => {
                Filter::Or(filters.iter().map(|filter| self.unmasked(filter)).collect())
            }
            // What is hidden can make a condition fail, and so its opposite hold.
            Filter::Not(inner) if inner.any_predicate(&mut |one| !is_never_hidden(one)) => {
                Filter::All
            }
            Filter::Is(predicate) if !is_never_hidden(predicate) => unmasked_predicate(predicate),
            other => other.clone(),
        }
    }

    /// Whether a field of this name is hidden, whatever it holds: it, one that it lies below, or one
    /// below it, because objects in an array stand whole under the array's name.
    pub fn hides(&self, name: &str) -> bool {
        let is_around = |hidden: &String| is_below(hidden, &name.to_ascii_lowercase());
        self.covers(name) || self.0.iter().any(is_around)
    }

    fn hides_field(&self, field: &Field<'_>) -> bool {
        let is_hidden = |name: &str| match field.value {
            Value::Json(_) => self.hides(name),
            _ => self.covers(name),
        };
        is_hidden(field.path) || field.alias.is_some_and(is_hidden)
    }

    /// Whether a name is hidden, or lies below one that is.
    fn covers(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.0.iter().any(|hidden| name == *hidden || is_below(&name, hidden))
    }
}

fn is_below(name: &str, other: &str) -> bool {
    name.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether it looks at nothing that a mask changes.
fn is_never_hidden(predicate: &Predicate) -> bool {
    let is_part = match &predicate.target {
        Target::Record | Target::Message | Target::Field(_) | Target::FirstOf(_) => false,
        Target::Severity
        | Target::Dataset
        | Target::Timestamp
        | Target::Source
        | Target::Seq
        | Target::ObservedAt
        | Target::Class => true,
    };
    is_part && !matches!(predicate.test, Test::SameAs { .. })
}

fn unmasked_predicate(predicate: &Predicate) -> Filter {
    let target = || predicate.target.clone();
    if matches!(predicate.target, Target::FirstOf(_)) {
        return Filter::All;
    }
    let exists = || match &predicate.target {
        Target::Record => Filter::All,
        target => Filter::is(target.clone(), Test::Exists),
    };
    let word = |word: &String| Filter::is(target(), Test::Words(vec![word.clone()]));
    match &predicate.test {
        // Words that stand side by side now may have had something between them.
        Test::Words(words) => Filter::And(words.iter().map(word).collect()),
        Test::WordsThenPrefix(words, prefix) => {
            let prefix = Test::WordsThenPrefix(Vec::new(), prefix.clone());
            Filter::And(words.iter().map(word).chain([Filter::is(target(), prefix)]).collect())
        }
        // Text without a star stood there before.
        Test::Equals { text, .. }
        | Test::StartsWith { text, .. }
        | Test::EndsWith { text, .. }
        | Test::Contains { text, .. }
            if !text.contains('*') =>
        {
            Filter::Is(predicate.clone())
        }
        Test::Exists
        | Test::Present
        | Test::Network(_)
        | Test::Address(_)
        | Test::Number(..)
        | Test::Time(..)
        | Test::TimePart(..) => Filter::Is(predicate.clone()),
        Test::Each(tests) => {
            let each = tests.iter().map(|test| Predicate { target: target(), test: test.clone() });
            Filter::And(each.map(|predicate| unmasked_predicate(&predicate)).collect())
        }
        Test::IsNull => Filter::All,
        Test::Equals { .. }
        | Test::StartsWith { .. }
        | Test::EndsWith { .. }
        | Test::Contains { .. }
        | Test::Like { .. }
        | Test::Regex(_)
        | Test::Text(..)
        | Test::SameAs { .. } => exists(),
    }
}

/// The values of hidden fields, to be found in other texts: as whole words, ASCII case ignored.
#[derive(Debug)]
pub struct HiddenWords(Option<AhoCorasick>);

impl HiddenWords {
    /// Of these values, as they are written. Those without a letter or a digit are never found.
    pub fn of(values: impl Iterator<Item = String>) -> Self {
        let texts: Vec<String> = values
            .map(|value| value.trim().to_owned())
            // Signs alone say nothing, and would be hidden everywhere.
            .filter(|text| words(text).next().is_some())
            .collect();
        if texts.is_empty() {
            return Self(None);
        }
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true);
        // It fails only for more texts than an event or an alert holds.
        Self(Some(builder.build(&texts).expect("there are few enough values")))
    }

    /// Whether any of them stands in a text.
    pub fn stand_in(&self, text: &str) -> bool {
        !self.places(text).is_empty()
    }

    /// The text with [`HIDDEN`] where they stand.
    pub fn replaced<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let places = self.places(text);
        if places.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut out, mut from) = (String::with_capacity(text.len()), 0);
        for (start, end) in places {
            out.push_str(&text[from..start]);
            out.push_str(HIDDEN);
            from = end;
        }
        out.push_str(&text[from..]);
        Cow::Owned(out)
    }

    /// Where they stand as whole words: in order, apart from each other.
    fn places(&self, text: &str) -> Vec<(usize, usize)> {
        let Some(words) = &self.0 else { return Vec::new() };
        let mut found: Vec<(usize, usize)> = words
            .find_overlapping_iter(text)
            .map(|found| (found.start(), found.end()))
            .filter(|(start, end)| is_border(text, *start) && is_border(text, *end))
            .collect();
        found.sort_unstable();
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match places.last_mut() {
                Some((_, last)) if start < *last => *last = end.max(*last),
                _ => places.push((start, end)),
            }
        }
        places
    }
}

/// Whether no word goes on over this place.
fn is_border(text: &str, place: usize) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let before = text[..place].chars().next_back();
    let after = text[place..].chars().next();
    !(before.is_some_and(is_word) && after.is_some_and(is_word))
}

#[cfg(test)]
mod tests {
    use logwarden_event::FieldOptions;

    use super::*;

    fn mask(names: &[&str]) -> Mask {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Mask::new(&names).expect("names of fields")
    }

    /// What is left of a login, on one line.
    fn check(hidden: &[&str], expected: &str) {
        let mut event = EventBuilder::new(b"the record");
        event.dataset("sshd").message("login of Root from 10.2.0.9, roots 10.2.0.90 (ROOT)");
        let user = Value::String("root");
        event.field_with("user.name", Some("usr"), user, FieldOptions::default());
        event.field("source.ip", Value::Ip([10, 2, 0, 9].into()));
        event.field("peer", Value::Ip([10, 2, 0, 9].into()));
        event.field("items", Value::Json(r#"[{"card":"4111","n":1}]"#));
        event.field("items.card", Value::String("4111"));
        event.field("items.n", Value::Integer(1));
        let event = event.build();
        let masked = mask(hidden).apply(&event).into_owned();
        assert!(masked.raw().is_empty());
        assert_eq!(masked.id(), event.id());
        let fields = masked.fields().map(|field| format!(" {}={}", field.path, field.value));
        assert_eq!(format!("{}:{}", masked.message(), fields.collect::<String>()), expected);
    }

    #[test]
    fn a_hidden_value_is_gone_wherever_it_stands_as_a_word() {
        check(
            &["user"],
            "login of *** from 10.2.0.9, roots 10.2.0.90 (***): source.ip=10.2.0.9 peer=10.2.0.9 \
             items=[{\"card\":\"4111\",\"n\":1}] items.card=4111 items.n=1",
        );
        check(
            &["USR", "source.ip", "items.card"],
            "login of *** from ***, roots 10.2.0.90 (***): peer=*** items.n=1",
        );
        check(&["message", "user.name", "source", "peer", "items"], ":");
        check(
            &["item", "user.nam", "r"],
            "login of Root from 10.2.0.9, roots 10.2.0.90 (ROOT): user.name=root \
             source.ip=10.2.0.9 peer=10.2.0.9 items=[{\"card\":\"4111\",\"n\":1}] \
             items.card=4111 items.n=1",
        );
    }

    #[test]
    fn what_an_event_is_cannot_be_hidden() {
        for name in ["severity", "dataset", "timestamp", "lw.source", ""] {
            let error = Mask::new(&[name.to_owned()]).expect_err("no field");
            assert_eq!(error, MaskError::NoField(name.to_owned()));
        }
        let many: Vec<String> = (0..257).map(|place| format!("f{place}")).collect();
        assert_eq!(Mask::new(&many), Err(MaskError::TooMany));
    }
}
