//! The grammar of pipes: what is done with the events of a condition.

use nom::Parser;
use nom::multi::separated_list1;

use super::condition::Grammar;
use super::error::{Failure, closest};
use super::time::parse_duration;
use super::token::{Parsed, bare, column, comma, field, keyword, name, skip_space};
use super::{Aggregate, Figure, Function, GroupBy, Pipe, RowOrder, SortKey};

const PIPES: [&str; 9] =
    ["stats", "top", "rare", "timechart", "patterns", "sort", "head", "fields", "where"];
const FUNCTIONS: [&str; 10] =
    ["count", "count_distinct", "sum", "avg", "min", "max", "p50", "p90", "p95", "p99"];
/// Rows of `top f` and `rare f` without a number.
const TOP_DEFAULT: usize = 10;
/// Pipes of one query.
const PIPES_MAX: usize = 16;

/// All pipes up to the end; `input` is empty or begins with `|`.
pub(super) fn pipes<'a>(grammar: &Grammar, input: &'a str) -> Parsed<'a, Vec<Pipe>> {
    let mut rest = skip_space(input);
    let mut pipes = Vec::new();
    while let Some(after) = rest.strip_prefix('|') {
        let start = skip_space(after);
        if pipes.len() == PIPES_MAX {
            return Err(Failure::fatal(start, format!("more than {PIPES_MAX} pipes"), &[]));
        }
        let (after, pipe) = one_pipe(grammar, start)?;
        check_order(&pipes, &pipe, start)?;
        pipes.push(pipe);
        rest = skip_space(after);
        if !rest.is_empty() && !rest.starts_with('|') {
            return Err(Failure::fatal(rest, "the pipe should end here", &["`|`"]));
        }
    }
    Ok((rest, pipes))
}

fn one_pipe<'a>(grammar: &Grammar, input: &'a str) -> Parsed<'a, Pipe> {
    let expected = PIPES.map(|name| format!("`{name}`"));
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let Ok((rest, word)) = name(input) else {
        return Err(Failure::fatal(input, "a pipe is missing", &expected));
    };
    let rest = skip_space(rest);
    match word.to_ascii_lowercase().as_str() {
        "stats" => stats(rest),
        "top" => top(rest, RowOrder::GreatestFirst),
        "rare" => top(rest, RowOrder::SmallestFirst),
        "timechart" => timechart(rest),
        "patterns" => Ok((rest, Pipe::Patterns)),
        "sort" => sort(rest),
        "head" => head(rest),
        "fields" => fields(rest).map(|(rest, names)| (rest, Pipe::Fields(names))),
        "where" => {
            if rest.is_empty() || rest.starts_with('|') {
                return Err(Failure::fatal(rest, "`where` needs a condition", &["a condition"]));
            }
            grammar.of_columns().whole_condition(rest).map(|(rest, f)| (rest, Pipe::Where(f)))
        }
        other => {
            let meant = closest(other, &PIPES);
            let hint = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            Err(Failure::fatal(input, format!("there is no pipe `{word}`{hint}"), &expected))
        }
    }
}

/// Events are filtered, then sorted and cut, or made into rows; rows are filtered, sorted and cut.
fn check_order(before: &[Pipe], pipe: &Pipe, input: &str) -> Result<(), nom::Err<Failure>> {
    let refused = |message: &str| Err(Failure::fatal(input, message, &[]));
    let has_rows = before.iter().any(Pipe::makes_rows);
    let is_shaped = |pipe: &Pipe| !matches!(pipe, Pipe::Where(_)) && !pipe.makes_rows();
    let is_shaped = before.iter().any(is_shaped);
    match pipe {
        pipe if pipe.makes_rows() && has_rows => {
            refused("a query makes rows once; this is the second")
        }
        pipe if pipe.makes_rows() && is_shaped => {
            refused("what makes rows stands before `sort`, `head` and `fields`")
        }
        Pipe::Where(_) if is_shaped && !has_rows => {
            refused("`where` stands before `sort`, `head` and `fields`")
        }
        Pipe::Sort(_) if !has_rows && before.iter().any(|pipe| !matches!(pipe, Pipe::Where(_))) => {
            refused("`sort` stands before `head` and `fields`, once")
        }
        Pipe::Head(_) if !has_rows && before.iter().any(|pipe| matches!(pipe, Pipe::Head(_))) => {
            refused("`head` stands once")
        }
        _ => Ok(()),
    }
}

fn stats(input: &str) -> Parsed<'_, Pipe> {
    let (rest, figures) = separated_list1(comma, figure).parse(input)?;
    let (rest, by) = match keyword(skip_space(rest), "by") {
        Some(rest) => separated_list1(comma, group).parse(skip_space(rest))?,
        None => (rest, Vec::new()),
    };
    let has_bins = by.iter().any(|group| matches!(group, GroupBy::Bin(_)));
    let order = if has_bins { RowOrder::Groups } else { RowOrder::GreatestFirst };
    Ok((rest, Pipe::Aggregate(Aggregate { figures, by, order, limit: None })))
}

fn figure(input: &str) -> Parsed<'_, Figure> {
    let Ok((rest, word)) = name(input) else {
        return Err(Failure::fatal(input, "a function is missing", &function_names()));
    };
    let Some(function) = function_of(&word.to_ascii_lowercase()) else {
        let meant = closest(word, &FUNCTIONS);
        let hint = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        let message = format!("there is no function `{word}`{hint}");
        return Err(Failure::fatal(input, message, &function_names()));
    };
    let (rest, of) = match skip_space(rest).strip_prefix('(') {
        Some(inside) => argument(inside, rest)?,
        None => (rest, None),
    };
    if of.is_none() && function != Function::Count {
        return Err(Failure::fatal(rest, format!("`{word}` needs a field"), &["`(field)`"]));
    }
    let usual = match &of {
        Some(of) => format!("{}({of})", word.to_ascii_lowercase()),
        None => word.to_ascii_lowercase(),
    };
    let (rest, name) = match keyword(skip_space(rest), "as") {
        Some(rest) => field(skip_space(rest))?,
        None => (rest, usual),
    };
    Ok((rest, Figure { function, field: of, name }))
}

fn function_names() -> [&'static str; 10] {
    FUNCTIONS
}

fn argument<'a>(inside: &'a str, from: &'a str) -> Parsed<'a, Option<String>> {
    let inside = skip_space(inside);
    if let Some(rest) = inside.strip_prefix(')') {
        return Ok((rest, None));
    }
    let (rest, of) = field(inside)?;
    match skip_space(rest).strip_prefix(')') {
        Some(rest) => Ok((rest, Some(of))),
        None => Err(Failure::fatal(from, "this parenthesis is never closed", &["`)`"])),
    }
}

fn function_of(word: &str) -> Option<Function> {
    Some(match word {
        "count" => Function::Count,
        "count_distinct" => Function::CountDistinct,
        "sum" => Function::Sum,
        "avg" => Function::Avg,
        "min" => Function::Min,
        "max" => Function::Max,
        word => {
            let digits = word.strip_prefix('p').filter(|rest| {
                !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            })?;
            let percent = digits.parse().ok()?;
            (0.0..=100.0).contains(&percent).then_some(Function::Percentile(percent))?
        }
    })
}

fn group(input: &str) -> Parsed<'_, GroupBy> {
    if let Some(inside) = input.strip_prefix("bin(") {
        let (rest, bin) = duration(inside.trim_start())?;
        return match skip_space(rest).strip_prefix(')') {
            Some(rest) => Ok((rest, GroupBy::Bin(bin))),
            None => Err(Failure::fatal(rest, "this parenthesis is never closed", &["`)`"])),
        };
    }
    let (rest, name) = field_or_missing(input)?;
    Ok((rest, GroupBy::Field(name)))
}

fn field_or_missing(input: &str) -> Parsed<'_, String> {
    field(input).map_err(|error| match error {
        nom::Err::Error(_) => Failure::fatal(input, "a field is missing", &["a field"]),
        other => other,
    })
}

fn duration(input: &str) -> Parsed<'_, std::time::Duration> {
    let (rest, text) = bare(input).map_err(|_: nom::Err<Failure>| no_duration(input))?;
    match parse_duration(text).filter(|span| !span.is_zero()) {
        Some(span) => Ok((rest, span)),
        None => Err(no_duration(input)),
    }
}

fn no_duration(input: &str) -> nom::Err<Failure> {
    Failure::fatal(input, "a length of time is missing", &["`30s`", "`5m`", "`1h`", "`1d`"])
}

fn top(input: &str, order: RowOrder) -> Parsed<'_, Pipe> {
    let (rest, limit) = match count(input) {
        Some((rest, limit)) => (skip_space(rest), limit),
        None => (input, TOP_DEFAULT),
    };
    let rest = keyword(rest, "by").map_or(rest, skip_space);
    let (rest, names) = fields(rest)?;
    let by = names.into_iter().map(GroupBy::Field).collect();
    let aggregate = Aggregate { figures: vec![plain_count()], by, order, limit: Some(limit) };
    Ok((rest, Pipe::Aggregate(aggregate)))
}

fn plain_count() -> Figure {
    Figure { function: Function::Count, field: None, name: "count".to_owned() }
}

/// A whole number that stands alone.
fn count(input: &str) -> Option<(&str, usize)> {
    let digits = input.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = input.split_at(digits);
    let is_alone = rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == '|');
    number.parse().ok().filter(|_| is_alone).map(|number| (rest, number))
}

fn timechart(input: &str) -> Parsed<'_, Pipe> {
    let (rest, bin) = duration(input)?;
    let rest = skip_space(rest);
    let is_figure = !rest.is_empty() && !rest.starts_with('|') && keyword(rest, "by").is_none();
    let (rest, figures) = if is_figure {
        separated_list1(comma, figure).parse(rest)?
    } else {
        (rest, vec![plain_count()])
    };
    let mut by = vec![GroupBy::Bin(bin)];
    let mut end = rest;
    if let Some(after) = keyword(skip_space(rest), "by") {
        let (after, names) = fields(skip_space(after))?;
        by.extend(names.into_iter().map(GroupBy::Field));
        end = after;
    }
    Ok((end, Pipe::Aggregate(Aggregate { figures, by, order: RowOrder::Groups, limit: None })))
}

fn sort(input: &str) -> Parsed<'_, Pipe> {
    let key = |input| {
        let (is_descending, name) = match str::strip_prefix(input, '-') {
            Some(name) => (true, name),
            None => (false, input.strip_prefix('+').unwrap_or(input)),
        };
        let (rest, name) = column(name)
            .map_err(|_| Failure::fatal(name, "a field is missing", &["a field", "`-field`"]))?;
        Ok((rest, SortKey { name, is_descending }))
    };
    let (rest, keys) = separated_list1(comma, key).parse(input)?;
    Ok((rest, Pipe::Sort(keys)))
}

fn head(input: &str) -> Parsed<'_, Pipe> {
    match count(input) {
        Some((rest, number)) => Ok((rest, Pipe::Head(number))),
        None => Err(Failure::fatal(input, "`head` needs a number", &["a number"])),
    }
}

fn fields(input: &str) -> Parsed<'_, Vec<String>> {
    let one = |input| {
        column(input).map_err(|_| Failure::fatal(input, "a field is missing", &["a field"]))
    };
    separated_list1(comma, one).parse(input)
}
