//! Lists of values that rules name with the modifier `expand`, as in `%admins%`.
//!
//! A list is a `.txt` file in a rule directory, called like the file without its ending: one value a
//! line; empty lines and those that begin with `#` are left out. A rule may also bring a list of its
//! own under `logwarden: lists:`. Lists are read again when their files change, as rules are.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::RuleFile;

/// Placeholders of one value.
const PLACEHOLDERS_MAX: usize = 4;

/// Every list that is known, and which of them the rule at hand looked for in vain.
#[derive(Debug, Default)]
pub struct Lists {
    shared: HashMap<String, Vec<String>>,
    own: RefCell<HashMap<String, Vec<String>>>,
    missing: RefCell<BTreeSet<String>>,
}

impl Lists {
    /// Takes the lists among these files.
    pub(super) fn of(files: &[RuleFile]) -> Self {
        let mut shared: HashMap<String, Vec<String>> = HashMap::new();
        for file in files {
            if let Some(name) = list_name(&file.name) {
                let lines = file.text.lines().map(str::trim);
                let values = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
                shared.entry(name.to_owned()).or_default().extend(values.map(str::to_owned));
            }
        }
        Self { shared, ..Self::default() }
    }

    /// The lists that the next rule brings itself; they come before shared ones.
    pub(super) fn set_own(&self, own: HashMap<String, Vec<String>>) {
        *self.own.borrow_mut() = own;
    }

    /// A selection begins.
    pub(super) fn begin(&self) {
        self.missing.borrow_mut().clear();
    }

    /// The lists that were looked for since [`Lists::begin`] and have no value.
    pub(super) fn missing(&self) -> Vec<String> {
        self.missing.borrow().iter().cloned().collect()
    }

    /// The values that come of a text when each `%name%` in it stands for each value of its list;
    /// wildcards in a list are characters, the rest of the text is as it was written.
    ///
    /// # Errors
    ///
    /// A message when the text is malformed.
    pub(super) fn expand(&self, text: &str) -> Result<Vec<String>, String> {
        let parts: Vec<&str> = text.split('%').collect();
        if parts.len().is_multiple_of(2) || parts.len() / 2 > PLACEHOLDERS_MAX {
            return Err(format!("`{text}` is no text with names of lists, such as %admins%"));
        }
        let mut texts = vec![String::new()];
        for (place, part) in parts.iter().enumerate() {
            if place % 2 == 0 {
                texts.iter_mut().for_each(|text| text.push_str(part));
                continue;
            }
            let values = self.values(part);
            let longer = |text: &String| {
                values.iter().map(|value| text.clone() + &escaped(value)).collect::<Vec<_>>()
            };
            texts = texts.iter().flat_map(longer).collect();
        }
        Ok(texts)
    }

    fn values(&self, name: &str) -> Vec<String> {
        let own = self.own.borrow();
        let values = own.get(name).or_else(|| self.shared.get(name)).cloned().unwrap_or_default();
        if values.is_empty() {
            self.missing.borrow_mut().insert(name.to_owned());
        }
        values
    }
}

/// The list that a file of this name is.
pub(super) fn list_name(file: &str) -> Option<&str> {
    file.rsplit('/').next()?.strip_suffix(".txt")
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '*' | '?' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_every_list_is_tried_and_empty_ones_are_named() {
        let file = |name: &str, text: &str| RuleFile { name: name.into(), text: text.into() };
        let files = [file("rules/admins.txt", "root\n# nobody\n\nad*m\n"), file("a.yml", "x")];
        let lists = Lists::of(&files);
        assert_eq!(lists.expand(r"x\%admins%*"), Ok(vec![r"x\root*".into(), r"x\ad\*m*".into()]));
        assert_eq!(lists.missing(), [] as [String; 0]);
        assert_eq!(lists.expand("%nobody%"), Ok(Vec::new()));
        assert_eq!(lists.missing(), ["nobody"]);
        assert!(lists.expand("100%").is_err());
        lists.set_own(HashMap::from([("admins".to_owned(), vec!["eve".to_owned()])]));
        assert_eq!(lists.expand("%admins%"), Ok(vec!["eve".to_owned()]));
    }
}
