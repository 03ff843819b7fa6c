//! What every receiver but a mail's and a webhook's is told: the same facts for all of them, made here once.
//!
//! In: a notification. Out: [`Said`], and of it a [`Body`], paragraphs in the order of their weight for whoever is
//! woken by it, cut to what the receiver takes: related alerts go first, then evidence; the title, why, what to do and
//! the link to the alert stay. Values from records are cut and their controls visible; what a receiver would read as
//! markup, a mention or a link is the matter of each receiver's own file.

use serde_json::{Map, Value, json};

use super::super::{Outgoing, Trouble};
use super::{
    acknowledge_link, decisive_first, decisive_note, entity_lines, field_text, heading, late_note,
    link, others, route_of, time,
};
use crate::alert::wording::{counted, visible};
use crate::alert::{Alert, AlertState, Evidence, RelatedAlert};
use crate::rule::Level;

/// Fields of a group that are named.
const GROUP_FACTS_MAX: usize = 16;
/// Further alerts of a message that are named.
const ALSO_SHOWN_MAX: usize = 10;
/// Events that are shown.
const EVIDENCE_MAX: usize = 5;
/// Characters of an event's message.
const EVIDENCE_CHARS_MAX: usize = 200;
/// Related alerts that are named.
const RELATED_MAX: usize = 5;
/// Characters of what to do.
const WHAT_TO_DO_CHARS_MAX: usize = 2_000;
/// A line is not cut any further than to so many characters.
const LINE_CHARS_MIN: usize = 40;

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notify) struct Said {
    /// Names the alert, or the occasion: the same for all that is said about one alert.
    pub key: String,
    /// One line.
    pub title: String,
    /// Why, in words with numbers.
    pub text: String,
    /// The text is a template's: whoever wrote it chose what is said.
    pub is_own_text: bool,
    /// How bad it is.
    pub level: Level,
    /// What became of it.
    pub state: AlertState,
    /// Since when, and from when to when its events are; empty where it is about no alert.
    pub since: String,
    /// What decided.
    pub note: Option<String>,
    /// That its events are old.
    pub late: Option<String>,
    /// It is no reason to wake anybody: its events came late.
    pub may_wait: bool,
    /// The rule's title and id.
    pub rule: (String, String),
    /// What the rule is labelled with.
    pub labels: Vec<(String, String)>,
    /// Names and values of the group.
    pub facts: Vec<(String, String)>,
    /// Who and what it is about, a line for each field.
    pub entities: Vec<String>,
    /// Events that prove it, a line each.
    pub evidence: Vec<String>,
    /// Events there are.
    pub events: u64,
    /// Other alerts about the same, a line each.
    pub related: Vec<String>,
    /// What to do, in lines.
    pub what_to_do: String,
    /// To the dashboard; empty when nobody said where it is.
    pub link: String,
    /// Where to go on from here, by name; the alert itself comes first.
    pub links: Vec<(&'static str, String)>,
    /// By which route it came, and who else is told; empty where it is about no alert.
    pub told: String,
}

/// What a paragraph is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::notify) enum PartName {
    /// Why, with what decided and how old it is.
    Why,
    /// Since when.
    Since,
    /// What to do, as the rule's author wrote it: nothing in it comes from records.
    WhatToDo,
    /// Who and what it is about.
    About,
    /// Events.
    Evidence,
    /// Other alerts.
    Related,
    /// Who is told.
    Told,
}

/// A paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notify) struct Part {
    /// What it is about.
    pub name: PartName,
    /// What stands above it; may be empty.
    pub heading: String,
    /// Its lines.
    pub lines: Vec<String>,
}

/// What a message holds below its title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notify) struct Body {
    /// The paragraphs.
    pub parts: Vec<Part>,
    /// The links.
    pub links: Vec<(&'static str, String)>,
}

impl Said {
    /// About nothing.
    fn nothing() -> Self {
        Self {
            key: String::new(),
            title: String::from("Logwarden"),
            text: String::new(),
            is_own_text: false,
            level: Level::Informational,
            state: AlertState::Resolved,
            since: String::new(),
            note: None,
            late: None,
            may_wait: false,
            rule: (String::from("Logwarden"), String::from("logwarden")),
            labels: Vec::new(),
            facts: Vec::new(),
            entities: Vec::new(),
            evidence: Vec::new(),
            events: 0,
            related: Vec::new(),
            what_to_do: String::new(),
            link: String::new(),
            links: Vec::new(),
            told: String::new(),
        }
    }

    /// For templates.
    pub(in crate::notify) fn facts(&self) -> Value {
        let object = |pairs: &[(String, String)]| -> Map<String, Value> {
            pairs.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect()
        };
        let links: Map<String, Value> =
            self.links.iter().map(|(name, to)| (name.to_lowercase(), to.clone().into())).collect();
        json!({
            "title": self.title, "text": self.text, "severity": self.level.name(),
            "state": self.state.name(), "rule": self.rule.0, "rule_id": self.rule.1,
            "fields": object(&self.facts), "labels": object(&self.labels), "link": self.link,
            "what_to_do": self.what_to_do, "alert_id": self.key, "since": self.since,
            "note": self.note, "late": self.late, "entities": self.entities,
            "evidence": self.evidence, "events": self.events, "related": self.related,
            "links": links, "told": self.told,
        })
    }

    /// Why, with what decided and how old it is, a line each.
    pub(in crate::notify) fn reasons(&self) -> Vec<String> {
        [Some(&self.text), self.note.as_ref(), self.late.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// All of it.
    pub(in crate::notify) fn body(&self) -> Body {
        let part = |name, heading: &str, lines: Vec<String>| Part {
            name,
            heading: heading.to_owned(),
            lines,
        };
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        if self.is_own_text {
            let own = self.text.lines().map(str::to_owned).chain(self.late.clone()).collect();
            return Body { parts: vec![part(PartName::Why, "", own)], links: Vec::new() };
        }
        let mut about: Vec<String> =
            self.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let of_entities = self.entities.iter().filter(|line| !about.contains(line));
        let of_entities: Vec<String> = of_entities.cloned().collect();
        about.extend(of_entities);
        let evidence = format!("Evidence ({} of {})", self.evidence.len(), self.events);
        let mut parts = vec![
            part(PartName::Why, "", self.reasons()),
            part(PartName::Since, "", lines(&self.since)),
            part(PartName::WhatToDo, "What to do", lines(&self.what_to_do)),
            part(PartName::About, "About", about),
            part(PartName::Evidence, &evidence, self.evidence.clone()),
            part(PartName::Related, "Related", self.related.clone()),
            part(PartName::Told, "", lines(&self.told)),
        ];
        parts.retain(|part| !part.lines.is_empty());
        Body { parts, links: self.links.clone() }
    }

    /// As much of it as has at most the size `most`, as `size` measures it.
    pub(in crate::notify) fn body_within(
        &self,
        most: usize,
        size: impl Fn(&Body) -> usize,
    ) -> Body {
        let mut body = self.body();
        while size(&body) > most && body.shrink() {}
        body
    }
}

impl Body {
    /// The paragraphs without the links, escaped as the receiver needs it, lines divided by `line_break`.
    pub(in crate::notify) fn text(
        &self,
        escaped: impl Fn(&str) -> String,
        line_break: &str,
    ) -> String {
        let paragraph = |part: &Part| {
            let heading = Some(&part.heading).filter(|heading| !heading.is_empty());
            let lines = heading.into_iter().chain(&part.lines).map(|line| escaped(line));
            lines.collect::<Vec<_>>().join(line_break)
        };
        self.parts.iter().map(paragraph).collect::<Vec<_>>().join("\n\n")
    }

    /// As plain text, with the links.
    pub(in crate::notify) fn plain(&self) -> String {
        let text = self.text(str::to_owned, "\n");
        let links: Vec<String> =
            self.links.iter().map(|(name, to)| format!("{name}: {to}")).collect();
        format!("{text}\n\n{}", links.join("\n")).trim_end().to_owned()
    }

    /// Takes what is least important away; answers whether there was something.
    fn shrink(&mut self) -> bool {
        for name in [PartName::Related, PartName::Evidence] {
            if let Some(place) = self.place_of(name) {
                self.parts[place].lines.pop();
                if self.parts[place].lines.is_empty() {
                    self.parts.remove(place);
                }
                return true;
            }
        }
        for name in [PartName::Told, PartName::About] {
            if let Some(place) = self.place_of(name) {
                self.parts.remove(place);
                return true;
            }
        }
        for name in ["Silence", "Search"] {
            if let Some(place) = self.links.iter().position(|(known, _)| *known == name) {
                self.links.remove(place);
                return true;
            }
        }
        if let Some(place) = self.place_of(PartName::Since) {
            self.parts.remove(place);
            return true;
        }
        if let Some(place) = self.links.iter().position(|(known, _)| *known == "Runbook") {
            self.links.remove(place);
            return true;
        }
        self.shorten()
    }

    fn place_of(&self, name: PartName) -> Option<usize> {
        self.parts.iter().position(|part| part.name == name)
    }

    /// Cuts the longest line, or, where all are short, leaves the last one out.
    fn shorten(&mut self) -> bool {
        let lines = self.parts.iter_mut().flat_map(|part| &mut part.lines);
        if let Some(longest) = lines.max_by_key(|line| line.chars().count())
            && longest.chars().count() > LINE_CHARS_MIN
        {
            let kept = (longest.chars().count() * 3 / 4).max(LINE_CHARS_MIN - 1);
            *longest = longest.chars().take(kept).chain(['…']).collect();
            return true;
        }
        let Some(most) = self.parts.iter_mut().max_by_key(|part| part.lines.len()) else {
            return false;
        };
        most.lines.len() > 1 && most.lines.pop().is_some()
    }
}

/// What a notification says.
pub(in crate::notify) fn said(outgoing: &Outgoing) -> Said {
    if let Some(trouble) = &outgoing.trouble {
        return said_of_trouble(outgoing, trouble);
    }
    let Some(alert) = &outgoing.alert else {
        let text = match outgoing.event.as_str() {
            "notifier.test" => "This is a test. Alerts will arrive here.",
            _ => "Logwarden runs and can tell you about alerts.",
        };
        return Said {
            key: outgoing.event.clone(),
            text: text.to_owned(),
            link: outgoing.public_url.clone(),
            links: dashboard(outgoing),
            ..Said::nothing()
        };
    };
    said_of_alert(outgoing, alert)
}

fn said_of_alert(outgoing: &Outgoing, alert: &Alert) -> Said {
    let summary = &alert.summary;
    let heading = heading(&outgoing.event);
    let all = || std::iter::once(summary).chain(&outgoing.also);
    let (title, path) = match all().count() {
        1 => (visible(&summary.title, 200), format!("/alerts/{}", summary.id)),
        count => {
            (format!("{count} alerts: {}", visible(&summary.title, 200)), String::from("/alerts"))
        }
    };
    let (word, opened) = (summary.state.name(), time(summary.opened_at));
    let stands = match summary.state {
        AlertState::Open => format!("Open since {opened}"),
        _ => format!("State: {word}, opened {opened}"),
    };
    let (first, last) = (time(summary.first_event_at), time(summary.last_event_at));
    let facts = summary.group.iter().take(GROUP_FACTS_MAX);
    let link = link(outgoing, &path);
    Said {
        key: summary.id.to_string(),
        title: if heading.is_empty() { title } else { format!("{heading}: {title}") },
        text: why(outgoing, alert),
        level: all().map(|one| one.severity).max().unwrap_or(summary.severity),
        state: summary.state,
        since: format!("{stands}\nEvents from {first} to {last}"),
        note: decisive_note(alert),
        late: late_note(outgoing, alert),
        may_wait: outgoing.late_age().is_some(),
        rule: (visible(&summary.rule.title, 200), summary.rule.id.clone()),
        labels: shown(&mut summary.rule.labels.iter()),
        facts: facts.map(|(name, value)| (visible(name, 64), visible(value, 200))).collect(),
        entities: entity_lines(alert),
        evidence: decisive_first(alert).take(EVIDENCE_MAX).map(evidence_text).collect(),
        events: summary.events,
        related: alert.related.iter().take(RELATED_MAX).map(related_text).collect(),
        what_to_do: what_to_do(alert),
        links: links(outgoing, alert, &link),
        link,
        told: told(outgoing, alert),
        ..Said::nothing()
    }
}

/// Why, what was held back, and what else is told of in the same message.
fn why(outgoing: &Outgoing, alert: &Alert) -> String {
    let mut text = visible(&alert.why.text, 1_000);
    if outgoing.held_back > 0 {
        let (held, were) =
            (outgoing.held_back, if outgoing.held_back == 1 { "was" } else { "were" });
        text.push_str(&format!(" {} before this {were} held back.", counted(held, "notification")));
    }
    if !outgoing.also.is_empty() {
        let others = outgoing.also.iter().take(ALSO_SHOWN_MAX);
        let titles: Vec<String> = others.map(|other| visible(&other.title, 120)).collect();
        let more = outgoing.also.len() - titles.len();
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        text.push_str(&format!(" Also: {}{more}.", titles.join("; ")));
    }
    text
}

fn evidence_text(evidence: &Evidence) -> String {
    let mut line = time(evidence.timestamp());
    if let Some(who) = field_text(evidence, "user.name") {
        line.push_str(&format!("  {who}"));
    }
    line.push_str(&format!("  {}", visible(&evidence.message, EVIDENCE_CHARS_MAX)));
    if let Some(flag) = &evidence.flag {
        line.push_str(&format!("  << {}", flag.replace('_', " ").to_uppercase()));
    }
    line
}

fn related_text(other: &RelatedAlert) -> String {
    let (severity, title) = (other.severity.name().to_uppercase(), visible(&other.title, 200));
    format!("{severity} {title}, {} ({})", time(other.opened_at), other.state.name())
}

/// What to do, with its line breaks; other controls stay visible.
fn what_to_do(alert: &Alert) -> String {
    let mut text = String::new();
    for line in alert.what_to_do.lines() {
        if !text.is_empty() {
            text.push('\n');
        }
        let room = WHAT_TO_DO_CHARS_MAX.saturating_sub(text.chars().count());
        if line.chars().count() > room {
            text.push_str(&visible(line, room));
            text.push('…');
            break;
        }
        text.push_str(&visible(line, room));
    }
    text
}

fn links(outgoing: &Outgoing, alert: &Alert, open: &str) -> Vec<(&'static str, String)> {
    let runbook = alert.summary.rule.runbook.clone();
    let mut links = vec![("Open", open.to_owned())];
    links.extend(acknowledge_link(outgoing).map(|to| ("Acknowledge", to)));
    links.extend(runbook.map(|to| ("Runbook", to)));
    links.push(("Search", link(outgoing, &alert.search.path())));
    links.push(("Silence", link(outgoing, &format!("/alerts/{}?silence=1", alert.summary.id))));
    // Of a dashboard that nobody knows the address of there are no links.
    links.retain(|(_, to)| to.starts_with("http"));
    links
}

fn dashboard(outgoing: &Outgoing) -> Vec<(&'static str, String)> {
    let known = Some(&outgoing.public_url).filter(|to| to.starts_with("http"));
    known.map(|to| ("Open", to.clone())).into_iter().collect()
}

fn told(outgoing: &Outgoing, alert: &Alert) -> String {
    let route = route_of(outgoing, alert);
    let route = route.map(|route| format!(" by route \"{route}\"")).unwrap_or_default();
    let others = others(outgoing, alert);
    let also = match others.as_slice() {
        [] => String::new(),
        others => format!(" Also: {}.", visible(&others.join(", "), 500)),
    };
    let rule = &alert.summary.rule;
    format!(
        "Sent to {}{route}.{also} Rule \"{}\" v{}.",
        visible(&outgoing.notifier, 100),
        visible(&rule.title, 200),
        rule.version
    )
}

/// What is wrong with the server, or was.
fn said_of_trouble(outgoing: &Outgoing, trouble: &Trouble) -> Said {
    let (word, state) = match outgoing.event.as_str() {
        "server.recovered" => ("Over", AlertState::Resolved),
        _ => ("Logwarden is in trouble", AlertState::Open),
    };
    let text = visible(&trouble.text, 1_000);
    Said {
        key: format!("{} {} {}", trouble.rule, trouble.about, trouble.began_at.millis()),
        title: format!("{word}: {}", visible(&trouble.text, 200)),
        text: format!("{text}, since {}. No alert can tell of this.", time(trouble.began_at)),
        level: Level::Critical,
        state,
        rule: (String::from("Logwarden"), trouble.rule.clone()),
        facts: vec![(String::from("about"), visible(&trouble.about, 200))],
        link: outgoing.public_url.clone(),
        links: dashboard(outgoing),
        what_to_do: String::from(
            "Look at the server itself: its log, its disk, `logwarden status`.",
        ),
        ..Said::nothing()
    }
}

fn shown(labels: &mut dyn Iterator<Item = (&String, &String)>) -> Vec<(String, String)> {
    labels.map(|(name, value)| (visible(name, 64), visible(value, 200))).collect()
}
