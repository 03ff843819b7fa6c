//! What a search is measured with: classes of queries, and of each many that differ in a literal or
//! in a bound, so that no answer is one that was given before.

use logwarden_event::Timestamp;
use std::time::Duration;

use super::answers::Expected;
use super::generator::{Approach, Plants};
use super::population::{FIRST_NAMES, USERS, user_name};
use super::records::{SERVICES, WORDS, WORDS_IN_MESSAGES};
use super::truth::{ALL, Minutes, Planted, Truth};

/// Questions of one class at most.
const QUESTIONS: usize = 42;
/// Minutes a bucket of a histogram may have; each divides an hour, so that buckets of all of them
/// begin with the span.
const BUCKET_MINUTES: [usize; 8] = [1, 2, 5, 10, 15, 20, 30, 60];
const MINUTE: Duration = Duration::from_secs(60);
/// Hits asked for where events are fetched.
const FETCHED: u64 = 100;

/// One query, and what it must answer.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// Path of the API.
    pub(super) path: &'static str,
    /// Its parameters.
    pub(super) params: Vec<(&'static str, String)>,
    /// What the generator knows.
    pub(super) expected: Expected,
}

/// Queries that are one kind of work.
#[derive(Debug)]
pub(super) struct Class {
    /// Its name, the same over releases.
    pub(super) name: &'static str,
    /// Its questions, no two the same, at least two.
    pub(super) questions: Vec<Question>,
}

/// Every class of queries.
pub(super) fn classes(truth: &Truth, plants: &Plants) -> Vec<Class> {
    let mut classes = words(truth, plants);
    classes.extend(fields(truth));
    classes.extend(anywhere(truth, plants));
    classes.extend(latest(truth));
    classes.extend(tables(truth));
    classes.extend(expressions(truth, plants));
    classes.extend(narrowed(truth));
    for class in &mut classes {
        class.questions.truncate(QUESTIONS);
    }
    classes
}

fn class(name: &'static str, questions: impl IntoIterator<Item = Question>) -> Class {
    Class { name, questions: questions.into_iter().collect() }
}

fn search(query: String, limit: u64, expected: Expected) -> Question {
    let params = vec![("q", query), ("limit", limit.to_string())];
    Question { path: "/api/v1/search", params, expected }
}

fn count(query: String, total: u64) -> Question {
    search(query, 0, Expected::Total(total))
}

/// The same asked of a range that holds everything and is a little wider every time.
fn widened(truth: &Truth, mut question: Question, by: usize) -> Question {
    let span = Duration::from_secs(by as u64);
    question.params.push(("from", truth.start.saturating_sub(span).to_string()));
    question.params.push(("to", truth.end.saturating_add(span).to_string()));
    question
}

fn between(mut question: Question, from: Timestamp, to: Timestamp) -> Question {
    question.params.push(("from", from.to_string()));
    question.params.push(("to", to.to_string()));
    question
}

fn sum(minutes: &Minutes) -> u64 {
    minutes.iter().sum()
}

/// The hits of a planted word, newest first.
fn fetched(query: String, at: &[Timestamp]) -> Question {
    let times = at.iter().rev().copied().take(FETCHED as usize).collect();
    search(query, FETCHED, Expected::Hits { total: at.len() as u64, times })
}

fn words(truth: &Truth, plants: &Plants) -> Vec<Class> {
    let word = |planted: &Planted| fetched(planted.word.clone(), &planted.at);
    // Words that could be planted but were not.
    let absent = |planted: &Planted| count(planted.word.replacen("zq", "qz", 1), 0);
    let traces = truth.traces.iter();
    let in_messages = || 0..WORDS_IN_MESSAGES;
    vec![
        class("needle absent", plants.needles.iter().map(absent)),
        class("needle present", plants.needles.iter().map(word)),
        class("rare term", plants.rare.iter().map(word)),
        class("id lookup", traces.map(|(id, at)| fetched(format!("trace.id:{id:032x}"), at))),
        class(
            "count common term",
            in_messages()
                .map(|place| count(format!("message:{}", WORDS[place]), sum(&truth.words[place]))),
        ),
        class(
            "count field and term",
            in_messages().flat_map(|place| {
                let [failures, successes] = truth.words_with_outcome[place];
                let statuses = truth.words_with_status[place].iter();
                let outcomes = [("failure", failures), ("success", successes)].into_iter();
                outcomes
                    .filter(|(_, total)| *total > 0)
                    .map(move |(outcome, total)| {
                        count(
                            format!("event.outcome:{outcome} AND message:{}", WORDS[place]),
                            total,
                        )
                    })
                    .chain(statuses.map(move |(status, total)| {
                        count(
                            format!(
                                "http.response.status_code:{status} AND message:{}",
                                WORDS[place]
                            ),
                            *total,
                        )
                    }))
            }),
        ),
    ]
}

fn fields(truth: &Truth) -> Vec<Class> {
    let outcomes = ["failure", "success"].into_iter().zip(&truth.outcomes);
    let outcomes =
        outcomes.map(|(outcome, minutes)| count(format!("event.outcome:{outcome}"), sum(minutes)));
    let users = truth.busiest_users();
    let users =
        users.iter().take(20).map(|(name, total)| count(format!("user.name:\"{name}\""), *total));
    let prefixes = FIRST_NAMES.iter().enumerate().map(|(place, name)| {
        let total = (place..USERS).step_by(FIRST_NAMES.len()).map(|user| truth.users[user]).sum();
        count(format!("user.name:{name}*"), total)
    });
    let at_least = |from: usize, to: usize| truth.statuses[from..=to].iter().sum();
    let ranges = [
        (500, 599),
        (400, 499),
        (200, 299),
        (401, 404),
        (304, 404),
        (429, 500),
        (500, 502),
        (201, 401),
    ];
    let ranges = ranges.map(|(from, to)| {
        count(format!("http.response.status_code:[{from} TO {to}]"), at_least(from, to))
    });
    let slow = (1..=20).map(|step| {
        let least = step * 40_000;
        let total = truth.durations[least..].iter().map(|count| u64::from(*count)).sum();
        count(format!("duration_us:>={least}"), total)
    });
    vec![
        class("count field value", outcomes.chain(users)),
        class("prefix", prefixes),
        class("number range", ranges.into_iter().chain(slow)),
    ]
}

/// Bare words, addresses and ids, wherever in the record they stand.
fn anywhere(truth: &Truth, plants: &Plants) -> Vec<Class> {
    let labels = plants.labels.iter().map(|planted| fetched(planted.word.clone(), &planted.at));
    let traces = truth.traces.iter().map(|(id, at)| fetched(format!("{id:032x}"), at));
    let attackers = plants.attacks.iter().map(|attack| {
        let total = attack.failures + u64::from(attack.approach == Approach::TakeOver);
        count(attack.from.to_string(), total)
    });
    let words =
        (0..WORDS.len()).map(|place| count(WORDS[place].to_owned(), sum(&truth.words[place])));
    let addresses = truth.busiest_addresses(false);
    let addresses = addresses.iter().take(12).map(|(ip, total)| count(ip.clone(), *total));
    let users = (0..12).map(|place| count(user_name(place), truth.users[place]));
    vec![
        class("anywhere needle", alternate(labels, alternate(traces, attackers))),
        class("anywhere common", alternate(words, alternate(addresses, users))),
    ]
}

/// One of each in turn.
fn alternate(
    left: impl Iterator<Item = Question>,
    right: impl Iterator<Item = Question>,
) -> impl Iterator<Item = Question> {
    let (mut left, mut right) = (left.fuse(), right.fuse());
    std::iter::from_fn(move || Some([left.next(), right.next()]))
        .take_while(|pair| pair.iter().any(Option::is_some))
        .flatten()
        .flatten()
}

fn latest(truth: &Truth) -> Vec<Class> {
    let times = |place: usize| truth.latest[place].iter().rev().copied().collect::<Vec<_>>();
    let all = Expected::Hits { total: truth.events, times: times(ALL) };
    let all =
        (1..=QUESTIONS).map(|by| widened(truth, search("*".to_owned(), FETCHED, all.clone()), by));
    let outcomes = (0..QUESTIONS).map(|number| {
        let place = number % 2;
        let outcome = ["failure", "success"][place];
        let expected =
            Expected::Hits { total: sum(&truth.outcomes[place]), times: times(1 + place) };
        widened(truth, search(format!("event.outcome:{outcome}"), FETCHED, expected), number + 1)
    });
    vec![class("latest 100", all), class("latest 100 of a field", outcomes)]
}

fn tables(truth: &Truth) -> Vec<Class> {
    let figure = |pipe: &'static str, expected: f64| {
        move |by| {
            widened(
                truth,
                search(format!("* | stats {pipe}"), FETCHED, Expected::Figure(expected)),
                by,
            )
        }
    };
    let top = |filter: &'static str, field: &'static str, counts: Vec<(String, u64)>, of: u64| {
        let without = of - counts.iter().map(|(_, count)| count).sum::<u64>();
        // A size at which nothing is as frequent as what is left out.
        let is_clear =
            |size: &usize| counts.get(*size).is_none_or(|next| next.1 < counts[size - 1].1);
        let size = (10..counts.len()).find(is_clear).unwrap_or(counts.len());
        let values = counts[..size].to_vec();
        let expected = Expected::Top { values, without };
        move |by| {
            widened(
                truth,
                search(format!("{filter} | top {size} {field}"), FETCHED, expected.clone()),
                by,
            )
        }
    };
    let by = || 1..=QUESTIONS;
    let percentiles = by().map(|by| {
        let percent = 50 + by as u64 % 50;
        let expected = Expected::Figure(truth.duration_percentile(percent) as f64);
        widened(truth, search(format!("* | stats p{percent}(duration_us)"), FETCHED, expected), by)
    });
    let users = top("*", "user.name", truth.busiest_users(), truth.events);
    let addresses = top("*", "source.ip", truth.busiest_addresses(false), truth.events);
    vec![
        class("top 10", by().map(|by| if by % 2 == 0 { users(by) } else { addresses(by) })),
        class(
            "top 10 of a field",
            by().map(top(
                "event.outcome:failure",
                "source.ip",
                truth.busiest_addresses(true),
                sum(&truth.outcomes[0]),
            )),
        ),
        class("histogram", by().map(|by| histogram(truth, "*", &truth.minutes, by))),
        class(
            "histogram of a field",
            by().map(|by| {
                let place = by % 2;
                let query = ["event.outcome:failure", "event.outcome:success"][place];
                histogram(truth, query, &truth.outcomes[place], by)
            }),
        ),
        class(
            "sum",
            by().map(figure("sum(http.response.body.bytes)", truth.body_bytes_sum as f64)),
        ),
        class(
            "distinct count",
            by().map(figure("count_distinct(user.name)", truth.distinct_users() as f64)),
        ),
        class("percentile", percentiles),
    ]
}

/// Over the whole span or, so that there are enough of them, all of it but its last hours.
fn histogram(truth: &Truth, query: &str, minutes: &Minutes, number: usize) -> Question {
    let length = BUCKET_MINUTES[number % BUCKET_MINUTES.len()];
    let whole = (minutes.len() - 1) / 60;
    let hours = whole.saturating_sub(number / BUCKET_MINUTES.len()).max(1).min(whole.max(1));
    let covered = (hours * 60).min(minutes.len());
    let counts = minutes[..covered].chunks(length).map(|minutes| minutes.iter().sum()).collect();
    let params = vec![("q", query.to_owned()), ("interval", format!("{length}m"))];
    let question =
        Question { path: "/api/v1/histogram", params, expected: Expected::Buckets(counts) };
    between(question, truth.start, truth.start.saturating_add(MINUTE * covered as u32))
}

fn expressions(truth: &Truth, plants: &Plants) -> Vec<Class> {
    let fragment =
        |planted: &Planted| count(format!("~\"{}\"", planted.word), planted.at.len() as u64);
    // The first letters are cut off: nothing can be looked up by how a word begins.
    let tail = |planted: &Planted| {
        let expression = format!("~\"{}[0-9]{{2}}x/\"", &planted.word[3..]);
        count(expression, planted.at.len() as u64)
    };
    let digits = (0..10).flat_map(|digit| {
        truth.last_digits.iter().enumerate().map(move |(service, counts)| {
            count(format!("url.path:~\"{}/.*{digit}$\"", WORDS[SERVICES + service]), counts[digit])
        })
    });
    vec![
        class("substring", plants.fragments.iter().map(fragment)),
        class("expression", plants.fragments.iter().map(tail)),
        class("expression on a field", digits),
    ]
}

/// A common word within one hour.
fn narrowed(truth: &Truth) -> Vec<Class> {
    let hours = (truth.minutes.len() - 1) / 60;
    let within = (0..hours * 2).map(|number| {
        let (hour, place) = (number % hours, number % 5);
        let minutes = &truth.words[place][hour * 60..(hour + 1) * 60];
        let from = truth.start.saturating_add(MINUTE * 60 * hour as u32);
        let question = count(format!("message:{}", WORDS[place]), minutes.iter().sum());
        between(question, from, from.saturating_add(MINUTE * 60))
    });
    vec![class("word within an hour", within)]
}
