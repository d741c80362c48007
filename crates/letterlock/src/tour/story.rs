//! The script of the tour.

use super::operator::Operator;
use super::person::Person;
use super::stage::Stage;
use crate::failure::{self, Stop};
use crate::os;
use crate::screen::Screen;
use client::api::Answer;
use std::path::Path;

const FILE_NAME: &str = "garden-plan.txt";
const FILE_LINE: &str = "The old apple tree stays where it is.\n";

/// What is written on the tour, so that the end can look for it in the relay's folder.
const TEXTS: [&str; 7] = [
    "Hello Alice, the invite worked.",
    "Good to read you, Bob.",
    "Is it really you, Bob?",
    "First: the keys are under the mat.",
    "Second: feed the cat.",
    "Third: water the tomatoes.",
    "Here is the plan of the garden.",
];

/// Everybody on the tour.
struct Cast {
    alice: Person,
    bob: Person,
    carol: Person,
}

/// Tells the whole story in a folder.
pub(super) async fn tell(screen: &mut Screen, folder: &Path) -> Result<(), Stop> {
    let mut stage = Stage::new(screen);
    let mut cast = Cast {
        alice: Person::new("alice", folder),
        bob: Person::new("bob", folder),
        carol: Person::new("carol", folder),
    };
    let operator = Operator::starts(&mut stage, folder).await?;
    accounts(&mut stage, &mut cast, operator.url()).await?;
    invite(&mut stage, &mut cast).await?;
    letters(&mut stage, &mut cast).await?;
    claimed(&mut stage, &mut cast, operator.url()).await?;
    safety_number(&mut stage, &mut cast).await?;
    away(&mut stage, &mut cast).await?;
    file(&mut stage, &mut cast, folder).await?;
    search(&mut stage, &mut cast).await?;
    for person in [&mut cast.alice, &mut cast.bob, &mut cast.carol] {
        person.leaves().await;
    }
    operator.shows(&mut stage)?;
    let mut secrets = TEXTS.to_vec();
    secrets.extend([FILE_NAME, FILE_LINE]);
    let homes = [cast.alice.home(), cast.bob.home(), cast.carol.home()];
    operator.is_searched(&mut stage, &secrets, &homes)?;
    operator.stops().await;
    stage.tell("The tour is over. Relay, homes and letters are gone from this machine.")
}

async fn accounts(stage: &mut Stage<'_>, cast: &mut Cast, url: &str) -> Result<(), Stop> {
    stage.step("Alice and Bob make their accounts")?;
    stage.tell(
        "Keys are made in each home and stay there, encrypted under a passphrase.\n\
         The relay learns a name and public keys.",
    )?;
    for person in [&mut cast.alice, &mut cast.bob] {
        let name = person.name();
        let words = ["account", "create", name, "--relay", url];
        stage.types(person, &words).await?;
    }
    Ok(())
}

async fn invite(stage: &mut Stage<'_>, cast: &mut Cast) -> Result<(), Stop> {
    stage.step("Alice invites Bob")?;
    stage.tell(
        "She hands him one line by a way they trust. It names her account,\n\
         so Bob's program can check every key that the relay shows it.",
    )?;
    let answers = stage.types(&mut cast.alice, &["invite"]).await?;
    let invite = answers.iter().find_map(|answer| match answer {
        Answer::Invite(invite) => Some(invite.invite.clone()),
        _ => None,
    });
    let invite = invite.ok_or_else(|| missing("invite"))?;
    let words = ["contact", "add", invite.as_str()];
    stage.types(&mut cast.bob, &words).await?;
    Ok(())
}

async fn letters(stage: &mut Stage<'_>, cast: &mut Cast) -> Result<(), Stop> {
    let [hello, answer, ..] = TEXTS;
    stage.step("Letters, both ways")?;
    let (alice, bob) = (&mut cast.alice, &mut cast.bob);
    stage
        .types(bob, &["send", "alice", hello, "--wait"])
        .await?;
    let heard = stage.receives(alice, &["receive"], 1).await?;
    let id = letter_id(&heard)?;
    let words = ["send", "bob", answer, "--reply-to", id.as_str(), "--wait"];
    stage.types(alice, &words).await?;
    stage.receives(bob, &["receive"], 1).await?;
    Ok(())
}

async fn claimed(stage: &mut Stage<'_>, cast: &mut Cast, url: &str) -> Result<(), Stop> {
    let [_, _, question, ..] = TEXTS;
    stage.step("Carol knows Bob by name alone")?;
    stage.tell(
        "Without an invite she takes the relay's word for Bob's keys. The program says so:\n\
         the contact is claimed, not verified.",
    )?;
    let (bob, carol) = (&mut cast.bob, &mut cast.carol);
    let words = ["account", "create", "carol", "--relay", url];
    stage.types(carol, &words).await?;
    let address = format!("bob@{}", authority(url));
    stage.types(carol, &["contact", "add", &address]).await?;
    stage
        .types(carol, &["send", "bob", question, "--wait"])
        .await?;
    stage.receives(bob, &["receive"], 1).await?;
    stage.types(bob, &["contact", "list"]).await?;
    Ok(())
}

async fn safety_number(stage: &mut Stage<'_>, cast: &mut Cast) -> Result<(), Stop> {
    stage.step("They compare sixty digits")?;
    stage.tell("Over a cup of tea each reads the number from an own screen.")?;
    let (bob, carol) = (&mut cast.bob, &mut cast.carol);
    let seen = [
        stage
            .types(carol, &["contact", "verify", "bob", "--number"])
            .await?,
        stage
            .types(bob, &["contact", "verify", "carol", "--number"])
            .await?,
    ];
    let [one, other] = seen.map(|answers| number(&answers));
    if one.is_none() || one != other {
        return Err(Stop::Failed(failure::new(
            client::view::FailureKind::Refused,
            "Bob and Carol see two numbers",
            "please report this",
        )));
    }
    stage.tell("The digits are the same: nobody stands between them. Both note that.")?;
    let yes = ["--number", "--yes"];
    for (person, other) in [(carol, "bob"), (bob, "carol")] {
        let words = [&["contact", "verify", other][..], &yes].concat();
        stage.types(person, &words).await?;
    }
    Ok(())
}

async fn away(stage: &mut Stage<'_>, cast: &mut Cast) -> Result<(), Stop> {
    let [_, _, _, first, second, third, _] = TEXTS;
    stage.step("Bob is away")?;
    cast.bob.leaves().await;
    stage.tell("His program has ended. The relay keeps sealed letters until it is back.")?;
    for text in [first, second, third] {
        let words = ["send", "bob", text, "--wait"];
        stage.types(&mut cast.alice, &words).await?;
    }
    stage.tell("Bob comes back. The letters arrive in order, each once.")?;
    stage.receives(&mut cast.bob, &["receive"], 3).await?;
    Ok(())
}

async fn file(stage: &mut Stage<'_>, cast: &mut Cast, folder: &Path) -> Result<(), Stop> {
    let [.., plan] = TEXTS;
    stage.step("A file")?;
    let path = folder.join(FILE_NAME);
    let contents = FILE_LINE.repeat(30_000).into_bytes();
    os::write(&path, &contents).map_err(|e| failure::file("the file", &path, &e))?;
    let saved = folder.join("bobs-files");
    let [path, saved] = [path, saved].map(|path| path.to_string_lossy().into_owned());
    let words = ["send", "bob", plan, "--file", path.as_str(), "--wait"];
    stage.types(&mut cast.alice, &words).await?;
    let words = ["receive", "--save", saved.as_str()];
    let answers = stage.receives(&mut cast.bob, &words, 1).await?;
    let arrived = answers.iter().find_map(|answer| match answer {
        Answer::Saved(saved) => Some(Path::new(&saved.path)),
        _ => None,
    });
    let arrived = arrived.ok_or_else(|| missing("file"))?;
    let same = os::read(arrived).map_err(|e| failure::file("the file", arrived, &e))? == contents;
    if !same {
        return Err(Stop::Failed(missing("whole file")));
    }
    stage.tell("Byte for byte the same. The relay stored it encrypted, under a random name.")
}

async fn search(stage: &mut Stage<'_>, cast: &mut Cast) -> Result<(), Stop> {
    stage.step("Bob searches his letters")?;
    stage.tell("The index is in his encrypted home; nobody else is asked.")?;
    stage.types(&mut cast.bob, &["search", "tomatoes"]).await?;
    Ok(())
}

fn letter_id(answers: &[Answer]) -> Result<String, Stop> {
    let id = answers.iter().find_map(|answer| match answer {
        Answer::Letter(letter) => Some(letter.id.clone()),
        _ => None,
    });
    id.ok_or_else(|| Stop::Failed(missing("letter")))
}

fn number(answers: &[Answer]) -> Option<String> {
    answers.iter().find_map(|answer| match answer {
        Answer::SafetyNumber(number) => Some(number.number.clone()),
        _ => None,
    })
}

/// `HOST:PORT` of a relay's URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '#']).next().unwrap_or(rest)
}

fn missing(what: &str) -> client::view::Failure {
    failure::failed(
        format!("the tour expected a {what} that did not come"),
        "please report this",
    )
}
