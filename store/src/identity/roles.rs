//! Roles: those there always are, and those the configuration narrows them to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::authorize::Role;

/// Configured roles.
const ROLES_MAX: usize = 256;

/// A role that sees a part of what another one sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleConfig {
    /// What users and tokens call it.
    pub name: String,
    /// What it narrows: `reader`, `analyst`, or a role that stands before it.
    pub base: String,
    /// A query that every event must match, besides those of `base`. Default: none.
    #[serde(default)]
    pub filter: Option<String>,
    /// Fields that are hidden, besides those of `base`. Default: none.
    #[serde(default)]
    pub mask: Vec<String>,
}

/// What the holders of a role may do and see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What it is called.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Queries that every event must match, all of them.
    pub filters: Vec<String>,
    /// Fields that are hidden.
    pub mask: Vec<String>,
}

/// Why roles cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// It has no name, or one that is taken.
    #[error("`{0}` is no name for a role, or it is taken")]
    BadName(String),
    /// It narrows something that is not there, or that must see everything.
    #[error("role `{name}`: `base` is `reader`, `analyst` or a role before it, not `{base}`")]
    BadBase {
        /// The role.
        name: String,
        /// What it wants to narrow.
        base: String,
    },
    /// There are too many.
    #[error("at most {ROLES_MAX} roles")]
    TooMany,
}

/// Every role by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, Grant>);

impl Default for Roles {
    fn default() -> Self {
        let whole = |role: Role| {
            let grant =
                Grant { name: role.to_string(), role, filters: Vec::new(), mask: Vec::new() };
            (role.to_string(), grant)
        };
        Self(Role::ALL.into_iter().map(whole).collect())
    }
}

impl Roles {
    /// The roles there always are, and these.
    ///
    /// # Errors
    ///
    /// [`RoleError`] when a name is taken or a base is none.
    pub fn new(configs: &[RoleConfig]) -> Result<Self, RoleError> {
        if configs.len() > ROLES_MAX {
            return Err(RoleError::TooMany);
        }
        let mut roles = Self::default();
        for config in configs {
            let RoleConfig { name, base, filter, mask } = config.clone();
            if super::check_name(&name).is_err() || roles.0.contains_key(&name) {
                return Err(RoleError::BadName(name));
            }
            // An administrator makes tokens and users; a narrowed one could undo its own bounds.
            let wide =
                roles.0.get(&base).filter(|wide| matches!(wide.role, Role::Reader | Role::Analyst));
            let Some(wide) = wide else { return Err(RoleError::BadBase { name, base }) };
            let grant = Grant {
                name: name.clone(),
                role: wide.role,
                filters: wide.filters.iter().cloned().chain(filter).collect(),
                mask: wide.mask.iter().cloned().chain(mask).collect(),
            };
            roles.0.insert(name, grant);
        }
        Ok(roles)
    }

    /// The role of this name.
    pub fn get(&self, name: &str) -> Option<&Grant> {
        self.0.get(name)
    }

    /// Every role, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, base: &str, filter: Option<&str>, mask: &[&str]) -> RoleConfig {
        RoleConfig {
            name: name.to_owned(),
            base: base.to_owned(),
            filter: filter.map(str::to_owned),
            mask: mask.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_role_is_its_base_and_what_narrows_it() {
        let roles = Roles::new(&[
            config("shop", "analyst", Some("lw.source:shop"), &["card"]),
            config("shop-eu", "shop", Some("zone:eu"), &["user.email"]),
        ]);
        let roles = roles.expect("roles");
        let grant = roles.get("shop-eu").expect("known");
        assert_eq!(grant.role, Role::Analyst);
        assert_eq!(grant.filters, ["lw.source:shop", "zone:eu"]);
        assert_eq!(grant.mask, ["card", "user.email"]);
        assert_eq!(roles.iter().count(), Role::ALL.len() + 2);
    }

    #[test]
    fn a_role_that_cannot_be_is_refused() {
        let check = |configs: &[RoleConfig], expected: &str| {
            let error = Roles::new(configs).expect_err("no roles");
            assert_eq!(error.to_string(), expected);
        };
        check(
            &[config("admin", "reader", None, &[])],
            "`admin` is no name for a role, or it is taken",
        );
        check(&[config("a b", "reader", None, &[])], "`a b` is no name for a role, or it is taken");
        for base in ["admin", "ingest", "nobody", "later"] {
            let words = "`base` is `reader`, `analyst` or a role before it";
            check(
                &[config("x", base, None, &[]), config("later", "reader", None, &[])],
                &format!("role `x`: {words}, not `{base}`"),
            );
        }
        let many: Vec<_> =
            (0..257).map(|n| config(&format!("r{n}"), "reader", None, &[])).collect();
        check(&many, "at most 256 roles");
    }
}
