//! A code that one person shows and the other scans (docs/spec/verification.md, section 1).
//!
//! Both logs are asked for first: a root key that was rotated a while ago must not look like a lie.

use crate::account;
use crate::contacts;
use crate::error::{EngineError, SasError};
use crate::event::{CommandOutcome, Event};
use crate::evidence::{self, Shown};
use crate::input::CommandId;
use crate::limits;
use crate::logs;
use crate::records::{CodeCheck, Contact, Record as _, Trust, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{AccountId, VerificationCode, VerificationError};

/// Codes to be shown or compared once the logs are confirmed: by account id and command.
const CODE: &[u8] = b"code/";

fn place(check: &CodeCheck) -> Vec<u8> {
    key(&[
        CODE,
        check.contact.as_bytes(),
        &check.command.0.to_be_bytes(),
    ])
}

/// Shows the own code for a contact, or compares with what was `scanned` from the contact's screen.
pub(crate) fn begin(
    tx: &mut Transaction<'_>,
    command: CommandId,
    contact: &AccountId,
    scanned: Option<String>,
) -> Result<(), EngineError> {
    let own = account::own(tx)?.id;
    let code = code(tx, contact)?;
    // What people can mend is said before anything is asked.
    if let Some(Err(error)) = scanned.as_deref().map(|text| code.matches(text))
        && !is_lie(error)
    {
        return Err(error.into());
    }
    let check = CodeCheck {
        contact: *contact,
        command,
        deadline: tx.now.saturating_add(limits::CODE_SECONDS),
        ours_checked: false,
        theirs_checked: false,
        scanned,
    };
    tx.put(Table::Meta, place(&check), check.encode());
    logs::check(tx, &own)?;
    logs::check(tx, contact)
}

fn code(tx: &Transaction<'_>, contact: &AccountId) -> Result<VerificationCode, EngineError> {
    let contact = contacts::existing(tx, contact)?;
    let ours = account::log(tx)?;
    Ok(VerificationCode::new(&ours, &contacts::log_of(&contact)?))
}

fn all(tx: &mut Transaction<'_>) -> Result<Vec<CodeCheck>, EngineError> {
    let mut found = Vec::new();
    tx.each(Table::Meta, CODE, |_, _, bytes| {
        found.push(CodeCheck::decode(bytes)?);
        Ok(())
    })?;
    Ok(found)
}

/// The relay of an account confirmed its log.
pub(crate) fn log_confirmed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
) -> Result<(), EngineError> {
    let own = account::own(tx)?.id;
    for mut check in all(tx)? {
        check.ours_checked |= *account == own;
        check.theirs_checked |= *account == check.contact;
        if !(check.ours_checked && check.theirs_checked) {
            tx.put(Table::Meta, place(&check), check.encode());
        } else if check.deadline >= tx.now {
            tx.delete(Table::Meta, place(&check));
            finish(tx, check)?;
        }
    }
    Ok(())
}

fn finish(tx: &mut Transaction<'_>, check: CodeCheck) -> Result<(), EngineError> {
    let code = code(tx, &check.contact)?;
    let Some(scanned) = check.scanned else {
        let outcome = CommandOutcome::VerificationCode(code.to_string());
        tx.outcome(check.command, outcome);
        return Ok(());
    };
    let contact = contacts::existing(tx, &check.contact)?;
    let Err(error) = code.matches(&scanned) else {
        return contacts::mark(tx, check.command, contact, Trust::ByCode);
    };
    stop(tx, contact, error, &scanned)?;
    tx.outcome(check.command, CommandOutcome::Failed(error.into()));
    Ok(())
}

/// The hard stop, where no mistake of people explains the difference.
fn stop(
    tx: &mut Transaction<'_>,
    mut contact: Contact,
    error: VerificationError,
    scanned: &str,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let (account, log) = match error {
        VerificationError::TheirRoot => (contact.id, contact.log.clone()),
        VerificationError::OurRoot => (own.id, own.log.clone()),
        _ => return Ok(()),
    };
    let shown = Shown::Code(scanned.trim().to_owned());
    evidence::keep(tx, &account, &log, shown)?;
    // SECURITY: sending ends until a person decides; `a_false_root_is_a_hard_stop` notices.
    contact.changed = true;
    contacts::store(tx, &contact);
    tx.event(Event::IdentityChanged {
        contact: contact.id,
    });
    Ok(())
}

/// Whether no mistake of people explains it.
fn is_lie(error: VerificationError) -> bool {
    matches!(
        error,
        VerificationError::TheirRoot | VerificationError::OurRoot
    )
}

/// Ends what has waited too long for the logs.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for check in all(tx)? {
        if check.deadline < tx.now {
            tx.delete(Table::Meta, place(&check));
            let error = SasError::Unchecked.into();
            tx.outcome(check.command, CommandOutcome::Failed(error));
        }
    }
    Ok(())
}
