//! Names that are ours.

/// Whether our own records stand under this name, in whatever case: searches do not tell them apart. No
/// sender, and no source, is called so.
pub fn is_own_name(name: &str) -> bool {
    const OWN: &str = "logwarden";
    let (head, rest) = name.split_at_checked(OWN.len()).unwrap_or((name, ""));
    head.eq_ignore_ascii_case(OWN) && (rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_are_ours_in_any_case() {
        for ours in ["logwarden", "LogWarden", "logwarden.audit", "LOGWARDEN.x"] {
            assert!(is_own_name(ours), "{ours}");
        }
        for free in ["", "logwardens", "log", "logwarden-lab", "shop.logwarden", "loġwarden"] {
            assert!(!is_own_name(free), "{free}");
        }
    }
}
