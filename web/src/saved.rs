//! What people keep of the dashboard: saved searches, dashboards, and their own settings.
//!
//! Each is a name and a JSON text whose meaning only the dashboard knows. It belongs to a user, who
//! may show it to everybody; only the owner and administrators change it. Kept in the catalog.

use std::sync::Arc;

use logwarden_event::{Clock, Timestamp};
use logwarden_store::{
    Catalog, CatalogError, Migration, Row, SqlValue, Statement, Step, StepOutcome,
};

/// Things of one kind that one user keeps; further ones are refused.
pub(crate) const PER_OWNER_MAX: usize = 500;
/// Longest name, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 200;
/// Repetitions of a step whose outcome is unknown.
const STEP_ATTEMPTS_MAX: usize = 3;
/// Whose tables these are.
const ROOM: &str = "saved";

const MIGRATIONS: &[Migration] = &["
    CREATE TABLE saved (
        id TEXT NOT NULL PRIMARY KEY,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        owner TEXT NOT NULL,
        is_shared BIGINT NOT NULL,
        content TEXT NOT NULL,
        updated_at BIGINT NOT NULL
    );
    CREATE INDEX saved_by_kind ON saved (kind, name);
"];

const COLUMNS: usize = 6;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A search with its range and form.
    Search,
    /// Panels arranged by a person.
    Dashboard,
    /// A person's own settings; one per user.
    Settings,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Dashboard => "dashboard",
            Self::Settings => "settings",
        }
    }
}

/// One thing that somebody keeps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) is_shared: bool,
    pub(crate) content: serde_json::Value,
    pub(crate) updated_at: Timestamp,
}

/// Everything that is kept.
pub struct Saved {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
}

impl Saved {
    /// Brings the table up to date.
    ///
    /// # Errors
    ///
    /// When the catalog fails or is too new.
    pub async fn open(
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, CatalogError> {
        catalog.migrate(ROOM, MIGRATIONS).await?;
        Ok(Arc::new(Self { catalog, clock }))
    }

    /// Those of `owner` and those shown to everybody, by name.
    pub(crate) async fn list(&self, kind: Kind, owner: &str) -> Result<Vec<Item>, CatalogError> {
        let sql = "SELECT id, name, owner, is_shared, content, updated_at FROM saved
                   WHERE kind = ?1 AND (owner = ?2 OR is_shared = 1) ORDER BY name, id";
        self.select(sql, vec![text(kind.as_str()), text(owner)]).await
    }

    /// One of them, whoever it belongs to.
    pub(crate) async fn find(&self, kind: Kind, id: &str) -> Result<Option<Item>, CatalogError> {
        let sql = "SELECT id, name, owner, is_shared, content, updated_at FROM saved
                   WHERE kind = ?1 AND id = ?2";
        Ok(self.select(sql, vec![text(kind.as_str()), text(id)]).await?.pop())
    }

    /// Keeps an item under its id, in place of the one before.
    pub(crate) async fn put(&self, kind: Kind, mut item: Item) -> Result<Item, CatalogError> {
        item.updated_at = self.clock.now();
        let sql = "INSERT INTO saved (id, kind, name, owner, is_shared, content, updated_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT (id) DO UPDATE SET name = excluded.name,
                   is_shared = excluded.is_shared, content = excluded.content,
                   updated_at = excluded.updated_at";
        let values = vec![
            text(&item.id),
            text(kind.as_str()),
            text(&item.name),
            text(&item.owner),
            SqlValue::Integer(i64::from(item.is_shared)),
            SqlValue::Text(item.content.to_string()),
            SqlValue::Integer(item.updated_at.nanos()),
        ];
        self.change(Statement { sql, values }).await?;
        Ok(item)
    }

    /// Keeps it no longer.
    pub(crate) async fn remove(&self, kind: Kind, id: &str) -> Result<(), CatalogError> {
        let sql = "DELETE FROM saved WHERE kind = ?1 AND id = ?2";
        self.change(Statement { sql, values: vec![text(kind.as_str()), text(id)] }).await
    }

    async fn select(
        &self,
        sql: &'static str,
        values: Vec<SqlValue>,
    ) -> Result<Vec<Item>, CatalogError> {
        let answers = self.catalog.query(vec![Statement { sql, values }]).await?;
        answers.into_iter().flatten().map(read).collect()
    }

    async fn change(&self, statement: Statement) -> Result<(), CatalogError> {
        let mut attempt = 1;
        loop {
            let step = Step { statements: vec![statement.clone()], ..Step::default() };
            match self.catalog.step(step).await {
                Ok(StepOutcome::Done { .. }) => return Ok(()),
                Ok(_) => return Err(unexpected("outcome of a step")),
                Err(CatalogError::Unknown) if attempt < STEP_ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.to_owned())
}

fn read(row: Row) -> Result<Item, CatalogError> {
    let values: [SqlValue; COLUMNS] = row.0.try_into().map_err(|_| unexpected("row"))?;
    let [
        SqlValue::Text(id),
        SqlValue::Text(name),
        SqlValue::Text(owner),
        SqlValue::Integer(is_shared),
        SqlValue::Text(content),
        SqlValue::Integer(updated_at),
    ] = values
    else {
        return Err(unexpected("value"));
    };
    let content = serde_json::from_str(&content).map_err(|_| unexpected("content"))?;
    let updated_at = Timestamp::from_nanos(updated_at);
    Ok(Item { id, name, owner, is_shared: is_shared != 0, content, updated_at })
}

fn unexpected(what: &str) -> CatalogError {
    CatalogError::Failed(format!("unexpected {what} among what people keep"))
}
