//! Length of files and functions.
//!
//! `xtask/size-allow.txt` holds the exceptions: `PATH[::FUNCTION] LINES REASON`, one a line. The number is the
//! present length, so that an exception may only shrink; a line that is no longer needed is an error.

use std::path::Path;

use crate::program::Failure;
use crate::source::{self, Source};

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 80;
const ALLOWED: &str = "xtask/size-allow.txt";

struct Exception {
    what: String,
    lines: usize,
}

pub(crate) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    let path = root.join(ALLOWED);
    let text = std::fs::read_to_string(&path).map_err(|e| Failure::reading(&path, &e))?;
    let sources = source::files(root)?;
    Ok(match exceptions(&text) {
        Ok(exceptions) => findings(&sources, &exceptions),
        Err(bad) => bad,
    })
}

fn exceptions(text: &str) -> Result<Vec<Exception>, Vec<String>> {
    let mut exceptions = Vec::new();
    let mut bad = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next().map(str::parse), words.next()) {
            (Some(what), Some(Ok(lines)), Some(reason)) if !reason.trim().is_empty() => {
                exceptions.push(Exception {
                    what: what.to_owned(),
                    lines,
                });
            }
            _ => bad.push(format!(
                "{ALLOWED}: want `PATH[::FUNCTION] LINES REASON`, got: {line}"
            )),
        }
    }
    if bad.is_empty() {
        Ok(exceptions)
    } else {
        Err(bad)
    }
}

fn findings(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    let mut found = Vec::new();
    let mut used = Vec::new();
    let mut judge = |what: String, place: String, lines: usize, limit: usize| {
        if lines <= limit {
            return;
        }
        match exceptions.iter().find(|exception| exception.what == what) {
            None => found.push(format!("{place}: {lines} lines, at most {limit}")),
            Some(exception) => {
                if exception.lines != lines {
                    let allowed = exception.lines;
                    found.push(format!("{place}: {lines} lines; {ALLOWED} says {allowed}"));
                }
                used.push(what);
            }
        }
    };
    for source in sources {
        let path = &source.path;
        judge(path.clone(), path.clone(), source.lines, FILE_LINES);
        for function in &source.functions {
            let name = &function.name;
            let place = format!("{path}:{}: function {name}", function.line);
            judge(
                format!("{path}::{name}"),
                place,
                function.lines,
                FUNCTION_LINES,
            );
        }
    }
    for exception in exceptions
        .iter()
        .filter(|exception| !used.contains(&exception.what))
    {
        found.push(format!("{ALLOWED}: {} is not needed", exception.what));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_function(lines: usize) -> Vec<Source> {
        let text = format!("fn long() {{{}}}\n", "\n".repeat(lines.saturating_sub(1)));
        vec![source::read("a.rs", &text).unwrap()]
    }

    fn found(sources: &[Source], allowed: &str) -> Vec<String> {
        match exceptions(allowed) {
            Ok(exceptions) => findings(sources, &exceptions),
            Err(bad) => bad,
        }
    }

    #[test]
    fn a_function_of_eighty_lines_passes_and_one_more_is_refused() {
        assert_eq!(found(&long_function(80), ""), [""; 0]);
        assert_eq!(
            found(&long_function(81), ""),
            ["a.rs:1: function long: 81 lines, at most 80"]
        );
    }

    #[test]
    fn a_file_of_more_than_eight_hundred_lines_is_refused() {
        let long = vec![source::read("a.rs", &"\n".repeat(801)).unwrap()];
        assert_eq!(found(&long, ""), ["a.rs: 801 lines, at most 800"]);
    }

    #[test]
    fn an_exception_names_the_exact_length() {
        assert_eq!(found(&long_function(90), "a.rs::long 90 a table"), [""; 0]);
        assert_eq!(found(&long_function(91), "a.rs::long 90 a table").len(), 1);
        assert_eq!(found(&long_function(89), "a.rs::long 90 a table").len(), 1);
    }

    #[test]
    fn an_exception_without_need_or_reason_is_refused() {
        assert_eq!(
            found(&long_function(80), "a.rs::long 90 a table"),
            ["xtask/size-allow.txt: a.rs::long is not needed"]
        );
        assert_eq!(found(&long_function(90), "a.rs::long 90").len(), 1);
    }
}
