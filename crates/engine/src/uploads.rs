//! Files on their way to the blob store. The driver moves the bytes; here is what survives a crash.

use crate::account;
use crate::error::{EngineError, StoreError};
use crate::input::Attachment;
use crate::letters;
use crate::limits;
use crate::records::{self, Enclosure, LetterState, Record as _};
use crate::sending;
use crate::step::{self, Outgoing};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{BlobId, LetterId, Secret};

/// Begins an upload and returns the enclosure that will open it.
pub(crate) fn begin(
    tx: &mut Transaction<'_>,
    letter: &LetterId,
    mut attachment: Attachment,
) -> Result<Enclosure, EngineError> {
    attachment.name = shorten(&attachment.name);
    let relay = account::own(tx)?.relay.clone();
    let enclosure = letters::fresh_enclosure(
        tx,
        attachment.name.clone(),
        attachment.length,
        relay.clone(),
    );
    let mut salt = [0; 24];
    tx.rng.fill_bytes(&mut salt);
    let upload = records::Upload {
        blob: enclosure.blob,
        letter: *letter,
        attachment,
        relay,
        key: enclosure.key.duplicate(),
        salt,
        write_token: Secret::random(tx.rng),
        read_token: enclosure.read_token.duplicate(),
        done: false,
    };
    store(tx, &upload);
    tx.send(Outgoing::Upload(step::Upload { blob: upload.blob }));
    Ok(enclosure)
}

/// File names are cut at a character boundary.
fn shorten(name: &str) -> String {
    let mut end = name.len().min(limits::FILE_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or_default().to_owned()
}

fn load(tx: &Transaction<'_>, blob: &BlobId) -> Result<Option<records::Upload>, EngineError> {
    match tx.get(Table::Upload, blob.as_bytes())? {
        Some(bytes) => Ok(Some(records::Upload::decode(&bytes)?)),
        None => Ok(None),
    }
}

fn store(tx: &mut Transaction<'_>, upload: &records::Upload) {
    tx.put(
        Table::Upload,
        upload.blob.as_bytes().to_vec(),
        upload.encode(),
    );
}

/// Offers every upload that is not done; called once when the driver starts.
pub(crate) fn resume(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (blob, bytes) in tx.scan(Table::Upload, &[], None, usize::MAX)? {
        if !records::Upload::decode(&bytes)?.done {
            let blob = BlobId::from_slice(&blob).ok_or(StoreError::Damaged { what: "upload" })?;
            tx.send(Outgoing::Upload(step::Upload { blob }));
        }
    }
    Ok(())
}

/// The relay has the whole blob. When the last one of a letter is there, the letter leaves.
pub(crate) fn uploaded(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<(), EngineError> {
    let Some(upload) = load(tx, blob)? else {
        return Ok(());
    };
    tx.delete(Table::Upload, blob.as_bytes().to_vec());
    let Some(mut letter) = letters::load(tx, &upload.letter)? else {
        return Ok(());
    };
    for enclosure in &letter.enclosures {
        if load(tx, &enclosure.blob)?.is_some() {
            return Ok(());
        }
    }
    if letter.state == LetterState::Uploading {
        letter.state = LetterState::Queued;
        letters::store(tx, &letter);
        sending::dispatch(tx, &letter.id)?;
    }
    Ok(())
}

/// The file is not the one the upload began with. It starts anew as another blob under another key, for
/// a key and nonce must never seal two contents.
pub(crate) fn changed(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
    attachment: Attachment,
) -> Result<(), EngineError> {
    let Some(upload) = load(tx, blob)? else {
        return Ok(());
    };
    tx.delete(Table::Upload, blob.as_bytes().to_vec());
    let Some(mut letter) = letters::load(tx, &upload.letter)? else {
        return Ok(());
    };
    let fresh = begin(tx, &letter.id, attachment)?;
    for enclosure in &mut letter.enclosures {
        if enclosure.blob == *blob {
            *enclosure = duplicate(&fresh);
        }
    }
    letters::store(tx, &letter);
    Ok(())
}

fn duplicate(enclosure: &Enclosure) -> Enclosure {
    Enclosure {
        blob: enclosure.blob,
        read_token: enclosure.read_token.duplicate(),
        key: enclosure.key.duplicate(),
        name: enclosure.name.clone(),
        size: enclosure.size,
        relay: enclosure.relay.clone(),
    }
}

/// An upload cannot go on.
pub(crate) fn failed(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<(), EngineError> {
    let Some(upload) = load(tx, blob)? else {
        return Ok(());
    };
    tx.delete(Table::Upload, blob.as_bytes().to_vec());
    sending::fail_whole(tx, &upload.letter, EngineError::UploadFailed)
}
