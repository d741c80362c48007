//! Domain-separation labels stand in one file, where a test holds them unique and prefix-free.

use std::path::Path;

use crate::program::Failure;
use crate::source::{self, Source};

const HOME: &str = "crates/keys/src/label.rs";
const START: &str = "letterlock/v1/";
/// This file names the start itself.
const OWN: &str = "xtask/src/labels.rs";

pub(crate) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    Ok(findings(&source::files(root)?))
}

fn findings(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.path != HOME && source.path != OWN)
    {
        let path = &source.path;
        for (_, line) in source.calls.iter().filter(|(name, _)| name == "Label") {
            found.push(format!("{path}:{line}: a label is made in {HOME} alone"));
        }
        for (_, line) in source.literals.iter().filter(|(text, _)| is_label(text)) {
            found.push(format!(
                "{path}:{line}: a label's text stands in {HOME} alone"
            ));
        }
    }
    found
}

/// Whether a literal as written (`"x"`, `b"x"`, `r#"x"#`) starts as a label does.
fn is_label(literal: &str) -> bool {
    literal
        .trim_start_matches(['b', 'c', 'r', '#'])
        .strip_prefix('"')
        .is_some_and(|text| text.starts_with(START))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        findings(&[source::read(path, text).unwrap()]).len()
    }

    #[test]
    fn a_label_outside_its_file_is_refused() {
        assert_eq!(found("a.rs", "const A: Label = Label(\"x\");"), 1);
        assert_eq!(found("a.rs", "const A: &str = \"letterlock/v1/x\";"), 1);
        assert_eq!(found("a.rs", "const A: &[u8] = b\"letterlock/v1/x\";"), 1);
        assert_eq!(found("a.rs", "mac!(br#\"letterlock/v1/x\"#)"), 1);
    }

    #[test]
    fn its_file_other_strings_docs_and_tests_pass() {
        assert_eq!(
            found(HOME, "const A: Label = Label(\"letterlock/v1/x\");"),
            0
        );
        assert_eq!(found("a.rs", "const A: &str = \"see letterlock/v1/x\";"), 0);
        assert_eq!(
            found("a.rs", "/// \"letterlock/v1/x\"\nconst A: u8 = 1;"),
            0
        );
        assert_eq!(
            found("a.rs", "#[test]\nfn a() { b(\"letterlock/v1/x\") }"),
            0
        );
    }
}
