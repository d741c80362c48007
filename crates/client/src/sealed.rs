//! Sealed files: `seal`, `open` and `inspect` for faces. The process that asks reads and writes the files; the one that
//! holds the profile says whose keys they are, signs, and opens headers.
//!
//! ```text
//!   face ── recipients, author ──► profile          face ── header ──► profile
//!   face seals on all cores                         face opens on all cores
//!   face ── what is to be signed ──► profile        face ── who signed? ──► profile
//! ```

mod failure;

pub(crate) use self::failure::header_failure;
use self::failure::{exists, not_for_us, open_failure, seal_failure, tree_failure, write_failure};
use crate::Client;
use crate::api::{Answer, Request};
use crate::failure::{failure, internal};
use crate::os;
use crate::view::{
    Failure, FailureKind, FileAuthor, FileSigner, HiddenText, SealedEntry, SealedFile,
};
use data_encoding::HEXLOWER;
use keys::account_log::{Method, RecoverySecrets};
use keys::hpke::EnvelopePublic;
use keys::{
    AccountId, DeviceId, HybridSignature, Secret, SecretBytes, Suite, Timestamp, VerifyingKey,
};
use seal::lock::{
    Author, Claimed, EntryKind, FileKey, LockFile, OpenError, Opener, Recipient, SealError, Sealer,
    StanzaKind, UnverifiedHeader, VerifiedHeader,
};
use seal::tree::Tree;
use seal::{InOrder, Output, Sink, Stored};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// How far a piece of work is; whoever waits for it may end it.
#[derive(Debug, Default)]
pub struct Work {
    done: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
}

impl Work {
    /// Bytes done, and bytes in all; 0 where that is not known.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (load(&self.done), load(&self.total))
    }

    /// Ends the work: nothing of it stays.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn on(&self) -> io::Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(()),
        }
    }

    fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn begin(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }
}

/// A sink that can be told to end.
struct Stoppable<'a>(&'a dyn Sink, &'a Work);

impl Sink for Stoppable<'_> {
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.1.on().map_err(|_| io::Error::other("stopped"))?;
        self.0.put(offset, bytes)
    }

    fn give_up(&self) {
        self.0.give_up();
    }
}

/// A file that can be told to end.
struct Reading {
    file: File,
    work: Arc<Work>,
}

impl Stored for Reading {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        self.work.on().map_err(|_| io::Error::other("stopped"))?;
        Stored::read_at(&self.file, offset, out)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}

/// What is to be sealed, for whom, and where to.
pub struct Seal {
    /// Files and directories; none: standard input.
    pub paths: Vec<PathBuf>,
    /// Contacts.
    pub to: Vec<String>,
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
async fn asked(client: &Client, request: Request) -> Result<Vec<Answer>, Failure> {
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

fn usage(message: &str, hint: &str) -> Failure {
    failure(FailureKind::Usage, message, Some(hint))
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
    let mut recipients = Vec::new();
    let mut author = None;
    if let Some(client) = client {
        let request = Request::FileRecipients {
            to: wish.to.clone(),
            with_own: wish.with_own,
        };
        for answer in asked(client, request).await? {
            match answer {
                Answer::FileRecipient(key) => {
                    let key = EnvelopePublic::from_bytes_of_any_suite(&unhex(&key.key)?);
                    let key = key.map_err(|_| internal("the profile's answer is malformed"))?;
                    recipients.push(Recipient::Key(key));
                }
                Answer::FileAuthor(told) if wish.sign => author = Some(told),
                _ => {}
            }
        }
    } else if let Some(name) = wish.to.first() {
        let hint = "make an account first: letterlock account create; or seal with --passphrase";
        let message = format!("there is no profile here, and so no contact {name}");
        return Err(failure(FailureKind::NotFound, message, Some(hint)).into());
    }
    let keys = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
    let mut shown = SealedFile {
        path: shown_path(wish.out.as_deref()),
        format: "lock".to_owned(),
        keys,
        passphrase: wish.passphrase.is_some(),
        ..SealedFile::default()
    };
    let Seal {
        paths,
        passphrase,
        out,
        replace,
        ..
    } = wish;
    recipients.extend(passphrase.map(Recipient::Passphrase));
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
        let sealer = Sealer {
            recipients: &recipients,
            author: author.as_ref(),
        };
        sealed(&sealer, &paths, out.as_deref(), replace, &work)
    });
    let (size, left_out) = sealed.await??;
    shown.size = Some(size);
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

fn sealed(
    sealer: &Sealer<'_>,
    paths: &[PathBuf],
    out: Option<&Path>,
    replace: bool,
    work: &Work,
) -> Result<(u64, Vec<PathBuf>), Stopped> {
    let tree = match paths {
        [] => None,
        paths => Some(Tree::of(paths).map_err(|error| tree_failure(&error))?),
    };
    work.begin(tree.as_ref().map_or(0, Tree::length));
    let progress = |bytes| work.add(bytes);
    let mut rng = os::entropy();
    let mut seal_to = |sink: &dyn Sink| {
        let sink = Stoppable(sink, work);
        match &tree {
            Some(tree) => sealer.seal_tree(tree, &sink, &progress, &mut rng),
            None => sealer.seal_stream(b"stdin", io::stdin(), &sink, &progress, &mut rng),
        }
    };
    let size = match out {
        Some(place) => {
            if !replace && os::exists(place) {
                return Err(exists(place).into());
            }
            let write = |error: io::Error| write_failure(place, &error);
            let output = Output::create(place, u64::from_be_bytes(os::random())).map_err(write)?;
            let size = seal_to(output.file()).map_err(|error| seal_failure(error, place))?;
            output.keep(replace).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => exists(place),
                _ => write_failure(place, &error),
            })?;
            size
        }
        None => {
            let sink = InOrder::new(io::stdout());
            let size = seal_to(&sink).map_err(piped)?;
            sink.into_inner().flush().map_err(closed)?;
            size
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

/// What comes from a pipe, in a file that nobody else sees: what is to be verified as a whole is read twice.
fn spooled(beside: &Path) -> Result<(Output, File), Failure> {
    let place = beside.join("letterlock-stdin");
    let failed = |error: io::Error| write_failure(&place, &error);
    let output = Output::create(&place, u64::from_be_bytes(os::random())).map_err(failed)?;
    io::copy(&mut io::stdin().lock(), &mut output.file()).map_err(failed)?;
    let mut file = output.file().try_clone().map_err(failed)?;
    io::Seek::rewind(&mut file).map_err(failed)?;
    Ok((output, file))
}

/// A sealed file whose header was read.
struct Begun {
    file: File,
    header: UnverifiedHeader,
    /// What keeps a copy of standard input there.
    _spool: Option<Output>,
}

fn begin(file: Option<&Path>, beside: &Path) -> Result<Begun, Failure> {
    let (spool, mut file) = match file {
        Some(path) => {
            let unread = |error: io::Error| {
                let kind = match error.kind() {
                    io::ErrorKind::NotFound => FailureKind::NotFound,
                    _ => FailureKind::Failed,
                };
                let message = format!("{} cannot be read: {}", path.display(), error.kind());
                failure(kind, message, Some("look at the path and its rights"))
            };
            (None, os::open_source(path).map_err(unread)?)
        }
        None => {
            let (spool, file) = spooled(beside)?;
            (Some(spool), file)
        }
    };
    let header = UnverifiedHeader::read(&mut file).map_err(header_failure)?;
    Ok(Begun {
        file,
        header,
        _spool: spool,
    })
}

/// The header, opened by whatever opens it: the profile, a sheet, a passphrase.
async fn unlocked(
    client: Option<&Client>,
    header: UnverifiedHeader,
    sheet: Option<&HiddenText>,
    ask: Option<AskPassphrase>,
) -> Result<Option<VerifiedHeader>, Failure> {
    let mut key = None;
    if let Some(client) = client {
        let request = Request::FileOpen {
            header: HEXLOWER.encode(header.bytes()),
        };
        for answer in asked(client, request).await? {
            if let Answer::FileKey(told) = answer {
                key = key_of(told.key.as_str());
            }
        }
    }
    if let (None, Some(sheet)) = (&key, sheet) {
        let sheet = crate::names::sheet(sheet)?;
        for suite in Suite::ALL {
            let secrets = RecoverySecrets::derive(suite, Method::Sheet, &sheet.seed());
            let secrets = secrets.map_err(|_| internal("the keys of a sheet"))?;
            let opened = header.unwrap_key(Opener::Key(secrets.envelope()));
            key = key.or(opened.map_err(header_failure)?);
        }
    }
    let asks = header.stanzas().any(|kind| kind == StanzaKind::Passphrase);
    if let (None, true, Some(ask)) = (&key, asks, ask) {
        let passphrase = ask()?;
        key = header
            .unwrap_key(Opener::Passphrase(&passphrase))
            .map_err(header_failure)?;
        if key.is_none() {
            let hint = "type it again; nothing was written";
            return Err(failure(
                FailureKind::Refused,
                "this passphrase does not open the file",
                Some(hint),
            ));
        }
    }
    key.map(|key| header.verify(&key).map_err(header_failure))
        .transpose()
}

/// A file key as it goes between processes of one user.
pub(crate) fn key_text(key: &FileKey) -> HiddenText {
    HEXLOWER.encode(key.secret().expose_secret()).into()
}

fn key_of(text: &str) -> Option<FileKey> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
    Secret::from_slice(&zeroize::Zeroizing::new(bytes)).map(FileKey::from_secret)
}

/// Who signed, as the profile knows it, or as far as the file itself says.
async fn signer(client: Option<&Client>, claimed: &Claimed) -> Result<FileSigner, Failure> {
    let mut told = None;
    if let Some(client) = client {
        let request = Request::FileSigner {
            account: claimed.account().to_string(),
            device: claimed.device().to_string(),
            log: HEXLOWER.encode(claimed.log()),
        };
        for answer in asked(client, request).await? {
            if let Answer::FileSigner(signer) = answer {
                told = Some(signer);
            }
        }
    }
    let forged = || {
        failure(
            FailureKind::Refused,
            "the signature is not genuine",
            Some("somebody changed the file, or another one sealed it; nothing was written"),
        )
    };
    let mut signer = match told {
        Some(signer) => signer,
        None => stranger(claimed).ok_or_else(forged)?,
    };
    let suites = Suite::ALL.into_iter();
    let key = unhex(&std::mem::take(&mut signer.key))?;
    let mut keys = suites.filter_map(|suite| VerifyingKey::from_bytes(suite, &key).ok());
    let key = keys.next().ok_or_else(forged)?;
    claimed.verify(&key).map_err(|_| forged())?;
    signer.time = claimed.time().as_secs();
    Ok(signer)
}

/// What the log in the file says, where there is no profile.
fn stranger(claimed: &Claimed) -> Option<FileSigner> {
    let log = keys::account_log::UnverifiedLog::decode(claimed.log()).ok()?;
    let log = log.verify(Some(claimed.account()), None).ok()?;
    let key = log.device(claimed.device())?.verifying_key();
    Some(FileSigner {
        name: None,
        account_id: claimed.account().to_string(),
        device_id: claimed.device().to_string(),
        time: 0,
        own: false,
        verified: false,
        revoked: false,
        key: HEXLOWER.encode(key.as_bytes()),
    })
}

/// Whether what is signed so may be written.
fn accept(signer: Option<&FileSigner>, wish: &Open) -> Result<(), Failure> {
    let refused =
        |message: String, hint: &str| Err(failure(FailureKind::Refused, message, Some(hint)));
    if let Some(wanted) = &wish.from {
        let name = signer.and_then(|signer| signer.name.as_ref());
        let id = signer.map(|signer| &signer.account_id);
        if name != Some(wanted) && id != Some(wanted) {
            let message = format!("{wanted} did not sign the file");
            return refused(
                message,
                "`letterlock inspect FILE` shows who did; nothing was written",
            );
        }
    }
    if wish.any_signature {
        return Ok(());
    }
    match signer {
        Some(signer) if signer.revoked => refused(
            "the device that signed the file was revoked".to_owned(),
            "whoever has the device may have signed, with any date: ask the sender; --any-signature opens it all the \
             same",
        ),
        _ => Ok(()),
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
    let beside = wish.into.clone().unwrap_or_else(std::env::temp_dir);
    let path = wish.file.clone();
    let begun = blocking(move || begin(path.as_deref(), &beside)).await??;
    let Begun {
        file,
        header,
        _spool,
    } = begun;
    let mut shown = described(wish.file.as_deref(), &header);
    let refusal = not_for_us(&header, client);
    let header = unlocked(client, header, wish.sheet.as_ref(), Some(ask)).await?;
    let header = header.ok_or(refusal)?;
    let reading = Reading {
        file,
        work: Arc::clone(&work),
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
            shown.signer = to_pipe(client, lock, &wish, &work).await?;
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
    let mut known = None;
    if !wish.stream {
        let (all, works) = (Arc::clone(&lock), Arc::clone(work));
        let claimed = blocking(move || all.verify(&|bytes| works.add(bytes))).await?;
        if let Some(claimed) = claimed.map_err(open_failure)? {
            known = Some(signer(client, &claimed).await?);
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
    if let (true, Some(claimed)) = (wish.stream, claimed) {
        known = Some(signer(client, &claimed).await?);
        accept(known.as_ref(), wish)?;
    }
    Ok(known)
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn described(path: Option<&Path>, header: &UnverifiedHeader) -> SealedFile {
    let keys = header
        .stanzas()
        .filter(|kind| matches!(kind, StanzaKind::Key(_)));
    SealedFile {
        path: shown_path(path),
        format: "lock".to_owned(),
        size: path.map(os::length),
        keys: u32::try_from(keys.count()).unwrap_or(u32::MAX),
        passphrase: header.stanzas().any(|kind| kind == StanzaKind::Passphrase),
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
    file: PathBuf,
    sheet: Option<HiddenText>,
    ask: Option<AskPassphrase>,
    work: Arc<Work>,
) -> Result<(SealedFile, Vec<SealedEntry>), Failure> {
    let path = file.clone();
    let begun = blocking(move || begin(Some(&path), Path::new("/"))).await??;
    let mut shown = described(Some(&file), &begun.header);
    let Some(header) = unlocked(client, begun.header, sheet.as_ref(), ask).await? else {
        return Ok((shown, Vec::new()));
    };
    let reading = Reading {
        file: begun.file,
        work: Arc::clone(&work),
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
