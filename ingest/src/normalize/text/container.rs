//! Lines of container runtimes: the format of Kubernetes' CRI.
//!
//! Input: `TIME stdout|stderr F|P LINE`. Output: time, stream and the line, which is read in its turn;
//! a piece of a line that the runtime split (`P`) is marked.

use super::line::Line;
use super::{Context, Fact, Facts, Path};
use crate::normalize::time;

/// Reads a line of containerd or CRI-O.
pub(super) fn cri<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    let stamp = line.until(" ")?;
    let stream = line.until(" ")?;
    if stamp.len() > 40 || !matches!(stream, "stdout" | "stderr") {
        return None;
    }
    let (tag, rest) = line.rest.split_once(' ').unwrap_or((line.rest, ""));
    let mut facts = Facts::default();
    match tag.split(':').next()? {
        "F" => {}
        "P" => facts.word("lw.partial", "true"),
        _ => return None,
    }
    facts.time = Some(time::from_text(stamp, context.zone, context.now)?);
    facts.add(Path::Ours("stream"), Fact::Text(stream));
    facts.message = Some(rest);
    facts.is_envelope = true;
    Some(facts)
}
