//! Secrets are exposed only in the files that clippy.toml lists.
//!
//! The list is a comment there: the line `# expose_secret:` and one `#   PATH` a line until the first other line.
//! A file that no longer needs its line is an error, so the list may be read as what has to be reviewed.

use std::path::Path;

use crate::program::Failure;
use crate::source::{self, Source};

const LIST: &str = "clippy.toml";
const HEAD: &str = "# expose_secret:";
const NAME: &str = "expose_secret";

pub(crate) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    let path = root.join(LIST);
    let text = std::fs::read_to_string(&path).map_err(|e| Failure::reading(&path, &e))?;
    Ok(findings(&source::files(root)?, &listed(&text)))
}

fn listed(text: &str) -> Vec<&str> {
    text.lines()
        .skip_while(|line| *line != HEAD)
        .skip(1)
        .map_while(|line| line.strip_prefix("#   "))
        .map(str::trim)
        .collect()
}

fn findings(sources: &[Source], listed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut used = Vec::new();
    for source in sources {
        let path = source.path.as_str();
        let Some((_, line)) = source.names.iter().find(|(name, _)| name == NAME) else {
            continue;
        };
        if listed.contains(&path) {
            used.push(path);
        } else {
            found.push(format!(
                "{path}:{line}: {NAME}, and {LIST} does not list the file"
            ));
        }
    }
    for path in listed.iter().filter(|path| !used.contains(path)) {
        found.push(format!("{LIST}: {path} does not use {NAME}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIPPY: &str = "a = 1\n# expose_secret:\n#   a.rs\n#   b.rs\n# other\n#   c.rs\n";

    fn found(path: &str) -> Vec<String> {
        let sources = [
            source::read("a.rs", "fn f() { key.expose_secret(); }").unwrap(),
            source::read(path, "fn f() { key.expose_secret(); }").unwrap(),
        ];
        findings(&sources, &listed(CLIPPY))
    }

    #[test]
    fn a_file_that_is_not_listed_is_refused() {
        assert_eq!(found("b.rs"), [""; 0]);
        assert_eq!(
            found("c.rs"),
            [
                "c.rs:1: expose_secret, and clippy.toml does not list the file",
                "clippy.toml: b.rs does not use expose_secret",
            ]
        );
    }
}
