//! Queries and parameters that attack the search, and the answers that are allowed.

/// A path under `/api/v1/`, its parameters, and the statuses that will do.
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) parameters: Vec<(&'static str, String)>,
    pub(super) statuses: &'static [u16],
}

/// Refused; answered or refused; too long for a head.
const NO: &[u16] = &[400];
const EITHER: &[u16] = &[200, 400];

type Row = (&'static str, String, &'static [u16]);

/// All of them.
pub(super) fn all() -> Vec<Query> {
    let search = |(name, text, statuses): Row| Query {
        name,
        path: "search",
        parameters: vec![("q", text)],
        statuses,
    };
    let queries = languages().into_iter().chain(expressions()).map(search);
    queries.chain(parameters()).collect()
}

fn languages() -> Vec<Row> {
    let or = |count: usize| vec!["a"; count].join(" OR ");
    vec![
        ("7,000 parentheses", "(".repeat(7_000), NO),
        ("3,000 pairs of parentheses", format!("{}a{}", "(".repeat(3_000), ")".repeat(3_000)), NO),
        ("60 pairs of parentheses", format!("{}a{}", "(".repeat(60), ")".repeat(60)), &[200]),
        ("closing parentheses", ")".repeat(3_000), NO),
        ("2,000 times NOT", format!("{}a", "NOT ".repeat(2_000)), EITHER),
        ("7,000 times minus", format!("{}a", "-".repeat(7_000)), EITHER),
        ("1,000 conditions", or(1_000), NO),
        ("200 conditions", or(200), &[200]),
        ("a query of 9,000 bytes", "a".repeat(9_000), NO),
        ("a phrase without an end", "\"abc".to_owned(), NO),
        ("7,000 quotes", "\"".repeat(7_000), NO),
        ("7,000 backslashes", "\\".repeat(7_000), EITHER),
        ("colons", ":".repeat(3_000), NO),
        ("operators alone", "AND OR NOT".to_owned(), NO),
        ("a range without an end", "n:[1 TO".to_owned(), NO),
        ("a range of nonsense", "n:[a TO 1e400]".to_owned(), EITHER),
        ("a network that is none", "source.ip:10.0.0.0/99".to_owned(), EITHER),
        ("7,000 asterisks", "*".repeat(7_000), NO),
        ("an asterisk in front", "*word".to_owned(), NO),
        ("NULs", "a\0b".to_owned(), EITHER),
        ("directions", "\u{202E}abc\u{200B}".to_owned(), EITHER),
        ("a statement", "'; DROP TABLE index_splits; --".to_owned(), EITHER),
        ("a field of 8,000 letters", format!("{}:1", "f".repeat(8_000)), EITHER),
        ("pipes alone", "|".repeat(3_000), NO),
        ("a pipe nobody has", "* | explode".to_owned(), NO),
        ("1,000 figures", format!("* | stats {}", vec!["count()"; 1_000].join(", ")), NO),
        ("a bin of nothing", "* | timechart 0s".to_owned(), NO),
        ("a negative bin", "* | timechart -5m".to_owned(), NO),
        ("a head of everything", "* | head 99999999999999999999".to_owned(), NO),
    ]
}

fn expressions() -> Vec<Row> {
    let on_message = |expression: &str| format!("message:~\"{expression}\"");
    vec![
        ("an expression that explodes elsewhere", on_message("^(a+)+$"), &[200]),
        ("repeats of repeats", on_message("(((x{100}){100}){100}){100}"), NO),
        ("a million repeats", on_message("a{1000000}"), NO),
        ("repeats of everything", on_message(".*a.{300}.*b.{300}"), NO),
        ("1,000 groups", on_message(&format!("{}a{}", "(".repeat(1_000), ")".repeat(1_000))), NO),
        ("classes of Unicode", on_message(&"\\p{L}{100}".repeat(50)), NO),
        ("a group without an end", on_message("(abc"), NO),
        ("a look-behind", on_message("(?<=a)b"), NO),
        ("a back reference", on_message("(a)\\1"), NO),
    ]
}

fn parameters() -> Vec<Query> {
    let one = |name, path, key, value: &str, statuses| Query {
        name,
        path,
        parameters: vec![("q", "*".to_owned()), (key, value.to_owned())],
        statuses,
    };
    vec![
        one("all events at once", "search", "limit", "18446744073709551615", NO),
        one("a negative limit", "search", "limit", "-1", NO),
        one("a limit that is none", "search", "limit", "many", NO),
        one("a cursor that is none", "search", "cursor", "AAAA%00garbage", NO),
        one("a cursor of 4 KB", "search", "cursor", &"A".repeat(4_000), NO),
        one("an order that is none", "search", "sort", "; drop table", EITHER),
        one("a time that is none", "search", "from", "yesterday-ish", NO),
        one("a time beyond all", "search", "from", "99999999999999999999", NO),
        one("a time that runs over", "search", "to", "now-9223372036854775807d", NO),
        one("a billion buckets", "histogram", "buckets", "1000000000", NO),
        one("no bucket", "histogram", "buckets", "0", NO),
        one("buckets of nothing", "histogram", "interval", "0s", NO),
        one("1,000 facets", "facets", "fields", &vec!["a"; 1_000].join(","), NO),
        one("surroundings of no event", "events/nonsense/context", "before", "5", &[400, 404]),
        one("an event that is none", "events/%00%ff", "x", "1", &[400, 404]),
        one("values of a field of 4 KB", "fields/x/values", "prefix", &"p".repeat(4_000), EITHER),
    ]
}
