//! Characters that are not seen, or act on what shows them.

/// Whether a reader does not see this character, or sees others differently because of it: controls, soft hyphen,
/// zero-width and bidirectional marks, separators of lines, invisible fillers, selectors and tags. Whoever shows
/// text of records shows an escape instead.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0E}' | '\u{FEFF}' | '\u{FFA0}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_not_hidden() {
        assert!("plain ä 漢字 عربى 👍🏽 é\u{301} a-b".chars().all(|c| !is_hidden(c)));
        assert!("\u{1b}\u{9b}\u{ad}\u{202e}\u{200d}\u{feff}\u{e0041}\n".chars().all(is_hidden));
    }
}
