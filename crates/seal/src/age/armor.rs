//! A file as text: PEM (RFC 7468, strict form) with the label `AGE ENCRYPTED FILE`.

use data_encoding::BASE64;
use std::io::{self, BufRead, Read as _, Write};

const BEGIN: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const END: &[u8] = b"-----END AGE ENCRYPTED FILE-----";
/// Columns of a whole line, and the bytes that they are.
const COLUMNS: usize = 64;
const LINE: usize = 48;
/// Most bytes of white space before the first line.
const SPACE: usize = 1024;
/// No line of an armored file is longer, with its end.
const LONGEST: u64 = 128;

/// Why a text was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArmorError {
    /// It is cut, or not of this form.
    #[error("the armor of the file is damaged")]
    Damaged,
    /// Reading failed.
    #[error("reading failed")]
    Read(#[source] io::Error),
    /// Writing failed.
    #[error("writing failed")]
    Write(#[source] io::Error),
}

/// Whether bytes, as they stand at the head of a file, are those of an armored one.
#[must_use]
pub fn begins(head: &[u8]) -> bool {
    let head = head.get(..head.len().min(SPACE)).unwrap_or(head);
    head.trim_ascii_start().starts_with(BEGIN)
}

/// How many bytes [`begins`] wants to see.
pub const HEAD: u64 = (SPACE + BEGIN.len()) as u64;

/// The next line, without its end; nothing at the end of the input.
fn line(input: &mut impl BufRead, out: &mut Vec<u8>) -> Result<Option<()>, ArmorError> {
    out.clear();
    let mut limited = input.take(LONGEST);
    limited.read_until(b'\n', out).map_err(ArmorError::Read)?;
    if out.is_empty() {
        return Ok(None);
    }
    if out.last() == Some(&b'\n') {
        out.pop();
        if out.last() == Some(&b'\r') {
            out.pop();
        }
    }
    Ok(Some(()))
}

/// Writes the file that an armored text holds.
///
/// # Errors
/// [`ArmorError`]; what was written by then is of no use.
pub fn decode(input: &mut impl BufRead, out: &mut impl Write) -> Result<(), ArmorError> {
    let mut text = Vec::with_capacity(LINE);
    let mut space = SPACE;
    // White space before the first line, which may begin on the line where it ends.
    loop {
        let here = input.fill_buf().map_err(ArmorError::Read)?;
        match here.first() {
            Some(byte) if byte.is_ascii_whitespace() && space > 0 => {
                space = space.saturating_sub(1);
                input.consume(1);
            }
            _ => break,
        }
    }
    line(input, &mut text)?.ok_or(ArmorError::Damaged)?;
    if text != BEGIN {
        return Err(ArmorError::Damaged);
    }
    let mut short = false;
    loop {
        line(input, &mut text)?.ok_or(ArmorError::Damaged)?;
        if text == END {
            break;
        }
        // After a line that is not whole comes the end, and no line is empty.
        if short || text.is_empty() || text.len() > COLUMNS {
            return Err(ArmorError::Damaged);
        }
        let bytes = BASE64.decode(&text).map_err(|_| ArmorError::Damaged)?;
        short = bytes.len() < LINE;
        out.write_all(&bytes).map_err(ArmorError::Write)?;
    }
    let mut rest = [0; 4096];
    loop {
        match input.read(&mut rest) {
            Ok(0) => return out.flush().map_err(ArmorError::Write),
            Ok(got) => {
                let rest = rest.get(..got).unwrap_or_default();
                if !rest.iter().all(u8::is_ascii_whitespace) {
                    return Err(ArmorError::Damaged);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ArmorError::Read(error)),
        }
    }
}

/// Writes what comes as an armored text.
pub struct ArmorWriter<W> {
    out: W,
    /// What is no whole line yet.
    held: Vec<u8>,
    begun: bool,
}

impl<W: Write> ArmorWriter<W> {
    /// Begins.
    pub fn new(out: W) -> Self {
        Self {
            out,
            held: Vec::with_capacity(LINE),
            begun: false,
        }
    }

    /// Writes the rest and the last line.
    ///
    /// # Errors
    /// What the place says.
    pub fn finish(mut self) -> io::Result<W> {
        let held = std::mem::take(&mut self.held);
        self.lines(&held)?;
        self.out.write_all(END)?;
        self.out.write_all(b"\n")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn lines(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut text = String::with_capacity(bytes.len().saturating_mul(2));
        if !self.begun {
            text.push_str(&String::from_utf8_lossy(BEGIN));
            text.push('\n');
            self.begun = true;
        }
        for line in bytes.chunks(LINE) {
            BASE64.encode_append(line, &mut text);
            text.push('\n');
        }
        self.out.write_all(text.as_bytes())
    }
}

impl<W: Write> Write for ArmorWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        if !self.held.is_empty() {
            let room = LINE.saturating_sub(self.held.len()).min(rest.len());
            let (now, later) = rest.split_at(room);
            self.held.extend_from_slice(now);
            rest = later;
            if self.held.len() == LINE {
                let held = std::mem::take(&mut self.held);
                self.lines(&held)?;
            }
        }
        let whole = rest.len().saturating_sub(rest.len() % LINE);
        let (now, later) = rest.split_at(whole);
        if !now.is_empty() {
            self.lines(now)?;
        }
        self.held.extend_from_slice(later);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
