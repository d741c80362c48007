//! `contact verify --sas`: shows what both sides see, and asks whether it is the same.

use crate::cli::contact::Sas as Wish;
use crate::failure::{self, Stop};
use crate::screen::Screen;
use crate::{question, signal, text};
use client::api::{Answer, Request};
use client::view::{Emoji, Sas};
use client::{Answers, Client};
use std::fmt::Write as _;
use tokio::sync::oneshot;

/// Pictures in a row.
const ROW: usize = 4;

/// What happens first.
enum Heard {
    Answer(Box<Option<Answer>>),
    Said(bool),
}

/// Sees a comparison to its end.
pub(crate) async fn compare(client: &Client, wish: Wish, screen: &mut Screen) -> Result<(), Stop> {
    let contact = text::line(&wish.contact);
    let mut answers = client.call(Request::SasStart {
        contact: wish.contact.clone(),
        timeout_ms: wish.timeout_ms,
    });
    let mut question: Option<oneshot::Receiver<bool>> = None;
    let mut equal = false;
    screen.talk(&format!(
        "waiting for {contact} to type, with your name: letterlock contact verify NAME --sas"
    ));
    loop {
        let heard = tokio::select! {
            answer = answers.recv() => Heard::Answer(Box::new(answer)),
            said = question::answer_to(&mut question) => Heard::Said(said),
            () = signal::stop_asked() => {
                if equal {
                    screen.talk("\nverified on this side; the other side has not said yet that the codes are equal");
                } else {
                    stop(client, wish.contact, answers).await;
                    screen.talk("\nstopped on both sides; nobody was verified");
                }
                return Err(Stop::Interrupted);
            }
        };
        let answer = match heard {
            Heard::Said(same) => {
                question = None;
                equal = same;
                tell(client, &wish.contact, same, screen).await;
                continue;
            }
            Heard::Answer(answer) => *answer,
        };
        match answer {
            Some(Answer::Sas(sas)) => {
                screen.show(&Answer::Sas(sas))?;
                if wish.yes {
                    equal = true;
                    tell(client, &wish.contact, true, screen).await;
                } else {
                    question = Some(question::begin(&format!("Does {contact} see the same?"))?);
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
                    "see whether the contact is verified: letterlock contact list",
                )));
            }
        }
    }
}

/// Passes on what the person said. A comparison that has ended meanwhile says so itself.
async fn tell(client: &Client, contact: &str, same: bool, screen: &Screen) {
    if same {
        let name = text::line(contact);
        screen.talk(&format!("waiting for what {name} says"));
    }
    let contact = contact.to_owned();
    let mut told = client.call(Request::SasCompared { contact, same });
    while told.recv().await.is_some() {}
}

/// Ends it on the other side too; who interrupts twice does not wait for that.
async fn stop(client: &Client, contact: String, mut answers: Answers) {
    let mut told = client.call(Request::SasStop { contact });
    let ended = async {
        while told.recv().await.is_some() {}
        while answers.recv().await.is_some() {}
    };
    tokio::select! {
        () = ended => {}
        () = signal::stop_asked() => {}
    }
}

/// The pictures in rows, each with its name, and the digits.
pub(crate) fn pictures(sas: &Sas) -> String {
    let mut shown = String::from("\n");
    for row in sas.emoji.chunks(ROW) {
        let mut line = String::new();
        for Emoji { symbol, name } in row {
            let _ = write!(line, "  {} {:<11}", text::line(symbol), text::line(name));
        }
        let _ = writeln!(shown, "{}", line.trim_end());
    }
    let _ = writeln!(shown, "\n  or {}\n", digits(&sas.digits));
    shown
}

/// Eight digits as people read them out.
fn digits(digits: &str) -> String {
    let digits = text::line(digits);
    match digits.split_at_checked(4) {
        Some((left, right)) => format!("{left} {right}"),
        None => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_pictures_stand_in_two_rows_with_their_names() {
        let names = [
            "pig", "cheese", "rocket", "gift", "bicycle", "umbrella", "octopus",
        ];
        let picture = |name: &&str| Emoji {
            symbol: "🐷".to_owned(),
            name: (*name).to_owned(),
        };
        let shown = pictures(&Sas {
            contact: "bob".to_owned(),
            emoji: names.iter().map(picture).collect(),
            digits: "00232426".to_owned(),
        });
        assert_eq!(
            shown,
            "\n  🐷 pig          🐷 cheese       🐷 rocket       🐷 gift\n  🐷 bicycle      🐷 umbrella     🐷 octopus\n\
             \n  or 0023 2426\n\n"
        );
    }
}
