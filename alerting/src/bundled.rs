//! The rules that come with the program, compiled into it.

use crate::rule::RuleFile;

/// Every bundled file: its name and its content.
const FILES: &[(&str, &str)] = &[
    ("authentication.yml", include_str!("../rules/authentication.yml")),
    ("data.yml", include_str!("../rules/data.yml")),
    ("identity.yml", include_str!("../rules/identity.yml")),
    ("kubernetes.yml", include_str!("../rules/kubernetes.yml")),
    ("privilege.yml", include_str!("../rules/privilege.yml")),
    ("secrets.yml", include_str!("../rules/secrets.yml")),
    ("threat.yml", include_str!("../rules/threat.yml")),
    ("web.yml", include_str!("../rules/web.yml")),
];

/// About the server itself: always loaded, and only true of records that nobody can send.
const OWN: (&str, &str) = ("server.yml", include_str!("../rules/server.yml"));

/// What the name of a bundled file begins with in problems and lists.
const PREFIX: &str = "bundled/";

/// The bundled rule files.
pub(crate) fn files() -> Vec<RuleFile> {
    FILES.iter().map(file).collect()
}

/// The rules about the server itself.
pub(crate) fn own() -> RuleFile {
    file(&OWN)
}

fn file((name, text): &(&str, &str)) -> RuleFile {
    RuleFile { name: format!("{PREFIX}{name}"), text: (*text).to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleSet;
    use crate::sample::event_of_json;

    #[test]
    fn every_bundled_rule_loads_and_passes_its_own_tests() {
        let mut files = files();
        files.push(own());
        let (rules, problems) = RuleSet::load(&files);
        assert_eq!(problems, []);
        let results = crate::run_rule_tests(&rules, &event_of_json);
        assert!(results.len() >= rules.rules().len(), "each rule has a test");
        for result in results {
            assert!(
                result.passed(),
                "{}: found {}, expected {}",
                result.at,
                result.found,
                result.expected
            );
        }
    }
}
