//! Sign-ins in records of applications: recognised by what the record says it is.
//!
//! Input: a reading whose standard names are known. Output: `event.category` authentication,
//! `event.outcome` and the class `/authentication/`, on records that are one attempt to sign in.
//! The tables are exact words and beginnings, not searches: a record that merely speaks of logins is
//! left alone, because rules count what is marked here.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::reading::{Held, Reading};
use super::{Parser, standard};

/// Recognises sign-ins by the words applications use for them.
pub(crate) struct Authentication;

/// The logsource of sign-ins, whatever product they are of.
const CLASS: &str = "/authentication/";
/// An action longer than this is a sentence.
const ACTION_BYTES_MAX: usize = 48;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// Words of `event.outcome` and its relatives.
const SUCCESS_WORDS: &[&str] = &[
    "success",
    "successful",
    "succeeded",
    "succeed",
    "ok",
    "allow",
    "allowed",
    "granted",
    "pass",
    "passed",
    "accept",
    "accepted",
    "permit",
    "permitted",
    "true",
    // Some of what was asked for was done.
    "partiallysucceeded",
    "partial_success",
];
const FAILURE_WORDS: &[&str] = &[
    "failure",
    "fail",
    "failed",
    "error",
    "deny",
    "denied",
    "reject",
    "rejected",
    "drop",
    "dropped",
    "block",
    "false",
    "unauthorized",
    "forbidden",
    "invalid",
    "blocked",
    "refused",
];

/// Actions that are an attempt, whose outcome something else says; joints and case do not matter.
const ATTEMPTS: &[&str] = &[
    "login",
    "userlogin",
    "logon",
    "userlogon",
    "signin",
    "usersignin",
    "authentication",
    "authenticate",
    "userauthentication",
    "userauthenticate",
    "auth",
    "userauth",
    "loginattempt",
    "signinattempt",
    "logonattempt",
    "authattempt",
    "authenticationattempt",
    "consolelogin",
    "sshlogin",
    "usersessionstart",
    "userauthenticationverify",
    "credentialvalidation",
];
/// Actions that are an attempt which failed.
const FAILED: &[&str] = &[
    "loginfailed",
    "loginfail",
    "loginfailure",
    "failedlogin",
    "userloginfailed",
    "userloginfailure",
    "loginerror",
    "logindenied",
    "loginrejected",
    "logonfailed",
    "logonfailure",
    "userlogonfailed",
    "signinfailed",
    "signinfailure",
    "failedsignin",
    "usersigninfailed",
    "authfailed",
    "authfail",
    "authfailure",
    "authenticationfailed",
    "authenticationfailure",
    "failedauthentication",
    "userauthfailed",
    "userauthenticationfailed",
    "userauthenticationfailure",
    "invalidcredentials",
    "invalidpassword",
    "badcredentials",
    "badpassword",
    "wrongpassword",
    "incorrectpassword",
    "passwordincorrect",
    "invalidlogin",
    "failedloginattempt",
    "loginattemptfailed",
    "sshloginfailed",
    "mfafailed",
    "authenticationfailurebadcredentialsevent",
    "passwordmismatch",
];
/// Actions that are an attempt which succeeded.
const SUCCEEDED: &[&str] = &[
    "loginsuccess",
    "loginsucceeded",
    "loginsuccessful",
    "successfullogin",
    "userloginsuccess",
    "userloginsucceeded",
    "userloginsuccessful",
    "userloggedin",
    "loggedin",
    "logonsuccess",
    "logonsucceeded",
    "signinsuccess",
    "signinsucceeded",
    "signinsuccessful",
    "usersignedin",
    "signedin",
    "authsuccess",
    "authsucceeded",
    "authenticationsuccess",
    "authenticationsucceeded",
    "authenticationsuccessful",
    "userauthenticated",
    "userauthenticationsuccess",
    "sshloginsuccess",
    "authenticated",
    "loginok",
];

/// Beginnings of a message that describe one attempt; what follows must end the statement or say
/// whose it was.
const FAILED_PHRASES: &[&str] = &[
    "login failed",
    "login failure",
    "failed login",
    "failed login attempt",
    "login attempt failed",
    "user login failed",
    "login denied",
    "logon failed",
    "logon failure",
    "sign-in failed",
    "sign in failed",
    "signin failed",
    "failed sign-in",
    "authentication failed",
    "authentication failure",
    "failed authentication",
    "user authentication failed",
    "failed to authenticate",
    "failed to authenticate user",
    "failed to log in",
    "failed to login",
    "invalid credentials",
    "invalid username or password",
    "invalid password",
    "bad credentials",
    "incorrect password",
    "wrong password",
    "invalid login",
    "failed password",
    "login incorrect",
];
const SUCCEEDED_PHRASES: &[&str] = &[
    "login succeeded",
    "login successful",
    "login success",
    "successful login",
    "user login succeeded",
    "user login successful",
    "user logged in",
    "logged in",
    "logged in successfully",
    "sign-in succeeded",
    "sign in successful",
    "signin successful",
    "user signed in",
    "authentication succeeded",
    "authentication successful",
    "authentication success",
    "successful authentication",
    "user authenticated",
    "accepted password",
    "user logged in successfully",
    "user authenticated successfully",
];
/// What may follow such a beginning.
const CONTINUATIONS: &[&str] = &[
    "for", "from", "by", "user", "username", "account", "on", "via", "with", "as", "to", "due",
    "because", "at",
];

impl Parser for Authentication {
    fn name(&self) -> &'static str {
        "authentication"
    }

    fn parse(&self, reading: &mut Reading<'_>) -> bool {
        // Syslog programs say it in their own words, which their parsers know.
        if !reading.is_json || reading.has_class(CLASS) {
            return false;
        }
        let Some(outcome) = recognise(reading) else { return false };
        mark(reading, outcome);
        true
    }
}

/// Marks the event as one attempt with this outcome.
pub(crate) fn mark(reading: &mut Reading<'_>, outcome: Outcome) {
    let said = [
        (standard::EVENT_CATEGORY, "event.category", "authentication"),
        (standard::EVENT_OUTCOME, "event.outcome", outcome.name()),
    ];
    for (place, name, value) in said {
        let is_said = reading.standard_texts(place).any(|text| text.eq_ignore_ascii_case(value));
        if !is_said {
            reading.add_text(name, value);
        }
    }
    reading.add_class(CLASS);
}

/// Puts one of three words where a sender ended it in its own: that stays under its own name.
pub(super) fn settle_outcome(reading: &mut Reading<'_>) {
    if !reading.may_have(standard::EVENT_OUTCOME) {
        return;
    }
    let mut said: Option<&'static str> = None;
    for index in 0..reading.entries.len() {
        let entry = reading.entries[index];
        if entry.is_dropped || Reading::standard_of(&entry) != Some(standard::EVENT_OUTCOME) {
            continue;
        }
        let word = match entry.value {
            Held::Text(text) => reading.str(text),
            Held::Bool(true) => "success",
            Held::Bool(false) => "failure",
            _ => continue,
        };
        let meant = match outcome(word) {
            Some(outcome) => outcome.name(),
            None => "unknown",
        };
        let is_exact = word == meant && matches!(entry.value, Held::Text(_));
        let is_new = said.is_none_or(|known| known != meant);
        if is_exact && is_new {
            said = said.or(Some(meant));
            continue;
        }
        let is_of_its_own = !matches!(reading.str(entry.path), "" | "event.outcome");
        if is_of_its_own {
            reading.entries[index].forget_standard();
        } else if is_new {
            reading.entries[index].value = Held::Text(reading.keep(meant));
        } else {
            reading.entries[index].is_dropped = true;
        }
        if is_of_its_own && is_new && !entry.options.is_inner {
            reading.add_text("event.outcome", meant);
        }
        said = said.or(Some(meant));
    }
}

fn recognise(reading: &Reading<'_>) -> Option<Outcome> {
    for index in &reading.actions {
        if let Held::Text(text) = reading.entries[*index].value {
            match action(reading.str(text)) {
                Some(Action::Ended(outcome)) => return Some(outcome),
                Some(Action::Attempt) => {
                    if let Some(outcome) = said_outcome(reading) {
                        return Some(outcome);
                    }
                }
                None => {}
            }
        }
    }
    let is_category = reading
        .standard_texts(standard::EVENT_CATEGORY)
        .any(|category| category.eq_ignore_ascii_case("authentication"));
    if is_category {
        return said_outcome(reading);
    }
    let outcome = described(reading.str(reading.message))?;
    let names_somebody =
        [standard::USER_NAME, standard::USER_EMAIL, standard::USER_ID, standard::SOURCE_IP]
            .into_iter()
            .any(|place| reading.first(place).is_some());
    names_somebody.then_some(outcome)
}

/// What the record says about how it ended.
fn said_outcome(reading: &Reading<'_>) -> Option<Outcome> {
    reading.outcomes.iter().find_map(|index| match reading.entries[*index].value {
        Held::Text(text) => outcome(reading.str(text)),
        Held::Bool(true) => Some(Outcome::Success),
        Held::Bool(false) => Some(Outcome::Failure),
        _ => None,
    })
}

/// The outcome that a word says.
pub(crate) fn outcome(word: &str) -> Option<Outcome> {
    // ArcSight's categories begin with a slash.
    let word = word.strip_prefix('/').unwrap_or(word);
    let is = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    if is(SUCCESS_WORDS) {
        Some(Outcome::Success)
    } else if is(FAILURE_WORDS) {
        Some(Outcome::Failure)
    } else {
        None
    }
}

/// What an action says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Attempt,
    Ended(Outcome),
}

/// The action without regard to case and joints: `user.login_failed` is `userloginfailed`.
fn action(text: &str) -> Option<Action> {
    static ACTIONS: OnceLock<HashMap<&'static [u8], Action>> = OnceLock::new();
    let actions = ACTIONS.get_or_init(|| {
        let all = |words: &'static [&'static str], action| {
            words.iter().map(move |word| (word.as_bytes(), action))
        };
        all(ATTEMPTS, Action::Attempt)
            .chain(all(FAILED, Action::Ended(Outcome::Failure)))
            .chain(all(SUCCEEDED, Action::Ended(Outcome::Success)))
            .collect()
    });
    if text.len() > ACTION_BYTES_MAX {
        return None;
    }
    let mut word = [0u8; ACTION_BYTES_MAX];
    let mut length = 0;
    let letters = text.trim_end_matches(['.', '!']).bytes();
    for byte in letters.filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' ' | b':' | b'/')) {
        word[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    actions.get(&word[..length]).copied()
}

/// How the attempt ended that the message describes.
fn described(message: &str) -> Option<Outcome> {
    // Most messages are turned away by their first letters.
    let start = message.as_bytes().first_chunk::<4>()?.map(|byte| byte.to_ascii_lowercase());
    match &start {
        b"logi" | b"logo" | b"fail" | b"user" | b"sign" | b"auth" | b"inva" | b"bad " | b"inco"
        | b"wron" | b"logg" | b"succ" | b"acce" => {}
        _ => return None,
    }
    if begins(message, FAILED_PHRASES) {
        Some(Outcome::Failure)
    } else if begins(message, SUCCEEDED_PHRASES) {
        Some(Outcome::Success)
    } else {
        None
    }
}

/// Whether `message` begins with one of `phrases` and goes on as a report of it would.
fn begins(message: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| {
        let Some(start) = message.get(..phrase.len()) else { return false };
        if !start.eq_ignore_ascii_case(phrase) {
            return false;
        }
        let rest = &message[phrase.len()..];
        let next = rest.trim_start();
        if next.is_empty() || next.starts_with(['.', ',', ':', ';', '!', '-', '(', '[', '|']) {
            return true;
        }
        rest.starts_with(' ')
            && CONTINUATIONS.iter().any(|word| {
                next.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word))
                    && !next[word.len()..].starts_with(|c: char| c.is_alphanumeric())
            })
    })
}
