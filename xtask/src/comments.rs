//! Comments name things that exist: documents, and the tests that `// SECURITY:` comments promise. So do the documents that
//! promise tests.

use std::collections::BTreeSet;
use std::path::Path;

use crate::program::Failure;
use crate::source;

const MARK: &str = "// SECURITY:";

/// Documents that say of an attack, or of a figure, which test shows it.
const PROMISING: &[&str] = &[
    "docs/threat-model.md",
    "docs/benchmarks.md",
    "ARCHITECTURE.md",
];

/// This file holds examples of both.
const OWN: &str = "xtask/src/comments.rs";

/// Looks at every Rust file, tests too.
pub(crate) fn findings(root: &Path) -> Result<Vec<String>, Failure> {
    let texts = source::texts(root)?;
    let functions: BTreeSet<&str> = texts.iter().flat_map(|(_, text)| functions(text)).collect();
    let mut found = Vec::new();
    for (path, text) in texts.iter().filter(|(path, _)| path != OWN) {
        for document in documents(text).filter(|document| !root.join(document).exists()) {
            found.push(format!("{path}: there is no {document}"));
        }
        for test in promised(text) {
            if !functions.contains(test) {
                found.push(format!("{path}: no test is called `{test}`"));
            }
        }
    }
    for path in PROMISING {
        let file = root.join(path);
        let text = std::fs::read_to_string(&file).map_err(|e| Failure::reading(&file, &e))?;
        for test in sentences(&text).filter(|test| !functions.contains(test)) {
            found.push(format!("{path}: no test is called `{test}`"));
        }
    }
    Ok(found)
}

/// Names in back-ticks with at least three underscores: those are facts.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| is_test_name(name) && name.matches('_').count() >= 3)
}

fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.split("fn ").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        rest.get(..end)
    })
}

/// `docs/...md` in comments.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| line.trim_start().starts_with("//"))
        .flat_map(|line| line.split(|c: char| c.is_whitespace() || "()`,;:[]".contains(c)))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.starts_with("docs/") && word.ends_with(".md"))
}

/// Names in back-ticks with at least two underscores, in a `// SECURITY:` comment.
fn promised(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim_start) {
        inside = line.starts_with(MARK) || (inside && line.starts_with("//"));
        if inside {
            names.extend(
                line.split('`')
                    .skip(1)
                    .step_by(2)
                    .filter(|name| is_test_name(name)),
            );
        }
    }
    names
}

fn is_test_name(name: &str) -> bool {
    name.matches('_').count() >= 2
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
        // SECURITY: both; `one_half_is_not` and\n\
        // `other_test_too` notice; `short`.\n\
        let x = 1; // docs/not-a-comment-line.md\n\
        // `not_a_promise` (docs/spec/a.md).\n\
        fn one_half_is_not() {}\n";

    #[test]
    fn a_document_names_its_tests() {
        let text = "`one_half_is_not`, `two_words_only`; `xtask` and `a_b`";
        assert_eq!(sentences(text).collect::<Vec<_>>(), ["one_half_is_not"]);
    }

    #[test]
    fn a_security_comment_names_its_tests() {
        assert_eq!(promised(TEXT), ["one_half_is_not", "other_test_too"]);
        assert_eq!(functions(TEXT).collect::<Vec<_>>(), ["one_half_is_not"]);
    }

    #[test]
    fn documents_in_comments_are_found() {
        assert_eq!(documents(TEXT).collect::<Vec<_>>(), ["docs/spec/a.md"]);
    }
}
