//! What every form of the store must do: one suite, run over the embedded and the simulated one.

use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use logwarden_event::{EventBuilder, Position, SystemClock, Timestamp};
use logwarden_store::{
    Append, AppendOutcome, BlobError, CatalogError, Checkpoint, Chunk, Config, Draft,
    IdempotencyKey, JournalError, JournalState, RecordKind, SqlValue, Statement, Step, StepOutcome,
    Store,
};

/// Runs every test named here over both forms.
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                let dir = tempfile::tempdir().expect("a directory");
                super::$test(super::open_embedded(dir.path()).await).await;
            })*
        }

        mod simulated {
            $(#[tokio::test]
            async fn $test() {
                super::$test(logwarden_store::Store::simulated(1).0).await;
            })*
        }
    };
}

contract!(
    a_batch_is_read_back_as_it_was_appended,
    a_reader_waits_for_what_comes,
    a_key_is_stored_once,
    a_key_under_way_is_waited_for,
    a_batch_beyond_its_bounds_is_refused,
    observed_at_never_goes_backwards,
    a_closed_journal_takes_nothing,
    trimming_waits_for_every_consumer_and_leaves_a_gap,
    keys_outlive_their_segment,
    a_blob_is_read_in_any_range,
    a_blob_name_is_used_once,
    blobs_are_listed_and_deleted,
    migrations_run_once_and_newer_tables_are_refused,
    a_step_compares_and_sets,
    a_step_is_all_or_nothing,
    a_query_sees_rows_of_every_type,
);

fn config(dir: &std::path::Path) -> Config {
    Config {
        data_dir: dir.join("data"),
        segment_bytes: 256 * 1024,
        reserve_bytes: 1024 * 1024,
        consumers: Vec::new(),
        ..Config::default()
    }
}

async fn open_embedded(dir: &std::path::Path) -> Store {
    Store::embedded(&config(dir), Arc::new(SystemClock)).await.expect("opened").0
}

fn draft(text: &str) -> Draft {
    let mut event = EventBuilder::new(text.as_bytes());
    event.source("shop").dataset("shop.auth").message(text);
    Draft { kind: RecordKind::Event, event: event.build() }
}

fn batch(texts: &[&str]) -> Append {
    Append { drafts: texts.iter().map(|text| draft(text)).collect(), ..Append::default() }
}

fn keyed(key: u8, body: u8, texts: &[&str]) -> Append {
    Append {
        idempotency: Some(IdempotencyKey { key: [key; 16], body: [body; 16] }),
        receipt: Bytes::from(vec![key, body]),
        ..batch(texts)
    }
}

fn at(seq: u64) -> Position {
    Position { lane: 0, seq }
}

async fn first_of(store: &Store, append: Append) -> u64 {
    match store.journal.append(append).await.expect("taken") {
        AppendOutcome::Appended(receipt) => receipt.first.seq,
        other => panic!("{other:?}"),
    }
}

/// Everything from `seq` to the end, as texts.
async fn read_all(store: &Store, seq: u64, records_max: usize) -> Vec<String> {
    let mut texts = Vec::new();
    let mut from = at(seq);
    while from < store.journal.end(0) {
        match store.journal.read(from, records_max).await.expect("read") {
            Chunk::Records { records, next } => {
                assert!(!records.is_empty() && records.len() <= records_max);
                for (record, seq) in records.iter().zip(from.seq..) {
                    assert_eq!(record.event.seq(), seq);
                    texts.push(record.event.message().to_owned());
                }
                assert_eq!(next.seq, from.seq + records.len() as u64);
                from = next;
            }
            Chunk::Gap { from: first, to } => {
                texts.push(format!("gap {}..{}", first.seq, to.seq));
                from = to;
            }
        }
    }
    texts
}

async fn a_batch_is_read_back_as_it_was_appended(store: Store) {
    assert_eq!((store.journal.start(0), store.journal.end(0)), (at(1), at(1)));
    assert_eq!(first_of(&store, batch(&["a", "b", "c"])).await, 1);
    let mut dead = draft("d");
    dead.kind = RecordKind::DeadLetter;
    assert_eq!(first_of(&store, Append { drafts: vec![dead], ..Append::default() }).await, 4);
    assert_eq!(first_of(&store, Append::default()).await, 5);
    for records_max in [1, 2, 100] {
        assert_eq!(read_all(&store, 1, records_max).await, ["a", "b", "c", "d"]);
        assert_eq!(read_all(&store, 3, records_max).await, ["c", "d"]);
    }
    let Chunk::Records { records, .. } = store.journal.read(at(4), 10).await.expect("read") else {
        panic!("a gap");
    };
    assert_eq!(records[0].kind, RecordKind::DeadLetter);
    assert_eq!(records[0].event.id().position(), at(4));
    assert_eq!(store.journal.health().state, JournalState::Ready);
    assert!(store.journal.health().last_append_at.is_some());
}

async fn a_reader_waits_for_what_comes(store: Store) {
    let journal = Arc::clone(&store.journal);
    let mut reading = std::pin::pin!(journal.read(at(1), 10));
    let poll = std::future::poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await;
    assert!(poll.is_pending());
    first_of(&store, batch(&["a"])).await;
    assert!(matches!(reading.await, Ok(Chunk::Records { next, .. }) if next == at(2)));
}

async fn a_key_is_stored_once(store: Store) {
    assert_eq!(first_of(&store, keyed(1, 1, &["a", "b"])).await, 1);
    let again = store.journal.append(keyed(1, 1, &["a", "b"])).await.expect("answered");
    let AppendOutcome::Duplicate(receipt) = again else { panic!("{again:?}") };
    assert_eq!((receipt.first, receipt.records), (at(1), 2));
    assert_eq!(receipt.receipt, Bytes::from(vec![1, 1]));
    let other = store.journal.append(keyed(1, 2, &["c"])).await.expect("answered");
    assert_eq!(other, AppendOutcome::KeyConflict);
    assert_eq!(first_of(&store, keyed(2, 1, &["d"])).await, 3);
    assert_eq!(read_all(&store, 1, 10).await, ["a", "b", "d"]);
    assert_eq!(first_of(&store, keyed(3, 1, &[])).await, 4);
    let empty = store.journal.append(keyed(3, 1, &[])).await.expect("answered");
    assert!(matches!(empty, AppendOutcome::Duplicate(receipt) if receipt.records == 0));
}

async fn a_key_under_way_is_waited_for(store: Store) {
    let append = || store.journal.append(keyed(1, 1, &["a"]));
    let (one, two, three) = tokio::join!(append(), append(), append());
    let outcomes = [one, two, three].map(|outcome| outcome.expect("answered"));
    let appended =
        outcomes.iter().filter(|outcome| matches!(outcome, AppendOutcome::Appended(_))).count();
    let duplicates =
        outcomes.iter().filter(|outcome| matches!(outcome, AppendOutcome::Duplicate(_))).count();
    assert_eq!((appended, duplicates), (1, 2));
    assert_eq!(read_all(&store, 1, 10).await, ["a"]);
}

async fn a_batch_beyond_its_bounds_is_refused(store: Store) {
    let many = Append { drafts: vec![draft("a"); 10_001], ..Append::default() };
    let refused = store.journal.append(many).await;
    assert!(matches!(refused, Err(JournalError::TooLarge { found: 10_001, .. })), "{refused:?}");
    let large = "x".repeat(9 * 1024 * 1024);
    let refused = store.journal.append(batch(&[&large, &large])).await;
    assert!(matches!(refused, Err(JournalError::TooLarge { .. })));
    assert_eq!(first_of(&store, batch(&[&large])).await, 1);
    assert_eq!(read_all(&store, 1, 10).await, [large]);
}

async fn observed_at_never_goes_backwards(store: Store) {
    for _ in 0..20 {
        first_of(&store, batch(&["a", "b", "c"])).await;
    }
    let mut last = Timestamp::MIN;
    let mut seq = 1;
    while at(seq) < store.journal.end(0) {
        let Chunk::Records { records, next } = store.journal.read(at(seq), 7).await.expect("read")
        else {
            panic!("a gap");
        };
        for record in records.iter() {
            assert!(record.event.observed_at() > last);
            last = record.event.observed_at();
        }
        seq = next.seq;
    }
    assert_eq!(seq, 61);
}

async fn a_closed_journal_takes_nothing(store: Store) {
    first_of(&store, batch(&["a"])).await;
    let journal = Arc::clone(&store.journal);
    let mut reading = std::pin::pin!(journal.read(at(2), 10));
    let poll = std::future::poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await;
    assert!(poll.is_pending());
    store.journal.close().await;
    assert!(matches!(reading.await, Err(JournalError::Closed)));
    let refused = store.journal.append(batch(&["b"])).await;
    assert!(matches!(refused, Err(JournalError::Closed)));
    assert_eq!(read_all(&store, 1, 10).await, ["a"]);
}

async fn trimming_waits_for_every_consumer_and_leaves_a_gap(store: Store) {
    let text = "x".repeat(60_000);
    for _ in 0..40 {
        first_of(&store, batch(&[&text])).await;
    }
    store.journal.trim().await.expect("nothing held, nothing trimmed");
    assert_eq!(store.journal.start(0), at(1));
    store.journal.hold("index", at(41));
    store.journal.hold("detector", at(2));
    store.journal.trim().await.expect("trimmed");
    assert_eq!(store.journal.start(0), at(1));
    store.journal.hold("detector", at(30));
    store.journal.trim().await.expect("trimmed");
    let start = store.journal.start(0);
    assert!(start > at(1) && start < at(30), "{start}");
    let gap = store.journal.read(at(1), 10).await.expect("read");
    // The newest records may still be in memory, the oldest are not.
    match gap {
        Chunk::Gap { from, to } => assert_eq!((from, to), (at(1), start)),
        Chunk::Records { next, .. } => assert!(next > at(1)),
    }
}

async fn keys_outlive_their_segment(store: Store) {
    let text = "x".repeat(60_000);
    for key in 0..40 {
        first_of(&store, keyed(key, 1, &[&text])).await;
    }
    store.journal.hold("index", at(41));
    store.journal.trim().await.expect("trimmed");
    assert!(store.journal.start(0) > at(10));
    for key in 0..40 {
        let again = store.journal.append(keyed(key, 1, &[&text])).await.expect("answered");
        let AppendOutcome::Duplicate(receipt) = again else { panic!("{key}: {again:?}") };
        assert_eq!(receipt.first, at(u64::from(key) + 1));
        assert_eq!(receipt.receipt, Bytes::from(vec![key, 1]));
        let other = store.journal.append(keyed(key, 2, &["y"])).await.expect("answered");
        assert_eq!(other, AppendOutcome::KeyConflict);
    }
    assert_eq!(store.journal.end(0), at(41));
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 % 251) as u8).collect()
}

async fn a_blob_is_read_in_any_range(store: Store) {
    for len in [0, 1, 65_535, 65_536, 65_537, 200_000] {
        let name = format!("splits/of-{len}.split");
        let content = content(len);
        store.blobs.put_new(&name, &mut content.as_slice()).expect("put");
        assert_eq!(store.blobs.size_bytes(&name).expect("there"), len as u64);
        let check = |range: Range<usize>| {
            let range = range.start.min(len)..range.end.min(len);
            let found =
                store.blobs.get_range(&name, range.start as u64..range.end as u64).expect("read");
            assert_eq!(found, &content[range]);
        };
        for _ in 0..2 {
            check(0..len);
            check(0..0);
            check(65_530..65_540);
            check(70_000..70_001);
            check(131_071..199_999);
        }
        let beyond = store.blobs.get_range(&name, 0..len as u64 + 1);
        assert!(beyond.is_err());
    }
}

async fn a_blob_name_is_used_once(store: Store) {
    let put = |name: &str| store.blobs.put_new(name, &mut &b"content"[..]);
    put("a/b").expect("put");
    assert!(matches!(put("a/b"), Err(BlobError::Exists(_))));
    for name in ["", "..", "a/../b", "/a", "a//b", ".hidden", "a b", "a/"] {
        assert!(matches!(put(name), Err(BlobError::Io { .. })), "{name}");
        assert!(store.blobs.get_range(name, 0..1).is_err(), "{name}");
    }
    assert!(matches!(store.blobs.get_range("none", 0..1), Err(BlobError::NotFound(_))));
}

async fn blobs_are_listed_and_deleted(store: Store) {
    for name in ["b/2", "a/1", "b/1", "c"] {
        store.blobs.put_new(name, &mut &b"content"[..]).expect("put");
    }
    assert_eq!(store.blobs.list("").expect("listed"), ["a/1", "b/1", "b/2", "c"]);
    assert_eq!(store.blobs.list("b/").expect("listed"), ["b/1", "b/2"]);
    store.blobs.delete("b/1").expect("deleted");
    store.blobs.delete("b/1").expect("deleted twice");
    assert_eq!(store.blobs.list("b").expect("listed"), ["b/2"]);
    assert!(matches!(store.blobs.size_bytes("b/1"), Err(BlobError::NotFound(_))));
}

const MIGRATIONS: &[&str] = &[
    "CREATE TABLE things (name TEXT NOT NULL PRIMARY KEY, size BIGINT NOT NULL)",
    "ALTER TABLE things ADD COLUMN note TEXT",
];

fn insert(name: &str, size: i64) -> Statement {
    Statement {
        sql: "INSERT INTO things (name, size) VALUES (?1, ?2)",
        values: vec![SqlValue::Text(name.to_owned()), SqlValue::Integer(size)],
    }
}

async fn names(store: &Store) -> Vec<SqlValue> {
    let select = Statement { sql: "SELECT name FROM things ORDER BY name", values: Vec::new() };
    let answers = store.catalog.query(vec![select]).await.expect("answered");
    answers[0].iter().map(|row| row.0[0].clone()).collect()
}

async fn migrations_run_once_and_newer_tables_are_refused(store: Store) {
    store.catalog.migrate("things", &MIGRATIONS[..1]).await.expect("migrated");
    store.catalog.migrate("things", &MIGRATIONS[..1]).await.expect("nothing to do");
    store.catalog.migrate("things", MIGRATIONS).await.expect("migrated on");
    let newer = store.catalog.migrate("things", &MIGRATIONS[..1]).await;
    assert!(matches!(newer, Err(CatalogError::Version { found: 2, known: 1, .. })), "{newer:?}");
    let broken = store.catalog.migrate("broken", &["CREATE TABLE x (a); NOT SQL"]).await;
    assert!(matches!(broken, Err(CatalogError::Failed(_))));
    store.catalog.migrate("broken", &["CREATE TABLE x (a)"]).await.expect("nothing was left");
}

async fn a_step_compares_and_sets(store: Store) {
    store.catalog.migrate("things", MIGRATIONS).await.expect("migrated");
    let checkpoint = |seq| Checkpoint {
        consumer: "index".to_owned(),
        journal: store.journal.identity(),
        position: at(seq),
    };
    let step = |expected: Option<u64>, to: u64, name: &str| Step {
        expected: vec![("index".to_owned(), 0, expected.map(at))],
        advance: vec![checkpoint(to)],
        statements: vec![insert(name, 1)],
    };
    assert_eq!(store.catalog.checkpoint("index", 0).await.expect("read"), None);
    let done = store.catalog.step(step(None, 5, "a")).await.expect("stepped");
    assert!(matches!(done, StepOutcome::Done { changed, .. } if changed == [1]));
    let again = store.catalog.step(step(None, 5, "a")).await.expect("stepped");
    assert_eq!(again, StepOutcome::AlreadyDone);
    let stale = store.catalog.step(step(Some(4), 9, "b")).await.expect("stepped");
    assert_eq!(stale, StepOutcome::Stale(vec![checkpoint(5)]));
    store.catalog.step(step(Some(5), 9, "b")).await.expect("stepped");
    let found = store.catalog.checkpoint("index", 0).await.expect("read");
    assert_eq!(found, Some(checkpoint(9)));
    let mut foreign = step(Some(9), 12, "c");
    foreign.advance[0].journal = [9; 16];
    let refused = store.catalog.step(foreign).await.expect("stepped");
    assert!(matches!(refused, StepOutcome::Stale(_)), "{refused:?}");
    assert_eq!(names(&store).await, ["a", "b"].map(|name| SqlValue::Text(name.to_owned())));
}

async fn a_step_is_all_or_nothing(store: Store) {
    store.catalog.migrate("things", MIGRATIONS).await.expect("migrated");
    let statements = vec![insert("a", 1), insert("b", 2), insert("a", 3)];
    let conflict = store.catalog.step(Step { statements, ..Step::default() }).await;
    assert!(matches!(conflict, Err(CatalogError::Conflict(_))), "{conflict:?}");
    assert!(names(&store).await.is_empty());
    let returning = Statement {
        sql: "INSERT INTO things (name, size) VALUES ('x', 7) RETURNING size, name",
        values: Vec::new(),
    };
    let statements = vec![insert("a", 1), returning];
    let done = store.catalog.step(Step { statements, ..Step::default() }).await.expect("stepped");
    let StepOutcome::Done { rows, changed } = done else { panic!("{done:?}") };
    assert_eq!(changed, [1, 1]);
    assert!(rows[0].is_empty());
    assert_eq!(rows[1][0].0, [SqlValue::Integer(7), SqlValue::Text("x".to_owned())]);
}

async fn a_query_sees_rows_of_every_type(store: Store) {
    let values = vec![
        SqlValue::Null,
        SqlValue::Integer(i64::MIN),
        SqlValue::Real(0.5),
        SqlValue::Text("é".to_owned()),
        SqlValue::Blob(vec![0, 255]),
    ];
    let select = Statement { sql: "SELECT ?1, ?2, ?3, ?4, ?5", values: values.clone() };
    let answers = store.catalog.query(vec![select.clone(), select]).await.expect("answered");
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1][0].0, values);
    store.catalog.migrate("things", MIGRATIONS).await.expect("migrated");
}

mod only_embedded {
    //! What only a directory of the machine can show.

    use std::os::unix::fs::PermissionsExt;

    use logwarden_store::config::OnForeignJournal;
    use logwarden_store::{OpenError, open_catalog};

    use super::*;

    #[tokio::test]
    async fn everything_is_there_after_opening_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let identity = {
            let store = open_embedded(dir.path()).await;
            first_of(&store, keyed(1, 1, &["a", "b"])).await;
            store.blobs.put_new("a/b", &mut &b"content"[..]).expect("put");
            store.journal.identity()
        };
        for round in 0..3 {
            let (store, recovery) =
                Store::embedded(&config(dir.path()), Arc::new(SystemClock)).await.expect("opened");
            assert_eq!(recovery.records, 2 + round);
            assert_eq!(store.journal.identity(), identity);
            assert_eq!(read_all(&store, 1, 10).await.len() as u64, 2 + round);
            let again = store.journal.append(keyed(1, 1, &["a", "b"])).await.expect("answered");
            assert!(matches!(again, AppendOutcome::Duplicate(_)));
            assert_eq!(first_of(&store, batch(&["c"])).await, 3 + round);
            assert_eq!(store.blobs.get_range("a/b", 0..7).expect("read"), &b"content"[..]);
        }
    }

    #[tokio::test]
    async fn only_one_process_opens_a_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open_embedded(dir.path()).await;
        let second = Store::embedded(&config(dir.path()), Arc::new(SystemClock)).await;
        assert!(matches!(second.map(drop), Err(OpenError::Locked(_))));
        let beside = open_catalog(&config(dir.path()).data_dir, Arc::new(SystemClock))
            .expect("the catalog can be used beside");
        beside.migrate("things", MIGRATIONS).await.expect("migrated");
        let statements = vec![insert("a", 1)];
        beside.step(Step { statements, ..Step::default() }).await.expect("stepped");
        assert_eq!(names(&store).await.len(), 1);
        drop(store);
        open_embedded(dir.path()).await;
    }

    #[tokio::test]
    async fn nobody_else_can_read_anything() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open_embedded(dir.path()).await;
        first_of(&store, batch(&["a"])).await;
        store.blobs.put_new("a/b", &mut &b"content"[..]).expect("put");
        let mut dirs = vec![config(dir.path()).data_dir];
        let mut files = 0;
        while let Some(dir) = dirs.pop() {
            let mode = std::fs::metadata(&dir).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o700, "{}", dir.display());
            for entry in std::fs::read_dir(&dir).expect("listed") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    dirs.push(path);
                    continue;
                }
                let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", path.display());
                files += 1;
            }
        }
        assert!(files >= 5, "{files}");
        drop(store);
        let data_dir = config(dir.path()).data_dir;
        for (name, closed) in [("catalog.db", 0o600), ("master.key", 0o600), ("wal", 0o700)] {
            let path = data_dir.join(name);
            if name == "master.key" {
                std::fs::write(&path, "0").expect("written");
            }
            let set = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode));
            set(0o744).expect("changed");
            let config = config(dir.path());
            let refused = Store::embedded(&config, Arc::new(SystemClock)).await.map(drop);
            for refused in [refused, config.check_data_dir()] {
                let Err(OpenError::Readable { path: named, mode: 0o744 }) = refused else {
                    panic!("{name}: {refused:?}");
                };
                assert_eq!(named, path);
            }
            set(closed).expect("changed");
        }
        std::fs::set_permissions(&data_dir, PermissionsExt::from_mode(0o755)).expect("changed");
        let refused = Store::embedded(&config(dir.path()), Arc::new(SystemClock)).await;
        assert!(matches!(refused.map(drop), Err(OpenError::Readable { mode: 0o755, .. })));
    }

    #[tokio::test]
    async fn a_link_in_the_directory_is_not_followed() {
        for name in ["wal", "blobs"] {
            let dir = tempfile::tempdir().expect("a directory");
            let data_dir = config(dir.path()).data_dir;
            drop(open_embedded(dir.path()).await);
            let elsewhere = dir.path().join("elsewhere");
            std::fs::rename(data_dir.join(name), &elsewhere).expect("moved");
            std::os::unix::fs::symlink(&elsewhere, data_dir.join(name)).expect("linked");
            let refused = Store::embedded(&config(dir.path()), Arc::new(SystemClock)).await;
            let error = refused.map(drop).expect_err("refused").to_string();
            assert!(error.contains("is a link"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_journal_that_is_not_the_checkpoints_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open_embedded(dir.path()).await;
        first_of(&store, batch(&["a", "b"])).await;
        let checkpoint = Checkpoint {
            consumer: "index".to_owned(),
            journal: store.journal.identity(),
            position: at(3),
        };
        let step = Step {
            expected: vec![("index".to_owned(), 0, None)],
            advance: vec![checkpoint],
            statements: Vec::new(),
        };
        store.catalog.step(step).await.expect("stepped");
        drop(store);
        drop(open_embedded(dir.path()).await);
        let wal = config(dir.path()).data_dir.join("wal");
        std::fs::remove_dir_all(&wal).expect("removed");
        let refused = Store::embedded(&config(dir.path()), Arc::new(SystemClock)).await;
        assert!(matches!(refused.map(drop), Err(OpenError::ForeignJournal { .. })));
    }

    #[tokio::test]
    async fn a_catalog_that_was_lost_or_put_back_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Config { consumers: vec!["index".to_owned()], ..config(dir.path()) };
        let open = async |config: &Config| Store::embedded(config, Arc::new(SystemClock)).await;
        let (store, _) = open(&config).await.expect("opened");
        let text = "x".repeat(60_000);
        for _ in 0..40 {
            first_of(&store, batch(&[&text])).await;
        }
        let checkpoint = Checkpoint {
            consumer: "index".to_owned(),
            journal: store.journal.identity(),
            position: at(41),
        };
        let step = Step { advance: vec![checkpoint], ..Step::default() };
        store.catalog.step(step).await.expect("stepped");
        store.journal.hold("index", at(41));
        store.journal.trim().await.expect("trimmed");
        let start = store.journal.start(0);
        assert!(start > at(1));
        drop(store);
        drop(open(&config).await.expect("all is well"));
        // The segments alone, as after the loss of everything else.
        let config = Config { data_dir: dir.path().join("rest"), ..config.clone() };
        drop(open(&config).await.expect("a new directory"));
        std::fs::remove_dir_all(config.data_dir.join("wal")).expect("removed");
        std::fs::rename(dir.path().join("data/wal"), config.data_dir.join("wal")).expect("moved");
        let refused = open(&config).await.map(drop);
        let expected = (start.seq, 1);
        assert!(
            matches!(refused, Err(OpenError::CatalogBehind { start, known }) if (start, known) == expected),
            "{refused:?}"
        );
        let accepting = Config { on_foreign_journal: OnForeignJournal::Accept, ..config };
        drop(open(&accepting).await.expect("somebody has decided"));
    }

    #[tokio::test]
    async fn a_flipped_bit_in_a_blob_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open_embedded(dir.path()).await;
        store.blobs.put_new("a", &mut content(200_000).as_slice()).expect("put");
        let path = config(dir.path()).data_dir.join("blobs/a");
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[100_000] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        store.blobs.get_range("a", 0..65_536).expect("the first block is whole");
        let damaged = store.blobs.get_range("a", 99_000..99_001);
        assert!(matches!(damaged, Err(BlobError::Damaged { offset: 98_304, .. })), "{damaged:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_senders_share_groups() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open_embedded(dir.path()).await;
        let senders: Vec<_> = (0..32)
            .map(|sender| {
                let store = store.clone();
                tokio::spawn(async move {
                    for round in 0..20 {
                        let text = format!("{sender}.{round}");
                        first_of(&store, batch(&[&text])).await;
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.expect("sent");
        }
        let texts = read_all(&store, 1, 100).await;
        assert_eq!(texts.len(), 640);
        for sender in 0..32 {
            let prefix = format!("{sender}.");
            let mine: Vec<&String> =
                texts.iter().filter(|text| text.starts_with(&prefix)).collect();
            let expected: Vec<String> = (0..20).map(|round| format!("{sender}.{round}")).collect();
            assert_eq!(mine, expected.iter().collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_batch_is_known_by_its_id_in_memory_and_on_disk() {
    let dir = tempfile::tempdir().expect("a folder");
    let ids = async |store: &Store| {
        let mut ids = Vec::new();
        let mut from = at(1);
        while from < store.journal.end(0) {
            let chunk = store.journal.read(from, 10).await.expect("read");
            let Chunk::Records { records, next } = chunk else { panic!("a gap") };
            ids.extend(records.iter().map(|record| record.batch_id));
            from = next;
        }
        ids
    };
    let expected = [Some([7; 16]), Some([7; 16]), None, Some([5; 16])];
    let store = open_embedded(dir.path()).await;
    first_of(&store, Append { batch_id: Some([7; 16]), ..batch(&["a", "b"]) }).await;
    first_of(&store, batch(&["c"])).await;
    first_of(&store, Append { batch_id: Some([7; 16]), ..keyed(5, 1, &["d"]) }).await;
    assert_eq!(ids(&store).await, expected);
    store.journal.close().await;
    drop(store);
    assert_eq!(ids(&open_embedded(dir.path()).await).await, expected);
}
