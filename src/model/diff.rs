//! The difference between two texts.

use std::time::Duration;

/// How long two texts are compared. What is left then is shown as replaced, which is correct but longer.
const PATIENCE: Duration = Duration::from_millis(200);

/// The line-by-line difference. The work grows with the product of the lengths, so it has a time limit.
#[must_use]
pub fn diff(old: &str, new: &str) -> String {
    let lines = similar::TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    lines.unified_diff().context_radius(3).header("before", "after").to_string()
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, time::Instant};

    use super::*;

    #[test]
    fn texts_that_differ_in_everything_are_compared_for_a_moment() {
        let text = |letter: char| {
            (0..60_000).fold(String::new(), |mut all, n| {
                let _ = writeln!(all, "<{letter}{n}>");
                all
            })
        };
        let (old, new) = (text('a'), text('b'));
        let began = Instant::now();
        let said = diff(&old, &new);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(said.contains("-<a59999>") && said.contains("+<b59999>"));
        assert!(diff("one\ntwo\nthree\n", "one\n2\nthree\n").contains("-two\n+2\n"));
    }
}
