//! The Rust files of the tree as tokens, with what belongs to tests set apart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::program::Failure;

/// One file: its functions, names and strings outside tests and doc comments.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// Lines outside tests.
    pub(crate) lines: usize,
    pub(crate) functions: Vec<Function>,
    /// Identifiers with their line, in order.
    pub(crate) names: Vec<(String, usize)>,
    /// Literals as written with their line, in order.
    pub(crate) literals: Vec<(String, usize)>,
    /// Lines where a name is called or constructed: `Name(`.
    pub(crate) calls: Vec<(String, usize)>,
    /// Modules declared as `#[cfg(test)] mod name;`.
    test_modules: Vec<String>,
    test_file: bool,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From `fn` to the closing brace.
    pub(crate) lines: usize,
}

/// Where Rust files are.
const FOLDERS: &[&str] = &["crates", "xtask", "fuzz"];

/// Reads every `.rs` file that is not a test, sorted by path.
pub(crate) fn files(root: &Path) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for (path, text) in texts(root)? {
        let in_tests = path.contains("/tests/");
        if !in_tests && !path.ends_with("/tests.rs") && !path.ends_with("_tests.rs") {
            sources.push(read(&path, &text)?);
        }
    }
    Ok(without_tests(sources))
}

/// Reads every `.rs` file as text, sorted by path. Paths are relative to the root, with `/`.
pub(crate) fn texts(root: &Path) -> Result<Vec<(String, String)>, Failure> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut paths)?;
    }
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|e| Failure::reading(&path, &e))?;
        let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
        texts.push((shown.replace('\\', "/"), text));
    }
    Ok(texts)
}

/// Reads one file.
pub(crate) fn read(path: &str, text: &str) -> Result<Source, Failure> {
    let stream = TokenStream::from_str(text)
        .map_err(|error| Failure::new(format!("{path}: not Rust: {error}"), ""))?;
    let mut source = Source {
        path: path.to_owned(),
        lines: text.lines().count(),
        ..Source::default()
    };
    source.walk(stream);
    Ok(source)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry.map_err(|e| Failure::reading(folder, &e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" {
                collect(&path, paths)?;
            }
        } else if name.ends_with(".rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Drops files that are tests as a whole, and those that a `#[cfg(test)] mod` declares.
fn without_tests(sources: Vec<Source>) -> Vec<Source> {
    let mut excluded = BTreeSet::new();
    for source in &sources {
        let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let stem = file.trim_end_matches(".rs");
        let base = match stem {
            "lib" | "main" | "mod" => folder.to_owned(),
            _ => format!("{folder}/{stem}"),
        };
        for module in &source.test_modules {
            excluded.insert(format!("{base}/{module}"));
        }
    }
    let is_test = |path: &str| {
        excluded
            .iter()
            .any(|module| path == format!("{module}.rs") || path.starts_with(&format!("{module}/")))
    };
    sources
        .into_iter()
        .filter(|source| !source.test_file && !is_test(&source.path))
        .collect()
}

impl Source {
    fn walk(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let rest = tokens.get(at..).unwrap_or_default();
            if let Some((length, attribute)) = attribute(rest) {
                let inner = length == 3;
                at = at.saturating_add(length);
                if inner && is_test(&attribute) {
                    self.test_file = true;
                } else if !inner && is_test(&attribute) {
                    let item = tokens.get(at..).unwrap_or_default();
                    at = at.saturating_add(self.skip_test_item(token, item));
                }
                continue;
            }
            self.token(token, rest);
            at = at.saturating_add(1);
        }
    }

    fn token(&mut self, token: &TokenTree, rest: &[TokenTree]) {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => self.walk(group.stream()),
            TokenTree::Literal(literal) => self.literals.push((literal.to_string(), line)),
            TokenTree::Punct(_) => {}
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                if let Some(TokenTree::Group(next)) = rest.get(1)
                    && next.delimiter() == Delimiter::Parenthesis
                {
                    self.calls.push((name.clone(), line));
                }
                if name == "fn"
                    && let Some(TokenTree::Ident(called)) = rest.get(1)
                    && let Some(body) = body(rest)
                {
                    let last = body.span_close().end().line;
                    self.functions.push(Function {
                        name: called.to_string(),
                        line,
                        lines: last.saturating_sub(line).saturating_add(1),
                    });
                }
                self.names.push((name, line));
            }
        }
    }

    /// Returns how many tokens the item after a test attribute has.
    fn skip_test_item(&mut self, attribute: &TokenTree, item: &[TokenTree]) -> usize {
        let end = item.iter().position(|token| match token {
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            _ => false,
        });
        let Some(end) = end else {
            return item.len();
        };
        let first = attribute.span().start().line;
        let last = item.get(end).map_or(first, |token| token.span().end().line);
        let lines = last.saturating_sub(first).saturating_add(1);
        self.lines = self.lines.saturating_sub(lines);
        if let [.., TokenTree::Ident(word), TokenTree::Ident(name)] =
            item.get(..end).unwrap_or_default()
            && word == "mod"
        {
            self.test_modules.push(name.to_string());
        }
        end.saturating_add(1)
    }
}

/// Reads `#[...]` or `#![...]` and says how many tokens it has.
fn attribute(tokens: &[TokenTree]) -> Option<(usize, Group)> {
    let bracket = |token: &TokenTree| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => Some(group.clone()),
        _ => None,
    };
    match tokens {
        [TokenTree::Punct(hash), group, ..]
            if hash.as_char() == '#' && bracket(group).is_some() =>
        {
            Some((2, bracket(group)?))
        }
        [TokenTree::Punct(hash), TokenTree::Punct(bang), group, ..]
            if hash.as_char() == '#' && bang.as_char() == '!' =>
        {
            Some((3, bracket(group)?))
        }
        _ => None,
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`, `#[cfg(all(test, ...))]`; not `#[cfg(not(test))]`.
fn is_test(attribute: &Group) -> bool {
    fn names(stream: TokenStream, found: &mut Vec<String>) {
        for token in stream {
            match token {
                TokenTree::Ident(ident) => found.push(ident.to_string()),
                TokenTree::Group(group) => names(group.stream(), found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    names(attribute.stream(), &mut found);
    let marks = match found.first().map(String::as_str) {
        Some("cfg") => !found.iter().any(|name| name == "not" || name == "any"),
        Some("cfg_attr" | "doc") | None => false,
        Some(_) => found.len() <= 2,
    };
    marks && found.iter().any(|name| name == "test")
}

/// The block of a function whose tokens start at `fn`; none for a declaration that ends in `;`.
fn body(tokens: &[TokenTree]) -> Option<&Group> {
    let mut angles = 0_u32;
    let mut dash = false;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) => {
                match punct.as_char() {
                    ';' if angles == 0 => return None,
                    '<' => angles = angles.saturating_add(1),
                    '>' if !dash => angles = angles.saturating_sub(1),
                    _ => {}
                }
                dash = punct.as_char() == '-';
            }
            TokenTree::Group(group) => {
                if group.delimiter() == Delimiter::Brace && angles == 0 {
                    return Some(group);
                }
                dash = false;
            }
            _ => dash = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r###"//! Says "letterlock/v1/x".
/// Doc of expose_secret.
pub fn one<const N: usize>(x: [u8; N]) -> Pair<{ N }> where Fn(u8) -> u8: Any {
    Label(r#"raw"#)
}
trait Shape { fn declared(&self) -> [u8; 2]; }
#[cfg(test)]
mod tests {
    fn two() { hidden("test") }
}
#[tokio::test]
async fn three() { hidden() }
#[cfg(not(test))]
fn four() {}
#[cfg(test)]
mod apart;
"###;

    #[test]
    fn functions_are_found_with_their_lines() {
        let source = read("a.rs", TEXT).unwrap();
        let found: Vec<_> = source
            .functions
            .iter()
            .map(|f| (f.name.as_str(), f.line, f.lines))
            .collect();
        assert_eq!(found, [("one", 3, 3), ("four", 14, 1)]);
    }

    #[test]
    fn tests_and_docs_are_left_out() {
        let source = read("a.rs", TEXT).unwrap();
        assert!(
            source
                .names
                .iter()
                .all(|(name, _)| name != "hidden" && name != "expose_secret")
        );
        let literals: Vec<_> = source
            .literals
            .iter()
            .map(|(text, _)| text.as_str())
            .collect();
        assert_eq!(literals, [r##"r#"raw"#"##, "2"]);
        assert_eq!(
            source
                .calls
                .iter()
                .filter(|(name, _)| name == "Label")
                .count(),
            1
        );
        assert_eq!(source.lines, 16 - 4 - 2 - 2);
    }

    #[test]
    fn files_of_test_modules_are_left_out() {
        let all = vec![
            read("crates/a/src/lib.rs", TEXT).unwrap(),
            read("crates/a/src/apart.rs", "fn x() {}").unwrap(),
            read("crates/a/src/apart/deep.rs", "fn x() {}").unwrap(),
            read("crates/a/src/kept.rs", "fn x() {}").unwrap(),
            read("crates/a/src/whole.rs", "#![cfg(test)]\nfn x() {}").unwrap(),
        ];
        let kept: Vec<_> = without_tests(all).into_iter().map(|s| s.path).collect();
        assert_eq!(kept, ["crates/a/src/lib.rs", "crates/a/src/kept.rs"]);
    }
}
