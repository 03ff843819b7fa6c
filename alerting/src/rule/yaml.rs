//! YAML with places: every value knows its line and column, so that a problem can be shown where it
//! stands.
//!
//! Input: one file. Output: its documents as [`Node`]s. Scalars keep their text; what they mean is
//! decided by whoever reads them. Anchors and aliases are refused: they let a small file stand for
//! a huge one, and no rule needs them.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// Bytes of one file.
pub(super) const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Values of one file.
const NODES_MAX: usize = 200_000;
/// Levels of nesting.
const DEPTH_MAX: usize = 32;

/// A place in a file, both from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl From<&Marker> for Place {
    fn from(marker: &Marker) -> Self {
        Self { line: marker.line().max(1), column: marker.col() + 1 }
    }
}

/// Something wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: Place,
    /// What.
    pub message: String,
}

impl Fault {
    /// Something wrong at a place.
    pub fn new(at: Place, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    /// What it is.
    pub value: Yaml,
}

/// A mapping's key and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it begins.
    pub at: Place,
    /// Its text.
    pub text: String,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Yaml {
    /// A scalar with its text; `is_plain` when it was written without quotes and may therefore
    /// stand for null, a boolean or a number.
    Scalar {
        /// The text.
        text: String,
        /// Whether it was written without quotes.
        is_plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The text of a scalar, also of a number.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Yaml::Scalar { text, is_plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The boolean it is.
    pub fn boolean(&self) -> Option<bool> {
        match &self.value {
            Yaml::Scalar { text, is_plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// The number it is.
    pub fn number(&self) -> Option<f64> {
        match &self.value {
            Yaml::Scalar { text, is_plain: true } => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok().map(|number| number as f64),
                None => text.parse().ok().filter(|number: &f64| number.is_finite()),
            },
            _ => None,
        }
    }

    /// The whole number, from 0 on, it is.
    pub fn count(&self) -> Option<u64> {
        self.text()?.parse().ok()
    }

    /// The items of a list; a value that is no list counts as a list of itself.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Yaml::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Yaml::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(name, _)| name.text == key).map(|(_, value)| value)
    }

    /// As JSON, the way YAML's core schema reads it.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Yaml::List(items) => items.iter().map(Self::to_json).collect(),
            Yaml::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.text.clone(), value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Yaml::Scalar { text, .. } => {
                if self.is_null() {
                    serde_json::Value::Null
                } else if let Some(boolean) = self.boolean() {
                    boolean.into()
                } else if let (Some(_), Ok(number)) = (self.number(), text.parse::<i64>()) {
                    number.into()
                } else if let Some(number) = self.number() {
                    number.into()
                } else {
                    text.clone().into()
                }
            }
        }
    }
}

/// Reads the documents of a file. After a fault nothing more of the file can be told apart; the
/// documents before it are handed back all the same.
pub(super) fn parse(text: &str) -> (Vec<Node>, Option<Fault>) {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("file has {} bytes, the limit is {FILE_BYTES_MAX}", text.len());
        return (Vec::new(), Some(Fault::new(Place { line: 1, column: 1 }, message)));
    }
    let mut reader = Reader { documents: Vec::new(), open: Vec::new(), nodes: 0 };
    for event in Parser::new_from_str(text) {
        let outcome = match event {
            Ok((event, span)) => reader.take(event, Place::from(&span.start)),
            Err(error) => Err(Fault::new(Place::from(error.marker()), error.info())),
        };
        if let Err(fault) = outcome {
            return (reader.documents, Some(fault));
        }
    }
    (reader.documents, None)
}

/// A list or mapping whose end was not met yet.
enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<(Key, Node)>, Option<Key>),
}

struct Reader {
    documents: Vec<Node>,
    open: Vec<Open>,
    nodes: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, at: Place) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                self.refuse_anchor(anchor, at)?;
                let is_plain = style == ScalarStyle::Plain;
                self.put(Node { at, value: Yaml::Scalar { text: text.into_owned(), is_plain } })
            }
            Event::SequenceStart(anchor, _) => {
                self.refuse_anchor(anchor, at)?;
                self.begin(Open::List(at, Vec::new()), at)
            }
            Event::MappingStart(anchor, _) => {
                self.refuse_anchor(anchor, at)?;
                self.begin(Open::Map(at, Vec::new(), None), at)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(at, items)) => self.put(Node { at, value: Yaml::List(items) }),
                Some(Open::Map(at, entries, _)) => self.put(Node { at, value: Yaml::Map(entries) }),
                None => Ok(()),
            },
            Event::Alias(_) => Err(Fault::new(at, "aliases are not read in rule files")),
            _ => Ok(()),
        }
    }

    fn refuse_anchor(&self, anchor: usize, at: Place) -> Result<(), Fault> {
        if anchor == 0 {
            return Ok(());
        }
        Err(Fault::new(at, "anchors are not read in rule files"))
    }

    fn begin(&mut self, open: Open, at: Place) -> Result<(), Fault> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Fault::new(at, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.open.push(open);
        Ok(())
    }

    fn put(&mut self, node: Node) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Fault::new(node.at, format!("file has more than {NODES_MAX} values")));
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key @ None)) => {
                let Yaml::Scalar { text, .. } = node.value else {
                    return Err(Fault::new(node.at, "a key must be a text"));
                };
                if entries.iter().any(|(known, _)| known.text == text) {
                    return Err(Fault::new(node.at, format!("key `{text}` stands twice")));
                }
                *key = Some(Key { at: node.at, text });
            }
            Some(Open::Map(_, entries, key)) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_places() {
        let (documents, fault) = parse("a: 1\nb:\n  - x: \"2\"\n---\nc: null\n");
        assert_eq!(fault, None);
        let item = &documents[0].get("b").expect("b").items()[0];
        let x = item.get("x").expect("x");
        assert_eq!((x.at.line, x.at.column, x.text(), x.number()), (3, 8, Some("2"), None));
        assert!(documents[1].get("c").expect("c").is_null());
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, line) in
            [("a: 1\nb: [1\n", 3), ("a: &x 1\nb: *x\n", 1), ("a: 1\na: 2\n", 2), ("? [a]\n: 1", 1)]
        {
            let fault = parse(text).1.unwrap_or_else(|| panic!("{text} was read"));
            assert_eq!(fault.at.line, line, "{text}: {}", fault.message);
        }
        assert!(parse(&"[".repeat(100_000)).1.is_some());
    }
}
