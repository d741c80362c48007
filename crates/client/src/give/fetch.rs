//! From an offer to files: the sealed bytes come from the relay, and are opened when all are there.

use super::failure;
use super::state::{Begun, TakeState};
use crate::blobs::{Parcel, ParcelProblem};
use crate::failure::internal;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::sealed::{self, Stopped, Work, write_failure};
use crate::view::{self, Failure, FailureKind};
use engine::give::{GiveWord, Offer};
use keys::hpke::EnvelopeSecret;
use keys::{SecretBytes, Suite};
use seal::age::Identity;
use seal::lock::UnverifiedHeader;
use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where what is taken goes.
pub struct Place {
    /// The directory.
    pub into: PathBuf,
    /// Whether files that exist are replaced.
    pub replace: bool,
}

/// Whether the same command may go on where it stopped.
pub(super) enum End {
    /// It goes on.
    Later(Failure),
    /// It is over.
    Over(Failure),
}

/// A transfer from its offer on, and what is kept of it.
pub(super) struct Fetching {
    pub(super) url: RelayUrl,
    pub(super) state: TakeState,
    pub(super) begun: Begun,
    pub(super) work: Arc<Work>,
    /// Whether a link led here, and no code.
    pub(super) by_link: bool,
}

impl Fetching {
    /// Fetches and opens what is not there yet.
    pub(super) async fn whole(&mut self, place: &Place) -> Result<view::Taken, End> {
        if self.begun.written {
            return Ok(view::Taken::default());
        }
        let offer = self.offer()?;
        let file = self.fetch(place, &offer).await?;
        let taken = self.open(place, &offer, file).await?;
        self.begun.written = true;
        self.save()?;
        Ok(taken)
    }

    pub(super) fn save(&self) -> Result<(), End> {
        self.state.save(&self.begun).map_err(End::Later)
    }

    fn offer(&self) -> Result<Offer, End> {
        let stored = self.begun.offer.as_ref();
        let word = stored.and_then(|stored| GiveWord::decode(stored.expose_secret()).ok());
        match word {
            Some(GiveWord::Offer(offer)) => Ok(offer),
            _ => Err(End::Over(internal("the state of a transfer"))),
        }
    }

    /// Fetches the sealed bytes beside where they are opened.
    async fn fetch(&mut self, place: &Place, offer: &Offer) -> Result<PathBuf, End> {
        let spool = match &self.begun.spool {
            Some(spool) => spool.clone(),
            None => beside(&place.into).join(format!(".letterlock-{}.part", offer.blob)),
        };
        self.begun.spool = Some(spool.clone());
        self.save()?;
        let unwritten = |error| End::Later(write_failure(&spool, &error));
        let mut file = os::open_part(&spool).map_err(unwritten)?;
        let parcel = Parcel {
            url: self.url.clone(),
            blob: offer.blob,
            read_token: offer.read_token.duplicate(),
        };
        self.work.begin(offer.length);
        let told = std::sync::atomic::AtomicU64::new(0);
        let came = |now: u64| {
            let before = told.swap(now, std::sync::atomic::Ordering::Relaxed);
            self.work.add(now.saturating_sub(before));
        };
        let fetched = parcel.fetch(&mut file, offer.length, came).await;
        fetched.map_err(|problem| {
            let told = match (&problem, self.by_link) {
                (ParcelProblem::Lost, true) => failure::link_over(),
                (problem, _) => failure::not_fetched(problem),
            };
            match problem {
                ParcelProblem::Lost | ParcelProblem::Refused(_) => End::Over(told),
                _ => End::Later(told),
            }
        })?;
        match header_of(&mut file) {
            // SECURITY: the relay may have another file for the same key; `a_blob_of_another_transfer_is_refused` notices.
            Some(hash) if keys::ct_eq(&hash, &offer.header) => Ok(spool),
            _ => {
                os::remove(&spool);
                Err(End::Later(failure::changed()))
            }
        }
    }

    /// Opens what was fetched.
    async fn open(&self, place: &Place, offer: &Offer, file: PathBuf) -> Result<view::Taken, End> {
        let seed = SecretBytes::from(&offer.recipient.expose_secret()[..]);
        let key = EnvelopeSecret::from_seed(Suite::Hybrid, seed);
        let key = key.map_err(|_| End::Over(internal("a key of X-Wing")))?;
        let open = sealed::Open {
            file: Some(file.clone()),
            into: Some(place.into.clone()),
            identities: vec![Identity::Hybrid(key)],
            sheet: None,
            from: None,
            any_signature: false,
            replace: place.replace,
            stream: false,
        };
        let asked = Box::new(|| Err(failure::changed()));
        match sealed::open(None, open, asked, Arc::clone(&self.work)).await {
            Ok(opened) => Ok(view::Taken {
                written: opened.written,
                left_out: opened.left_out,
            }),
            Err(Stopped::Failed(refused)) if refused.kind == FailureKind::Refused => {
                os::remove(&file);
                Err(End::Later(failure::changed()))
            }
            Err(Stopped::Failed(failure)) => Err(End::Later(failure)),
            Err(Stopped::OutputClosed) => Err(End::Later(internal("no output"))),
        }
    }
}

/// SHA-256 of the header of a sealed file.
fn header_of(file: &mut File) -> Option<[u8; 32]> {
    file.rewind().ok()?;
    let header = UnverifiedHeader::read(&mut BufReader::new(file)).ok()?;
    Some(keys::sha256(&[header.bytes()]))
}

/// A directory that is there, on the disk where it will be written to.
fn beside(into: &Path) -> PathBuf {
    let there = into.ancestors().find(|place| place.is_dir());
    there.unwrap_or(Path::new(".")).to_path_buf()
}
