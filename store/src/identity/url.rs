//! Credentials do not stand in URLs: those get into logs and histories.

/// Names that a URL's parameters may not have: somebody put a credential there.
const CREDENTIAL_PARAMETERS: &[&str] = &[
    "access-token",
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "authorization",
    "dd-api-key",
    "jwt",
    "key",
    "password",
    "session",
    "token",
    "x-api-key",
];

/// Whether a query string names a credential, however it is escaped.
pub fn is_credential_in_url(query: Option<&str>) -> bool {
    let named = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut names = named.map(|(name, _)| name.to_ascii_lowercase());
    names.any(|name| CREDENTIAL_PARAMETERS.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_in_a_url_is_seen_however_it_is_written() {
        for query in ["token=x", "q=a&access_token=x", "%74oken=x", "TOKEN=x", "token", "jwt=x"] {
            assert!(is_credential_in_url(Some(query)), "{query}");
        }
        for query in ["q=token%3Dx", "q=token", "tokens=1", ""] {
            assert!(!is_credential_in_url(Some(query)), "{query}");
        }
    }
}
