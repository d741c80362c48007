//! How the tour is told: numbered steps, what each person types, what each person sees.

use super::person::Person;
use crate::failure::{self, Stop};
use crate::render::{self, Shown};
use crate::screen::Screen;
use crate::text;
use client::api::Answer;
use serde::Serialize;
use std::fmt::Write as _;

/// Longest word of a command that is shown whole.
const WORD_SHOWN: usize = 60;

/// Where the tour is told.
pub(super) struct Stage<'s> {
    screen: &'s mut Screen,
    step: u64,
}

#[derive(Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
enum Scene<'t> {
    Told {
        step: u64,
        text: &'t str,
    },
    Typed {
        step: u64,
        who: &'t str,
        words: &'t [&'t str],
        sees: Vec<serde_json::Value>,
    },
}

impl<'s> Stage<'s> {
    pub(super) fn new(screen: &'s mut Screen) -> Self {
        Self { screen, step: 0 }
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &str) -> Result<(), Stop> {
        self.step = self.step.saturating_add(1);
        let people = format!("\n{}. {title}\n", self.step);
        self.either(&people, title)
    }

    /// Says something.
    pub(super) fn tell(&mut self, tells: &str) -> Result<(), Stop> {
        let people = format!("   {}\n", tells.replace('\n', "\n   "));
        self.either(&people, tells)
    }

    fn either(&mut self, people: &str, text: &str) -> Result<(), Stop> {
        let step = self.step;
        self.screen.either(people, &Scene::Told { step, text })
    }

    /// Shows what somebody types and sees.
    pub(super) fn show(
        &mut self,
        who: &str,
        words: &[&str],
        sees: &str,
        objects: Vec<serde_json::Value>,
    ) -> Result<(), Stop> {
        let mut people = format!("   {who}$ letterlock");
        for word in words {
            let _ = write!(people, " {}", quoted(word));
        }
        people.push('\n');
        for line in sees.lines() {
            let _ = writeln!(people, "      {line}");
        }
        let programs = Scene::Typed {
            step: self.step,
            who,
            words,
            sees: objects,
        };
        self.screen.either(&people, &programs)
    }

    /// Lets a person do something, and shows it.
    pub(super) async fn types(
        &mut self,
        person: &mut Person,
        words: &[&str],
    ) -> Result<Vec<Answer>, Stop> {
        let answers = person.does(words).await?;
        self.show_answers(person, words, &answers)?;
        Ok(answers)
    }

    /// Lets a person receive, and sees to it that `count` letters came.
    pub(super) async fn receives(
        &mut self,
        person: &mut Person,
        words: &[&str],
        count: usize,
    ) -> Result<Vec<Answer>, Stop> {
        let answers = self.types(person, words).await?;
        let letters = answers
            .iter()
            .filter(|answer| matches!(answer, Answer::Letter(_)));
        if letters.count() != count {
            return Err(Stop::Failed(failure::failed(
                format!("{} did not see what was sent", person.name()),
                "please report this",
            )));
        }
        Ok(answers)
    }

    fn show_answers(
        &mut self,
        person: &Person,
        words: &[&str],
        answers: &[Answer],
    ) -> Result<(), Stop> {
        let mut sees = String::new();
        let mut objects = Vec::new();
        for answer in answers {
            if let Shown::Result(text) | Shown::Talk(text) = render::for_people(answer) {
                sees.push_str(&text);
            }
            if let Shown::Result(line) | Shown::Talk(line) = render::for_programs(answer) {
                objects.extend(serde_json::from_str::<serde_json::Value>(&line));
            }
        }
        self.show(person.name(), words, &sees, objects)
    }
}

/// A word as it is typed in a shell; a very long one is cut.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=#".contains(c);
    let word = text::line(word);
    if word.chars().count() > WORD_SHOWN {
        let start: String = word.chars().take(WORD_SHOWN).collect();
        return format!("{start}...");
    }
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shown_as_a_shell_takes_them() {
        assert_eq!(quoted("bob@127.0.0.1:4480"), "bob@127.0.0.1:4480");
        assert_eq!(quoted("it's me"), "'it'\\''s me'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted(&"x".repeat(100)).len(), WORD_SHOWN + 3);
    }
}
