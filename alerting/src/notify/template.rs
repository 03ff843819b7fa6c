//! The texts of mails, compiled into the program. HTML is escaped; templates only fill in.

use minijinja::Environment;
use serde_json::Value;

use super::SendError;

/// The text part and the HTML part of a mail about an alert: the same facts twice.
pub(super) fn render_alert(facts: &Value) -> Result<(String, String), SendError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".html") {
            minijinja::AutoEscape::Html
        } else {
            minijinja::AutoEscape::None
        }
    });
    let failed = |error: minijinja::Error| SendError(format!("template: {error}"));
    let render = |name: &str, source: &str| {
        environment.render_named_str(name, source, minijinja::value::Serde(facts)).map_err(failed)
    };
    let text = render("alert.txt", include_str!("../../templates/alert.txt"))?;
    let html = render("alert.html", include_str!("../../templates/alert.html"))?;
    Ok((text, html))
}
