//! From an event to the terms by which a split finds it, and from a lookup to the same terms.
//!
//! Four tantivy fields, nothing stored, no positions, no norms. `message` and `others` hold words as
//! [`logwarden_event::words`] gives them, of the message and of the values of fields; `values` holds
//! one term per field name and value; `fields` holds the names of fields that have a value. Terms are
//! cut at a bound, and a lookup whose term could be that of another value says so.
//!
//! A value that is an id ([`is_id`]) is only a word: a second term for each would take more room
//! than everything else here.

use logwarden_event::{Event, WORD_BYTES_MAX, words};
use tantivy::TantivyDocument;
use tantivy::schema::{Field, IndexRecordOption, SchemaBuilder, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{
    RawTokenizer, TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager,
};

use crate::lookup::{EVENT_PARTS, event_part, lower, number, text_of};

/// Bytes of a field's name that count in a term.
const NAME_BYTES_MAX: usize = 512;
/// Bytes of a value, in lower case, that count in a term.
const VALUE_BYTES_MAX: usize = 255;
/// Bytes and digits that an id has at least.
const ID_BYTES_MIN: usize = 16;
const ID_DIGITS_MIN: usize = 3;
/// Between a name and a value; no name in a term contains it.
const SEPARATOR: char = '\0';
/// Stands for [`SEPARATOR`] in a name.
const REPLACEMENT: char = '\u{FFFD}';

const WORDS: &str = "words";
const RAW: &str = "raw";

/// The tantivy fields of a split.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    /// All of them.
    pub(crate) tantivy: tantivy::schema::Schema,
    /// Words of the message.
    pub(crate) message: Field,
    /// Words of the values of all fields.
    pub(crate) others: Field,
    /// Names with whole values.
    pub(crate) values: Field,
    /// Names.
    pub(crate) fields: Field,
}

impl Schema {
    /// The schema of format 1.
    pub(crate) fn new() -> Self {
        let indexing = |tokenizer: &str| {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(tokenizer)
                .set_fieldnorms(false)
                .set_index_option(IndexRecordOption::Basic);
            TextOptions::default().set_indexing_options(indexing)
        };
        let mut builder = SchemaBuilder::new();
        let message = builder.add_text_field("message", indexing(WORDS));
        let others = builder.add_text_field("others", indexing(WORDS));
        let values = builder.add_text_field("values", indexing(RAW));
        let fields = builder.add_text_field("fields", indexing(RAW));
        Self { tantivy: builder.build(), message, others, values, fields }
    }
}

/// Our tokenizers; tantivy does not keep them with an index.
pub(crate) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::new();
    manager.register(WORDS, TextAnalyzer::from(WordsTokenizer));
    manager.register(RAW, TextAnalyzer::from(RawTokenizer::default()));
    manager
}

/// The terms of an event.
pub(crate) fn document(schema: &Schema, event: &Event) -> TantivyDocument {
    let mut document = TantivyDocument::new();
    document.add_text(schema.message, event.message());
    for part in EVENT_PARTS {
        let Some(text) = event_part(event, part).filter(|text| !text.is_empty()) else { continue };
        document.add_text(schema.values, value_term(part, &lower(text)).text);
        document.add_text(schema.fields, name_term(part).text);
    }
    for field in event.fields() {
        let Some(text) = text_of(&field.value) else { continue };
        document.add_text(schema.others, &text);
        let text = lower(&text);
        let names = [Some(field.path), field.alias].into_iter().flatten();
        let is_id = is_id(&text);
        for name in names.filter(|name| !EVENT_PARTS.contains(name)) {
            if !is_id {
                document.add_text(schema.values, value_term(name, &text).text);
            }
            document.add_text(schema.fields, name_term(name).text);
        }
    }
    document
}

/// Whether a value, in lower case, looks like the id of something: one long word of letters and
/// digits in ASCII that is no number. Part of the format: values that are ids have no term.
pub(crate) fn is_id(value: &str) -> bool {
    (ID_BYTES_MIN..=WORD_BYTES_MAX).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && value.bytes().filter(u8::is_ascii_digit).count() >= ID_DIGITS_MIN
        && number(value).is_none()
}

/// A term, and whether it can only come from what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExactTerm {
    /// The term.
    pub(crate) text: String,
    /// Whether nothing else makes the same term.
    pub(crate) is_exact: bool,
}

/// The term of a field's name.
pub(crate) fn name_term(name: &str) -> ExactTerm {
    let (cut, is_whole) = cut(name, NAME_BYTES_MAX);
    ExactTerm {
        text: cut.replace(SEPARATOR, REPLACEMENT.encode_utf8(&mut [0; 4])),
        is_exact: is_whole && !cut.contains([SEPARATOR, REPLACEMENT]),
    }
}

/// The term of a value, in lower case, or of the beginning of one.
pub(crate) fn value_term(name: &str, value: &str) -> ExactTerm {
    let mut term = name_term(name);
    let (cut, is_whole) = cut(value, VALUE_BYTES_MAX);
    term.text.push(SEPARATOR);
    term.text.push_str(cut);
    term.is_exact &= is_whole;
    term
}

/// What every term of the values of this field begins with.
pub(crate) fn value_terms_of(name: &str) -> ExactTerm {
    value_term(name, "")
}

/// The value in a term of `values`, and whether it is the whole value.
pub(crate) fn value_in(term: &str) -> (&str, bool) {
    let value = term.split_once(SEPARATOR).map_or("", |(_, value)| value);
    (value, is_surely_whole(value, VALUE_BYTES_MAX))
}

/// The beginning of `text` that counts, and whether no longer text has the same beginning.
fn cut(text: &str, bytes_max: usize) -> (&str, bool) {
    (&text[..text.floor_char_boundary(bytes_max)], is_surely_whole(text, bytes_max))
}

/// A text that was cut misses the bound by less than one character of at most four bytes.
fn is_surely_whole(text: &str, bytes_max: usize) -> bool {
    text.len() + 4 <= bytes_max
}

/// Splits text as the stream and the rules do.
#[derive(Debug, Clone)]
struct WordsTokenizer;

struct WordStream<'a> {
    words: Box<dyn Iterator<Item = std::borrow::Cow<'a, str>> + 'a>,
    token: Token,
}

impl Tokenizer for WordsTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream { words: Box::new(words(text)), token: Token::default() }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token.text.clear();
        self.token.text.push_str(&word);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_tells_names_from_values() {
        assert_eq!(value_term("a", "b").text, "a\0b");
        assert!(value_term("a", "b\0c").is_exact);
        assert_ne!(value_term("a\0b", "c").text, value_term("a", "b\0c").text);
        assert!(!value_term("a\0b", "c").is_exact);
        assert_eq!(value_in("a\0b\0c"), ("b\0c", true));
    }

    #[test]
    fn ids_are_told_from_words_and_numbers() {
        for id in ["0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"] {
            assert!(is_id(id), "{id}");
        }
        for other in ["authenticationfailure", "12345678901234567890", "node-17.example.com", "1e5"]
        {
            assert!(!is_id(other), "{other}");
        }
    }

    #[test]
    fn a_long_value_is_cut_and_not_exact() {
        let long = "é".repeat(200);
        let term = value_term("a", &long);
        assert_eq!(term, ExactTerm { text: format!("a\0{}", "é".repeat(127)), is_exact: false });
        assert!(!value_term("a", &"é".repeat(127)).is_exact, "a longer one looks the same");
        assert!(value_term("a", &"é".repeat(125)).is_exact);
    }
}
