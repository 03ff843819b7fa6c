//! JSON records: every leaf becomes a field under its dotted path.
//!
//! Input: one object. Output: fields of a [`Reading`], named as the sender named them; what they
//! mean is found out by [`super::names`]. An array is one field per item; an object or array inside
//! an array is shown as it was sent and searched leaf by leaf. Of a key that stands twice the last
//! one counts, a number that fits no type is kept as text, and what lies beyond the bounds is kept
//! as text too, or its name is cut: each is flagged, nothing is lost.

mod skeleton;
mod strict;

use std::cell::RefCell;

use logwarden_event::FieldOptions;

use skeleton::{ROOT, Skeletons, Step};

use super::names;
use super::reading::{FIELDS_MAX, Held, Reading, Text};
use super::scan::{DEPTH_MAX, Literal, Malformed, Number, Problem, Scanner, unescape};

/// Bytes of one key (security requirement: key 512 B).
const KEY_BYTES_MAX: usize = 512;
/// Bytes of one dotted path: every leaf carries its own, so that they must not add up.
const PATH_BYTES_MAX: usize = 2_048;
/// Names listed in one flag.
const FLAGGED_MAX: usize = 16;

thread_local! {
    /// What records looked like that this thread read.
    static SKELETONS: RefCell<Skeletons> = RefCell::default();
}

/// Reads the object that is the whole of the text between `start` and `end` of the record.
///
/// # Errors
///
/// [`Malformed`] when it is none; fields may have been added by then.
pub(crate) fn flatten(
    reading: &mut Reading<'_>,
    start: usize,
    end: usize,
) -> Result<(), Malformed> {
    let mut scanner = Scanner::new(&reading.record()[..end]);
    scanner.pos = start;
    SKELETONS.with_borrow_mut(|skeletons| {
        let mark = reading.mark();
        if Flattener::new(reading, scanner, false).follow(skeletons) {
            return Ok(());
        }
        reading.rewind(mark);
        flatten_with(reading, scanner, Some(skeletons))
    })
}

/// Reads the object `beside`, which is not part of the record: what is said there is copied.
///
/// # Errors
///
/// [`Malformed`] when it is none; fields may have been added by then.
pub(crate) fn flatten_beside(reading: &mut Reading<'_>, beside: &str) -> Result<(), Malformed> {
    flatten_with(reading, Scanner::new(beside), None)
}

/// Reads the message that is a JSON object itself, with or without the cookie `@cee:`, as if it were the
/// record: once, so that nobody can nest them. False, and nothing changed, when it is none.
pub(crate) fn take_inner(reading: &mut Reading<'_>) -> bool {
    let message = reading.message;
    let text = reading.str(message).trim();
    let text = text.strip_prefix("@cee:").unwrap_or(text).trim_start();
    if reading.has_inner || !text.starts_with('{') || !text.ends_with('}') {
        return false;
    }
    let inner = reading.part(message, text);
    let mark = reading.mark();
    let taken = match reading.range_of(inner) {
        Some(range) => flatten(reading, range.start, range.end),
        None => {
            let text = reading.str(inner).to_owned();
            flatten_beside(reading, &text)
        }
    };
    if taken.is_err() {
        reading.rewind(mark);
        return false;
    }
    reading.has_inner = true;
    reading.is_json = true;
    reading.message = Text::default();
    reading.message_from = mark.0;
    names::resolve(reading);
    if reading.message.is_empty() {
        reading.message = message;
    }
    true
}

/// Reads key by key. Text that is not part of the record has no skeletons.
fn flatten_with(
    reading: &mut Reading<'_>,
    mut scanner: Scanner<'_>,
    skeletons: Option<&mut Skeletons>,
) -> Result<(), Malformed> {
    let (start, end) = (scanner.pos, scanner.text().len());
    scanner.skip_whitespace();
    if scanner.peek() != Some(b'{') {
        scanner.skip_value(0)?;
        return Err(Malformed { offset: start, problem: Problem::NotAnObject });
    }
    let mut flattener = Flattener::new(reading, scanner, skeletons.is_none());
    flattener.value_end = start;
    flattener.object(1, false)?;
    flattener.scanner.skip_whitespace();
    if flattener.scanner.pos != end {
        return Err(flattener.scanner.expected("the end of the record"));
    }
    if let Some(skeletons) = skeletons
        && flattener.is_plain
    {
        let (steps, last_end) = (&flattener.steps, flattener.value_end);
        skeletons.learn(steps, last_end, end, flattener.reading);
    }
    flattener.finish();
    Ok(())
}

/// A key of an object that is open, to find those that come twice.
#[derive(Clone, Copy)]
struct Key {
    text: Text,
    /// The first field that may be of it.
    first_entry: usize,
}

struct Flattener<'f, 'a, 't> {
    scanner: Scanner<'t>,
    reading: &'f mut Reading<'a>,
    /// The text is not part of the record.
    is_beside: bool,
    /// The dotted path of the object that is open, with its last dot; at most [`PATH_BYTES_MAX`] and a dot
    /// per level.
    prefix: String,
    /// Keys of the objects that are open, outermost first.
    keys: Vec<Key>,
    /// Members of `lw.overflow`.
    overflow: String,
    flagged: usize,
    /// The values of the record, and where the last one ended.
    steps: Vec<Step>,
    value_end: usize,
    /// No key has escapes or stands twice, and nothing lies beyond the bounds.
    is_plain: bool,
}

impl<'f, 'a, 't> Flattener<'f, 'a, 't> {
    fn new(reading: &'f mut Reading<'a>, scanner: Scanner<'t>, is_beside: bool) -> Self {
        Self {
            scanner,
            reading,
            is_beside,
            prefix: String::new(),
            keys: Vec::new(),
            overflow: String::new(),
            flagged: 0,
            steps: Vec::new(),
            value_end: 0,
            is_plain: !is_beside,
        }
    }

    /// Reads a record that looks like one before. False: it does not, and what was added is to be
    /// forgotten.
    fn follow(mut self, skeletons: &mut Skeletons) -> bool {
        let mut node = ROOT;
        loop {
            let rest = &self.scanner.text().as_bytes()[self.scanner.pos..];
            let Some((next, glue_bytes)) = skeletons.next(node, rest) else { return false };
            node = next;
            let Some(value) = skeletons.value(node) else { return true };
            if self.is_full() {
                return false;
            }
            let first = self.reading.entries.len();
            let path = skeletons.path(node, self.scanner.pos, self.reading);
            self.scanner.pos += glue_bytes;
            let is_read = match self.scanner.peek() {
                Some(b'[') => self.array(path, value.depth + 1, false),
                _ => {
                    let options = FieldOptions { is_array_item: false, is_inner: false };
                    self.leaf(path, value.depth, options)
                }
            };
            if is_read.is_err() || !self.overflow.is_empty() {
                return false;
            }
            let entries = self.reading.entries[first..].iter_mut();
            entries
                .filter(|entry| entry.path == path)
                .for_each(|entry| entry.looked = value.looked);
        }
    }

    fn finish(self) {
        if !self.overflow.is_empty() {
            let overflow = self.overflow;
            let text = self.reading.keep_with(|scratch| {
                scratch.push('{');
                scratch.push_str(&overflow);
                scratch.push('}');
            });
            self.reading.add("lw.overflow", Held::Text(text));
            self.reading.flag("lw.truncated");
        }
    }

    fn object(&mut self, depth: usize, is_inner: bool) -> Result<(), Malformed> {
        self.scanner.pos += 1;
        self.scanner.skip_whitespace();
        if self.scanner.peek() == Some(b'}') {
            self.scanner.pos += 1;
            return Ok(());
        }
        let keys_start = self.keys.len();
        // One bit per kind of key: a clear bit means that this key is the first of its kind.
        let mut kinds = 0u64;
        loop {
            self.scanner.skip_whitespace();
            if self.is_full() {
                self.keys.truncate(keys_start);
                return self.overflow_object(depth, is_inner);
            }
            let (key, is_cut) = self.key()?;
            if !is_cut {
                let kind = kind_of(self.reading.str(key));
                if kinds & kind != 0 {
                    self.drop_earlier(key, keys_start);
                }
                kinds |= kind;
                self.keys.push(Key { text: key, first_entry: self.reading.entries.len() });
            }
            self.member(key, depth, is_inner)?;
            if self.scanner.ends_object()? {
                self.keys.truncate(keys_start);
                return Ok(());
            }
        }
    }

    /// Takes a key and its colon; true when only its beginning is kept, as it is too long.
    fn key(&mut self) -> Result<(Text, bool), Malformed> {
        let literal = self.scanner.string("a key in quotes")?;
        self.is_plain &= !literal.has_escapes;
        self.scanner.skip_whitespace();
        self.scanner.take(b':', "`:`")?;
        self.scanner.skip_whitespace();
        let key = self.literal(literal);
        let bytes_max = KEY_BYTES_MAX.min(PATH_BYTES_MAX.saturating_sub(self.prefix.len()));
        let text = self.reading.str(key);
        if text.len() <= bytes_max {
            return Ok((key, false));
        }
        let cut = self.reading.part(key, &text[..text.floor_char_boundary(bytes_max)]);
        self.is_plain = false;
        self.reading.flag("lw.truncated");
        Ok((cut, true))
    }

    /// What stands between two places of the text.
    fn span(&mut self, start: usize, end: usize) -> Text {
        if self.is_beside {
            return self.reading.keep(&self.scanner.text()[start..end]);
        }
        Reading::of_record(start, end)
    }

    /// The JSON text between two places, such that every reader takes it.
    fn json(&mut self, start: usize, end: usize) -> Text {
        let Some(mended) = strict::mended(&self.scanner.text()[start..end]) else {
            return self.span(start, end);
        };
        if mended.was_replaced {
            self.reading.flag("lw.invalid_utf8");
        }
        self.reading.keep(&mended.text)
    }

    fn literal(&mut self, literal: Literal) -> Text {
        if !literal.has_escapes {
            return self.span(literal.start, literal.end);
        }
        let escaped = &self.scanner.text()[literal.start..literal.end];
        let mut was_replaced = false;
        let text = self.reading.keep_with(|scratch| was_replaced = unescape(escaped, scratch));
        if was_replaced {
            self.reading.flag("lw.invalid_utf8");
        }
        text
    }

    /// The key stood in this object before: what it held does not count.
    fn drop_earlier(&mut self, key: Text, keys_start: usize) {
        let name = self.reading.str(key);
        let open = &self.keys[keys_start..];
        let Some(index) = open.iter().position(|known| self.reading.str(known.text) == name) else {
            return;
        };
        self.is_plain = false;
        let first = open[index].first_entry;
        let next =
            open.get(index + 1).map_or(self.reading.entries.len(), |known| known.first_entry);
        // What has a standard name already is a mark of ours.
        for entry in &mut self.reading.entries[first..next] {
            entry.is_dropped |= Reading::standard_of(entry).is_none();
        }
        self.keys.remove(keys_start + index);
        let path = self.path(key);
        self.list("lw.duplicate_keys", path);
    }

    fn path(&mut self, key: Text) -> Text {
        if self.prefix.is_empty() {
            return key;
        }
        self.reading.join(&self.prefix, key)
    }

    /// Adds `path` to a field that lists names.
    fn list(&mut self, field: &'static str, path: Text) {
        if self.flagged < FLAGGED_MAX {
            self.flagged += 1;
            self.reading.add(field, Held::Text(path));
        }
    }

    /// Takes the value of `key`.
    fn member(&mut self, key: Text, depth: usize, is_inner: bool) -> Result<(), Malformed> {
        if self.scanner.peek() == Some(b'{') && depth < DEPTH_MAX && !self.is_empty_object() {
            let length = self.prefix.len();
            self.prefix.push_str(self.reading.str(key));
            self.prefix.push('.');
            self.object(depth + 1, is_inner)?;
            self.prefix.truncate(length);
            return Ok(());
        }
        let path = self.path(key);
        let (glue_start, start) = (self.value_end, self.scanner.pos);
        if self.scanner.peek() == Some(b'[') {
            self.array(path, depth + 1, is_inner)?;
        } else {
            self.leaf(path, depth, FieldOptions { is_array_item: false, is_inner })?;
        }
        if !is_inner && self.is_plain {
            self.steps.push(Step { glue_start, start, path, depth });
            self.value_end = self.scanner.pos;
        }
        Ok(())
    }

    fn is_empty_object(&self) -> bool {
        let mut ahead = self.scanner;
        ahead.pos += 1;
        ahead.skip_whitespace();
        ahead.peek() == Some(b'}')
    }

    /// Takes a value that is one field: a scalar, or an object or array kept as it was sent.
    fn leaf(&mut self, path: Text, depth: usize, options: FieldOptions) -> Result<(), Malformed> {
        let value = match self.scanner.peek() {
            Some(b'"') => {
                let literal = self.scanner.string("a value")?;
                Held::Text(self.literal(literal))
            }
            Some(b'{' | b'[') => {
                let start = self.scanner.pos;
                self.scanner.was_deep = false;
                self.scanner.skip_value(depth)?;
                let end = self.scanner.pos;
                if self.scanner.was_deep {
                    self.reading.flag("lw.truncated");
                    Held::Text(self.span(start, end))
                } else {
                    Held::Json(self.json(start, end))
                }
            }
            Some(b't') => self.scanner.keyword("true").map(|()| Held::Bool(true))?,
            Some(b'f') => self.scanner.keyword("false").map(|()| Held::Bool(false))?,
            Some(b'n') => self.scanner.keyword("null").map(|()| Held::Null)?,
            Some(b'N') => {
                let start = self.scanner.pos;
                self.scanner.keyword("NaN")?;
                self.number_as_text(path, start)
            }
            _ => {
                let start = self.scanner.pos;
                match self.scanner.number()?.0 {
                    Number::Signed(value) => Held::Signed(value),
                    Number::Unsigned(value) => Held::Unsigned(value),
                    Number::Float(value) => Held::Float(value),
                    Number::OutOfRange => self.number_as_text(path, start),
                }
            }
        };
        self.reading.push(path, value, options);
        Ok(())
    }

    fn number_as_text(&mut self, path: Text, start: usize) -> Held {
        self.list("lw.number_as_text", path);
        Held::Text(self.span(start, self.scanner.pos))
    }

    /// Takes an array: its items first, side by side, then the leaves of what is nested in it.
    fn array(&mut self, path: Text, depth: usize, is_inner: bool) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return self.leaf(path, depth - 1, FieldOptions { is_array_item: false, is_inner });
        }
        let start = self.scanner.pos;
        self.scanner.pos += 1;
        self.scanner.skip_whitespace();
        if self.scanner.peek() == Some(b']') {
            self.scanner.pos += 1;
            let value = Held::Json(self.span(start, self.scanner.pos));
            self.reading.push(path, value, FieldOptions { is_array_item: false, is_inner });
            return Ok(());
        }
        if is_inner {
            return self.inner_array(path, depth, true);
        }
        let items_start = self.scanner.pos;
        let mut has_nested = false;
        loop {
            self.scanner.skip_whitespace();
            if self.is_full() {
                return self.overflow_array(path, depth);
            }
            has_nested |= matches!(self.scanner.peek(), Some(b'{' | b'['));
            self.leaf(path, depth, FieldOptions { is_array_item: true, is_inner: false })?;
            if self.scanner.ends_array()? {
                break;
            }
        }
        if has_nested {
            self.scanner.pos = items_start;
            self.inner_array(path, depth, false)?;
        }
        Ok(())
    }

    /// Takes the items of an array, after its bracket, for searching alone.
    fn inner_array(
        &mut self,
        path: Text,
        depth: usize,
        takes_scalars: bool,
    ) -> Result<(), Malformed> {
        loop {
            self.scanner.skip_whitespace();
            match self.scanner.peek() {
                Some(b'{' | b'[') if depth >= DEPTH_MAX => {
                    self.scanner.skip_value(depth)?;
                    self.reading.flag("lw.truncated");
                }
                _ if self.is_full() => {
                    self.scanner.skip_value(depth)?;
                    self.reading.flag("lw.truncated");
                }
                Some(b'{') => self.inner_object(path, depth)?,
                Some(b'[') => self.array(path, depth + 1, true)?,
                _ if takes_scalars => {
                    self.leaf(path, depth, FieldOptions { is_array_item: false, is_inner: true })?;
                }
                _ => self.scanner.skip_value(depth).map(drop)?,
            }
            if self.scanner.ends_array()? {
                return Ok(());
            }
        }
    }

    fn inner_object(&mut self, path: Text, depth: usize) -> Result<(), Malformed> {
        let mut prefix = self.reading.str(path).to_owned();
        prefix.push('.');
        let outer = std::mem::replace(&mut self.prefix, prefix);
        self.object(depth + 1, true)?;
        self.prefix = outer;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.reading.entries.len() >= FIELDS_MAX
    }

    /// Takes the members of an object that are left, as text.
    fn overflow_object(&mut self, depth: usize, is_inner: bool) -> Result<(), Malformed> {
        let start = self.scanner.pos;
        loop {
            self.scanner.skip_whitespace();
            self.scanner.string("a key in quotes")?;
            self.scanner.skip_whitespace();
            self.scanner.take(b':', "`:`")?;
            self.scanner.skip_whitespace();
            self.scanner.skip_value(depth)?;
            if self.scanner.ends_object()? {
                break;
            }
        }
        if is_inner {
            // The item that is shown whole has them.
            self.reading.flag("lw.truncated");
            return Ok(());
        }
        let members = &self.scanner.text()[start..self.scanner.pos - 1];
        let path = self.prefix.trim_end_matches('.').to_owned();
        if path.is_empty() {
            self.overflow_member(members);
        } else {
            self.overflow_member(&format!("{}:{{{members}}}", quoted(&path)));
        }
        Ok(())
    }

    /// Takes the items of an array that are left, as text.
    fn overflow_array(&mut self, path: Text, depth: usize) -> Result<(), Malformed> {
        let start = self.scanner.pos;
        loop {
            self.scanner.skip_whitespace();
            self.scanner.skip_value(depth)?;
            if self.scanner.ends_array()? {
                break;
            }
        }
        let items = &self.scanner.text()[start..self.scanner.pos - 1];
        let member = format!("{}:[{items}]", quoted(self.reading.str(path)));
        self.overflow_member(&member);
        Ok(())
    }

    fn overflow_member(&mut self, member: &str) {
        self.is_plain = false;
        if !self.overflow.is_empty() {
            self.overflow.push(',');
        }
        self.overflow.push_str(member);
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text can always be written as JSON")
}

/// One of 64 bits for a key: equal keys have equal bits.
fn kind_of(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let last = bytes.last().copied().unwrap_or_default();
    let middle = bytes.get(bytes.len() / 2).copied().unwrap_or_default();
    let first = bytes.first().copied().unwrap_or_default();
    let mixed = (bytes.len() as u64)
        ^ (u64::from(first) << 16)
        ^ (u64::from(middle) << 32)
        ^ (u64::from(last) << 48);
    // Fibonacci hashing: the upper six bits of the product are well mixed.
    1 << (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58)
}

#[cfg(test)]
mod tests;
