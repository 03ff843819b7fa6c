//! The class of an event: the set of Sigma logsource tuples it belongs to.
//!
//! A class is computed once, at normalization, and travels as text: tuples separated by `;`, each
//! `product/category/service` with empty parts where nothing is said, such as
//! `linux//sshd;linux/authentication/`.

/// One logsource tuple, as in a Sigma rule's `logsource` (Sigma specification 2.1.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Logsource<'a> {
    /// Such as `linux`; empty when nothing is said.
    pub product: &'a str,
    /// Such as `authentication`; empty when nothing is said.
    pub category: &'a str,
    /// Such as `sshd`; empty when nothing is said.
    pub service: &'a str,
}

impl Logsource<'_> {
    /// Whether every dimension this (a rule's) tuple names is equal in `event`'s tuple.
    pub fn covers(&self, event: &Logsource<'_>) -> bool {
        let agrees =
            |wanted: &str, given: &str| wanted.is_empty() || wanted.eq_ignore_ascii_case(given);
        agrees(self.product, event.product)
            && agrees(self.category, event.category)
            && agrees(self.service, event.service)
    }

    /// Whether no dimension is named: such a rule applies to every event.
    pub fn is_any(&self) -> bool {
        self.product.is_empty() && self.category.is_empty() && self.service.is_empty()
    }
}

/// The logsource tuples of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Class<'a>(&'a str);

impl<'a> Class<'a> {
    /// Reads the text form; parts that are missing count as empty.
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The text form.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The tuples, in the order of the text.
    pub fn logsources(self) -> impl Iterator<Item = Logsource<'a>> {
        self.0.split(';').filter(|tuple| !tuple.is_empty()).map(|tuple| {
            let mut parts = tuple.splitn(3, '/');
            let mut part = || parts.next().unwrap_or_default();
            Logsource { product: part(), category: part(), service: part() }
        })
    }

    /// Whether a rule with logsource `wanted` applies: all it names is equal in one tuple (strict),
    /// and one that names nothing applies to every event.
    pub fn is_covered_by(self, wanted: &Logsource<'_>) -> bool {
        wanted.is_any() || self.logsources().any(|tuple| wanted.covers(&tuple))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_applies_when_one_tuple_has_all_it_names() {
        let class = Class::new("linux//sshd;linux/authentication/");
        let wanted = |product, category, service| Logsource { product, category, service };
        assert!(class.is_covered_by(&wanted("linux", "", "sshd")));
        assert!(class.is_covered_by(&wanted("", "authentication", "")));
        assert!(class.is_covered_by(&wanted("", "", "")));
        assert!(!class.is_covered_by(&wanted("", "authentication", "sshd")));
        assert!(!Class::default().is_covered_by(&wanted("linux", "", "")));
    }
}
