//! Replays erasure-code.json.

use super::ReplayError;
use super::facts::Facts;
use super::json::{array, bytes, field, hex, list, small, text};
use crate::spqr::replay::{Chunk, Decoder, Encoder, product, quotient};
use serde_json::Value;

/// Field arithmetic, chunks of messages, messages of chunks.
pub(super) fn replay(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    for case in list(json, "gf16")? {
        let (a, b) = (element(case, "a")?, element(case, "b")?);
        facts.equal("product", product(a, b), element(case, "a*b")?)?;
        facts.equal("quotient", quotient(a, b), element(case, "a/b")?)?;
    }
    for case in list(json, "cases")? {
        erasure_case(case, facts)
            .map_err(|error| error.at(text(case, "what").unwrap_or("a case")))?;
    }
    for name in ["repeated_index_last_wins", "low_index_points_are_kept"] {
        let case = field(json, name)?;
        let mut decoder = Decoder::new(bytes(case, "message")?.len());
        for chunk in list(case, "feed")? {
            decoder.add(&chunk_of(chunk)?);
        }
        let ours = decoder.message().unwrap_or_default();
        facts.bytes(name, &ours, &bytes(case, "decoded")?)?;
    }
    let wrap = field(json, "wrap_after_65535")?;
    let mut encoder = Encoder::new(bytes(wrap, "message")?)?;
    let chunks = list(wrap, "chunks")?;
    let first = chunk_of(chunks.first().unwrap_or(&Value::Null))?;
    (0..first.index).for_each(|_| encoder.advance());
    for chunk in chunks {
        next_chunk(&mut encoder, &chunk_of(chunk)?, facts)?;
    }
    Ok(())
}

fn erasure_case(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let message = bytes(case, "message")?;
    facts.equal("length", message.len(), small(case, "len")?)?;
    let mut encoder = Encoder::new(message.clone())?;
    for chunk in list(case, "chunks")? {
        let recorded = chunk_of(chunk)?;
        let ours = encoder.chunk(recorded.index);
        let what = format!("chunk {}", recorded.index);
        facts.bytes(&what, &ours.data, &recorded.data)?;
    }
    for index in list(case, "next_chunk_indices")? {
        let ours = encoder.current().index;
        facts.equal("next chunk index", Some(u64::from(ours)), index.as_u64())?;
        encoder.advance();
    }
    for decode in list(case, "decode")? {
        let name = text(decode, "name")?;
        decodes(&message, &encoder, decode, facts).map_err(|error| error.at(name))?;
    }
    let needed = small(case, "chunks_needed")?;
    let mut decoder = Decoder::new(message.len());
    for index in 0..needed {
        facts.holds("chunks needed", decoder.message().is_none())?;
        decoder.add(&encoder.chunk(index));
    }
    facts.holds("chunks needed", decoder.message().is_some())
}

fn element(case: &Value, key: &str) -> Result<u16, ReplayError> {
    Ok(u16::from_be_bytes(array(case, key)?))
}

/// Recorded as index and data.
fn chunk_of(value: &Value) -> Result<Chunk, ReplayError> {
    let index = value.get(0).and_then(Value::as_u64);
    let data = value.get(1).and_then(Value::as_str);
    let data = data.map(hex).transpose()?;
    let chunk = index.zip(data).and_then(|(index, data)| {
        let index = u16::try_from(index).ok()?;
        let data = data.try_into().ok()?;
        Some(Chunk { index, data })
    });
    chunk.ok_or_else(|| ReplayError::new("not a chunk"))
}

fn next_chunk(
    encoder: &mut Encoder,
    recorded: &Chunk,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    facts.equal("next chunk", encoder.current(), *recorded)?;
    encoder.advance();
    Ok(())
}

/// Feeds chunks and looks after which one the message is complete. Long cases record the indices alone.
fn decodes(
    message: &[u8],
    encoder: &Encoder,
    case: &Value,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    let recorded = list(case, "chunks")?;
    let complete_after: usize = small(case, "complete_after")?;
    let mut decoder = Decoder::new(message.len());
    for (place, index) in list(case, "indices")?.iter().enumerate() {
        let index = index.as_u64().and_then(|index| u16::try_from(index).ok());
        let index = index.ok_or_else(|| ReplayError::new("not a chunk index"))?;
        let chunk = match recorded.get(place) {
            Some(chunk) => chunk_of(chunk)?,
            None => encoder.chunk(index),
        };
        facts.equal("chunk index", chunk.index, index)?;
        facts.equal("chunk", chunk, encoder.chunk(index))?;
        decoder.add(&chunk);
        let complete = decoder.message();
        let fed = place.saturating_add(1);
        facts.equal("complete", complete.is_some(), fed >= complete_after)?;
        if let Some(complete) = complete {
            facts.bytes("decoded message", &complete, message)?;
        }
    }
    Ok(())
}
