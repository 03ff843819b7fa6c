//! What the receivers of a notifier may not see.
//!
//! In: an alert, and the notifier's setting `mask`, with the words and the rules of a role's mask. Out: the alert
//! without the hidden fields in its group, its entities and its evidence. Where a hidden value stands as whole words
//! in another text, such as the title, [`HIDDEN`] stands instead. What may hold a hidden value that nobody can find
//! there is left out whole: related alerts, the search, the text of an event that is not known in full. Fields are
//! called as alerts show them.

use logwarden_query::{HIDDEN, HiddenWords, Mask};
use serde_json::{Map, Value};

use crate::alert::wording::{ENTITY_VALUES_MAX, TITLE_CHARS_MAX, shown};
use crate::alert::{
    Alert, AlertSummary, EVIDENCE_FIELDS_MAX, EVIDENCE_MESSAGE_BYTES_MAX, EntityCount, Evidence,
};
use crate::error::AlertingError;

/// The setting that every kind of notifier has.
const KEY: &str = "mask";

/// Takes the mask out of a notifier's settings.
///
/// # Errors
///
/// [`AlertingError::Config`] when it is no list of fields that can be hidden.
pub(super) fn take(path: &str, settings: &mut Map<String, Value>) -> Result<Mask, AlertingError> {
    let fault = |error: String| AlertingError::config(format!("{path}.{KEY}"), error);
    let Some(names) = settings.remove(KEY) else { return Ok(Mask::default()) };
    let names: Vec<String> =
        serde_json::from_value(names).map_err(|error| fault(error.to_string()))?;
    Mask::new(&names).map_err(|error| fault(error.to_string()))
}

/// What is left of an alert.
pub(super) fn masked(mask: &Mask, mut alert: Alert) -> Alert {
    if mask.is_empty() {
        return alert;
    }
    let hiding = Hiding::of(mask, &alert.summary, &alert.entities, &alert.evidence);
    hiding.summary(&mut alert.summary);
    hiding.text(&mut alert.why.text);
    for evidence in &mut alert.evidence {
        hiding.evidence(evidence);
    }
    alert.entities.retain(|known| !hiding.hides(&known.entity.field));
    for known in &mut alert.entities {
        hiding.text(&mut known.entity.value);
    }
    for delivery in &mut alert.notifications {
        delivery.title = delivery.title.take().map(|title| hiding.title(title, &alert.summary));
    }
    alert.related.clear();
    alert.search.query = String::from("*");
    alert
}

/// The same of an alert as lists show it.
pub(super) fn masked_summary(
    mask: &Mask,
    mut summary: AlertSummary,
    entities: &[EntityCount],
) -> AlertSummary {
    if !mask.is_empty() {
        Hiding::of(mask, &summary, entities, &[]).summary(&mut summary);
    }
    summary
}

/// What is hidden of one alert.
struct Hiding<'m> {
    mask: &'m Mask,
    words: HiddenWords,
    /// Whether the alert keeps every value that is hidden.
    is_whole: bool,
}

impl<'m> Hiding<'m> {
    fn of(
        mask: &'m Mask,
        summary: &AlertSummary,
        entities: &[EntityCount],
        evidence: &[Evidence],
    ) -> Self {
        let of_group = summary.group.iter().map(|(name, value)| (name, value.clone()));
        let of_entities = entities.iter().map(|known| &known.entity).chain(&summary.entity);
        let of_entities = of_entities.map(|entity| (&entity.field, entity.value.clone()));
        let of_evidence = evidence.iter().flat_map(|evidence| &evidence.fields);
        let of_evidence = of_evidence.filter_map(|(name, value)| Some((name, text_of(value)?)));
        let all = of_group.chain(of_entities).chain(of_evidence);
        let hidden = all.filter(|(name, _)| mask.hides(name));
        // Titles and reasons cut long values.
        let words = HiddenWords::of(hidden.flat_map(|(_, value)| [shown(&value), value]));
        let is_hidden = |known: &&EntityCount| mask.hides(&known.entity.field);
        let is_whole = entities.iter().filter(is_hidden).count() < ENTITY_VALUES_MAX;
        Self { mask, words, is_whole }
    }

    fn hides(&self, name: &str) -> bool {
        self.mask.hides(name)
    }

    fn text(&self, text: &mut String) {
        *text = self.words.replaced(text).into_owned();
    }

    /// Of a title that may end within a value, or have one that is not known, the rule is shown.
    fn title(&self, title: String, summary: &AlertSummary) -> String {
        if !self.is_whole || title.chars().count() >= TITLE_CHARS_MAX {
            return summary.rule.title.clone();
        }
        self.words.replaced(&title).into_owned()
    }

    fn summary(&self, summary: &mut AlertSummary) {
        summary.title = self.title(std::mem::take(&mut summary.title), summary);
        summary.entity = summary.entity.take().filter(|entity| !self.hides(&entity.field));
        summary.group.retain(|(name, _)| !self.hides(name));
        let entity = summary.entity.iter_mut().map(|entity| &mut entity.value);
        let group = summary.group.iter_mut().map(|(_, value)| value);
        group.chain(entity).for_each(|value| self.text(value));
    }

    fn evidence(&self, evidence: &mut Evidence) {
        let is_hidden = |name: &str| self.hides(name);
        let is_cut = |value: &Value| {
            let is_object = |text: &str| text.starts_with(['[', '{']);
            value
                .as_str()
                .is_some_and(|text| text.len() >= EVIDENCE_MESSAGE_BYTES_MAX || is_object(text))
        };
        let is_known = evidence.fields.len() < EVIDENCE_FIELDS_MAX
            && !evidence.fields.iter().any(|(name, value)| is_hidden(name) && is_cut(value));
        evidence.fields.retain(|(name, _)| !is_hidden(name));
        for (_, value) in &mut evidence.fields {
            match value {
                Value::String(text) => self.text(text),
                number if self.words.stand_in(&number.to_string()) => *number = HIDDEN.into(),
                _ => {}
            }
        }
        if is_known && !is_hidden("message") {
            self.text(&mut evidence.message);
        } else {
            evidence.message = HIDDEN.into();
        }
    }
}

/// What can stand in another text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::alert::Entity;
    use crate::notify::delivery::outgoing;

    fn mask(names: &[&str]) -> Mask {
        let mut settings = Map::from_iter([(String::from(KEY), json!(names))]);
        let mask = take("notifiers[0]", &mut settings).expect("names of fields");
        assert!(settings.is_empty(), "the kind does not see it");
        mask
    }

    fn alert() -> Alert {
        let title = "412 failures of Root from 10.2.0.9";
        let mut alert = outgoing(title).alert.expect("an alert");
        alert.why.text = String::from("412 events with source.ip 10.2.0.9, user.name root.");
        alert.evidence[0].message = String::from("no roots, root@10.2.0.9 failed");
        alert.evidence[0].fields =
            vec![("user.name".into(), json!("root")), ("source.ip".into(), json!("10.2.0.9"))];
        let user = Entity { kind: "user".into(), field: "user.name".into(), value: "root".into() };
        alert.entities.push(EntityCount { entity: user, count: 1, is_subject: true });
        alert
    }

    #[test]
    fn what_is_hidden_stands_nowhere_in_a_message() {
        let mut message = outgoing("t");
        message.alert = Some(masked(&mask(&["user"]), alert()));
        let json = super::super::message::to_json(&message);
        assert_eq!(json["alert"]["title"], "412 failures of *** from 10.2.0.9");
        assert_eq!(json["why"]["text"], "412 events with source.ip 10.2.0.9, user.name ***.");
        assert_eq!(json["evidence"][0]["message"], "no roots, ***@10.2.0.9 failed");
        assert_eq!(json["evidence"][0]["fields"], json!({"source.ip": "10.2.0.9"}));
        assert_eq!(json["entities"].as_array().expect("entities").len(), 1);

        message.alert = Some(masked(&mask(&["USER.name", "source.ip", "message"]), alert()));
        let text = super::super::message::to_json(&message).to_string();
        assert!(!text.to_lowercase().contains("root") && !text.contains("10.2.0.9"), "{text}");
        let alert = message.alert.as_ref().expect("an alert");
        let facts = super::super::message::facts(&message, alert, "oncall");
        let (plain, html) = super::super::template::render_alert(&facts).expect("rendered");
        assert!(!plain.contains("Entities") && !html.contains("Entities"), "{plain}");
        assert!(html.contains("</code> ***</li>"), "{html}");
        let summary = &message.alert.expect("an alert").summary;
        assert!(summary.group.is_empty() && summary.entity.is_none(), "{summary:?}");
    }

    #[test]
    fn what_is_not_known_in_full_is_left_out_whole() {
        let hidden = mask(&["card"]);
        let mut many = alert();
        many.evidence[0].fields =
            (0..EVIDENCE_FIELDS_MAX).map(|n| (format!("f{n}"), json!(n))).collect();
        assert_eq!(masked(&hidden, many).evidence[0].message, HIDDEN);
        let mut nested = alert();
        nested.evidence[0].message = String::from("paid with 4111");
        nested.evidence[0].fields.push(("items".into(), json!(r#"[{"card":"4111"}]"#)));
        let nested = masked(&mask(&["items.card"]), nested);
        assert_eq!(nested.evidence[0].message, HIDDEN);
        assert!(nested.evidence[0].fields.iter().all(|(name, _)| name != "items"));
        let mut long = alert();
        long.summary.title = "x".repeat(TITLE_CHARS_MAX);
        assert_eq!(masked(&hidden, long).summary.title, "Failed-login spike");
        assert_eq!(masked(&Mask::default(), alert()), alert());
    }

    #[test]
    fn a_mask_that_hides_nothing_that_can_be_hidden_is_refused() {
        for (value, expected) in [
            (json!(["severity"]), "notifiers[0].mask: `severity` is no field and cannot be hidden"),
            (json!("user.name"), "notifiers[0].mask: invalid type"),
        ] {
            let mut settings = Map::from_iter([(String::from(KEY), value)]);
            let error = take("notifiers[0]", &mut settings).expect_err("refused").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
