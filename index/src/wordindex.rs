//! The words of messages that are no literals with slots: one tantivy segment inside the split.
//!
//! One tantivy field: postings without frequencies or positions, no norms, nothing stored. Its
//! documents are the indexed rows in their order. Words are as [`logwarden_event::words`] gives them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use logwarden_event::words;
use logwarden_store::Blobs;
use serde::{Deserialize, Serialize};
use tantivy::directory::{Directory, RamDirectory};
use tantivy::index::{SegmentComponent, SegmentMeta};
use tantivy::postings::SegmentPostings;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::store::Compressor;
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};
use tantivy::{
    DocSet, IndexSettings, SegmentReader, SingleSegmentIndexWriter, TERMINATED, TantivyDocument,
    Term,
};

use crate::bundle::{Bundle, FileRange};
use crate::columns::ints;
use crate::columns::wire::{Packer, Reader};
use crate::columnstore::PartRange;
use crate::columnstore::search::TextTest;
use crate::rowset::RowSet;

/// Memory that tantivy plans with; it sizes its tables by it and is not held to it.
const WRITER_BYTES: usize = 64 << 20;
const WORDS: &str = "words";
const MESSAGE: &str = "message";
/// The file in which tantivy keeps schema and segments.
const META_FILE: &str = "meta.json";

/// Where a word index lies in the blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WordIndexInfo {
    /// The tantivy files.
    pub(crate) files: BTreeMap<String, FileRange>,
    /// How many rows are indexed.
    pub(crate) row_count: u32,
    /// Which ones.
    pub(crate) rows: PartRange,
}

fn schema() -> (Schema, Field) {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(WORDS)
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    let mut builder = Schema::builder();
    let field =
        builder.add_text_field(MESSAGE, TextOptions::default().set_indexing_options(indexing));
    (builder.build(), field)
}

/// Our tokenizer; tantivy does not keep it with an index.
fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::new();
    manager.register(WORDS, TextAnalyzer::from(WordsTokenizer));
    manager
}

/// A word index in the making.
pub(crate) struct WordIndexBuilder {
    directory: RamDirectory,
    writer: SingleSegmentIndexWriter,
    field: Field,
    rows: Vec<i64>,
}

impl WordIndexBuilder {
    /// An empty one.
    pub(crate) fn new() -> tantivy::Result<Self> {
        let (schema, field) = schema();
        let directory = RamDirectory::create();
        let settings = IndexSettings {
            docstore_compression: Compressor::None,
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let writer = tantivy::Index::builder()
            .schema(schema)
            .settings(settings)
            .tokenizers(tokenizers())
            .single_segment_index_writer(directory.clone(), WRITER_BYTES)?;
        Ok(Self { directory, writer, field, rows: Vec::new() })
    }

    /// Adds a row's message.
    pub(crate) fn add(&mut self, row: u32, message: &str) -> tantivy::Result<()> {
        let mut document = TantivyDocument::new();
        document.add_text(self.field, message);
        self.rows.push(i64::from(row));
        self.writer.add_document(document)
    }

    /// Appends it to the content of a blob.
    pub(crate) fn finish(self, content: &mut Vec<u8>) -> Result<WordIndexInfo, String> {
        let text = |error: tantivy::TantivyError| error.to_string();
        let index = self.writer.finalize().map_err(text)?;
        let segments = index.searchable_segment_metas().map_err(text)?;
        let segment = segments.first().ok_or("tantivy made no segment")?;
        let files = append_files(&self.directory, segment, content)?;
        let mut rows = Vec::new();
        let mut packer = Packer::new().map_err(|error| error.to_string())?;
        ints::encode(&self.rows, &mut packer, &mut rows);
        let range = PartRange { offset: content.len() as u64, size_bytes: rows.len() as u64 };
        content.extend_from_slice(&rows);
        Ok(WordIndexInfo { files, row_count: self.rows.len() as u32, rows: range })
    }
}

fn append_files(
    directory: &RamDirectory,
    segment: &SegmentMeta,
    content: &mut Vec<u8>,
) -> Result<BTreeMap<String, FileRange>, String> {
    use SegmentComponent::{FastFields, FieldNorms, Positions, Postings, Store, Terms};
    let components = [Postings, Positions, Terms, Store, FastFields, FieldNorms];
    let paths = components.into_iter().map(|component| segment.relative_path(component));
    let mut files = BTreeMap::new();
    for path in paths.chain([META_FILE.into()]) {
        if !directory.exists(&path).map_err(|error| error.to_string())? {
            continue;
        }
        let file = directory.open_read(&path).map_err(|error| error.to_string())?;
        let bytes = file.read_bytes().map_err(|error| error.to_string())?;
        let range = FileRange { offset: content.len() as u64, size_bytes: bytes.len() as u64 };
        content.extend_from_slice(&bytes);
        files.insert(path.to_string_lossy().into_owned(), range);
    }
    Ok(files)
}

/// The word index of an open split.
pub(crate) struct WordIndex {
    reader: SegmentReader,
    field: Field,
    rows: Vec<i64>,
}

impl WordIndex {
    /// Opens it.
    pub(crate) fn open(
        blobs: &Arc<dyn Blobs>,
        blob: &Arc<str>,
        info: &WordIndexInfo,
        split_rows: u32,
    ) -> Result<Self, String> {
        let wrong = || "its words belong to other events".to_owned();
        if info.row_count > split_rows {
            return Err(wrong());
        }
        let bytes = blobs.get_range(blob, info.rows.range()).map_err(|error| error.to_string())?;
        let rows = ints::decode(&mut Reader::new(&bytes), info.row_count as usize)?;
        let are_rows = rows.iter().all(|row| (0..i64::from(split_rows)).contains(row));
        let bundle = Bundle::new(Arc::clone(blobs), Arc::clone(blob), Arc::new(info.files.clone()));
        let open = || {
            let mut index = tantivy::Index::open(bundle)?;
            index.set_tokenizers(tokenizers());
            let segments = index.searchable_segments()?;
            let segment = segments.first().map(SegmentReader::open).transpose()?;
            Ok((index.schema(), segment))
        };
        let (found, reader) = open().map_err(|error: tantivy::TantivyError| error.to_string())?;
        let (schema, field) = schema();
        let reader = reader.filter(|reader| reader.max_doc() == info.row_count);
        match reader {
            Some(reader) if found == schema && are_rows => Ok(Self { reader, field, rows }),
            _ => Err(wrong()),
        }
    }

    /// Adds the rows whose message has the word, or a word that begins so.
    pub(crate) fn insert(&self, test: &TextTest<'_>, rows: &mut RowSet) -> Result<(), String> {
        let inserted = match test {
            TextTest::Word(word) => self.insert_word(word, rows),
            TextTest::WordPrefix(prefix) => self.insert_prefix(prefix, rows),
            _ => Ok(()),
        };
        inserted.map_err(|error| error.to_string())
    }

    fn insert_word(&self, word: &str, rows: &mut RowSet) -> tantivy::Result<()> {
        let index = self.reader.inverted_index(self.field)?;
        let term = Term::from_field_text(self.field, word);
        if let Some(postings) = index.read_postings(&term, IndexRecordOption::Basic)? {
            self.insert_all(rows, postings);
        }
        Ok(())
    }

    fn insert_prefix(&self, prefix: &str, rows: &mut RowSet) -> tantivy::Result<()> {
        let index = self.reader.inverted_index(self.field)?;
        let mut terms = index.terms().range().ge(prefix).into_stream()?;
        while terms.advance() && terms.key().starts_with(prefix.as_bytes()) {
            std::str::from_utf8(terms.key()).map_err(io::Error::other)?;
            let postings =
                index.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
            self.insert_all(rows, postings);
        }
        Ok(())
    }

    fn insert_all(&self, rows: &mut RowSet, mut postings: SegmentPostings) {
        let mut document = postings.doc();
        while document != TERMINATED {
            if let Some(row) = self.rows.get(document as usize) {
                rows.insert(*row as u32);
            }
            document = postings.advance();
        }
    }
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
