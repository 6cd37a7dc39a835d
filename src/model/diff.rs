//! What a change of text changed.

/// What changed, line by line.
#[must_use]
pub fn diff(old: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new).unified_diff().context_radius(3).header("before", "after").to_string()
}
