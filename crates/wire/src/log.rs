//! Account logs piece by piece: a log may be longer than a frame, an entry may not.

use crate::error::{DecodeError, field, filled};
use crate::limits::{LOG_BYTES, LOG_ENTRIES, LOG_PART_BYTES};
use crate::proto;
use crate::request::{account_id, bytes_of, is_name};
use keys::AccountId;
use keys::codec::{Reader, Writer};

/// Asks for the entries of a log that are newer than a known one: `Done`, or [`Entries`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckLog {
    /// Whose.
    pub account: AccountId,
    /// Sequence number of the newest entry that is known; the genesis has 0.
    pub sequence: u64,
}

/// Appends entries to a log. Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendEntries {
    /// Whose.
    pub account: AccountId,
    /// Sequence number of the newest entry before these.
    pub after: u64,
    /// Whole entries as they stand in the log, at most [`LOG_PART_BYTES`]; [`RawLog::part`] cuts them.
    pub entries: Vec<u8>,
}

/// Entries of a log as they were handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    /// The registered name.
    pub name: String,
    /// The account, as the relay says.
    pub account: AccountId,
    /// Sequence number of the first entry here; 0 means that these begin the log.
    pub first: u64,
    /// Whole entries, at least one; [`RawLog::with`] or [`RawLog::begin`] puts them together.
    pub entries: Vec<u8>,
    /// Whether the log has more after these; [`CheckLog`] with the last sequence number asks for them.
    pub more: bool,
}

/// An account log as bytes, cut at its entries. Nothing of it is verified.
///
/// *Source*: docs/spec/account-log.md, section 1.
///
/// ```
/// use letterlock_wire::RawLog;
/// # use keys::{Suite, Timestamp, account_log::{DeviceSecrets, RootSecret, genesis}};
/// # use rand_core::SeedableRng as _;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
/// # let suite = Suite::Hybrid;
/// # let (root, device) = (RootSecret::generate(suite, &mut rng)?, DeviceSecrets::generate(suite, &mut rng)?);
/// # let log = genesis(&root, &device, Timestamp::from_secs(1_700_000_000))?.bytes().to_vec();
/// let raw = RawLog::parse(&log)?;
/// assert_eq!(raw.head(), 0);
/// let part = raw.part(0).ok_or("one entry")?;
/// assert_eq!(RawLog::begin(part.entries)?, log);
/// assert!(raw.part(1).is_none() && !part.more);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RawLog<'a> {
    bytes: &'a [u8],
    /// Where each entry begins.
    starts: Vec<usize>,
}

/// Whole entries out of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPart<'a> {
    /// One or more, at most [`LOG_PART_BYTES`].
    pub entries: &'a [u8],
    /// Whether the log has more after these.
    pub more: bool,
}

impl<'a> RawLog<'a> {
    /// Cuts a log at its entries.
    ///
    /// # Errors
    /// [`DecodeError::Field`]: not of the form of a log, longer than [`LOG_BYTES`], or with an entry longer than
    /// [`LOG_PART_BYTES`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let entries = match bytes {
            [1, _, _, _, _, entries @ ..] if bytes.len() <= LOG_BYTES => entries,
            _ => return Err(field("log")),
        };
        let head = bytes.len().saturating_sub(entries.len());
        let starts: Vec<usize> = cut(entries)?
            .into_iter()
            .map(|start| start.saturating_add(head))
            .collect();
        if bytes.get(1..head) != Some(count(&starts)?.as_slice()) {
            return Err(field("log"));
        }
        Ok(Self { bytes, starts })
    }

    /// Makes a log of its entries from the genesis on.
    ///
    /// # Errors
    /// As [`RawLog::parse`].
    pub fn begin(entries: &[u8]) -> Result<Vec<u8>, DecodeError> {
        if entries.len() > LOG_BYTES {
            return Err(field("log"));
        }
        let mut out = Writer::new();
        out.u8(1);
        out.array(&count(&cut(entries)?)?);
        out.array(entries);
        let log = out.finish();
        if log.len() > LOG_BYTES {
            return Err(field("log"));
        }
        Ok(log)
    }

    /// The log with more entries behind its own.
    ///
    /// # Errors
    /// As [`RawLog::parse`].
    pub fn with(&self, entries: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let own = self.part_from(0).unwrap_or_default();
        Self::begin(&[own, entries].concat())
    }

    /// The log without the entries behind a sequence number.
    ///
    /// # Errors
    /// As [`RawLog::parse`].
    pub fn until(&self, last: u64) -> Result<Vec<u8>, DecodeError> {
        let own = self.part_from(0).unwrap_or_default();
        let behind = usize::try_from(last).ok();
        let behind = behind.and_then(|last| self.part_from(last.saturating_add(1)));
        let length = own.len().saturating_sub(behind.unwrap_or_default().len());
        Self::begin(own.get(..length).unwrap_or_default())
    }

    /// Sequence number of the newest entry.
    #[must_use]
    pub fn head(&self) -> u64 {
        let entries = u64::try_from(self.starts.len()).unwrap_or(u64::MAX);
        entries.saturating_sub(1)
    }

    /// The entries from a sequence number on, as many as one request or reply takes; nothing where that number
    /// is beyond the newest.
    #[must_use]
    pub fn part(&self, first: u64) -> Option<LogPart<'a>> {
        let place = usize::try_from(first).ok()?;
        let start = *self.starts.get(place)?;
        let limit = start.saturating_add(LOG_PART_BYTES);
        if self.bytes.len() <= limit {
            let entries = self.bytes.get(start..)?;
            return Some(LogPart {
                entries,
                more: false,
            });
        }
        // The first is no longer than a part, so that there is an end behind it.
        let end = self.starts.iter().rfind(|end| **end <= limit)?;
        let entries = self.bytes.get(start..*end)?;
        Some(LogPart {
            entries,
            more: true,
        })
    }

    /// Whether these entries stand in the log from a sequence number on, byte for byte.
    #[must_use]
    pub fn has(&self, first: u64, entries: &[u8]) -> bool {
        let place = usize::try_from(first).ok();
        place
            .and_then(|place| self.part_from(place))
            .is_some_and(|rest| rest.starts_with(entries))
    }

    fn part_from(&self, place: usize) -> Option<&'a [u8]> {
        self.bytes.get(*self.starts.get(place)?..)
    }
}

/// The number of entries as it stands in a log.
fn count(starts: &[usize]) -> Result<[u8; 4], DecodeError> {
    let entries = u32::try_from(starts.len()).map_err(|_| field("log"))?;
    if entries == 0 || entries > LOG_ENTRIES {
        return Err(field("log"));
    }
    Ok(entries.to_be_bytes())
}

/// Where each of some whole entries begins.
fn cut(entries: &[u8]) -> Result<Vec<usize>, DecodeError> {
    let mut input = Reader::new(entries);
    let mut starts = Vec::new();
    while input.remaining() > 0 {
        let before = input.remaining();
        starts.push(entries.len().saturating_sub(before));
        skip_entry(&mut input).map_err(|_| field("log"))?;
        if before.saturating_sub(input.remaining()) > LOG_PART_BYTES {
            return Err(field("log"));
        }
    }
    Ok(starts)
}

fn skip_entry(input: &mut Reader<'_>) -> Result<(), keys::codec::DecodeError> {
    input.bytes(LOG_PART_BYTES)?;
    for _ in 0..input.u8()? {
        match input.u8()? {
            0 => {}
            1 => drop(input.array::<16>()?),
            2 => drop(input.u8()?),
            _ => return Err(keys::codec::DecodeError::Invalid),
        }
        input.bytes(LOG_PART_BYTES)?;
    }
    Ok(())
}

impl CheckLog {
    pub(crate) fn to_proto(self) -> proto::CheckLog {
        proto::CheckLog {
            account: bytes_of(self.account.as_bytes()),
            sequence: self.sequence,
        }
    }

    pub(crate) fn from_proto(request: &proto::CheckLog) -> Result<Self, DecodeError> {
        Ok(Self {
            account: account_id(&request.account)?,
            sequence: request.sequence,
        })
    }
}

impl AppendEntries {
    pub(crate) fn to_proto(&self) -> proto::AppendEntries {
        proto::AppendEntries {
            account: bytes_of(self.account.as_bytes()),
            after: self.after,
            entries: bytes_of(&self.entries),
        }
    }

    pub(crate) fn from_proto(request: &proto::AppendEntries) -> Result<Self, DecodeError> {
        Ok(Self {
            account: account_id(&request.account)?,
            after: request.after,
            entries: filled(&request.entries, LOG_PART_BYTES, "entries")?,
        })
    }
}

impl Entries {
    pub(crate) fn to_proto(&self) -> proto::Entries {
        proto::Entries {
            name: self.name.clone(),
            account: bytes_of(self.account.as_bytes()),
            first: self.first,
            entries: bytes_of(&self.entries),
            more: self.more,
        }
    }

    pub(crate) fn from_proto(reply: proto::Entries) -> Result<Self, DecodeError> {
        if !is_name(&reply.name) {
            return Err(field("name"));
        }
        Ok(Self {
            account: account_id(&reply.account)?,
            first: reply.first,
            entries: filled(&reply.entries, LOG_PART_BYTES, "entries")?,
            more: reply.more,
            name: reply.name,
        })
    }
}
