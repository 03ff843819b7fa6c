//! Records whose text is a JSON object of its own, as container runtimes and shippers of files make
//! them.
//!
//! Input: a JSON object. Output: the object inside its text, and the other members to stand beside.

use std::borrow::Cow;

use super::members::{Object, members, string};

/// Members that hold what an application wrote.
pub(super) const TEXTS: [&str; 2] = ["log", "message"];

/// The content of `document` and what stands around it: the object inside a text of it, else the
/// document itself with nothing around.
pub(super) fn unfold(document: &[u8]) -> (Cow<'_, [u8]>, Object) {
    inner(document).unwrap_or_else(|| (Cow::Borrowed(document), Object::default()))
}

fn inner(document: &[u8]) -> Option<(Cow<'_, [u8]>, Object)> {
    memchr::memmem::find(document, b"\"{")?;
    let text = std::str::from_utf8(document).ok()?;
    let (mut content, mut around) = (None, Object::default());
    for member in members(text) {
        let (key, value) = member.ok()?;
        match string(value) {
            Some(said) if content.is_none() && is_text_with_object(&key, &said) => {
                content = Some(said.into_owned().into_bytes());
            }
            _ => around.put(&key, value),
        }
    }
    Some((Cow::Owned(content?), around))
}

fn is_text_with_object(key: &str, said: &str) -> bool {
    TEXTS.contains(&key)
        && said.starts_with('{')
        && serde_json::from_str::<serde::de::IgnoredAny>(said).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, content: &str, around: &str) {
        let (found, beside) = unfold(document.as_bytes());
        assert_eq!(
            (String::from_utf8_lossy(&found), beside.finish().as_str()),
            (content.into(), around)
        );
    }

    #[test]
    fn an_object_inside_a_text_is_the_content() {
        check(r#"{"log":"{\"a\":1}\n","id":"x"}"#, "{\"a\":1}\n", r#"{"id":"x"}"#);
        check(r#"{"message":"{\"a\":1}"}"#, r#"{"a":1}"#, "");
        for whole in
            [r#"{"log":"{a"}"#, r#"{"other":"{\"a\":1}"}"#, r#"{"log":"a"}"#, "nonsense\"{"]
        {
            check(whole, whole, "");
        }
    }
}
