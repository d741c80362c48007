//! The two streams of a command: results to standard output, everything else to standard error.

use crate::failure::Stop;
use crate::render::{self, Shown};
use crate::text;
use client::api::Answer;
use client::view::{self, Failure};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// What a command writes to.
pub(crate) struct Screen {
    json: bool,
    bars: MultiProgress,
    /// Files under way, by what is said of them.
    files: BTreeMap<String, ProgressBar>,
    results: u64,
}

impl Screen {
    /// Writes for people, or with `json` for programs.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            bars: MultiProgress::new(),
            files: BTreeMap::new(),
            results: 0,
        }
    }

    /// Whether programs read it.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// How many results were written.
    pub(crate) fn results(&self) -> u64 {
        self.results
    }

    /// Shows an answer.
    pub(crate) fn show(&mut self, answer: &Answer) -> Result<(), Stop> {
        if let Answer::Progress(progress) = answer {
            self.progress(progress);
            return Ok(());
        }
        let shown = if self.json {
            render::for_programs(answer)
        } else {
            render::for_people(answer)
        };
        match shown {
            Shown::Result(text) => self.result(&text),
            Shown::Talk(text) => {
                self.to_stderr(&text);
                Ok(())
            }
            Shown::Nothing => Ok(()),
        }
    }

    /// Writes a result: `people` as it is, or `programs` as a line of JSON.
    pub(crate) fn either(&mut self, people: &str, programs: &impl Serialize) -> Result<(), Stop> {
        if self.json {
            self.result(&render::json(programs))
        } else {
            self.result(people)
        }
    }

    /// Says something to people on standard error; programs are not talked to.
    pub(crate) fn talk(&self, text: &str) {
        if !self.json {
            self.to_stderr(&format!("{text}\n"));
        }
    }

    /// Tells a failure.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        self.clear_bars();
        let text = if self.json {
            render::json(&Answer::Failed(failure.clone()))
        } else {
            render::failure(failure)
        };
        self.to_stderr(&text);
    }

    /// Takes the progress bars away.
    pub(crate) fn clear_bars(&mut self) {
        for bar in std::mem::take(&mut self.files).into_values() {
            bar.finish_and_clear();
        }
    }

    /// Writes a result as it is.
    pub(crate) fn result(&mut self, text: &str) -> Result<(), Stop> {
        self.results = self.results.saturating_add(1);
        let write = || {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        };
        self.bars.suspend(write)?;
        Ok(())
    }

    fn to_stderr(&self, text: &str) {
        // Nobody can be told that standard error is gone.
        let write = || {
            let _ = io::stderr().lock().write_all(text.as_bytes());
        };
        self.bars.suspend(write);
    }

    fn progress(&mut self, progress: &view::Progress) {
        if self.json || !io::stderr().is_terminal() {
            return;
        }
        let of = format!(
            "{} {}",
            text::line(&progress.what),
            text::line(&progress.name)
        );
        let parts = matches!(progress.what.as_str(), "link" | "backup" | "restore");
        let unknown = parts && progress.total == 0;
        if progress.done >= progress.total && !unknown {
            if let Some(bar) = self.files.remove(&of) {
                bar.finish_and_clear();
            }
            return;
        }
        match self.files.get(&of) {
            Some(bar) => bar.set_position(progress.done),
            None => {
                let bar = match parts {
                    true => bar_of_parts(&of, progress),
                    false => new_bar(&of, progress),
                };
                let bar = self.bars.add(bar);
                // What was done before this process is no speed.
                bar.reset_eta();
                bar.tick();
                self.files.insert(of, bar);
            }
        }
    }
}

/// A bar that counts parts, whose number the one who packs them does not know beforehand.
fn bar_of_parts(of: &str, progress: &view::Progress) -> ProgressBar {
    let (bar, template) = match progress.total {
        0 => (ProgressBar::no_length(), "{msg} {spinner} part {pos}"),
        total => (
            ProgressBar::new(total),
            "{msg} [{wide_bar}] part {pos} of {len}",
        ),
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("=> "))
        .with_message(of.to_owned())
        .with_position(progress.done)
}

fn new_bar(of: &str, progress: &view::Progress) -> ProgressBar {
    let template = "{msg} [{wide_bar}] {bytes}/{total_bytes} {binary_bytes_per_sec} {left}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let left = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // Nobody can be told that a bar is gone.
        let _ = out.write_str(&time_left(state.eta(), state.per_sec()));
    };
    ProgressBar::new(progress.total)
        .with_style(style.progress_chars("=> ").with_key("left", left))
        .with_message(of.to_owned())
        .with_position(progress.done)
}

/// Longest time that a bar tells: what is longer comes of a speed that nobody measured well.
const LONGEST_LEFT: Duration = Duration::from_secs(100 * 3600);

/// How long something may still take. Nothing where that is not known: while nothing moves.
fn time_left(left: Duration, per_second: f64) -> String {
    match per_second > 0.0 && left <= LONGEST_LEFT {
        true => format!("{:#}", HumanDuration(left)),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_that_stands_still_tells_no_time() {
        assert_eq!(time_left(Duration::from_secs(60), 5.0), "60s");
        assert_eq!(time_left(LONGEST_LEFT, 0.1), "4d");
        // What indicatif says where nothing moved yet.
        assert_eq!(time_left(Duration::ZERO, 0.0), "");
        assert_eq!(time_left(Duration::ZERO, f64::NAN), "");
        // After a while without anything that moves.
        let longer = LONGEST_LEFT.saturating_add(Duration::from_secs(1));
        assert_eq!(time_left(longer, 1e-9), "");
        assert_eq!(time_left(Duration::MAX, f64::MIN_POSITIVE), "");
    }
}
