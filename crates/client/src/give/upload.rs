//! What is given, on its way to the relay: sealed to a key of this transfer alone, without a signature.

use super::failure;
use crate::blobs::Parcel;
use crate::failure::internal;
use crate::limits;
use crate::os;
use crate::sealed::{Stoppable, Work, seal_failure};
use crate::view::Failure;
use bytes::{Bytes, BytesMut};
use engine::give::Offer;
use keys::hpke::EnvelopeSecret;
use keys::{Secret, SecretBytes, Suite, Timestamp};
use seal::InOrder;
use seal::lock::{Recipient, SealError, Sealer, UnverifiedHeader};
use seal::tree::Tree;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// More than the header of a file with one recipient has.
const HEAD: usize = 4096;

/// Seals a tree to the key of a seed and uploads it meanwhile; what whoever takes it needs. When it has been at the relay
/// for as long as it `lives`, nobody gets it any more, whatever becomes of this process.
pub(super) async fn upload(
    parcel: Arc<Parcel>,
    write_token: Arc<Secret<32>>,
    tree: Arc<Tree>,
    recipient: Secret<32>,
    lives: Duration,
    work: Arc<Work>,
) -> Result<(Offer, Timestamp), Failure> {
    let seed = SecretBytes::from(&recipient.expose_secret()[..]);
    let key = EnvelopeSecret::from_seed(Suite::Hybrid, seed);
    let public = key
        .map_err(|_| internal("a key of X-Wing"))?
        .public()
        .clone();
    let (pieces, mut sealed) = mpsc::channel(limits::PARCEL_PIECES);
    let works = Arc::clone(&work);
    let sealing = tokio::task::spawn_blocking(move || {
        let recipients = [Recipient::Key(public)];
        seal_to(&recipients, &tree, Pieces::new(pieces), &works)
    });
    let stored = parcel.store(&write_token, &mut sealed, |bytes| work.add(bytes));
    let stored = stored.await;
    // Who seals must not wait for a network that failed.
    drop(sealed);
    let header = sealing
        .await
        .map_err(|_| internal("a thread ended early"))?;
    let length = stored.map_err(|problem| failure::not_stored(&problem))?;
    let header = header.map_err(|error| seal_failure(error, Path::new("-")))?;
    let until = os::now().saturating_add(lives.as_secs());
    let completed = parcel.complete(&write_token, length, until).await;
    completed.map_err(|problem| failure::not_stored(&problem))?;
    let offer = Offer {
        blob: parcel.blob,
        read_token: parcel.read_token.duplicate(),
        recipient,
        length,
        header,
    };
    Ok((offer, until))
}

/// Seals all of it; SHA-256 of the header.
fn seal_to(
    recipients: &[Recipient],
    tree: &Tree,
    pieces: Pieces,
    work: &Work,
) -> Result<[u8; 32], SealError> {
    let sealer = Sealer {
        recipients,
        author: None,
    };
    let sink = InOrder::new(pieces);
    sealer.seal_tree(tree, &Stoppable(&sink, work), &|_| {}, &mut os::entropy())?;
    let mut pieces = sink.into_inner();
    pieces.flush().map_err(SealError::Write)?;
    let header = UnverifiedHeader::read(&mut pieces.head.as_slice())?;
    Ok(keys::sha256(&[header.bytes()]))
}

/// Gathers bytes to pieces.
struct Pieces {
    to: mpsc::Sender<Bytes>,
    piece: BytesMut,
    head: Vec<u8>,
}

impl Pieces {
    fn new(to: mpsc::Sender<Bytes>) -> Self {
        Self {
            to,
            piece: BytesMut::with_capacity(limits::PARCEL_PIECE),
            head: Vec::new(),
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = limits::PARCEL_PIECE.saturating_sub(self.piece.len());
        let (now, _) = bytes.split_at(room.min(bytes.len()));
        let missing = HEAD.saturating_sub(self.head.len()).min(now.len());
        self.head
            .extend_from_slice(now.get(..missing).unwrap_or_default());
        self.piece.extend_from_slice(now);
        if self.piece.len() >= limits::PARCEL_PIECE {
            self.flush()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let next = BytesMut::with_capacity(limits::PARCEL_PIECE);
        let piece = std::mem::replace(&mut self.piece, next);
        let sent = self.to.blocking_send(piece.freeze());
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
