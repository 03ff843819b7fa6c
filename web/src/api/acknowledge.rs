//! `/a/{token}`: the page to which a mail's link leads. It asks once and acknowledges, without
//! signing in.
//!
//! GET shows what it is about and changes nothing: mail scanners fetch every link before a person
//! does. POST acts. The page is plain HTML with a form and works without scripts.

use axum::Extension;
use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use logwarden_alerting::{AlertingError, KnownLink, Link, LinkState};
use logwarden_event::Timestamp;
use utoipa_axum::routes;

use super::alerts::refuse;
use crate::App;
use crate::audit::Entry;
use crate::error::{ApiError, ErrorBody};
use crate::origin::Origin;
use crate::route::{Permission, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::Open, routes!(show)).add(Permission::Open, routes!(acknowledge))
}

/// Shows what a mail's link would acknowledge; changes nothing.
#[utoipa::path(
    get, path = "/a/{token}", tag = "alerts",
    params(("token" = String, Path, description = "From the notification.")),
    responses(
        (status = 200, body = String, content_type = "text/html"),
        (status = "4XX", description = "A page that says why not, or an error.",
            content((String = "text/html"), (ErrorBody<'_> = "application/json")))
    )
)]
async fn show(Extract(app): Extract<App>, Path(token): Path<String>) -> Result<Response, ApiError> {
    page_of(app.alerting.link(&token).await, None)
}

/// Acknowledges the alert of a mail's link.
#[utoipa::path(
    post, path = "/a/{token}", tag = "alerts",
    params(("token" = String, Path, description = "From the notification.")),
    responses(
        (status = 200, body = String, content_type = "text/html"),
        (status = "4XX", description = "A page that says why not, or an error.",
            content((String = "text/html"), (ErrorBody<'_> = "application/json")))
    )
)]
async fn acknowledge(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    let (link, actor) = match app.alerting.use_link(&token).await {
        Ok(used) => used,
        Err(error) => return page_of(Err(error), None),
    };
    if let (Some(actor), Link::Known(known)) = (&actor, &link) {
        let id = known.alert_id.to_string();
        let message =
            format!("acknowledged alert {id} by mail link, recipient {}", known.recipient);
        let entry = Entry::new("alert.acknowledge", actor, &id, message);
        app.audit.record(entry.from_peer(origin.peer)).await;
    }
    page_of(Ok(link), actor.as_deref())
}

/// The page; `done_as`: it was acknowledged just now, under this name.
fn page_of(link: Result<Link, AlertingError>, done_as: Option<&str>) -> Result<Response, ApiError> {
    let (status, body) = match link {
        Ok(Link::Known(known)) => (StatusCode::OK, known_body(&known, done_as)),
        Ok(Link::Expired) => (
            StatusCode::GONE,
            String::from(
                "<p role=\"status\">This link has expired. <a href=\"/alerts\">Sign in</a> to see the alert.</p>",
            ),
        ),
        Err(AlertingError::NotFound) => (
            StatusCode::NOT_FOUND,
            String::from(
                "<p role=\"status\">This link is not known. Was it copied whole? <a href=\"/alerts\">Sign in</a> to see the alerts.</p>",
            ),
        ),
        Err(error) => return Err(refuse(error)),
    };
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\">\
         <title>Acknowledge · Logwarden</title>\
         <link rel=\"stylesheet\" href=\"/acknowledge.css\"></head>\
         <body><a class=\"skip\" href=\"#content\">Skip to content</a><header>Logwarden</header>\
         <main id=\"content\"><section><h1 tabindex=\"-1\">Acknowledge alert</h1>{body}</section></main>\
         </body></html>\n"
    );
    let mut response = (status, html).into_response();
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

fn known_body(known: &KnownLink, done_as: Option<&str>) -> String {
    let (title, id) = (escaped(&known.title), known.alert_id);
    let severity = known.severity.name();
    let opened_at = shown(known.opened_at);
    let mut body =
        format!("<p class=\"title\">{title}</p><p>Severity {severity}, opened {opened_at}.</p>");
    let said = match (&known.state, done_as) {
        (LinkState::Open, _) => {
            body.push_str(&format!(
                "<form method=\"post\"><p>Acknowledging says that you look at it, in the name of {}. \
                 Others are then not called.</p><p><button>Acknowledge</button></p></form>",
                escaped(&known.recipient)
            ));
            None
        }
        (LinkState::Acknowledged { at, .. }, Some(name)) => {
            Some(format!("Acknowledged by {} at {}.", escaped(name), shown(*at)))
        }
        (LinkState::Acknowledged { by, at }, None) => {
            Some(format!("Already acknowledged by {} at {}.", escaped(by), shown(*at)))
        }
        (LinkState::Resolved, _) => Some(String::from("This alert is resolved already.")),
        (LinkState::Used, _) => Some(String::from(
            "This link was used before, and the alert was opened again since; the notification about that has a link of its own.",
        )),
    };
    if let Some(said) = said {
        body.push_str(&format!("<p role=\"status\">{said}</p>"));
    }
    body.push_str(&format!(
        "<p><a href=\"/alerts/{id}\">Open the alert</a> (asks you to sign in)</p>\
         <p class=\"soft\">The link is valid until {}.</p>",
        shown(known.expires_at)
    ));
    body
}

/// A time as people read it: to the second, in UTC, for nobody has said which zone is theirs.
fn shown(at: Timestamp) -> String {
    at.to_datetime().format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Text in HTML, whatever it holds.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use logwarden_alerting::Level;
    use logwarden_event::AlertId;

    #[test]
    fn a_page_holds_a_hostile_title_as_text_and_no_script() {
        let known = KnownLink {
            alert_id: AlertId::from_u128(7),
            title: "<script>alert(1)</script>\" onload='x'".to_owned(),
            severity: Level::High,
            opened_at: Timestamp::from_secs(0),
            recipient: "<b>@example.org".to_owned(),
            expires_at: Timestamp::from_secs(1),
            state: LinkState::Open,
        };
        let body = known_body(&known, None);
        assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{body}");
        assert!(!body.contains("<script") && !body.contains("<b>"), "{body}");
        assert!(body.contains("<button>Acknowledge</button>"), "{body}");
        let done = KnownLink {
            state: LinkState::Acknowledged { by: "ana".into(), at: Timestamp::from_secs(5) },
            ..known
        };
        let body = known_body(&done, None);
        assert!(body.contains("Already acknowledged by ana at ") && !body.contains("<button"));
    }
}
