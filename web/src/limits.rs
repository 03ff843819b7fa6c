//! Bounds per principal that hold at this door.
//!
//! How many queries of one principal run at once is the engine's to bound; live tails stand apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use logwarden_store::identity::{Principal, PrincipalKind};

use crate::error::ApiError;
use crate::metrics;

/// Live tails of one principal at the same time; further ones are refused with 429.
const TAILS_PER_PRINCIPAL_MAX: usize = 16;

type Counts = Mutex<HashMap<(PrincipalKind, String), usize>>;

/// Counts what each principal has open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    tails: Arc<Counts>,
}

/// The right to one live tail; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct TailPermit {
    tails: Arc<Counts>,
    principal: (PrincipalKind, String),
}

impl Limits {
    /// Lets a principal open one more live tail.
    pub(crate) fn tail(&self, principal: &Principal) -> Result<TailPermit, ApiError> {
        let principal = (principal.kind, principal.name.clone());
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let open = tails.entry(principal.clone()).or_default();
        if *open >= TAILS_PER_PRINCIPAL_MAX {
            ::metrics::counter!(metrics::REFUSED_BUSY_TOTAL).increment(1);
            let message = format!("{TAILS_PER_PRINCIPAL_MAX} live tails are open already");
            return Err(ApiError::too_many_requests(message, 1));
        }
        *open += 1;
        ::metrics::gauge!(metrics::TAILS_OPEN).increment(1.0);
        Ok(TailPermit { tails: Arc::clone(&self.tails), principal })
    }
}

impl Drop for TailPermit {
    fn drop(&mut self) {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = tails.get_mut(&self.principal) {
            *open -= 1;
            if *open == 0 {
                tails.remove(&self.principal);
            }
        }
        ::metrics::gauge!(metrics::TAILS_OPEN).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use logwarden_store::identity::Role;

    use super::*;

    #[test]
    fn tails_of_one_principal_are_bounded_and_given_back() {
        let principal = |kind| Principal {
            name: "ana".to_owned(),
            kind,
            role: Role::Reader,
            source: None,
            filter: None,
        };
        let limits = Limits::default();
        let user = principal(PrincipalKind::User);
        let mut open: Vec<_> =
            (0..TAILS_PER_PRINCIPAL_MAX).map(|_| limits.tail(&user).expect("room")).collect();
        assert!(limits.tail(&user).is_err());
        assert!(limits.tail(&principal(PrincipalKind::Token)).is_ok());
        open.pop();
        assert!(limits.tail(&user).is_ok());
        drop(open);
        assert!(limits.tails.lock().expect("sound").is_empty());
    }
}
