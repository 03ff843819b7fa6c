//! `/exports`: everything that matches, written to a file in the background and fetched when it is
//! done.
//!
//! Beside each file stands its header: the query, the range, the columns, who asked and how many
//! events there are. A file belongs to who began it, as long as they may see what they saw then.
//! Files are bounded in size and number, and none outlives the process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use logwarden_event::Timestamp;
use logwarden_query::SearchRequest;
use logwarden_store::identity::{Action, Principal};
use serde::Serialize;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio_util::io::ReaderStream;
use tokio_util::task::AbortOnDropHandle;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::export::{ExportBody, Exporting, Format};
use super::saved::new_id;
use super::scope::{Scope, control, refuse};
use super::shape::List;
use crate::App;
use crate::audit::Entry;
use crate::auth::{Caller, SignedIn};
use crate::body::Json;
use crate::error::ApiError;
use crate::route::{Permission, Routes};

/// Exports kept at the same time; the oldest one that has ended makes room for a new one.
const EXPORTS_MAX: usize = 8;
/// Exports of one principal that run at the same time.
const RUNNING_PER_PRINCIPAL_MAX: usize = 2;
/// Bytes of one file; an export that would be larger fails.
const FILE_BYTES_MAX: u64 = 2_000_000_000;

const EXPORT: Permission = Permission::May(Action::Export);

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ExportState {
    /// The file is being written.
    Running,
    /// The file is whole.
    Done,
    /// A part of the index could not be read; the file's last line says so.
    Incomplete,
    /// There is no file.
    Failed,
}

/// An export in the background; the same, as a file of its own, is its header.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ExportItem {
    /// Its id.
    id: String,
    /// How far it is.
    state: ExportState,
    /// Why it failed.
    error: Option<String>,
    /// The query as it was asked.
    q: String,
    /// The first instant; null without one.
    from: Option<String>,
    /// The first instant after it; null without one.
    to: Option<String>,
    /// `ndjson` or `csv`.
    format: Format,
    /// The fields asked for; empty for all.
    fields: Vec<String>,
    /// The raw record is in it.
    raw: bool,
    /// Who began it.
    principal: String,
    /// When it began.
    began_at: String,
    /// When it ended; null while it runs.
    ended_at: Option<String>,
    /// Events that matched when it began; null until they are counted.
    total: Option<u64>,
    /// Events written so far.
    events: u64,
    /// Bytes written so far.
    size_bytes: u64,
    /// The name of the file.
    file_name: String,
}

/// One export. Dropping it stops the writing.
struct Export {
    owner: Principal,
    item: Arc<Mutex<ExportItem>>,
    path: PathBuf,
    _task: AbortOnDropHandle<()>,
}

/// The exports of this process.
#[derive(Default)]
pub(crate) struct Exports {
    folder: PathBuf,
    kept: Mutex<Vec<Export>>,
}

impl Exports {
    /// Keeps files below `folder`, where those of a process before are removed.
    pub(crate) fn new(folder: PathBuf) -> Self {
        if folder.is_dir()
            && let Err(error) = std::fs::remove_dir_all(&folder)
        {
            tracing::warn!(error = %error, "old exports cannot be removed: {error}");
        }
        Self { folder, kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Export>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the file lies and what is known of it; not found for anybody else's.
    fn find(&self, caller: &Caller, id: &str) -> Result<(PathBuf, ExportItem), ApiError> {
        let kept = self.kept();
        let mine = kept.iter().filter(|export| export.owner == caller.principal);
        let found =
            mine.map(|export| (export.path.clone(), export.now())).find(|(_, item)| item.id == id);
        found.ok_or_else(ApiError::not_found)
    }

    /// Makes room for one more of `owner`; gives the file that nobody knows any more.
    fn make_room(kept: &mut Vec<Export>, owner: &Principal) -> Result<Option<PathBuf>, ApiError> {
        let is_running = |export: &Export| export.now().state == ExportState::Running;
        let running = kept.iter().filter(|export| export.owner == *owner && is_running(export));
        if running.count() >= RUNNING_PER_PRINCIPAL_MAX {
            return Err(ApiError::too_many_requests("two of your exports are running", 10));
        }
        if kept.len() < EXPORTS_MAX {
            return Ok(None);
        }
        let oldest = kept.iter().position(|export| !is_running(export));
        let oldest = oldest
            .ok_or_else(|| ApiError::too_many_requests("too many exports are running", 10))?;
        Ok(Some(kept.remove(oldest).path))
    }
}

impl Export {
    fn now(&self) -> ExportItem {
        self.item.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(EXPORT, routes!(list))
        .add(EXPORT, routes!(begin))
        .add(EXPORT, routes!(show))
        .add(EXPORT, routes!(remove))
        .add(EXPORT, routes!(file))
        .add(EXPORT, routes!(head))
}

/// Lists one's own exports, newest first.
#[utoipa::path(
    get, path = "/api/v1/exports", tag = "search",
    responses((status = 200, body = List<ExportItem>))
)]
async fn list(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> axum::Json<List<ExportItem>> {
    let kept = app.exports().kept();
    let mine = kept.iter().rev().filter(|export| export.owner == caller.principal);
    axum::Json(List::whole(mine.map(Export::now).collect()))
}

/// Begins to write everything that matches to a file, newest first.
#[utoipa::path(
    post, path = "/api/v1/exports", tag = "search", request_body = ExportBody,
    responses((status = 202, body = ExportItem, description = "It runs."))
)]
async fn begin(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(body): Json<ExportBody>,
) -> Result<Response, ApiError> {
    let (scope, renderer) = body.read(&app, &caller)?;
    let counting = count_request(&scope);
    let bound = |at: Timestamp, open: Timestamp| (at != open).then(|| at.to_string());
    let id = new_id()?;
    let item = ExportItem {
        state: ExportState::Running,
        error: None,
        q: scope.text.clone(),
        from: bound(scope.range.start, Timestamp::MIN),
        to: bound(scope.range.end, Timestamp::MAX),
        format: renderer.format,
        fields: renderer.fields.clone(),
        raw: renderer.with_raw,
        principal: caller.principal.name.clone(),
        began_at: scope.now.to_string(),
        ended_at: None,
        total: None,
        events: 0,
        size_bytes: 0,
        file_name: renderer.file_name(scope.now),
        id: id.clone(),
    };
    let item = Arc::new(Mutex::new(item));
    let path = app.exports().folder.join(&id);
    let mut exporting = Exporting::begin(app.clone(), Arc::clone(&caller), scope, renderer);
    // What cannot be asked for is refused at once.
    exporting.look_ahead().await.map_err(refuse)?;
    let writing = {
        let (app, caller, item, path) =
            (app.clone(), Arc::clone(&caller), Arc::clone(&item), path.clone());
        async move {
            let ended = write(&app, &caller, counting, exporting, &item, &path).await;
            if ended.is_err() {
                forget(path).await;
            }
            conclude(&app, &item, ended);
        }
    };
    let forgotten = {
        let mut kept = app.exports().kept();
        let forgotten = Exports::make_room(&mut kept, &caller.principal)?;
        let task = AbortOnDropHandle::new(tokio::spawn(writing));
        kept.push(Export {
            owner: caller.principal.clone(),
            item: Arc::clone(&item),
            path,
            _task: task,
        });
        forgotten
    };
    if let Some(path) = forgotten {
        forget(path).await;
    }
    let text = now(&item).q;
    let entry = Entry::new("export.begin", &caller.principal, &text, "began an export");
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok((StatusCode::ACCEPTED, axum::Json(now(&item))).into_response())
}

/// Says how far an export is.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}", tag = "search",
    params(("id" = String, Path, description = "The export's id.")),
    responses((status = 200, body = ExportItem))
)]
async fn show(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<ExportItem>, ApiError> {
    Ok(axum::Json(app.exports().find(&caller, &id)?.1))
}

/// Stops an export and removes its file.
#[utoipa::path(
    delete, path = "/api/v1/exports/{id}", tag = "search",
    params(("id" = String, Path, description = "The export's id.")),
    responses((status = 204))
)]
async fn remove(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let (path, item) = app.exports().find(&caller, &id)?;
    app.exports().kept().retain(|export| export.path != path);
    forget(path).await;
    let entry = Entry::new("export.remove", &caller.principal, &item.q, "removed an export");
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the file of an export that has ended.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}/file", tag = "search",
    params(("id" = String, Path, description = "The export's id.")),
    responses((status = 200, description = "Lines of JSON, or of cells.",
        content((String = "application/x-ndjson"), (String = "text/csv"))))
)]
async fn file(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (path, item) = app.exports().find(&caller, &id)?;
    if !matches!(item.state, ExportState::Done | ExportState::Incomplete) {
        return Err(ApiError::conflict("no_file", "the export has no file, or not yet"));
    }
    let file = File::open(&path).await.map_err(ApiError::internal)?;
    let entry = Entry::new("export.fetch", &caller.principal, &item.q, "fetched an export");
    app.audit.record(entry.from_peer(caller.peer).counting(item.events)).await;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(item.format.content_type())),
        (header::CONTENT_DISPOSITION, attachment(&item.file_name)?),
        (header::CONTENT_LENGTH, HeaderValue::from(item.size_bytes)),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

/// Gives the header of an export as a file: query, range, columns, who, when and how many.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}/header", tag = "search",
    params(("id" = String, Path, description = "The export's id.")),
    responses((status = 200, body = ExportItem))
)]
async fn head(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (_, item) = app.exports().find(&caller, &id)?;
    let disposition = attachment(&format!("{}.header.json", item.file_name))?;
    Ok(([(header::CONTENT_DISPOSITION, disposition)], axum::Json(item)).into_response())
}

fn attachment(name: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")).map_err(ApiError::internal)
}

fn now(item: &Mutex<ExportItem>) -> ExportItem {
    item.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// How many there will be, for the progress.
fn count_request(scope: &Scope) -> SearchRequest {
    SearchRequest {
        query: scope.query.clone(),
        range: scope.range,
        limit: 0,
        sort: Vec::new(),
        cursor: None,
        visibility: scope.visibility.clone(),
    }
}

/// Why there is no whole file.
enum Broken {
    /// The events.
    Reading(ApiError),
    /// The file.
    Writing(std::io::Error),
    /// It has [`FILE_BYTES_MAX`] bytes.
    TooLarge,
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Writing(error)
    }
}

/// Writes the file to its end; says whether everything could be read.
async fn write(
    app: &App,
    caller: &Caller,
    counting: SearchRequest,
    mut exporting: Exporting,
    item: &Mutex<ExportItem>,
    path: &std::path::Path,
) -> Result<bool, Broken> {
    let reading = |error| Broken::Reading(refuse(error));
    let change = |work: &dyn Fn(&mut ExportItem)| {
        work(&mut item.lock().unwrap_or_else(PoisonError::into_inner))
    };
    let (control, _guard) = control(caller);
    let counted = app.engine.search(counting, control).await.map_err(reading)?;
    change(&|item| item.total = Some(counted.total));
    let folder = &app.exports().folder;
    tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
    let mut new = File::options();
    new.write(true).create(true).truncate(true).mode(0o600);
    let mut file = BufWriter::new(new.open(path).await?);
    let mut size_bytes = 0;
    while let Some(bytes) = exporting.next().await.map_err(reading)? {
        size_bytes += bytes.len() as u64;
        if size_bytes > FILE_BYTES_MAX {
            return Err(Broken::TooLarge);
        }
        file.write_all(&bytes).await?;
        let events = exporting.events;
        change(&|item| (item.events, item.size_bytes) = (events, size_bytes));
    }
    file.flush().await?;
    let events = exporting.events;
    change(&|item| (item.events, item.size_bytes) = (events, size_bytes));
    Ok(exporting.is_complete)
}

fn conclude(app: &App, item: &Mutex<ExportItem>, ended: Result<bool, Broken>) {
    let mut item = item.lock().unwrap_or_else(PoisonError::into_inner);
    item.ended_at = Some(app.audit.now().to_string());
    (item.state, item.error) = match ended {
        Ok(true) => (ExportState::Done, None),
        Ok(false) => (ExportState::Incomplete, None),
        Err(Broken::Reading(error)) => (ExportState::Failed, Some(error.detail().message.clone())),
        Err(Broken::TooLarge) => (
            ExportState::Failed,
            Some(format!("the file would have more than {FILE_BYTES_MAX} bytes")),
        ),
        Err(Broken::Writing(error)) => {
            tracing::error!(error = %error, "an export cannot be written: {error}");
            (ExportState::Failed, Some("the file cannot be written".to_owned()))
        }
    };
}

/// Removes the file of an export that nobody knows any more.
async fn forget(path: PathBuf) {
    match tokio::fs::remove_file(&path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(error = %error, "an export cannot be removed: {error}");
        }
        _ => {}
    }
}
