//! Who is on duty: people take turns of whole days, hand over at one time of day, and stand in for
//! each other.
//!
//! In: a rota's configuration, checked once, and an instant. Out: the person and until when. Pure;
//! the clock on the wall of the rota's zone counts, so hand-over stays at its hour in summer and
//! winter.

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use logwarden_event::Timestamp;

use crate::config::{PersonConfig, RotaConfig};
use crate::error::AlertingError;

/// People of one rota.
const PEOPLE_MAX: usize = 100;
/// Stand-ins of one rota.
const OVERRIDES_MAX: usize = 500;
/// Turns that a preview shows.
pub const TURNS_SHOWN_MAX: usize = 60;

/// A rota that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Rota {
    pub name: String,
    zone: Tz,
    starts: NaiveDateTime,
    shift_days: i64,
    people: Vec<PersonConfig>,
    overrides: Vec<(usize, Timestamp, Timestamp)>,
}

/// Somebody's time on duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who.
    pub person: String,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Whether they stand in for somebody.
    pub stands_in: bool,
}

/// The zone of this name.
pub(super) fn zone(path: &str, name: &str) -> Result<Tz, AlertingError> {
    name.parse().map_err(|_| AlertingError::config(path, format!("`{name}` is no time zone")))
}

impl Rota {
    /// Checks a configuration; `knows` says whether there is a notifier of a name.
    pub(super) fn new(
        path: &str,
        config: &RotaConfig,
        knows: &dyn Fn(&str) -> bool,
    ) -> Result<Self, AlertingError> {
        let fault =
            |key: &str, message: String| AlertingError::config(format!("{path}.{key}"), message);
        let starts = NaiveDateTime::parse_from_str(&config.starts, "%Y-%m-%dT%H:%M")
            .map_err(|_| fault("starts", String::from("must be YYYY-MM-DDTHH:MM")))?;
        let name = &config.name;
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            return Err(fault("name", String::from("has 1 to 64 bytes, no control characters")));
        }
        if config.people.is_empty() || config.people.len() > PEOPLE_MAX {
            return Err(fault("people", format!("between 1 and {PEOPLE_MAX} are needed")));
        }
        for (place, person) in config.people.iter().enumerate() {
            if let Some(name) = person.notify.iter().find(|name| !knows(name)) {
                let message = format!("there is no notifier `{name}`");
                return Err(fault(&format!("people[{place}].notify"), message));
            }
            if config.people[..place].iter().any(|before| before.name == person.name) {
                let message = format!("`{}` stands here twice", person.name);
                return Err(fault(&format!("people[{place}].name"), message));
            }
        }
        if config.overrides.len() > OVERRIDES_MAX {
            return Err(fault("overrides", format!("at most {OVERRIDES_MAX}")));
        }
        let mut overrides = Vec::new();
        for (place, one) in config.overrides.iter().enumerate() {
            let key = |key: &str| format!("overrides[{place}].{key}");
            let at = |name: &str, text: &str| {
                Timestamp::parse_rfc3339(text)
                    .ok_or_else(|| fault(&key(name), String::from("must be RFC 3339")))
            };
            let person = config.people.iter().position(|person| person.name == one.person);
            let person = person.ok_or_else(|| {
                fault(&key("person"), format!("`{}` is none of the people", one.person))
            })?;
            let (from, to) = (at("from", &one.from)?, at("to", &one.to)?);
            if to <= from {
                return Err(fault(&key("to"), String::from("must be after `from`")));
            }
            overrides.push((person, from, to));
        }
        Ok(Self {
            name: config.name.clone(),
            zone: zone(&format!("{path}.zone"), &config.zone)?,
            starts,
            shift_days: i64::from(config.shift_days.get()),
            people: config.people.clone(),
            overrides,
        })
    }

    /// Who is on duty.
    pub(crate) fn on_duty(&self, now: Timestamp) -> &PersonConfig {
        let (person, _) = self.at(now);
        &self.people[person]
    }

    /// Turns from `now` on, at most `count` and [`TURNS_SHOWN_MAX`], one after the other.
    pub(crate) fn turns(&self, now: Timestamp, count: usize) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        let mut from = now;
        while turns.len() < count.min(TURNS_SHOWN_MAX) {
            let (person, stands_in) = self.at(from);
            let to = self.next_change(from);
            turns.push(Turn { person: self.people[person].name.clone(), from, to, stands_in });
            from = to;
        }
        turns
    }

    /// The place of who is on duty, and whether they stand in.
    fn at(&self, now: Timestamp) -> (usize, bool) {
        let stand_ins = self.overrides.iter().rev();
        if let Some((person, _, _)) =
            stand_ins.into_iter().find(|(_, from, to)| *from <= now && now < *to)
        {
            return (*person, true);
        }
        let turn = self.turn_at(now).rem_euclid(self.people.len() as i64);
        (usize::try_from(turn).unwrap_or(0), false)
    }

    /// The number of the turn, counted from the first; negative before it.
    fn turn_at(&self, now: Timestamp) -> i64 {
        let local = now.to_datetime().with_timezone(&self.zone).naive_local();
        // A day of duty begins at hand-over.
        let day = (local - self.starts.time().signed_duration_since(NaiveTime::MIN)).date();
        (day - self.starts.date()).num_days().div_euclid(self.shift_days)
    }

    /// The next instant at which somebody else may be on duty.
    fn next_change(&self, now: Timestamp) -> Timestamp {
        let handover = self.begin_of(self.turn_at(now) + 1);
        let edges = self.overrides.iter().flat_map(|(_, from, to)| [*from, *to]);
        let next = edges.filter(|at| *at > now).min();
        next.map_or(handover, |at| at.min(handover)).max(now.saturating_add(MINUTE))
    }

    fn begin_of(&self, turn: i64) -> Timestamp {
        let days = TimeDelta::try_days(turn.saturating_mul(self.shift_days)).unwrap_or_default();
        let local = self.starts.checked_add_signed(days).unwrap_or(self.starts);
        // An hour that the zone leaves out in spring begins when the next one does.
        let found =
            self.zone.from_local_datetime(&local).earliest().or_else(|| {
                self.zone.from_local_datetime(&(local + TimeDelta::hours(1))).earliest()
            });
        found.map_or(Timestamp::MAX, |at: DateTime<Tz>| Timestamp::from_secs(at.timestamp()))
    }
}

/// The shortest step of a preview.
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn rota(overrides: &str) -> Rota {
        Rota::new("rotas[0]", &config(overrides), &|_| true).expect("a good rota")
    }

    fn config(overrides: &str) -> RotaConfig {
        let text = format!(
            r#"{{"name": "primary", "zone": "Europe/Berlin", "starts": "2026-10-19T09:00",
                "people": [{{"name": "ana", "notify": ["a"]}}, {{"name": "bob", "notify": ["b"]}}],
                "overrides": [{overrides}]}}"#
        );
        serde_json::from_str(&text).expect("a rota")
    }

    #[test]
    fn a_name_that_a_terminal_would_obey_is_none() {
        for name in ["", "a\r\nb", "a\u{1b}[2J", &"a".repeat(65)] {
            let config = RotaConfig { name: name.to_owned(), ..config("") };
            let refused = Rota::new("rotas[0]", &config, &|_| true).map(drop);
            let refused = refused.expect_err(name).to_string();
            assert!(refused.starts_with("rotas[0].name: has 1 to 64 bytes"), "{refused}");
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn hand_over_keeps_its_hour_when_the_season_changes() {
        let rota = rota("");
        // Summer time ends on October 25th: 09:00 is 07:00 UTC before, 08:00 UTC after.
        for (now, who) in [
            ("2026-10-19T06:59:59Z", "bob"),
            ("2026-10-19T07:00:00Z", "ana"),
            ("2026-10-26T07:59:59Z", "ana"),
            ("2026-10-26T08:00:00Z", "bob"),
            ("2026-11-02T08:00:00Z", "ana"),
        ] {
            assert_eq!(rota.on_duty(at(now)).name, who, "{now}");
        }
        let turns = rota.turns(at("2026-10-20T00:00:00Z"), 2);
        assert_eq!(turns[0].to, at("2026-10-26T08:00:00Z"));
        assert_eq!((turns[1].person.as_str(), turns[1].to), ("bob", at("2026-11-02T08:00:00Z")));
    }

    #[test]
    fn who_stands_in_is_on_duty_for_that_time() {
        let rota = rota(
            r#"{"person": "bob", "from": "2026-10-20T10:00:00Z", "to": "2026-10-20T12:00:00Z"}"#,
        );
        let turns = rota.turns(at("2026-10-20T09:00:00Z"), 3);
        let shown: Vec<(&str, bool)> =
            turns.iter().map(|turn| (turn.person.as_str(), turn.stands_in)).collect();
        assert_eq!(shown, [("ana", false), ("bob", true), ("ana", false)]);
        assert_eq!(turns[1].to, at("2026-10-20T12:00:00Z"));
    }
}
