//! `/export`: everything that matches, as lines of JSON or as CSV.
//!
//! Page by page, so that memory stays that of a few pages; a slow client slows the reading down.
//! What cannot be given breaks the connection off, or ends the file with a line that says so.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, stream};
use http::{HeaderValue, header};
use logwarden_event::{Event, Timestamp};
use logwarden_query::{ExportAnswer, ExportRequest, Pipe, QueryError};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::{Scope, Word, control, refuse};
use super::search::Names;
use crate::App;
use crate::audit::Entry;
use crate::auth::{Caller, SignedIn};
use crate::body::Json;
use crate::csv;
use crate::error::ApiError;
use crate::json::{self, ObjectWriter};
use crate::route::{Permission, Routes};

/// Pages that wait for a slow client; reading waits with them.
const PAGES_WAITING_MAX: usize = 1;

/// What to export, and as what.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ExportBody {
    /// The query; of its pipes only `where` and `fields` may be used.
    q: Option<String>,
    /// The first instant.
    from: Option<Word>,
    /// The first instant after it.
    to: Option<Word>,
    /// `ndjson` or `csv`.
    #[serde(default)]
    format: Format,
    /// Only these fields, as columns of CSV in this order; CSV may name attributes too.
    fields: Option<Names>,
    /// Adds the raw record; not when nothing is said.
    #[serde(default)]
    raw: bool,
}

/// As what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ExportFormat)]
pub(super) enum Format {
    /// One JSON object per line, each like a hit.
    #[default]
    Ndjson,
    /// Comma-separated values with a head line.
    Csv,
}

/// How events become bytes.
#[derive(Debug)]
pub(super) struct Renderer {
    /// As what.
    pub(super) format: Format,
    /// Only these fields; empty for all.
    pub(super) fields: Vec<String>,
    /// With the raw records.
    pub(super) with_raw: bool,
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::Export), routes!(export))
}

/// Gives everything that matches, newest first.
#[utoipa::path(
    post, path = "/api/v1/export", tag = "search", request_body = ExportBody,
    responses((status = 200, description = "Lines of JSON, or of cells.",
        content((String = "application/x-ndjson"), (String = "text/csv"))))
)]
async fn export(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(body): Json<ExportBody>,
) -> Result<Response, ApiError> {
    let (scope, renderer) = body.read(&app, &caller)?;
    let entry = Entry::new("export.begin", &caller.principal, &scope.text, "began an export");
    app.audit.record(entry.from_peer(caller.peer)).await;
    let disposition = format!("attachment; filename=\"{}\"", renderer.file_name(scope.now));
    let disposition = HeaderValue::from_str(&disposition).map_err(ApiError::internal)?;
    let content_type = renderer.format.content_type();
    let mut exporting = Exporting::begin(app, caller, scope, renderer);
    // What goes wrong before the first page is an answer of its own.
    exporting.look_ahead().await.map_err(refuse)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(exporting.into_stream())).into_response())
}

impl ExportBody {
    /// Which events it asks for, and how they become bytes.
    pub(super) fn read(
        self,
        app: &App,
        caller: &Caller,
    ) -> Result<(Scope, Arc<Renderer>), ApiError> {
        let scope = Scope::read(app, caller, self.q, self.from, self.to)?;
        let named = self.fields.map(Names::into_list).filter(|names| !names.is_empty());
        let piped = scope.query.pipes.iter().find_map(|pipe| match pipe {
            Pipe::Fields(names) => Some(names.clone()),
            _ => None,
        });
        let fields = named.or(piped).unwrap_or_default();
        Ok((scope, Arc::new(Renderer { format: self.format, fields, with_raw: self.raw })))
    }
}

impl Format {
    /// The type of the file.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

impl Renderer {
    /// What to call the file.
    pub(super) fn file_name(&self, now: Timestamp) -> String {
        let at = now.to_datetime().format("%Y%m%dT%H%M%SZ");
        let ending = match self.format {
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
        };
        format!("logwarden-{at}.{ending}")
    }

    fn head(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.format == Format::Csv {
            csv::write_head(&self.fields, self.with_raw, &mut out);
        }
        out
    }

    fn page(&self, events: &[Event]) -> Vec<u8> {
        let mut out = Vec::with_capacity(events.len() * 512);
        for event in events {
            match self.format {
                Format::Ndjson => {
                    json::write_exported(event, &self.fields, self.with_raw, &mut out);
                    out.push(b'\n');
                }
                Format::Csv => csv::write_event(event, &self.fields, self.with_raw, &mut out),
            }
        }
        out
    }

    /// The last line of an export that is not whole.
    fn incomplete(&self, unreadable: &[String]) -> Vec<u8> {
        let message = match unreadable {
            [] => "incomplete: a part of the index was not read".to_owned(),
            names => format!("incomplete: {} could not be read", names.join(", ")),
        };
        let mut out = Vec::new();
        match self.format {
            Format::Ndjson => {
                let mut line = ObjectWriter::begin(&mut out);
                let mut error = ObjectWriter::begin(line.key("error"));
                error.member("code", "incomplete");
                error.member("message", &message);
                error.end();
                line.end();
                out.push(b'\n');
            }
            Format::Csv => csv::write_note(&message, &mut out),
        }
        out
    }
}

/// An export under way. Dropping it cancels the reading.
pub(super) struct Exporting {
    /// Events given so far.
    pub(super) events: u64,
    /// Everything was read; said when it has ended.
    pub(super) is_complete: bool,
    app: App,
    caller: Arc<Caller>,
    scope: Scope,
    renderer: Arc<Renderer>,
    reading: Option<BoxFuture<'static, Result<ExportAnswer, QueryError>>>,
    pages: mpsc::Receiver<Vec<Event>>,
    /// What was rendered before the answer began.
    ahead: Option<Bytes>,
    head: Vec<u8>,
    _guard: DropGuard,
}

impl Exporting {
    /// Begins to read what `caller` may see of `scope`.
    pub(super) fn begin(
        app: App,
        caller: Arc<Caller>,
        scope: Scope,
        renderer: Arc<Renderer>,
    ) -> Self {
        let request = ExportRequest {
            query: scope.query.clone(),
            range: scope.range,
            visibility: scope.visibility.clone(),
        };
        let (control, guard) = control(&caller);
        let (sender, pages) = mpsc::channel(PAGES_WAITING_MAX);
        let engine = Arc::clone(&app.engine);
        let reading = async move { engine.export(request, sender, control).await };
        Self {
            events: 0,
            is_complete: true,
            app,
            caller,
            scope,
            head: renderer.head(),
            renderer,
            reading: Some(reading.boxed()),
            pages,
            ahead: None,
            _guard: guard,
        }
    }

    fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::unfold(Some(self), async |exporting| {
            let mut exporting = exporting?;
            match exporting.next().await {
                Ok(bytes) => Some((Ok(bytes?), Some(exporting))),
                Err(error) => {
                    tracing::warn!(error = %error, "export broke off: {error}");
                    Some((Err(io::Error::other("the export broke off")), None))
                }
            }
        })
    }

    /// Reads the first bytes of the file, so that what cannot be asked for is known.
    pub(super) async fn look_ahead(&mut self) -> Result<(), QueryError> {
        self.ahead = self.step().await?;
        Ok(())
    }

    /// The next bytes of the file; `None` at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, QueryError> {
        match self.ahead.take() {
            Some(ahead) => Ok(Some(ahead)),
            None => self.step().await,
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, QueryError> {
        loop {
            let Some(reading) = self.reading.as_mut() else { return Ok(None) };
            let page = tokio::select! {
                biased;
                Some(page) = self.pages.recv() => page,
                answer = reading => {
                    self.reading = None;
                    // The last page may have come together with the end.
                    let mut rest = std::mem::take(&mut self.head);
                    while let Ok(page) = self.pages.try_recv() {
                        self.events += page.len() as u64;
                        rest.extend(render(Arc::clone(&self.renderer), page).await?);
                    }
                    rest.extend(self.end(answer?));
                    return Ok((!rest.is_empty()).then(|| rest.into()));
                }
            };
            if !self.caller.is_still_valid(&self.app.identity) {
                return Err(QueryError::Cancelled);
            }
            self.events += page.len() as u64;
            let mut bytes = std::mem::take(&mut self.head);
            bytes.extend(render(Arc::clone(&self.renderer), page).await?);
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
    }

    fn end(&mut self, answer: ExportAnswer) -> Vec<u8> {
        self.is_complete = answer.complete;
        self.scope.note(&self.app, &self.caller, "export.end", answer.total);
        if answer.complete { Vec::new() } else { self.renderer.incomplete(&answer.unreadable) }
    }
}

/// Rendering a page takes longer than an async thread has.
async fn render(renderer: Arc<Renderer>, page: Vec<Event>) -> Result<Vec<u8>, QueryError> {
    let rendered = tokio::task::spawn_blocking(move || renderer.page(&page)).await;
    rendered.map_err(|_| QueryError::Internal)
}
