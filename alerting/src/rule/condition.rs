//! The condition of a Sigma rule, `selection and not 1 of filter_*`, and of a correlation, `rule_a and not rule_b`.
//!
//! Input: the text and the names it may use. Output: one filter, or a tree of the names' places. Nesting is
//! bounded, so that no text can exhaust the stack.

use logwarden_query::Filter;

/// Levels of parentheses and negations.
const NESTING_MAX: usize = 64;
/// Words of a condition.
const TOKENS_MAX: usize = 2_000;

/// What is wrong, and at which character of the text, from 0 on.
pub(super) type ConditionFault = (usize, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'a> {
    offset: usize,
    text: &'a str,
}

/// What a condition says of things by their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    /// The thing in this place.
    Is(usize),
    /// It does not hold.
    Not(Box<Tree>),
    /// Each of them holds.
    And(Vec<Tree>),
    /// Any of them holds.
    Or(Vec<Tree>),
}

impl Tree {
    fn filter(&self, selections: &[(String, Filter)]) -> Filter {
        let all = |trees: &[Self]| trees.iter().map(|tree| tree.filter(selections)).collect();
        match self {
            Self::Is(place) => selections[*place].1.clone(),
            Self::Not(tree) => tree.filter(selections).negated(),
            Self::And(trees) => Filter::And(all(trees)),
            Self::Or(trees) => Filter::Or(all(trees)),
        }
    }
}

/// Reads a condition over named selections.
///
/// # Errors
///
/// The place and the message of the first fault.
pub(super) fn read(text: &str, selections: &[(String, Filter)]) -> Result<Filter, ConditionFault> {
    let names: Vec<&str> = selections.iter().map(|(name, _)| name.as_str()).collect();
    Ok(read_tree(text, &names, "selection")?.filter(selections))
}

/// Reads a condition over `names`, which are of so called things.
///
/// # Errors
///
/// The place and the message of the first fault.
pub(super) fn read_tree(text: &str, names: &[&str], what: &str) -> Result<Tree, ConditionFault> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, end: text.chars().count(), names, what };
    let tree = parser.any(0)?;
    match parser.peek() {
        None => Ok(tree),
        Some(token) => Err((token.offset, format!("`{}` is not expected here", token.text))),
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, ConditionFault> {
    let mut tokens = Vec::new();
    let mut word: Option<(usize, usize)> = None;
    for (offset, (place, c)) in text.char_indices().enumerate() {
        if c == '|' {
            return Err((
                offset,
                String::from("aggregations after `|` are not read; write a correlation instead"),
            ));
        }
        let is_word = c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '?');
        if !is_word {
            if let Some((start, from)) = word.take() {
                tokens.push(Token { offset: start, text: &text[from..place] });
            }
            match c {
                '(' | ')' => tokens.push(Token { offset, text: &text[place..=place] }),
                c if c.is_whitespace() => {}
                other => return Err((offset, format!("`{other}` is not expected here"))),
            }
        } else if word.is_none() {
            word = Some((offset, place));
        }
        if tokens.len() > TOKENS_MAX {
            return Err((offset, format!("condition has more than {TOKENS_MAX} words")));
        }
    }
    if let Some((start, from)) = word {
        tokens.push(Token { offset: start, text: &text[from..] });
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    end: usize,
    names: &'a [&'a str],
    /// What the names are of, for faults.
    what: &'a str,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Result<Token<'a>, ConditionFault> {
        let token = self.peek().ok_or((self.end, String::from("condition ends early")))?;
        self.next += 1;
        Ok(token)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = self.peek().is_some_and(|token| token.text.eq_ignore_ascii_case(word));
        self.next += usize::from(is_next);
        is_next
    }

    fn any(&mut self, depth: usize) -> Result<Tree, ConditionFault> {
        let mut trees = vec![self.all(depth)?];
        while self.take_word("or") {
            trees.push(self.all(depth)?);
        }
        Ok(if trees.len() == 1 { trees.remove(0) } else { Tree::Or(trees) })
    }

    fn all(&mut self, depth: usize) -> Result<Tree, ConditionFault> {
        let mut trees = vec![self.one(depth)?];
        while self.take_word("and") {
            trees.push(self.one(depth)?);
        }
        Ok(if trees.len() == 1 { trees.remove(0) } else { Tree::And(trees) })
    }

    fn one(&mut self, depth: usize) -> Result<Tree, ConditionFault> {
        let token = self.take()?;
        if depth > NESTING_MAX {
            return Err((token.offset, format!("nested deeper than {NESTING_MAX} levels")));
        }
        match token.text.to_ascii_lowercase().as_str() {
            "not" => Ok(Tree::Not(Box::new(self.one(depth + 1)?))),
            "(" => {
                let inner = self.any(depth + 1)?;
                let closing = self.take()?;
                if closing.text != ")" {
                    return Err((closing.offset, String::from("expected `)`")));
                }
                Ok(inner)
            }
            "1" | "any" | "all" if self.take_word("of") => self.several(&token),
            number if number.parse::<u32>().is_ok() => {
                Err((token.offset, format!("`{number} of` is not supported, only 1 and all")))
            }
            ")" | "and" | "or" | "of" => {
                Err((token.offset, format!("`{}` is not expected here", token.text)))
            }
            _ => self.named(&token),
        }
    }

    fn several(&mut self, quantity: &Token<'a>) -> Result<Tree, ConditionFault> {
        let name = self.take()?;
        let is_meant = |known: &str| match name.text {
            "them" => !known.starts_with('_'),
            pattern => is_like(known, pattern),
        };
        let places = 0..self.names.len();
        let found: Vec<Tree> =
            places.filter(|place| is_meant(self.names[*place])).map(Tree::Is).collect();
        if found.is_empty() {
            return Err((name.offset, format!("no {} is called like `{}`", self.what, name.text)));
        }
        Ok(if quantity.text.eq_ignore_ascii_case("all") {
            Tree::And(found)
        } else {
            Tree::Or(found)
        })
    }

    fn named(&self, token: &Token<'a>) -> Result<Tree, ConditionFault> {
        let place = self.names.iter().position(|name| *name == token.text);
        let unknown = || (token.offset, format!("there is no {} `{}`", self.what, token.text));
        place.map(Tree::Is).ok_or_else(unknown)
    }
}

/// Whether `name` is like `pattern`, in which `*` stands for any run of characters.
fn is_like(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            let Some(found) = rest.find(before) else { return false };
            rest = &rest[found + str::len(before)..];
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(condition: &str, expected: &str) {
        let selection = |name: &str| {
            let test = logwarden_query::Test::Equals { text: name.to_owned(), cased: false };
            (name.to_owned(), Filter::is(logwarden_query::Target::Message, test))
        };
        let selections = ["sel_a", "sel_b", "filter", "_hidden"].map(selection);
        let found = match read(condition, &selections) {
            Ok(filter) => show(&filter),
            Err((offset, message)) => format!("{offset}: {message}"),
        };
        assert_eq!(found, expected, "{condition}");
    }

    fn show(filter: &Filter) -> String {
        let join = |filters: &[Filter], word: &str| {
            format!("({})", filters.iter().map(show).collect::<Vec<_>>().join(word))
        };
        match filter {
            Filter::And(filters) => join(filters, " & "),
            Filter::Or(filters) => join(filters, " | "),
            Filter::Not(filter) => format!("!{}", show(filter)),
            Filter::Is(predicate) => match &predicate.test {
                logwarden_query::Test::Equals { text, .. } => text.clone(),
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn conditions_mean_what_they_say() {
        check("sel_a and not filter", "(sel_a & !filter)");
        check("sel_a or sel_b and filter", "(sel_a | (sel_b & filter))");
        check("(sel_a or sel_b) and not (filter)", "((sel_a | sel_b) & !filter)");
        check("1 of sel_* and filter", "((sel_a | sel_b) & filter)");
        check("all of them", "(sel_a & sel_b & filter)");
        check("not not sel_a", "sel_a");
    }

    #[test]
    fn faults_say_where() {
        check("sel_a and sel_x", "10: there is no selection `sel_x`");
        check(
            "sel_a | count() > 5",
            "6: aggregations after `|` are not read; write a correlation instead",
        );
        check("1 of nothing*", "5: no selection is called like `nothing*`");
        check("(sel_a", "6: condition ends early");
        check("2 of sel_*", "0: `2 of` is not supported, only 1 and all");
        check(&"(".repeat(1_000), "65: nested deeper than 64 levels");
        check("sel_a sel_b", "6: `sel_b` is not expected here");
    }
}
