//! The erasure code: a message becomes 65,536 chunks, of which any few give it back (docs/spec/ratchet.md,
//! section 5.5).
//!
//! Element k of the message belongs to polynomial k mod 16 and is its value at x = k / 16. Chunk i holds the
//! sixteen values at x = i, so the first chunks are the message itself.

use super::gf::Lanes;
use super::lagrange;
use crate::spqr::SpqrError;
use keys::codec::{DecodeError, Reader, Writer};
use std::collections::BTreeMap;

/// Length of a chunk in bytes.
pub(crate) const CHUNK_LEN: usize = 32;
/// Longest message in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// One chunk and its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) index: u16,
    pub(crate) data: [u8; CHUNK_LEN],
}

fn to_lanes(data: &[u8; CHUNK_LEN]) -> Lanes {
    let mut lanes = [0; 16];
    for (lane, pair) in lanes.iter_mut().zip(data.as_chunks::<2>().0) {
        *lane = u16::from_be_bytes(*pair);
    }
    lanes
}

fn to_data(lanes: &Lanes) -> [u8; CHUNK_LEN] {
    let mut data = [0; CHUNK_LEN];
    for (pair, lane) in data.as_chunks_mut::<2>().0.iter_mut().zip(lanes) {
        *pair = lane.to_be_bytes();
    }
    data
}

/// The elements at each x, zero behind the end.
fn to_rows(message: &[u8]) -> Vec<Lanes> {
    let row = |chunk: &[u8]| {
        let mut data = [0; CHUNK_LEN];
        for (to, from) in data.iter_mut().zip(chunk) {
            *to = *from;
        }
        to_lanes(&data)
    };
    message.chunks(CHUNK_LEN).map(row).collect()
}

/// How many points each polynomial needs: `rows`, and one more for the first `extra` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    rows: usize,
    extra: usize,
}

impl Need {
    fn of(message_len: usize) -> Self {
        let elements = message_len / 2;
        Self {
            rows: elements / 16,
            extra: elements % 16,
        }
    }

    /// The groups of polynomials with equal need: number of points, and the lanes of the group.
    fn groups(self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        [
            (self.rows.saturating_add(1), 0..self.extra),
            (self.rows, self.extra..16),
        ]
        .into_iter()
        .filter(|(points, lanes)| !lanes.is_empty() && *points > 0)
    }
}

/// Hands out the chunks of a message, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoder {
    message: Vec<u8>,
    /// The message as elements, a row for each x.
    rows: Vec<Lanes>,
    next: u16,
}

impl Encoder {
    /// Begins with a message of even length, at most 2^20 bytes.
    pub(crate) fn new(message: Vec<u8>) -> Result<Self, SpqrError> {
        if message.is_empty() || !message.len().is_multiple_of(2) || message.len() > MAX_MESSAGE {
            return Err(SpqrError::Internal);
        }
        let rows = to_rows(&message);
        Ok(Self {
            message,
            rows,
            next: 0,
        })
    }

    /// The message.
    pub(crate) fn message(&self) -> &[u8] {
        &self.message
    }

    /// The chunk that [`Encoder::advance`] will pass.
    pub(crate) fn current(&self) -> Chunk {
        self.chunk(self.next)
    }

    /// Goes on to the next index; after 65535 comes 0.
    pub(crate) fn advance(&mut self) {
        self.next = self.next.wrapping_add(1);
    }

    /// Any chunk.
    pub(crate) fn chunk(&self, index: u16) -> Chunk {
        let x = usize::from(index);
        let mut out = [0; 16];
        for (points, lanes) in Need::of(self.message.len()).groups() {
            let values = if x < points {
                self.rows.get(x).copied().unwrap_or_default()
            } else {
                let rows = self.rows.get(..points).unwrap_or_default();
                lagrange::after_consecutive(rows, index)
            };
            copy_lanes(&mut out, &values, lanes);
        }
        Chunk {
            index,
            data: to_data(&out),
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.bytes(&self.message);
        out.u16(self.next);
    }

    pub(crate) fn read(input: &mut Reader<'_>, message_len: usize) -> Result<Self, DecodeError> {
        let message = input.bytes(message_len)?.to_vec();
        if message.len() != message_len {
            return Err(DecodeError::Invalid);
        }
        Ok(Self {
            rows: to_rows(&message),
            message,
            next: input.u16()?,
        })
    }
}

fn copy_lanes(to: &mut Lanes, from: &Lanes, lanes: std::ops::Range<usize>) {
    for (place, (to, from)) in to.iter_mut().zip(from).enumerate() {
        if lanes.contains(&place) {
            *to = *from;
        }
    }
}

/// Collects chunks until they give the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoder {
    message_len: usize,
    /// Points by group of polynomials, see [`Need::groups`].
    points: Vec<BTreeMap<u16, Lanes>>,
}

impl Decoder {
    /// Begins for a message of a known even length.
    pub(crate) fn new(message_len: usize) -> Self {
        let groups = Need::of(message_len).groups().count();
        Self {
            message_len,
            points: vec![BTreeMap::new(); groups],
        }
    }

    /// Takes a chunk: a repeated index replaces the earlier value; a point beyond the need is not kept unless
    /// it is part of the message itself.
    pub(crate) fn add(&mut self, chunk: &Chunk) {
        let values = to_lanes(&chunk.data);
        for ((need, _), points) in Need::of(self.message_len).groups().zip(&mut self.points) {
            if usize::from(chunk.index) < need
                || points.len() < need
                || points.contains_key(&chunk.index)
            {
                points.insert(chunk.index, values);
            }
        }
    }

    /// Whether the message would be complete with one more chunk.
    pub(crate) fn completes_with(&self, chunk: &Chunk) -> bool {
        Need::of(self.message_len)
            .groups()
            .zip(&self.points)
            .all(|((need, _), points)| {
                points
                    .len()
                    .saturating_add(usize::from(!points.contains_key(&chunk.index)))
                    >= need
            })
    }

    /// The message, once there are enough points.
    pub(crate) fn message(&self) -> Option<Vec<u8>> {
        let need = Need::of(self.message_len);
        if need
            .groups()
            .zip(&self.points)
            .any(|((need, _), points)| points.len() < need)
        {
            return None;
        }
        let rows = need.rows.saturating_add(usize::from(need.extra > 0));
        let mut message = Vec::with_capacity(rows.saturating_mul(CHUNK_LEN));
        let through = |(need, lanes), points: &BTreeMap<u16, Lanes>| {
            let used = points.iter().take(need);
            let (xs, rows) = used.map(|(x, lanes)| (*x, *lanes)).unzip();
            (lagrange::Polynomials::through(xs, rows), lanes)
        };
        let groups: Vec<_> = need
            .groups()
            .zip(&self.points)
            .map(|(group, points)| (through(group, points), points))
            .collect();
        for x in (0..=u16::MAX).take(rows) {
            let mut out = [0; 16];
            for ((polynomials, lanes), points) in &groups {
                let values = match points.get(&x) {
                    Some(values) => *values,
                    None => polynomials.at(x),
                };
                copy_lanes(&mut out, &values, lanes.clone());
            }
            message.extend_from_slice(&to_data(&out));
        }
        message.truncate(self.message_len);
        Some(message)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        let points = self.points.first();
        out.u32(points.map_or(0, |points| u32::try_from(points.len()).unwrap_or(u32::MAX)));
        for (x, lanes) in points.into_iter().flatten() {
            out.u16(*x);
            out.array(&to_data(lanes));
        }
    }

    /// Reads a decoder of a message whose length is a multiple of 32, as all of ours are.
    pub(crate) fn read(input: &mut Reader<'_>, message_len: usize) -> Result<Self, DecodeError> {
        let mut decoder = Self::new(message_len);
        let count = input.u32()?;
        let most = (message_len / CHUNK_LEN).saturating_mul(2);
        if usize::try_from(count).map_or(true, |count| count > most) {
            return Err(DecodeError::Invalid);
        }
        let mut last = None;
        for _ in 0..count {
            let chunk = Chunk {
                index: input.u16()?,
                data: input.array()?,
            };
            if last.is_some_and(|last| last >= chunk.index) {
                return Err(DecodeError::Invalid);
            }
            last = Some(chunk.index);
            if let Some(points) = decoder.points.first_mut() {
                points.insert(chunk.index, to_lanes(&chunk.data));
            }
        }
        Ok(decoder)
    }
}

#[cfg(feature = "replay")]
impl Decoder {
    /// The chunks that are kept, for a message whose length is a multiple of 32.
    pub(crate) fn chunks(&self) -> Vec<Chunk> {
        let points = self.points.first().into_iter().flatten();
        let chunk = |(index, lanes): (&u16, &Lanes)| Chunk {
            index: *index,
            data: to_data(lanes),
        };
        points.map(chunk).collect()
    }
}
