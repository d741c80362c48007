//! Sealed files: `seal`, `open` and `inspect` for faces. The process that asks reads and writes the files; the one that
//! holds the profile says whose keys they are, signs, and opens headers.
//!
//! ```text
//!   face ── recipients, author ──► profile          face ── header ──► profile
//!   face seals on all cores                         face opens on all cores
//!   face ── what is to be signed ──► profile        face ── who signed? ──► profile
//! ```

mod age;
mod begun;
mod failure;
mod recipients;
mod signer;
mod work;

pub use self::age::{identities, new_identity};
pub(crate) use self::begun::Header;
use self::begun::{Openers, Verified, begin, unlocked};
pub(crate) use self::failure::header_failure;
use self::failure::{exists, not_for_us, of_stream, open_failure, usage};
pub(crate) use self::failure::{same_name, seal_failure, tree_failure, write_failure};
use self::recipients::{AccountKey, Recipients};
use self::signer::{accept, signer};
use self::work::Reading;
pub(crate) use self::work::Stoppable;
pub use self::work::Work;
use crate::Client;
use crate::api::{Answer, Request};
use crate::failure::{failure, internal};
use crate::os;
use crate::view::{
    Failure, FailureKind, FileAuthor, FileSigner, HiddenText, SealedEntry, SealedFile,
};
pub use ::seal::age::Identity;
use ::seal::age::{Recipient as AgeRecipient, Sealer as AgeSealer, armor::ArmorWriter};
use ::seal::lock::{Author, EntryKind, LockFile, OpenError, SealError, Sealer};
use ::seal::tree::Tree;
use ::seal::{InOrder, Output, Sink};
use data_encoding::HEXLOWER;
use keys::{AccountId, DeviceId, HybridSignature, SecretBytes, Suite, Timestamp};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// The format of a sealed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `.lock`: names inside, padded, signed.
    #[default]
    Lock,
    /// age, version 1: one file without a name, neither padded nor signed.
    Age,
}

impl Format {
    /// As it is named.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Age => "age",
        }
    }
}

/// What is to be sealed, for whom, and where to.
pub struct Seal {
    /// Files and directories; none: standard input.
    pub paths: Vec<PathBuf>,
    /// Contacts, and recipient strings: `age1pq1...`, `age1...`, lines of SSH keys.
    pub to: Vec<String>,
    /// The format.
    pub format: Format,
    /// Whether it is written as text; of the age format.
    pub armor: bool,
    /// Whether the own account can open it too.
    pub with_own: bool,
    /// A passphrase that opens it.
    pub passphrase: Option<SecretBytes>,
    /// Whether it is signed.
    pub sign: bool,
    /// The sealed file; nothing: standard output.
    pub out: Option<PathBuf>,
    /// Whether a file that exists is replaced.
    pub replace: bool,
}

/// What is to be opened, and where to.
pub struct Open {
    /// The sealed file; nothing: standard input.
    pub file: Option<PathBuf>,
    /// The directory; nothing: standard output.
    pub into: Option<PathBuf>,
    /// Identities that may open it.
    pub identities: Vec<Identity>,
    /// A recovery sheet of the account that it was sealed for.
    pub sheet: Option<HiddenText>,
    /// Whose signature it must have.
    pub from: Option<String>,
    /// Whether it is opened whatever its signature is.
    pub any_signature: bool,
    /// Whether files that exist are replaced.
    pub replace: bool,
    /// Whether standard output gets what is verified before all is.
    pub stream: bool,
}

/// What is to be looked into.
pub struct Inspect {
    /// The sealed file.
    pub file: PathBuf,
    /// Identities that may open it.
    pub identities: Vec<Identity>,
    /// A recovery sheet of the account that it was sealed for.
    pub sheet: Option<HiddenText>,
}

/// Asks a person for the passphrase of a file.
pub type AskPassphrase = Box<dyn FnOnce() -> Result<SecretBytes, Failure> + Send>;

/// Why nothing was done; [`Stopped::OutputClosed`] where nobody reads the output any more.
#[derive(Debug)]
pub enum Stopped {
    /// It failed.
    Failed(Failure),
    /// The reader of standard output left.
    OutputClosed,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// All answers to one request.
pub(crate) async fn asked(client: &Client, request: Request) -> Result<Vec<Answer>, Failure> {
    let mut heard = client.call(request);
    let mut answers = Vec::new();
    loop {
        match heard.recv().await {
            Some(Answer::Done) => return Ok(answers),
            Some(Answer::Failed(failure)) => return Err(failure),
            Some(Answer::Notice(_)) => {}
            Some(answer) => answers.push(answer),
            None => return Err(internal("the answer was cut short")),
        }
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    HEXLOWER
        .decode(text.as_bytes())
        .map_err(|_| internal("the profile's answer is malformed"))
}

/// Runs `work` on a thread of its own, and has the profile sign what it hands out.
async fn with_signer<T: Send + 'static>(
    client: Option<&Client>,
    work: impl FnOnce(mpsc::Sender<ToSign>) -> T + Send + 'static,
) -> Result<T, Failure> {
    let (signer, mut wishes) = mpsc::channel::<ToSign>(1);
    let mut running = tokio::task::spawn_blocking(move || work(signer));
    loop {
        tokio::select! {
            done = &mut running => return done.map_err(|_| internal("a thread ended early")),
            Some(wish) = wishes.recv() => {
                let answers = match client {
                    Some(client) => {
                        let message = HEXLOWER.encode(&wish.message);
                        asked(client, Request::FileSign { message }).await?
                    }
                    None => Vec::new(),
                };
                let _ = wish.signature.send(answers.into_iter().find_map(signature));
            }
        }
    }
}

struct ToSign {
    message: Vec<u8>,
    signature: oneshot::Sender<Option<HybridSignature>>,
}

fn signature(answer: Answer) -> Option<HybridSignature> {
    let Answer::FileSignature(signed) = answer else {
        return None;
    };
    let bytes = HEXLOWER.decode(signed.signature.as_bytes()).ok()?;
    HybridSignature::from_bytes_of_any_suite(&bytes).ok()
}

/// Seals. Without a profile there are no contacts and no signature.
///
/// # Errors
/// [`Stopped`]; then nothing was written, but to standard output.
pub async fn seal(
    client: Option<&Client>,
    wish: Seal,
    work: Arc<Work>,
) -> Result<SealedFile, Stopped> {
    let (strings, names): (Vec<_>, Vec<_>) = wish
        .to
        .iter()
        .partition(|text| AgeRecipient::is_meant(text));
    let strings = strings.into_iter().map(|text| recipients::of_text(text));
    let strings = strings.collect::<Result<Vec<_>, _>>()?;
    let mut accounts = Vec::new();
    let mut author = None;
    if let Some(client) = client {
        let request = Request::FileRecipients {
            to: names.into_iter().cloned().collect(),
            with_own: wish.with_own,
        };
        for answer in asked(client, request).await? {
            match answer {
                Answer::FileRecipient(key) => accounts.push(AccountKey::of(key)?),
                Answer::FileAuthor(told) if wish.sign => author = Some(told),
                _ => {}
            }
        }
    } else if let Some(name) = names.first() {
        let hint = "make an account first: letterlock account create; or seal with --passphrase";
        let message = format!("there is no profile here, and so no contact {name}");
        return Err(failure(FailureKind::NotFound, message, Some(hint)).into());
    }
    let keys = accounts.len().saturating_add(strings.len());
    let mut shown = SealedFile {
        path: shown_path(wish.out.as_deref()),
        format: wish.format.name().to_owned(),
        keys: u32::try_from(keys).unwrap_or(u32::MAX),
        passphrase: wish.passphrase.is_some(),
        ..SealedFile::default()
    };
    let Seal {
        paths,
        passphrase,
        out,
        replace,
        armor,
        ..
    } = wish;
    let recipients = Recipients::new(wish.format, accounts, strings, passphrase)?;
    if recipients.is_empty() {
        let hint = "letterlock seal PATH --to NAME, or --passphrase";
        return Err(usage("nobody could open the file", hint).into());
    }
    let sealed = with_signer(client, move |signer| {
        let sign = |message: &[u8]| {
            let (signature, signed) = oneshot::channel();
            let message = message.to_vec();
            signer
                .blocking_send(ToSign { message, signature })
                .ok()
                .and_then(|()| signed.blocking_recv().ok().flatten())
        };
        let author = author.map(|told| author_of(&told, &sign)).transpose()?;
        let sealing = match &recipients {
            Recipients::Lock(recipients) => Sealing::Lock(Sealer {
                recipients,
                author: author.as_ref(),
            }),
            Recipients::Age(recipients) => Sealing::Age(AgeSealer { recipients }, armor),
        };
        sealed(&sealing, &paths, out.as_deref(), replace, &work)
    });
    let (size, left_out) = sealed.await??;
    shown.size = size;
    shown.left_out = left_out
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Ok(shown)
}

fn shown_path(path: Option<&Path>) -> String {
    path.map_or_else(|| "-".to_owned(), |path| path.display().to_string())
}

fn author_of<'a>(
    told: &FileAuthor,
    sign: &'a dyn Fn(&[u8]) -> Option<HybridSignature>,
) -> Result<Author<'a>, Failure> {
    let malformed = || internal("the profile's answer is malformed");
    Ok(Author {
        account: AccountId::from_text(&told.account_id).ok_or_else(malformed)?,
        device: DeviceId::from_text(&told.device_id).ok_or_else(malformed)?,
        suite: Suite::from_name(&told.suite).ok_or_else(malformed)?,
        time: Timestamp::from_secs(told.time),
        log: unhex(&told.log)?,
        sign,
    })
}

/// How a file is sealed: in which format, and whether as text.
enum Sealing<'a> {
    Lock(Sealer<'a>),
    Age(AgeSealer<'a>, bool),
}

impl Sealing<'_> {
    /// Seals to a place that takes bytes anywhere.
    fn to_sink(&self, tree: Option<&Tree>, sink: &dyn Sink, work: &Work) -> Result<u64, SealError> {
        let progress = |bytes| work.add(bytes);
        let sink = Stoppable(sink, work);
        let mut rng = os::entropy();
        match (self, tree) {
            (Self::Lock(sealer), Some(tree)) => sealer.seal_tree(tree, &sink, &progress, &mut rng),
            (Self::Lock(sealer), None) => {
                sealer.seal_stream(b"stdin", io::stdin(), &sink, &progress, &mut rng)
            }
            (Self::Age(sealer, _), Some(tree)) => {
                sealer.seal_file(tree, &sink, &progress, &mut rng)
            }
            (Self::Age(sealer, _), None) => {
                sealer.seal_stream(io::stdin(), &sink, &progress, &mut rng)
            }
        }
    }

    /// Seals to a pipe, or as text.
    fn in_order(
        &self,
        tree: Option<&Tree>,
        out: impl io::Write + Send,
        work: &Work,
    ) -> Result<(), SealError> {
        let mut out = match self {
            Self::Age(_, true) => {
                let sink = InOrder::new(ArmorWriter::new(out));
                self.to_sink(tree, &sink, work)?;
                sink.into_inner().finish().map_err(SealError::Write)?
            }
            _ => {
                let sink = InOrder::new(out);
                self.to_sink(tree, &sink, work)?;
                sink.into_inner()
            }
        };
        out.flush().map_err(SealError::Write)
    }
}

fn sealed(
    sealing: &Sealing<'_>,
    paths: &[PathBuf],
    out: Option<&Path>,
    replace: bool,
    work: &Work,
) -> Result<(Option<u64>, Vec<PathBuf>), Stopped> {
    let tree = match paths {
        [] => None,
        paths => Some(Tree::of(paths).map_err(|error| tree_failure(&error))?),
    };
    work.begin(tree.as_ref().map_or(0, Tree::length));
    let size = match out {
        Some(place) => {
            if !replace && os::exists(place) {
                return Err(exists(place).into());
            }
            let write = |error: io::Error| write_failure(place, &error);
            let output = Output::create(place, nonce()).map_err(write)?;
            let done = match sealing {
                Sealing::Age(_, true) => sealing.in_order(tree.as_ref(), output.file(), work),
                _ => sealing
                    .to_sink(tree.as_ref(), output.file(), work)
                    .map(|_| ()),
            };
            done.map_err(|error| seal_failure(error, place))?;
            let size = os::length_of(output.file()).map_err(write)?;
            output.keep(replace).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => exists(place),
                _ => write_failure(place, &error),
            })?;
            Some(size)
        }
        None => {
            sealing
                .in_order(tree.as_ref(), io::stdout(), work)
                .map_err(piped)?;
            None
        }
    };
    let left_out = tree.map_or_else(Vec::new, |tree| tree.left_out().to_vec());
    Ok((size, left_out))
}

fn piped(error: SealError) -> Stopped {
    match error {
        SealError::Write(error) => closed(error),
        error => seal_failure(error, Path::new("-")).into(),
    }
}

fn closed(error: io::Error) -> Stopped {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Stopped::OutputClosed,
        _ => write_failure(Path::new("-"), &error).into(),
    }
}

fn nonce() -> u64 {
    u64::from_be_bytes(os::random())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| internal("a thread ended early"))
}

/// Opens.
///
/// # Errors
/// [`Stopped`]; then nothing was written, but to standard output with [`Open::stream`].
pub async fn open(
    client: Option<&Client>,
    wish: Open,
    ask: AskPassphrase,
    work: Arc<Work>,
) -> Result<SealedFile, Stopped> {
    // The place may not be there yet.
    let beside = wish.into.clone().filter(|into| os::exists(into));
    let beside = beside.unwrap_or_else(std::env::temp_dir);
    let path = wish.file.clone();
    let begun = blocking(move || begin(path.as_deref(), &beside)).await??;
    let mut shown = described(wish.file.as_deref(), &begun.header);
    let openers = Openers {
        client,
        identities: &wish.identities,
        sheet: wish.sheet.as_ref(),
        ask: Some(ask),
    };
    let verified = unlocked(begun.header, openers).await?;
    let reading = Reading {
        file: begun.file,
        work: Arc::clone(&work),
    };
    let header = match verified {
        None => return Err(not_for_us(client).into()),
        Some(Verified::Lock(header)) => header,
        Some(Verified::Age(header)) => {
            age::unsigned(&wish)?;
            shown.opened = true;
            shown.written = vec![age::open(reading, header, &wish, &work).await?];
            return Ok(shown);
        }
    };
    let lock = blocking(move || LockFile::open(reading, &header)).await?;
    let lock = lock.map_err(open_failure)?;
    shown.opened = true;
    work.begin(lock.length());
    match wish.into.clone() {
        Some(into) => {
            if let Some(place) = lock.conflict(&into).filter(|_| !wish.replace) {
                return Err(exists(&place).into());
            }
            let (to, works) = (into.clone(), Arc::clone(&work));
            let extracted =
                blocking(move || lock.extract(&to, nonce(), &|bytes| works.add(bytes))).await?;
            let extracted = extracted.map_err(open_failure)?;
            if let Some(claimed) = extracted.claimed() {
                shown.signer = Some(signer(client, claimed).await?);
            }
            accept(shown.signer.as_ref(), &wish)?;
            let left_out = extracted.left_out().iter();
            shown.left_out = left_out.map(|entry| lossy(&entry.path)).collect();
            let replace = wish.replace;
            let placed = blocking(move || extracted.place(&into, replace)).await?;
            let placed = placed.map_err(open_failure)?;
            shown.written = placed
                .iter()
                .map(|path| path.display().to_string())
                .collect();
        }
        None => {
            let signer = to_pipe(client, lock, &wish, &work).await;
            shown.signer = signer.map_err(|stopped| of_stream(stopped, wish.stream))?;
            shown.written = vec!["-".to_owned()];
        }
    }
    Ok(shown)
}

/// One file's contents to standard output: verified as a whole first, unless they are wanted as they come.
async fn to_pipe(
    client: Option<&Client>,
    lock: LockFile<Reading>,
    wish: &Open,
    work: &Arc<Work>,
) -> Result<Option<FileSigner>, Stopped> {
    let files = lock.manifest().entries().iter().enumerate();
    let mut files = files.filter(|(_, entry)| matches!(entry.kind, EntryKind::File { .. }));
    let (Some((number, _)), None) = (files.next(), files.next()) else {
        let hint = "open it into a directory: letterlock open FILE --out DIR";
        return Err(usage("the file holds more or less than one file", hint).into());
    };
    let lock = Arc::new(lock);
    let (mut known, mut first) = (None, None);
    if !wish.stream {
        let (all, works) = (Arc::clone(&lock), Arc::clone(work));
        let claimed = blocking(move || all.verify(&|bytes| works.add(bytes))).await?;
        first = claimed.map_err(open_failure)?;
        if let Some(claimed) = &first {
            known = Some(signer(client, claimed).await?);
        }
        accept(known.as_ref(), wish)?;
        work.begin(lock.length());
    }
    let works = Arc::clone(work);
    let written = blocking(move || {
        let sink = InOrder::new(io::stdout());
        let claimed = lock.write_to(number, &sink, &|bytes| works.add(bytes));
        sink.into_inner().flush().map_err(closed)?;
        claimed.map_err(|error| match error {
            OpenError::Write { error, .. } => closed(error),
            error => open_failure(error).into(),
        })
    });
    let claimed = written.await??;
    if !wish.stream {
        // It was read twice: what was written is what was verified.
        return match claimed == first {
            true => Ok(known),
            false => Err(open_failure(OpenError::Damaged).into()),
        };
    }
    if let Some(claimed) = claimed {
        known = Some(signer(client, &claimed).await?);
    }
    accept(known.as_ref(), wish)?;
    Ok(known)
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn described(path: Option<&Path>, header: &Header) -> SealedFile {
    SealedFile {
        path: shown_path(path),
        format: header.format().to_owned(),
        size: path.map(os::length),
        keys: header.keys(),
        passphrase: header.asks(),
        ..SealedFile::default()
    }
}

/// Looks into a sealed file and writes nothing: what everybody sees, and, where a key of this home opens it, what it
/// holds and who signed.
///
/// # Errors
/// [`Failure`].
pub async fn inspect(
    client: Option<&Client>,
    wish: Inspect,
    ask: Option<AskPassphrase>,
    work: Arc<Work>,
) -> Result<(SealedFile, Vec<SealedEntry>), Failure> {
    let path = wish.file.clone();
    let begun = blocking(move || begin(Some(&path), &std::env::temp_dir())).await??;
    let mut shown = described(Some(&wish.file), &begun.header);
    let openers = Openers {
        client,
        identities: &wish.identities,
        sheet: wish.sheet.as_ref(),
        ask,
    };
    let verified = unlocked(begun.header, openers).await?;
    let reading = Reading {
        file: begun.file,
        work: Arc::clone(&work),
    };
    let header = match verified {
        None => return Ok((shown, Vec::new())),
        Some(Verified::Lock(header)) => header,
        Some(Verified::Age(header)) => {
            age::verify(reading, header, work).await?;
            shown.opened = true;
            return Ok((shown, Vec::new()));
        }
    };
    let (lock, claimed) = blocking(move || {
        let lock = LockFile::open(reading, &header).map_err(open_failure)?;
        work.begin(lock.length());
        let claimed = lock
            .verify(&|bytes| work.add(bytes))
            .map_err(open_failure)?;
        Ok::<_, Failure>((lock, claimed))
    })
    .await??;
    shown.opened = true;
    if let Some(claimed) = claimed {
        shown.signer = Some(signer(client, &claimed).await?);
    }
    let entries = lock.manifest().entries().iter().enumerate();
    let entries = entries.map(|(number, entry)| SealedEntry {
        path: lossy(&entry.path),
        kind: match entry.kind {
            EntryKind::File { .. } => "file",
            EntryKind::Directory => "directory",
            _ => "link",
        }
        .to_owned(),
        size: lock.size(number),
        mode: format!("{:o}", entry.mode),
        modified: entry.modified.0,
        target: match &entry.kind {
            EntryKind::Link { target } => Some(lossy(target)),
            _ => None,
        },
    });
    Ok((shown, entries.collect()))
}
