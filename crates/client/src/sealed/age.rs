//! What only the format of age has: identities, and files without a name inside.

use super::failure::{
    armor_failure, exists, header_failure, of_stream, open_failure, usage, write_failure,
};
use super::work::{Reading, Stoppable};
use super::{Open, Stopped, Work, blocking, closed, nonce, shown_path};
use crate::failure::{failure, internal};
use crate::os;
use crate::view::{Failure, FailureKind, NewIdentity};
use keys::hpke::EnvelopeSecret;
use keys::{SecretBytes, Suite};
use seal::age::{
    AgeFile, Identities, Identity, IdentityError, MAGIC, Opener, StanzaKind, UnverifiedHeader,
    VerifiedHeader, armor,
};
use seal::lock::OpenError;
use seal::{InOrder, Output};
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Reads a file of identities: those of age, also where a passphrase seals them, or a private key of OpenSSH. `ask` is
/// asked for a passphrase where there is one.
///
/// # Errors
/// Usage: it has none, or what cannot be read. Refused: another passphrase, or what was changed.
pub fn identities(
    path: &Path,
    bytes: &[u8],
    ask: &dyn Fn() -> Result<SecretBytes, Failure>,
) -> Result<Vec<Identity>, Failure> {
    let sealed = bytes.starts_with(MAGIC) || armor::begins(bytes);
    let bare = match sealed {
        true => &unsealed(path, bytes, ask)?,
        false => bytes,
    };
    let read = str::from_utf8(bare).map_err(|_| IdentityError::Malformed { line: 1 });
    let read = read.and_then(Identities::of_text).map_err(|error| {
        let hint = match error {
            IdentityError::Encrypted => {
                "take the passphrase off a copy: ssh-keygen -p for an SSH key, letterlock open for a file of age"
            }
            _ => "a file has AGE-SECRET-KEY-... lines, or is a private key of OpenSSH",
        };
        usage(&format!("{}: {error}", path.display()), hint)
    })?;
    Ok(read.into_iter().collect())
}

/// What a file of age holds that is sealed with a passphrase.
fn unsealed(
    path: &Path,
    bytes: &[u8],
    ask: &dyn Fn() -> Result<SecretBytes, Failure>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bare = bytes.to_vec();
    if armor::begins(bytes) {
        bare.clear();
        armor::decode(&mut &*bytes, &mut bare).map_err(|error| armor_failure(error, path))?;
    }
    let header = UnverifiedHeader::read(&mut bare.as_slice()).map_err(header_failure)?;
    if !header.stanzas().any(|kind| kind == StanzaKind::Passphrase) {
        let hint = "open it first, with what opens it: letterlock open FILE -i IDENTITY";
        let message = format!("{} is sealed, and not with a passphrase", path.display());
        return Err(usage(&message, hint));
    }
    let passphrase = ask()?;
    let key = header.unwrap_key(Opener::Passphrase(&passphrase));
    let key = key.map_err(header_failure)?.ok_or_else(|| {
        let message = format!("this passphrase does not open {}", path.display());
        failure(FailureKind::Refused, message, Some("type it again"))
    })?;
    let header = header.verify(&key).map_err(header_failure)?;
    let file = AgeFile::open(bare, &header).map_err(open_failure)?;
    let length = usize::try_from(file.length()).unwrap_or(usize::MAX);
    let mut inside = Zeroizing::new(vec![0; length]);
    file.read(0, &mut inside).map_err(open_failure)?;
    Ok(inside)
}

/// Makes a post-quantum identity. What a file of it holds is in `text`.
///
/// # Errors
/// The library failed.
pub fn new_identity() -> Result<NewIdentity, Failure> {
    let failed = || internal("a key of X-Wing");
    let key = EnvelopeSecret::generate(Suite::Hybrid, &mut os::entropy()).map_err(|_| failed())?;
    let identity = Identity::Hybrid(key);
    let recipient = identity.recipient().to_string();
    let secret = identity.text().ok_or_else(failed)?;
    let text = format!("# recipient: {recipient}\n{}\n", *secret);
    Ok(NewIdentity {
        recipient,
        path: None,
        text: Some(text.into()),
    })
}

/// What a file is called when it was opened: its own name without `.age`.
fn place(file: Option<&Path>, into: &Path) -> Result<PathBuf, Failure> {
    let name = file.and_then(Path::file_name).map(OsStr::as_bytes);
    let bare = name.and_then(|name| name.strip_suffix(b".age"));
    let bare = bare.filter(|bare| !bare.is_empty() && *bare != b"." && *bare != b"..");
    let bare = bare.ok_or_else(|| {
        let hint = "letterlock open FILE --out - > NAME";
        let message = format!(
            "{} does not end in .age, and an age file has no name inside",
            shown_path(file)
        );
        usage(&message, hint)
    })?;
    Ok(into.join(OsStr::from_bytes(bare)))
}

/// Opens to a file or to standard output; where it was written to.
pub(super) async fn open(
    reading: Reading,
    header: VerifiedHeader,
    wish: &Open,
    work: &Arc<Work>,
) -> Result<String, Stopped> {
    let works = Arc::clone(work);
    let opened = blocking(move || AgeFile::open(reading, &header)).await?;
    let file = opened.map_err(open_failure)?;
    works.begin(file.length());
    let Some(into) = wish.into.clone() else {
        let stream = wish.stream;
        let written = blocking(move || to_pipe(&file, stream, &works)).await?;
        written.map_err(|stopped| of_stream(stopped, stream))?;
        return Ok("-".to_owned());
    };
    let place = place(wish.file.as_deref(), &into)?;
    let (replace, at) = (wish.replace, place.clone());
    blocking(move || to_file(&file, &at, replace, &works)).await??;
    Ok(place.display().to_string())
}

fn to_file(
    file: &AgeFile<Reading>,
    place: &Path,
    replace: bool,
    work: &Work,
) -> Result<(), Failure> {
    if !replace && os::exists(place) {
        return Err(exists(place));
    }
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(place),
        _ => write_failure(place, &error),
    };
    os::make_parent(place).map_err(failed)?;
    let output = Output::create(place, nonce()).map_err(failed)?;
    let written = file.write_to(&Stoppable(output.file(), work), &|bytes| work.add(bytes));
    written.map_err(|error| match error {
        OpenError::Write { error, .. } => write_failure(place, &error),
        error => open_failure(error),
    })?;
    output.keep(replace).map_err(failed)
}

/// Verified as a whole first, unless it is wanted as it comes.
fn to_pipe(file: &AgeFile<Reading>, stream: bool, work: &Work) -> Result<(), Stopped> {
    let progress = |bytes| work.add(bytes);
    if !stream {
        file.verify(&progress).map_err(open_failure)?;
        work.begin(file.length());
    }
    let sink = InOrder::new(io::stdout());
    let written = file.write_to(&Stoppable(&sink, work), &progress);
    sink.into_inner().flush().map_err(closed)?;
    written.map_err(|error| match error {
        OpenError::Write { error, .. } => closed(error),
        error => open_failure(error).into(),
    })
}

/// What `--from` asks for is not there to be had.
pub(super) fn unsigned(wish: &Open) -> Result<(), Failure> {
    let Some(name) = &wish.from else {
        return Ok(());
    };
    Err(failure(
        FailureKind::Refused,
        format!("nobody can tell whether {name} sealed the file: age files are not signed"),
        Some("ask for a .lock file, or open it without --from; nothing was written"),
    ))
}

/// Reads and verifies all, and writes nothing.
pub(super) async fn verify(
    reading: Reading,
    header: VerifiedHeader,
    work: Arc<Work>,
) -> Result<(), Failure> {
    blocking(move || {
        let file = AgeFile::open(reading, &header).map_err(open_failure)?;
        work.begin(file.length());
        let verified = file.verify(&|bytes| work.add(bytes));
        verified.map_err(open_failure)
    })
    .await?
}
