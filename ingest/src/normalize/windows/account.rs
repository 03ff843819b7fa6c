//! Who acted and who was acted upon, in events of Windows that name two, and how sign-ins at a domain
//! controller ended.
//!
//! Input: the fields of an event as the sender named them, with the account it is about as `user.name`. Output:
//! of changes of accounts and groups `user.name` is who made them, `user.target.name` or `group.name` what
//! was changed; of a sign-in with other credentials `user.effective.name` is whose they are. Sysmon's
//! `DOMAIN\NAME` is taken apart.

use logwarden_event::standard_field;

use super::super::authentication::{Outcome, mark};
use super::super::reading::{Held, Reading};
use super::super::standard;
use super::process::DATA;

const SUBJECT: [&str; 2] = ["SubjectUserName", "SubjectDomainName"];
const TARGET: &str = "TargetUserName";
const MEMBER: &str = "MemberName";
/// A sign-in with other credentials than one's own.
const EXPLICIT_CREDENTIALS: i64 = 4648;

/// What the Security channel's events about accounts and groups say was done.
const CHANGES: &[(i64, About, &str)] = &[
    (4720, About::User, "user_added"),
    (4722, About::User, "user_enabled"),
    (4723, About::User, "password_changed"),
    (4724, About::User, "password_reset"),
    (4725, About::User, "user_disabled"),
    (4726, About::User, "user_deleted"),
    (4738, About::User, "user_changed"),
    (4740, About::User, "user_locked"),
    (4741, About::User, "computer_added"),
    (4742, About::User, "computer_changed"),
    (4743, About::User, "computer_deleted"),
    (4767, About::User, "user_unlocked"),
    (4781, About::User, "user_renamed"),
    (4727, About::Group, "group_added"),
    (4731, About::Group, "group_added"),
    (4744, About::Group, "group_added"),
    (4749, About::Group, "group_added"),
    (4754, About::Group, "group_added"),
    (4759, About::Group, "group_added"),
    (4728, About::Group, "group_member_added"),
    (4732, About::Group, "group_member_added"),
    (4746, About::Group, "group_member_added"),
    (4751, About::Group, "group_member_added"),
    (4756, About::Group, "group_member_added"),
    (4761, About::Group, "group_member_added"),
    (4729, About::Group, "group_member_removed"),
    (4733, About::Group, "group_member_removed"),
    (4747, About::Group, "group_member_removed"),
    (4752, About::Group, "group_member_removed"),
    (4757, About::Group, "group_member_removed"),
    (4762, About::Group, "group_member_removed"),
    (4730, About::Group, "group_deleted"),
    (4734, About::Group, "group_deleted"),
    (4748, About::Group, "group_deleted"),
    (4753, About::Group, "group_deleted"),
    (4758, About::Group, "group_deleted"),
    (4763, About::Group, "group_deleted"),
    (4735, About::Group, "group_changed"),
    (4737, About::Group, "group_changed"),
    (4745, About::Group, "group_changed"),
    (4750, About::Group, "group_changed"),
    (4755, About::Group, "group_changed"),
    (4760, About::Group, "group_changed"),
];

/// What a change was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    User,
    Group,
}

/// Tells who acted from who was acted upon in events of the Security channel.
pub(super) fn name_security(reading: &mut Reading<'_>, id: i64) {
    if id == EXPLICIT_CREDENTIALS {
        swap(reading, "user.effective.name");
        return;
    }
    let Some((_, about, action)) = CHANGES.iter().find(|(number, ..)| *number == id) else {
        return;
    };
    match about {
        About::User => swap(reading, "user.target.name"),
        About::Group => {
            swap(reading, "group.name");
            add_member(reading);
        }
    }
    for (name, value) in
        [("event.category", "iam"), ("event.type", "change"), ("event.action", *action)]
    {
        let is_said = standard_field(name).is_some_and(|place| {
            reading.standard_texts(place).any(|text| text.eq_ignore_ascii_case(value))
        });
        if !is_said {
            reading.add_text(name, value);
        }
    }
}

/// How a domain controller answered: Kerberos (4768, 4771) and NTLM (4776) write no other event there.
pub(super) fn settle_sign_in(reading: &mut Reading<'_>, id: i64) {
    let outcome = match id {
        4624 => Outcome::Success,
        4625 | 4771 => Outcome::Failure,
        4768 | 4776 => {
            let status = DATA.iter().find_map(|place| reading.sent(&format!("{place}Status")));
            let is_good = match status {
                Some(Held::Text(text)) => {
                    reading.str(text).trim_start_matches(['0', 'x']).is_empty()
                }
                Some(Held::Signed(number)) => number == 0,
                _ => return,
            };
            if is_good { Outcome::Success } else { Outcome::Failure }
        }
        _ => return,
    };
    reading
        .add_text("event.action", if matches!(id, 4624 | 4625) { "logon" } else { "domain_logon" });
    mark(reading, outcome);
    reading.add_class("windows/authentication/");
}

/// Where the keywords of an event stand, by the shipper that sent it; NXLog says it in the type too.
const KEYWORDS: [&str; 5] =
    ["Event.System.Keywords", "System.Keywords", "Keywords", "winlog.keywords", "EventType"];
/// The bits of the keywords of audits.
const AUDIT_FAILURE: u64 = 1 << 52;
const AUDIT_SUCCESS: u64 = 1 << 53;

/// Says how it ended by the keyword that every audit has, where nothing else does.
pub(super) fn settle_audit(reading: &mut Reading<'_>) {
    if reading.first(standard::EVENT_OUTCOME).is_some() {
        return;
    }
    let ended = KEYWORDS.iter().find_map(|path| match reading.sent(path)? {
        Held::Signed(bits) => of_bits(bits.cast_unsigned()),
        Held::Unsigned(bits) => of_bits(bits),
        Held::Text(text) => match reading.str(text) {
            "Audit Failure" | "AUDIT_FAILURE" => Some(Outcome::Failure),
            "Audit Success" | "AUDIT_SUCCESS" => Some(Outcome::Success),
            text => of_bits(u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?),
        },
        _ => None,
    });
    if let Some(outcome) = ended {
        reading.add_text("event.outcome", outcome.name());
    }
}

fn of_bits(bits: u64) -> Option<Outcome> {
    match (bits & AUDIT_FAILURE != 0, bits & AUDIT_SUCCESS != 0) {
        (true, false) => Some(Outcome::Failure),
        (false, true) => Some(Outcome::Success),
        _ => None,
    }
}

/// Splits Sysmon's `DOMAIN\NAME`; the whole stays under Sysmon's own name.
pub(super) fn split_domain(reading: &mut Reading<'_>) {
    let Some(whole) = reading.first_text(standard::USER_NAME) else { return };
    let Some((domain, name)) = reading.str(whole).split_once('\\') else { return };
    if domain.is_empty() || name.is_empty() || name.contains('\\') {
        return;
    }
    let (domain, name) = (reading.part(whole, domain), reading.part(whole, name));
    reading.release(standard::USER_NAME);
    reading.add("user.name", Held::Text(name));
    reading.add_missing("user.domain", Held::Text(domain));
}

/// Makes who acted the user, and gives what he acted on the other name. Nothing changes where nobody acted.
fn swap(reading: &mut Reading<'_>, target: &'static str) {
    let Some([actor, domain]) = DATA.iter().find_map(|place| {
        let [name, domain] = SUBJECT.map(|name| index_of(reading, &format!("{place}{name}")));
        name.map(|name| [Some(name), domain])
    }) else {
        return;
    };
    let acted_on = DATA.iter().find_map(|place| index_of(reading, &format!("{place}{TARGET}")));
    for (place, index) in [(standard::USER_NAME, actor), (standard::USER_DOMAIN, domain)] {
        reading.release(place);
        if let Some(index) = index {
            reading.set_standard(index, place);
        }
    }
    reading.release(standard::USER_ID);
    if let (Some(index), Some(place)) = (acted_on, standard_field(target)) {
        reading.set_standard(index, place);
    }
}

/// The member's name out of `CN=NAME,CN=Users,…`.
fn add_member(reading: &mut Reading<'_>) {
    let member = DATA.iter().find_map(|place| reading.sent(&format!("{place}{MEMBER}")));
    let Some(Held::Text(member)) = member else { return };
    let said = reading.str(member);
    let name = said.get(..3).filter(|begin| begin.eq_ignore_ascii_case("cn=")).map(|_| &said[3..]);
    let name = name.map_or(said, |rest| &rest[..rest.find(',').unwrap_or(rest.len())]);
    if !matches!(name, "" | "-") {
        let name = reading.part(member, name);
        reading.add_missing("user.target.name", Held::Text(name));
    }
}

/// The place of what the sender said under this path, when it says something.
fn index_of(reading: &Reading<'_>, path: &str) -> Option<usize> {
    reading.entries.iter().position(|entry| {
        let says = match entry.value {
            Held::Text(text) => !matches!(reading.str(text), "" | "-"),
            _ => false,
        };
        says && !entry.is_dropped && !entry.options.is_inner && reading.str(entry.path) == path
    })
}
