//! `device link` and `device accept`: shows what a person takes to the other device, and asks what both show.

use crate::cli::device::Wish;
use crate::failure::{self, Stop};
use crate::screen::Screen;
use crate::{qr, question, signal, text};
use client::Client;
use client::api::{Answer, Request};
use client::view::{HiddenText, Link};
use std::fmt::Write as _;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// Words in a row.
const ROW: usize = 4;

/// What happens first.
enum Heard {
    Answer(Box<Option<Answer>>),
    Said(bool),
}

/// Sees a link to its end.
pub(crate) async fn link(client: &Client, wish: Wish, screen: &mut Screen) -> Result<(), Stop> {
    let accepts = matches!(wish.request, Request::DeviceAccept { .. });
    let mut answers = client.call(wish.request);
    let mut question: Option<oneshot::Receiver<bool>> = None;
    let mut compared = false;
    loop {
        let heard = tokio::select! {
            answer = answers.recv() => Heard::Answer(Box::new(answer)),
            said = question::answer_to(&mut question) => Heard::Said(said),
            () = signal::stop_asked() => {
                screen.talk(&goes_on(accepts, compared));
                return Err(Stop::Interrupted);
            }
        };
        let answer = match heard {
            Heard::Said(same) => {
                question = None;
                compared = same;
                if same {
                    screen.talk("waiting for the other device");
                }
                tell(client, same).await;
                continue;
            }
            Heard::Answer(answer) => *answer,
        };
        match answer {
            Some(Answer::Link(link)) => show(link, wish.qr, screen)?,
            Some(Answer::PairingCode(code)) => {
                let digits = digits(&code.code);
                if wish.yes {
                    screen.talk(&format!("both devices show {digits}"));
                    screen.show(&Answer::PairingCode(code))?;
                    compared = true;
                    tell(client, true).await;
                } else {
                    let other = if accepts { "old" } else { "new" };
                    screen.show(&Answer::PairingCode(code))?;
                    question = Some(question::begin(&format!(
                        "Does the {other} device show {digits}?"
                    ))?);
                }
            }
            Some(Answer::Done) => return Ok(()),
            Some(Answer::Failed(failure)) => {
                if question.is_some() {
                    screen.talk(""); // The question stands unanswered on its line.
                }
                return Err(Stop::Failed(failure));
            }
            Some(answer) => screen.show(&answer)?,
            None => {
                return Err(Stop::Failed(failure::failed(
                    "the answer was cut short",
                    "see whether the device is there: letterlock device list",
                )));
            }
        }
    }
}

/// Passes on what the person said. A link that has ended meanwhile says so itself.
async fn tell(client: &Client, same: bool) {
    let mut told = client.call(Request::LinkCompared { same });
    while told.recv().await.is_some() {}
}

fn show(link: Link, as_qr: bool, screen: &mut Screen) -> Result<(), Stop> {
    let drawn = as_qr.then(|| qr::draw(link.link.as_str())).transpose()?;
    let words = in_rows(&link.words);
    let relay = text::line(&link.relay);
    screen.show(&Answer::Link(link))?;
    if let Some(drawn) = drawn {
        screen.talk(&drawn);
    }
    screen.talk(&format!(
        "on the new device, within two minutes:\n  letterlock device accept LINE\n\
         with the line above, or with these twelve words and the relay:\n\n{}\n  --relay '{relay}'\n\n\
         waiting for the new device",
        words.as_str()
    ));
    Ok(())
}

fn in_rows(words: &HiddenText) -> Zeroizing<String> {
    let words: Vec<&str> = words.as_str().split(' ').collect();
    let mut rows = Zeroizing::new(String::with_capacity(256));
    for (number, row) in words.chunks(ROW).enumerate() {
        let before = number.saturating_mul(ROW);
        for (place, word) in row.iter().enumerate() {
            let position = before.saturating_add(place).saturating_add(1);
            let _ = write!(rows, "  {position:>2} {word:<8}");
        }
        rows.push('\n');
    }
    rows
}

/// Six digits as people read them out.
fn digits(code: &str) -> String {
    let code = text::line(code);
    match code.split_at_checked(3) {
        Some((left, right)) => format!("{left} {right}"),
        None => code,
    }
}

fn goes_on(accepts: bool, compared: bool) -> String {
    let words = match (compared, accepts) {
        (false, _) => "\nstopped; no device was linked",
        (true, true) => "\nthe link goes on when the same command is typed again",
        (true, false) => {
            "\nthe link goes on with the next command of this home, for example: letterlock receive"
        }
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_words_stand_in_three_numbered_rows() {
        let words = "abandon amount liar amount expire adjust cage candy arch gather drum buyer";
        let rows = in_rows(&HiddenText::from(words.to_owned()));
        assert_eq!(rows.lines().count(), 3);
        assert!(
            rows.starts_with("   1 abandon    2 amount "),
            "{}",
            rows.as_str()
        );
        assert!(rows.contains("12 buyer"));
    }

    #[test]
    fn six_digits_are_read_in_two_halves() {
        assert_eq!(digits("012345"), "012 345");
        assert_eq!(digits(""), "");
    }
}
