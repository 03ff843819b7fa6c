//! Looking into a JSON value without building it: its members or items, as they were sent.
//!
//! Input: the text of one value. Output: slices of it, one after another, so that nothing is kept of
//! a value however many parts it has. After a mistake nothing more comes.

use std::borrow::Cow;

use crate::normalize::scan::{Malformed, Problem, Scanner, unescape};

/// The members of the object that is the whole of `text`: key, and value as it was sent.
pub(crate) fn members(text: &str) -> Members<'_> {
    Members { scanner: Scanner::new(text), state: State::Start }
}

/// The items of the array that is the whole of `text`, as they were sent.
pub(crate) fn items(text: &str) -> Items<'_> {
    Items { scanner: Scanner::new(text), state: State::Start }
}

/// Goes through the object that begins at the scanner's place. `take` gets each key and must take its
/// value.
pub(crate) fn each_member<'t>(
    scanner: &mut Scanner<'t>,
    mut take: impl FnMut(&mut Scanner<'t>, &str) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    scanner.skip_whitespace();
    if scanner.peek() != Some(b'{') {
        return Err(Malformed { offset: scanner.pos, problem: Problem::NotAnObject });
    }
    scanner.pos += 1;
    scanner.skip_whitespace();
    if scanner.peek() == Some(b'}') {
        scanner.pos += 1;
        return Ok(());
    }
    loop {
        scanner.skip_whitespace();
        let start = scanner.pos;
        scanner.string("a key in quotes")?;
        let key = string(&scanner.text()[start..scanner.pos]).unwrap_or_default();
        scanner.skip_whitespace();
        scanner.take(b':', "`:`")?;
        scanner.skip_whitespace();
        take(scanner, &key)?;
        if scanner.ends_object()? {
            return Ok(());
        }
    }
}

/// Goes through the array that begins at the scanner's place. `take` must take each item.
pub(crate) fn each_item<'t>(
    scanner: &mut Scanner<'t>,
    mut take: impl FnMut(&mut Scanner<'t>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    scanner.skip_whitespace();
    if scanner.peek() != Some(b'[') {
        return Err(Malformed { offset: scanner.pos, problem: Problem::Expected("an array") });
    }
    scanner.pos += 1;
    scanner.skip_whitespace();
    if scanner.peek() == Some(b']') {
        scanner.pos += 1;
        return Ok(());
    }
    loop {
        scanner.skip_whitespace();
        take(scanner)?;
        if scanner.ends_array()? {
            return Ok(());
        }
    }
}

/// What a value says when it is a string.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    let mut scanner = Scanner::new(value);
    let literal = scanner.string("a string").ok()?;
    let inner = &value[literal.start..literal.end];
    if !literal.has_escapes {
        return Some(Cow::Borrowed(inner));
    }
    let mut said = String::with_capacity(inner.len());
    unescape(inner, &mut said);
    Some(Cow::Owned(said))
}

/// Whether a value is an object.
pub(super) fn is_object(value: &str) -> bool {
    value.starts_with('{')
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text can always be written as JSON")
}

/// A JSON object that is written member by member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    text: String,
}

impl Object {
    /// Adds a member; `value` is JSON.
    pub(crate) fn put(&mut self, key: &str, value: &str) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        self.text.push_str(&quoted(key));
        self.text.push(':');
        self.text.push_str(value);
    }

    /// Adds a member that is text.
    pub(crate) fn put_text(&mut self, key: &str, text: &str) {
        self.put(key, &quoted(text));
    }

    /// Adds all members of another object.
    pub(super) fn put_all(&mut self, members: &str) -> Result<(), Malformed> {
        for member in self::members(members) {
            let (key, value) = member?;
            self.put(&key, value);
        }
        Ok(())
    }

    /// Adds all members of an object written like this one.
    pub(super) fn append(&mut self, other: Self) {
        if self.text.is_empty() {
            self.text = other.text;
        } else if !other.text.is_empty() {
            self.text.push(',');
            self.text.push_str(&other.text[1..]);
        }
    }

    /// The object; empty text when it has no member.
    pub(crate) fn finish(mut self) -> String {
        if !self.text.is_empty() {
            self.text.push('}');
        }
        self.text
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Inside,
    End,
}

/// See [`members`].
pub(crate) struct Members<'t> {
    scanner: Scanner<'t>,
    state: State,
}

impl<'t> Members<'t> {
    fn step(&mut self) -> Result<Option<(Cow<'t, str>, &'t str)>, Malformed> {
        if !begin(&mut self.scanner, &mut self.state, b'{', b'}', Problem::NotAnObject)? {
            return Ok(None);
        }
        self.scanner.skip_whitespace();
        let start = self.scanner.pos;
        self.scanner.string("a key in quotes")?;
        let key = string(&self.scanner.text()[start..self.scanner.pos]).unwrap_or_default();
        self.scanner.skip_whitespace();
        self.scanner.take(b':', "`:`")?;
        self.scanner.skip_whitespace();
        let value = self.scanner.skip_value(1)?;
        if self.scanner.ends_object()? {
            end(&mut self.scanner, &mut self.state)?;
        }
        Ok(Some((key, value)))
    }
}

impl<'t> Iterator for Members<'t> {
    type Item = Result<(Cow<'t, str>, &'t str), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.step();
        if found.is_err() {
            self.state = State::End;
        }
        found.transpose()
    }
}

/// See [`items`].
pub(crate) struct Items<'t> {
    scanner: Scanner<'t>,
    state: State,
}

impl<'t> Items<'t> {
    fn step(&mut self) -> Result<Option<&'t str>, Malformed> {
        let problem = Problem::Expected("an array");
        if !begin(&mut self.scanner, &mut self.state, b'[', b']', problem)? {
            return Ok(None);
        }
        self.scanner.skip_whitespace();
        let value = self.scanner.skip_value(1)?;
        if self.scanner.ends_array()? {
            end(&mut self.scanner, &mut self.state)?;
        }
        Ok(Some(value))
    }
}

impl<'t> Iterator for Items<'t> {
    type Item = Result<&'t str, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.step();
        if found.is_err() {
            self.state = State::End;
        }
        found.transpose()
    }
}

/// Takes the opening bracket when it was not taken yet; false when there is nothing more.
fn begin(
    scanner: &mut Scanner<'_>,
    state: &mut State,
    opening: u8,
    closing: u8,
    problem: Problem,
) -> Result<bool, Malformed> {
    if *state == State::Start {
        scanner.skip_whitespace();
        if scanner.peek() != Some(opening) {
            return Err(Malformed { offset: scanner.pos, problem });
        }
        scanner.pos += 1;
        scanner.skip_whitespace();
        *state = State::Inside;
        if scanner.peek() == Some(closing) {
            scanner.pos += 1;
            end(scanner, state)?;
        }
    }
    Ok(*state == State::Inside)
}

/// Nothing may follow the closing bracket.
fn end(scanner: &mut Scanner<'_>, state: &mut State) -> Result<(), Malformed> {
    *state = State::End;
    scanner.skip_whitespace();
    if scanner.pos == scanner.text().len() {
        Ok(())
    } else {
        Err(scanner.expected("the end of the record"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown: Vec<_> = members(text)
            .map(|member| match member {
                Ok((key, value)) => format!("{key}={value}"),
                Err(malformed) => format!("! {malformed}"),
            })
            .collect();
        assert_eq!(shown.join(" "), expected, "{text}");
    }

    #[test]
    fn members_come_as_they_were_sent() {
        check(r#" {"a" : 1, "\u0062":[1, {"c":2}],"d":"x\"" } "#, r#"a=1 b=[1, {"c":2}] d="x\"""#);
        check("{}", "");
        check("[]", "! expected an object at column 1");
        check(r#"{"a":1"#, "! the value is not finished at column 7");
        check(r#"{"a":1}x"#, "! expected the end of the record at column 8");
    }

    #[test]
    fn items_come_as_they_were_sent() {
        let shown: Vec<_> = items(r#"[1, "a,b", {"c":[2]}]"#).collect();
        assert_eq!(shown, [Ok("1"), Ok(r#""a,b""#), Ok(r#"{"c":[2]}"#)]);
        assert_eq!(items("[]").count(), 0);
        assert!(items("{}").next().is_some_and(|item| item.is_err()));
    }

    #[test]
    fn an_object_is_written_member_by_member() {
        let mut object = Object::default();
        object.put_text("a\"", "b\n");
        object.put_all(r#"{"c":1,"d":{}}"#).expect("an object");
        let mut other = Object::default();
        other.put("e", "2");
        object.append(other);
        object.append(Object::default());
        assert_eq!(object.finish(), r#"{"a\"":"b\n","c":1,"d":{},"e":2}"#);
        assert_eq!(Object::default().finish(), "");
    }
}
