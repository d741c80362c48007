//! Evidence files, checked.

use crate::failure::{self, Stop};
use crate::os;
use crate::screen::Screen;
use crate::{text, time};
use client::insight::{self, Finding};
use client::view::FailureKind;
use serde::Serialize;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

#[derive(Serialize)]
#[serde(tag = "answer", rename = "finding")]
struct Found<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
}

/// Says what a file of evidence proves.
///
/// *Errors*: failed where it proves nothing; refused where it is damaged; not found.
pub(crate) fn verify(path: &Path, screen: &mut Screen) -> Result<(), Stop> {
    let bytes = os::read_at_most(path, insight::EVIDENCE_BYTES);
    let bytes = bytes.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => failure::new(
            FailureKind::Refused,
            format!("{} is too large for evidence", path.display()),
            "name a file that `letterlock contact evidence --save` wrote",
        ),
        _ => failure::file("the evidence", path, &error),
    })?;
    let finding = insight::verify_evidence(&bytes)?;
    screen.either(&shown(&finding), &Found { finding: &finding })?;
    if finding.contradicts() {
        return Ok(());
    }
    let message = "the evidence proves nothing";
    let hint = "look for other pieces: letterlock contact evidence NAME";
    Err(failure::failed(message, hint).into())
}

fn shown(finding: &Finding) -> String {
    let proof = match (finding.contradicts(), finding.signed) {
        (false, _) => "nothing",
        (true, true) => "proven by signatures of the account itself",
        (true, false) => "by the word of who kept it",
    };
    let rows = [
        ("finding", text::line(&finding.finding)),
        ("account", text::line(&finding.account_id)),
        ("kept", time::local(finding.seen_at)),
        ("proof", proof.to_owned()),
    ];
    let mut shown = String::new();
    for (label, value) in rows {
        let _ = writeln!(shown, "{label:<11} {value}");
    }
    shown.push_str(&text::block(&finding.message, "  "));
    shown
}
