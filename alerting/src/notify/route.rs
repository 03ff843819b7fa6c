//! Which route takes an alert: a tree, asked from the top.
//!
//! In: a route's configuration, checked once; an alert, its rule and the time. Out: what the
//! innermost route that takes the alert says, with what it leaves to the routes around it. Pure.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{Datelike, Timelike};
use chrono_tz::Tz;
use logwarden_event::Timestamp;

use super::rota::zone;
use crate::config::{EscalationConfig, HoursConfig, RouteConfig};
use crate::error::AlertingError;
use crate::rule::{Level, Rule};

/// Routes of one configuration, those within others counted.
const ROUTES_MAX: usize = 256;
/// Routes around one another.
const DEPTH_MAX: usize = 8;
/// Times one route escalates.
const ESCALATIONS_MAX: usize = 8;
/// The longest wait for further alerts of a group.
const GROUP_WAIT_MAX: Duration = Duration::from_secs(3_600);
/// How long a message waits for further alerts of its group where nothing is said.
const GROUP_WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// The longest time between two digests, in minutes.
const DIGEST_MINS_MAX: u32 = 1_440;
/// What stands before a rota's name among those who are told.
pub(crate) const ROTA: &str = "rota:";

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A route that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    name: String,
    severity_min: Option<Level>,
    rules: Vec<String>,
    labels: BTreeMap<String, String>,
    hours: Option<Hours>,
    notify: Vec<String>,
    group_by: Vec<String>,
    group_wait: Duration,
    digest: Option<Duration>,
    per_hour_max: Option<NonZeroU32>,
    escalate: Vec<EscalationConfig>,
    routes: Vec<Route>,
}

#[derive(Debug, Clone)]
struct Hours {
    zone: Tz,
    days: [bool; 7],
    from_min: u32,
    to_min: u32,
}

/// What a route says about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken<'a> {
    /// The route's name.
    pub route: &'a str,
    /// Names of notifiers and rotas.
    pub notify: &'a [String],
    /// What alerts must agree in to become one message.
    pub group_by: &'a [String],
    /// How long a message waits for further alerts.
    pub group_wait: Duration,
    /// How often a digest is sent; `None`: at once.
    pub digest: Option<Duration>,
    /// Alerts it tells of at once in an hour; `None`: any number.
    pub per_hour_max: Option<NonZeroU32>,
    /// Who is told when nobody acknowledges.
    pub escalate: &'a [EscalationConfig],
}

impl Route {
    /// Checks the routes of a configuration; `knows` says whether a name can be told.
    pub(super) fn all(
        path: &str,
        configs: &[RouteConfig],
        knows: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Self>, AlertingError> {
        let mut count = 0;
        let outermost = Self::outermost();
        build(path, "", configs, knows, &outermost, (1, &mut count))
    }

    /// What holds where nothing is said.
    fn outermost() -> Self {
        Self {
            name: String::new(),
            severity_min: None,
            rules: Vec::new(),
            labels: BTreeMap::new(),
            hours: None,
            notify: Vec::new(),
            group_by: Vec::new(),
            group_wait: GROUP_WAIT_DEFAULT,
            digest: None,
            per_hour_max: None,
            escalate: Vec::new(),
            routes: Vec::new(),
        }
    }

    fn takes(&self, asked: Asked<'_>) -> bool {
        let is_called = |name: &String| asked.rule.is_some_and(|rule| rule.is_called(name));
        self.severity_min.is_none_or(|least| asked.severity >= least)
            && (self.rules.is_empty() || self.rules.iter().any(is_called))
            && self.labels.iter().all(|(name, wanted)| has_label(asked, name, wanted))
            && self.hours.as_ref().is_none_or(|hours| hours.contain(asked.now))
    }

    fn said(&self) -> Taken<'_> {
        Taken {
            route: &self.name,
            notify: &self.notify,
            group_by: &self.group_by,
            group_wait: self.group_wait,
            digest: self.digest,
            per_hour_max: self.per_hour_max,
            escalate: &self.escalate,
        }
    }
}

/// What routes are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The alert's rule; `None`: one that no route names.
    pub rule: Option<&'a Rule>,
    /// How bad it is.
    pub severity: Level,
    /// The alert's group.
    pub group: &'a [(String, String)],
    /// By our clock.
    pub now: Timestamp,
}

/// The route that takes an alert; `None`: no route does.
pub(crate) fn find<'a>(routes: &'a [Route], asked: Asked<'_>) -> Option<Taken<'a>> {
    let route = routes.iter().find(|route| route.takes(asked))?;
    Some(find(&route.routes, asked).unwrap_or_else(|| route.said()))
}

fn has_label(asked: Asked<'_>, name: &str, wanted: &str) -> bool {
    let of_rule = asked.rule.and_then(|rule| rule.settings.labels.get(name)).map(String::as_str);
    let of_group = asked.group.iter().find(|(field, _)| field == name);
    let fits = |value: &str| match wanted.strip_suffix('*') {
        Some(start) => value.starts_with(start),
        None => value == wanted,
    };
    of_rule.is_some_and(fits) || of_group.is_some_and(|(_, value)| fits(value))
}

fn build(
    path: &str,
    place: &str,
    configs: &[RouteConfig],
    knows: &dyn Fn(&str) -> bool,
    around: &Route,
    (depth, count): (usize, &mut usize),
) -> Result<Vec<Route>, AlertingError> {
    if depth > DEPTH_MAX {
        return Err(AlertingError::config(path, format!("more than {DEPTH_MAX} deep")));
    }
    let mut routes = Vec::new();
    for (number, config) in configs.iter().enumerate() {
        *count += 1;
        if *count > ROUTES_MAX {
            return Err(AlertingError::config(path, format!("more than {ROUTES_MAX}")));
        }
        let path = format!("{path}[{number}]");
        let place = match place {
            "" => format!("{}", number + 1),
            outer => format!("{outer}.{}", number + 1),
        };
        let mut route = one(&path, &place, config, knows, around)?;
        let inner = format!("{path}.routes");
        route.routes = build(&inner, &place, &config.routes, knows, &route, (depth + 1, count))?;
        routes.push(route);
    }
    Ok(routes)
}

fn one(
    path: &str,
    place: &str,
    config: &RouteConfig,
    knows: &dyn Fn(&str) -> bool,
    around: &Route,
) -> Result<Route, AlertingError> {
    let fault =
        |key: &str, message: String| AlertingError::config(format!("{path}.{key}"), message);
    let check_names = |key: &str, names: &[String]| {
        let unknown = names.iter().find(|name| !knows(name));
        unknown.map_or(Ok(()), |name| {
            let message = match name.strip_prefix(ROTA) {
                Some(rota) => format!("there is no rota `{rota}`"),
                None => format!("there is no notifier `{name}`"),
            };
            Err(fault(key, message))
        })
    };
    let is_outermost = around.name.is_empty();
    let notify = match &config.notify {
        Some(names) => names.clone(),
        None if is_outermost => {
            return Err(fault("notify", String::from("is missing: names of notifiers")));
        }
        None => around.notify.clone(),
    };
    check_names("notify", &notify)?;
    let escalate = config.escalate.clone().unwrap_or_else(|| around.escalate.clone());
    if escalate.len() > ESCALATIONS_MAX {
        return Err(fault("escalate", format!("at most {ESCALATIONS_MAX}")));
    }
    for (number, step) in escalate.iter().enumerate() {
        check_names(&format!("escalate[{number}].notify"), &step.notify)?;
    }
    let group_wait = config.group_wait_secs.map_or(around.group_wait, Duration::from_secs);
    if group_wait > GROUP_WAIT_MAX {
        let most = GROUP_WAIT_MAX.as_secs();
        return Err(fault("group_wait_secs", format!("at most {most}")));
    }
    if config.digest_mins.is_some_and(|minutes| minutes.get() > DIGEST_MINS_MAX) {
        return Err(fault("digest_mins", format!("at most {DIGEST_MINS_MAX}")));
    }
    let digest =
        config.digest_mins.map(|minutes| Duration::from_secs(60 * u64::from(minutes.get())));
    let hours = config.hours.as_ref();
    let hours = hours.map(|hours| Hours::new(&format!("{path}.hours"), hours)).transpose()?;
    Ok(Route {
        name: config.name.clone().filter(|name| !name.is_empty()).unwrap_or(place.to_owned()),
        severity_min: config.severity_min,
        rules: config.rules.clone(),
        labels: config.labels.clone(),
        hours,
        notify,
        group_by: config.group_by.clone().unwrap_or_else(|| around.group_by.clone()),
        group_wait,
        digest: digest.or(around.digest),
        per_hour_max: config.per_hour_max.or(around.per_hour_max),
        escalate,
        routes: Vec::new(),
    })
}

impl Hours {
    fn new(path: &str, config: &HoursConfig) -> Result<Self, AlertingError> {
        let minute = |key: &str, text: &str| {
            let (hour, minute) = text.split_once(':').unwrap_or_default();
            let parsed = (hour.parse::<u32>(), minute.parse::<u32>());
            match parsed {
                (Ok(hour), Ok(minute)) if hour * 60 + minute <= 24 * 60 && minute < 60 => {
                    Ok(hour * 60 + minute)
                }
                _ => {
                    let message = format!("`{text}` is no time such as 08:00");
                    Err(AlertingError::config(format!("{path}.{key}"), message))
                }
            }
        };
        let mut days = [config.days.is_empty(); 7];
        for name in &config.days {
            let place = DAYS.iter().position(|day| day == name).ok_or_else(|| {
                let message = format!("`{name}` is none of {}", DAYS.join(", "));
                AlertingError::config(format!("{path}.days"), message)
            })?;
            days[place] = true;
        }
        Ok(Self {
            zone: zone(&format!("{path}.zone"), &config.zone)?,
            days,
            from_min: minute("from", &config.from)?,
            to_min: minute("to", &config.to)?,
        })
    }

    /// Whether an instant lies in them. Hours over midnight belong to the day they begin on.
    fn contain(&self, now: Timestamp) -> bool {
        let local = now.to_datetime().with_timezone(&self.zone);
        let minute = local.hour() * 60 + local.minute();
        let today = local.weekday().num_days_from_monday() as usize;
        let yesterday = (today + 6) % 7;
        if self.from_min < self.to_min {
            return self.days[today] && (self.from_min..self.to_min).contains(&minute);
        }
        (self.days[today] && minute >= self.from_min)
            || (self.days[yesterday] && minute < self.to_min)
    }
}

#[cfg(test)]
mod tests;
