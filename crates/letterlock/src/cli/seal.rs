//! `letterlock seal`, `letterlock open`, `letterlock inspect`

use super::{Job, Profile, absolute};
use crate::{failure, os};
use clap::{Args, ValueEnum};
use client::sealed::Format;
use client::view::Failure;
use std::path::{Path, PathBuf};

/// Seal files and folders so that only those named can open them
///
/// Each is sealed to every device of each contact and to its recovery key, and to your own, and signed by this device.
/// Names, sizes and times are inside; what can be seen is for how many keys it is, and roughly how long it is. Without
/// PATH, or with -, standard input is sealed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock seal report.pdf --to bob
  letterlock seal plans/ notes.txt --to bob --to carol --out plans.lock
  tar c plans | letterlock seal --to bob > plans.lock
  letterlock seal report.pdf --passphrase
  letterlock seal report.pdf --format age --to age1pq1... --without-me
  letterlock seal report.pdf --format age -R ~/.ssh/authorized_keys --without-me")]
pub(crate) struct SealArgs {
    /// Files and folders
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// For whom: a contact, age1pq1..., or, in the age format, also age1... and the line of an SSH key in quotes; may
    /// be given several times
    #[arg(long, value_name = "NAME", num_args = 1..)]
    to: Vec<String>,
    /// Also for all whom the lines of a file name, as --to takes them; lines that begin with # are none. May be given
    /// several times
    #[arg(short = 'R', long, value_name = "FILE")]
    recipients_file: Vec<PathBuf>,
    /// The sealed file, or - for standard output [default: PATH.lock or PATH.age; of standard input, standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The format: age is for one file, which is neither signed nor padded, and whoever has age or rage opens it
    #[arg(long, value_name = "FORMAT", default_value = "lock")]
    format: FormatArg,
    /// Write it as text; in the age format
    #[arg(long)]
    armor: bool,
    /// Let whoever knows a passphrase open it; it is asked for
    #[arg(long)]
    passphrase: bool,
    /// Take that passphrase from the first line of a file
    #[arg(long, value_name = "FILE")]
    passphrase_from: Option<PathBuf>,
    /// Do not seal it to your own devices
    #[arg(long)]
    without_me: bool,
    /// Do not sign it
    #[arg(long)]
    unsigned: bool,
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
}

/// A format as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    Lock,
    Age,
}

/// What is to be sealed.
#[derive(Debug)]
pub(crate) struct Seal {
    /// Files and directories; none: standard input.
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) to: Vec<String>,
    pub(crate) format: Format,
    pub(crate) armor: bool,
    /// The sealed file; nothing: standard output.
    pub(crate) out: Option<PathBuf>,
    pub(crate) passphrase: Option<FilePassphrase>,
    pub(crate) with_own: bool,
    pub(crate) sign: bool,
    pub(crate) replace: bool,
}

/// Where the passphrase of a file comes from.
#[derive(Debug)]
pub(crate) enum FilePassphrase {
    /// The first line of a file.
    File(PathBuf),
    /// A person.
    Asked,
}

impl SealArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let from_pipe = self.paths.is_empty() || self.paths == [Path::new("-")];
        let paths = match from_pipe {
            true => Vec::new(),
            false => self
                .paths
                .into_iter()
                .map(absolute)
                .collect::<Result<_, _>>()?,
        };
        let passphrase = match (self.passphrase_from, self.passphrase) {
            (Some(file), _) => Some(FilePassphrase::File(file)),
            (None, true) => Some(FilePassphrase::Asked),
            (None, false) => None,
        };
        let mut to = self.to;
        for file in &self.recipients_file {
            let lines = os::lines_of(file);
            let lines = lines.map_err(|e| failure::file("the file of recipients", file, &e))?;
            to.extend(lines);
        }
        let format = match self.format {
            FormatArg::Lock => Format::Lock,
            FormatArg::Age => Format::Age,
        };
        if self.armor && format != Format::Age {
            return Err(failure::usage(
                "a .lock file is never text",
                "add --format age, or leave --armor out",
            ));
        }
        if format == Format::Age && paths.len() > 1 {
            return Err(failure::usage(
                "an age file holds one file",
                "leave --format age out, or pack them: tar c PATH... | letterlock seal --format age --to ...",
            ));
        }
        let out = match self.out {
            Some(out) if out == Path::new("-") => None,
            Some(out) => Some(absolute(out)?),
            None => beside(&paths, format)?,
        };
        Ok(Job::Seal(
            profile,
            Seal {
                paths,
                to,
                format,
                armor: self.armor,
                out,
                passphrase,
                with_own: !self.without_me,
                sign: !self.unsigned,
                replace: self.force,
            },
        ))
    }
}

/// `PATH.lock` or `PATH.age`, in the directory where the command was typed.
fn beside(paths: &[PathBuf], format: Format) -> Result<Option<PathBuf>, Failure> {
    let [path] = paths else {
        return match paths.is_empty() {
            true => Ok(None),
            false => Err(failure::usage(
                "several things are to be sealed into one file",
                "name it with --out FILE",
            )),
        };
    };
    let Some(name) = path.file_name() else {
        return Err(failure::usage(
            format!("{} has no name", path.display()),
            "name the sealed file with --out FILE",
        ));
    };
    let mut name = name.to_owned();
    name.push(".");
    name.push(format.name());
    absolute(PathBuf::from(name)).map(Some)
}

/// Open a sealed file
///
/// What is in it appears only when all of it was verified, with its signature, and replaces nothing unless --force is
/// given. A file is opened with the keys of this home, the recovery sheet of its account, identities, or a passphrase.
/// Files of age are opened too; they have no name inside and no signature.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock open report.pdf.lock
  letterlock open plans.lock --out received --from bob
  letterlock open plans.lock --out - | tar t
  letterlock open old.lock --sheet sheet.txt
  letterlock open report.pdf.age -i identity.txt")]
pub(crate) struct OpenArgs {
    /// The sealed file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to: a folder, or - for standard output
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Refuse unless this contact signed it
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
    /// Open it although the device that signed it was revoked
    #[arg(long)]
    any_signature: bool,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// To standard output: write what is verified before all is; an error may follow what was written
    #[arg(long)]
    stream: bool,
}

#[derive(Debug, Args)]
struct KeyArgs {
    /// Open it with the identities of a file: AGE-SECRET-KEY-... lines, also where a passphrase seals them, or a private
    /// key of OpenSSH without a passphrase; may be given several times
    #[arg(short, long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Open it with the recovery sheet of the account that it was sealed for
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Take the file's passphrase from the first line of a file; else it is asked for
    #[arg(long, value_name = "FILE")]
    passphrase_from: Option<PathBuf>,
}

/// What is to be opened.
#[derive(Debug)]
pub(crate) struct Open {
    /// Nothing: standard input.
    pub(crate) file: Option<PathBuf>,
    /// Nothing: standard output.
    pub(crate) into: Option<PathBuf>,
    pub(crate) from: Option<String>,
    pub(crate) identities: Vec<PathBuf>,
    pub(crate) sheet: Option<PathBuf>,
    pub(crate) passphrase: FilePassphrase,
    pub(crate) any_signature: bool,
    pub(crate) replace: bool,
    pub(crate) stream: bool,
}

impl KeyArgs {
    fn passphrase(&mut self) -> FilePassphrase {
        let file = self.passphrase_from.take();
        file.map_or(FilePassphrase::Asked, FilePassphrase::File)
    }
}

/// A path, or nothing for `-`.
fn or_pipe(path: PathBuf) -> Result<Option<PathBuf>, Failure> {
    match path == Path::new("-") {
        true => Ok(None),
        false => absolute(path).map(Some),
    }
}

impl OpenArgs {
    pub(super) fn into_job(mut self, profile: Profile) -> Result<Job, Failure> {
        let passphrase = self.keys.passphrase();
        let into = or_pipe(self.out)?;
        if self.stream && into.is_some() {
            return Err(failure::usage(
                "--stream is for standard output",
                "letterlock open FILE --out - --stream",
            ));
        }
        Ok(Job::Open(
            profile,
            Open {
                file: or_pipe(self.file)?,
                into,
                from: self.from,
                identities: self.keys.identity,
                sheet: self.keys.sheet,
                passphrase,
                any_signature: self.any_signature,
                replace: self.force,
                stream: self.stream,
            },
        ))
    }
}

/// Look into a sealed file and write nothing
///
/// Shows what everybody sees, and, where a key of this home opens it, what it holds and who signed it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  letterlock inspect report.pdf.lock")]
pub(crate) struct InspectArgs {
    /// The sealed file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    keys: KeyArgs,
    /// Ask for the file's passphrase where it has one
    #[arg(long)]
    passphrase: bool,
}

/// What is to be looked into.
#[derive(Debug)]
pub(crate) struct Inspect {
    pub(crate) file: PathBuf,
    pub(crate) identities: Vec<PathBuf>,
    pub(crate) sheet: Option<PathBuf>,
    pub(crate) passphrase: Option<FilePassphrase>,
}

impl InspectArgs {
    pub(super) fn into_job(mut self, profile: Profile) -> Result<Job, Failure> {
        let passphrase = self.keys.passphrase();
        let given = self.passphrase || matches!(passphrase, FilePassphrase::File(_));
        Ok(Job::InspectFile(
            profile,
            Inspect {
                file: absolute(self.file)?,
                identities: self.keys.identity,
                sheet: self.keys.sheet,
                passphrase: given.then_some(passphrase),
            },
        ))
    }
}
