//! `/tail`: events as they come.
//!
//! A tail asks again every [`RECHECK_INTERVAL`] whether its credential still counts; a revoked
//! token, an ended session or a changed role ends it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Extract;
use axum::response::sse::{Event as SentEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use logwarden_query::{Tail, TailItem};
use logwarden_store::identity::Action;
use serde::Deserialize;
use tokio::time::{Interval, MissedTickBehavior};
use utoipa_axum::routes;

use super::scope::{Scope, refuse};
use super::search::sent;
use crate::App;
use crate::auth::{Caller, SignedIn};
use crate::body::Params;
use crate::error::ApiError;
use crate::json::{self, ObjectWriter};
use crate::limits::TailPermit;
use crate::route::{Permission, Routes};

/// How often a tail asks whether its credential still counts. Together with the 500 ms after which
/// another process's change is seen, a tail ends within a second.
const RECHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct TailParams {
    /// The query; its pipes do not count.
    q: Option<String>,
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::Search), routes!(tail))
}

/// Streams events as they come: `hit` for each, `dropped` with a count when the client is too slow.
#[utoipa::path(
    get, path = "/api/v1/tail", tag = "search", params(TailParams),
    responses((status = 200, body = String, content_type = "text/event-stream"))
)]
async fn tail(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<TailParams>,
) -> Result<Response, ApiError> {
    let scope = Scope::read(&app, &caller, params.q, None, None)?;
    let permit = app.limits().tail(&caller.principal)?;
    let tail = app.engine.tail(&scope.query, &scope.visibility).map_err(refuse)?;
    scope.note(&app, &caller, "tail", 0);
    let mut recheck = tokio::time::interval(RECHECK_INTERVAL);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let open = OpenTail { app, caller, tail, recheck, _permit: permit };
    Ok(Sse::new(open.into_stream()).keep_alive(KeepAlive::default()).into_response())
}

struct OpenTail {
    app: App,
    caller: Arc<Caller>,
    tail: Tail,
    recheck: Interval,
    _permit: TailPermit,
}

impl OpenTail {
    fn into_stream(self) -> impl Stream<Item = Result<SentEvent, Infallible>> {
        stream::unfold(self, async |mut open| {
            let event = open.next().await?;
            Some((Ok(event), open))
        })
    }

    async fn next(&mut self) -> Option<SentEvent> {
        loop {
            tokio::select! {
                biased;
                _ = self.recheck.tick() => {
                    if !self.caller.is_still_valid(&self.app.identity) {
                        return None;
                    }
                }
                item = self.tail.next() => return item.map(|item| event_of(&item)),
            }
        }
    }
}

fn event_of(item: &TailItem) -> SentEvent {
    match item {
        TailItem::Event(event) => sent("hit", |out| json::write_hit(event, &[], out)),
        TailItem::Dropped(count) => sent("dropped", |out| {
            let mut object = ObjectWriter::begin(out);
            object.member("count", count);
            object.end();
        }),
    }
}
