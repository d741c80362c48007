//! Documents name things that exist.
//!
//! Links in every Markdown file lead to a file, and its numbered sections count from 1. In ARCHITECTURE.md, `` `PATH`: `name`, `name` `` says that the file
//! holds these names. Every foreign crate stands in docs/decisions/README.md. Comments: see [`comments`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::program::Failure;
use crate::{comments, metadata};

const MAP: &str = "ARCHITECTURE.md";
const DECISIONS: &str = "docs/decisions/README.md";
const FOLDERS: &[&str] = &["crates/", "docs/", "vectors/", "xtask/", "fuzz/"];

pub(crate) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    let mut documents = Vec::new();
    collect(root, false, &mut documents)?;
    collect(&root.join("docs"), true, &mut documents)?;
    documents.sort();
    let mut found = Vec::new();
    for document in documents {
        let text = read(&document)?;
        let shown = document.strip_prefix(root).unwrap_or(&document).display();
        let folder = document.parent().unwrap_or(root);
        for link in links(&text).filter(|link| !folder.join(link).exists()) {
            found.push(format!("{shown}: the link {link} leads nowhere"));
        }
        for heading in miscounted(&text) {
            found.push(format!("{shown}: the section {heading} is out of order"));
        }
    }
    for (path, name) in claims(&read(&root.join(MAP))?) {
        let file = root.join(path);
        if !file.exists() {
            found.push(format!("{MAP}: there is no {path}"));
        } else if let Some(name) = name
            && !holds(&read(&file)?, name)
        {
            found.push(format!("{MAP}: {path} holds no `{name}`"));
        }
    }
    found.extend(comments::findings(root)?);
    let decisions = read(&root.join(DECISIONS))?;
    for name in foreign_crates(root)? {
        if !decided(&decisions, &name) {
            found.push(format!("{DECISIONS}: no line for the foreign crate {name}"));
        }
    }
    Ok(found)
}

fn foreign_crates(root: &Path) -> Result<BTreeSet<String>, Failure> {
    Ok(metadata::packages(root, "Cargo.toml")?
        .into_iter()
        .flat_map(|package| package.dependencies)
        .filter(|edge| !edge.ours)
        .map(|edge| edge.name)
        .collect())
}

/// Whether the first column of a table names a crate.
fn decided(text: &str, name: &str) -> bool {
    text.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .any(|crates| crates.split(", ").any(|decided| decided == name))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::reading(path, &e))
}

fn collect(folder: &Path, deep: bool, documents: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).map_err(|e| Failure::reading(folder, &e))? {
        let path = entry.map_err(|e| Failure::reading(folder, &e))?.path();
        if path.is_dir() && deep {
            collect(&path, deep, documents)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(path);
        }
    }
    Ok(())
}

/// The files that a document links to.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#']).next()?;
        let outside = target.contains(':') || target.is_empty();
        (!outside).then_some(target)
    })
}

/// Numbered sections that are not one more than the one before.
fn miscounted(text: &str) -> impl Iterator<Item = &str> {
    let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
    let numbered = headings.filter_map(|heading| {
        let number = heading.split_once(". ")?.0.parse::<u32>().ok()?;
        Some((number, heading))
    });
    let expected = numbered.zip(1..);
    expected.filter_map(|((number, heading), expected)| (number != expected).then_some(heading))
}

/// Each path, and each name said to be in it.
fn claims(text: &str) -> Vec<(&str, Option<&str>)> {
    let mut claims = Vec::new();
    for line in text.lines() {
        let mut file = None;
        let mut before = "";
        for (index, part) in line.split('`').enumerate() {
            if index.is_multiple_of(2) {
                before = part;
            } else if FOLDERS.iter().any(|folder| part.starts_with(folder)) {
                file = Some(part);
                claims.push((part, None));
            } else if let Some(path) = file
                && matches!(before, ": " | ", ")
            {
                claims.push((path, Some(part)));
            } else {
                file = None;
            }
        }
    }
    claims
}

/// Whether a file holds a name as a whole word.
fn holds(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found() {
        let text = "[a](b.md#c) [d](https://x.org) [e](#f)\n[g](../h)";
        assert_eq!(links(text).collect::<Vec<_>>(), ["b.md", "../h"]);
    }

    #[test]
    fn sections_count_from_one() {
        let text = "## 1. a\n## b\n### 7. c\n## 2. d\n## 2. e\n## 4. f\n";
        assert_eq!(miscounted(text).collect::<Vec<_>>(), ["2. e"]);
    }

    #[test]
    fn names_belong_to_the_path_before_them() {
        let text = "| `crates/a.rs`: `B`, `c`; `d` and `docs/e.md` `f` |\n`g`";
        let expected = [
            ("crates/a.rs", None),
            ("crates/a.rs", Some("B")),
            ("crates/a.rs", Some("c")),
            ("docs/e.md", None),
        ];
        assert_eq!(claims(text), expected);
    }

    #[test]
    fn a_crate_stands_in_the_first_column() {
        let text = "| a-b, c | d |";
        assert!(decided(text, "a-b") && decided(text, "c"));
        assert!(!decided(text, "a") && !decided(text, "d"));
    }

    #[test]
    fn a_name_is_a_whole_word() {
        assert!(holds("fn a_b() {}", "a_b"));
        assert!(!holds("fn a_b() {}", "a"));
    }
}
