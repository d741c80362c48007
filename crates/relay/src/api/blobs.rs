//! The blob resource (docs/spec/wire.md, "Blobs").

use crate::blobs::{self, Piece, Turn};
use crate::limits;
use crate::metrics::add;
use crate::os;
use crate::state::{State, stopped};
use crate::store::BlobRecord;
use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, put};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use futures_util::stream;
use http_body_util::BodyExt as _;
use keys::BlobId;
use std::fs::File;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
const NO_ROOM: HeaderName = HeaderName::from_static("no-room");
const READ_TOKEN_HASH: HeaderName = HeaderName::from_static("read-token-hash");
/// Numbers of the database have 63 bits.
const MAX_SECONDS: u64 = i64::MAX as u64;
const LASTING: HeaderName = HeaderName::from_static("lasting");

/// The methods of `/v1/blobs/{id}`.
pub(crate) fn routes() -> MethodRouter<Arc<State>> {
    put(upload)
        .head(state_of)
        .post(complete)
        .get(download)
        .delete(remove)
}

/// An answer that ends a request early.
struct Refusal(Box<Response>);

impl From<Response> for Refusal {
    fn from(answer: Response) -> Self {
        Self(Box::new(answer))
    }
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        status.into_response().into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

fn later(status: StatusCode, seconds: u32) -> Refusal {
    let after = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
    (status, after).into_response().into()
}

fn unavailable() -> Refusal {
    later(StatusCode::SERVICE_UNAVAILABLE, 2)
}

/// As much is stored as may be.
fn quota() -> Refusal {
    later(StatusCode::INSUFFICIENT_STORAGE, 3600)
}

/// The disk is full. Whoever waits for a relay waits for that, too; whoever does not can say so.
fn no_room() -> Refusal {
    let after = HeaderValue::from(limits::NO_ROOM_RETRY_SECONDS);
    let yes = HeaderValue::from_static("?1");
    let headers = [(header::RETRY_AFTER, after), (NO_ROOM, yes)];
    let answer = (StatusCode::SERVICE_UNAVAILABLE, headers);
    answer.into_response().into()
}

/// The store failed.
fn unstored(state: &State) -> Refusal {
    match state.store.is_full() {
        true => no_room(),
        false => unavailable(),
    }
}

/// The disk failed.
fn unwritten(kind: std::io::ErrorKind) -> Refusal {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match kind {
        StorageFull | QuotaExceeded | FileTooLarge => no_room(),
        _ => unavailable(),
    }
}

fn with_offset(status: StatusCode, record: &BlobRecord) -> Response {
    let complete = HeaderValue::from_static(if record.complete { "?1" } else { "?0" });
    (
        status,
        [
            (OFFSET, HeaderValue::from(record.durable)),
            (COMPLETE, complete),
        ],
    )
        .into_response()
}

fn name(text: &str) -> Result<BlobId, Refusal> {
    BlobId::from_text(text).ok_or_else(|| StatusCode::NOT_FOUND.into())
}

/// SHA-256 of the shown token.
fn token_hash(headers: &HeaderMap) -> Result<[u8; 32], Refusal> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .and_then(|text| BASE64URL_NOPAD.decode(text.trim().as_bytes()).ok())
        .filter(|token| token.len() == 32);
    match token {
        Some(token) => Ok(keys::sha256(&[&token])),
        None => Err((
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, "Bearer")],
        )
            .into_response()
            .into()),
    }
}

fn number(request: &Request, name: &str) -> Option<u64> {
    let pairs = request.uri().query()?.split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)?
        .1
        .parse()
        .ok()
}

async fn find(state: &State, blob: BlobId) -> Result<Option<BlobRecord>, Refusal> {
    state.store.blob(blob).await.map_err(|_| unavailable())
}

async fn known(state: &State, blob: BlobId) -> Result<BlobRecord, Refusal> {
    find(state, blob)
        .await?
        // It is deleted with the next sweep.
        .filter(|record| record.until.is_none_or(|until| os::now().as_secs() < until))
        .ok_or_else(|| StatusCode::NOT_FOUND.into())
}

fn check(shown: &[u8; 32], wanted: &[u8; 32]) -> Result<(), Refusal> {
    // SECURITY: the token is all that allows; `a_blob_is_opened_by_its_token_alone` notices.
    if keys::ct_eq(shown, wanted) {
        Ok(())
    } else {
        Err(StatusCode::FORBIDDEN.into())
    }
}

async fn state_of(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let shown = token_hash(&headers)?;
    let record = known(&state, name(&id)?).await?;
    check(&shown, &record.write_hash).or_else(|_| check(&shown, &record.read_hash))?;
    note_use(&state, name(&id)?, &record).await?;
    Ok(with_offset(StatusCode::OK, &record))
}

/// A lasting blob stays as long as somebody with a right to it asks for it.
async fn note_use(state: &State, blob: BlobId, record: &BlobRecord) -> Result<(), Refusal> {
    let now = os::now();
    let noted = record.hour.saturating_add(limits::BLOB_USE_SECONDS);
    if !record.lasting || !record.complete || now.as_secs() < noted {
        return Ok(());
    }
    let used = state.store.blob_used(blob, now).await;
    used.map_err(|_| unavailable())
}

async fn upload(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let offset = number(&request, "offset");
    let (head, body) = request.into_parts();
    match admitted(&state, &id, offset, &head.headers).await {
        Ok(admitted) => {
            // On a task of its own: a client that goes away must not leave the file and the record apart.
            let writing = tokio::spawn(async move {
                let Admitted {
                    blob,
                    offset,
                    record,
                    turn,
                } = admitted;
                let record = receive(&state, blob, offset, record, body).await;
                drop(turn);
                record
            });
            writing.await.map_err(|_| unavailable())?
        }
        Err(refusal) => {
            pass_over(body);
            Err(refusal)
        }
    }
}

/// An upload that may write, and where it begins.
struct Admitted {
    blob: BlobId,
    offset: u64,
    record: BlobRecord,
    turn: Turn,
}

async fn admitted(
    state: &State,
    id: &str,
    offset: Option<u64>,
    headers: &HeaderMap,
) -> Result<Admitted, Refusal> {
    let blob = name(id)?;
    let write_hash = token_hash(headers)?;
    let offset = offset.ok_or(StatusCode::BAD_REQUEST)?;
    let Some(turn) = state.blobs.turn(&blob).await else {
        return Err(unavailable());
    };
    let record = match find(state, blob).await? {
        Some(record) => record,
        None => begin(state, blob, write_hash, offset, headers).await?,
    };
    check(&write_hash, &record.write_hash)?;
    if record.complete || offset > record.durable {
        return Err(with_offset(StatusCode::CONFLICT, &record).into());
    }
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    check_room(state, record.durable, offset, announced.unwrap_or(0))?;
    Ok(Admitted {
        blob,
        offset,
        record,
        turn,
    })
}

/// Reads on for a while after an answer that says no: a connection that is closed on bytes that nobody read may take the
/// answer with it.
fn pass_over(mut body: Body) {
    tokio::spawn(async move {
        let mut left = limits::BLOB_PASSED_OVER;
        while let Ok(Some(Ok(frame))) = timeout(limits::BLOB_SILENCE, body.frame()).await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(length) else {
                return;
            };
            left = less;
        }
    });
}

async fn begin(
    state: &State,
    blob: BlobId,
    write_hash: [u8; 32],
    offset: u64,
    headers: &HeaderMap,
) -> Result<BlobRecord, Refusal> {
    if offset != 0 {
        return Err(StatusCode::NOT_FOUND.into());
    }
    let read_hash = headers
        .get(READ_TOKEN_HASH)
        .and_then(|value| BASE64URL_NOPAD.decode(value.as_bytes()).ok())
        .and_then(|hash| hash.try_into().ok())
        .ok_or(StatusCode::BAD_REQUEST)?;
    let record = BlobRecord {
        write_hash,
        read_hash,
        durable: 0,
        complete: false,
        until: None,
        lasting: headers.get(LASTING).is_some_and(|value| value == "?1"),
        hour: os::now().to_hour().as_secs(),
    };
    match state.store.begin_blob(blob, record).await {
        Ok(true) => Ok(record),
        Ok(false) => Err(quota()),
        Err(_) => Err(unstored(state)),
    }
}

fn check_room(state: &State, durable: u64, offset: u64, more: u64) -> Result<(), Refusal> {
    let end = offset.saturating_add(more);
    if end > state.config.storage.blob_bytes {
        return Err(StatusCode::PAYLOAD_TOO_LARGE.into());
    }
    if !state.blobs.has_room(end.saturating_sub(durable)) {
        return Err(quota());
    }
    Ok(())
}

/// How the body of an upload ended.
enum Ended {
    Whole,
    Broken,
    TooLarge(Refusal),
}

async fn receive(
    state: &Arc<State>,
    blob: BlobId,
    offset: u64,
    before: BlobRecord,
    body: Body,
) -> Result<Response, Refusal> {
    if offset < before.durable {
        // The file is cut back next: after a crash the record must not promise what is gone.
        state
            .store
            .note_blob(blob, offset, false)
            .await
            .map_err(|_| unstored(state))?;
    }
    let (pieces, to_write) = mpsc::channel(limits::BLOB_PIECES);
    let (store, runtime) = (state.store.clone(), tokio::runtime::Handle::current());
    let writing = state.blobs.write(&blob, offset, to_write, move |durable| {
        let _noted = runtime.block_on(store.note_blob(blob, durable, false));
    });
    let mut body = body;
    let ended = pump(state, &mut body, (before.durable, offset), &pieces).await;
    drop(pieces);
    if !matches!(ended, Ended::Whole) {
        pass_over(body);
    }
    let written = writing.await.map_err(|_| unavailable())?;
    let record = BlobRecord {
        durable: written.durable,
        ..before
    };
    state.blobs.count(before.durable, record.durable);
    state
        .store
        .note_blob(blob, record.durable, false)
        .await
        .map_err(|_| unstored(state))?;
    if let Some(kind) = written.failed {
        return Err(unwritten(kind));
    }
    match ended {
        Ended::Whole => Ok(with_offset(StatusCode::NO_CONTENT, &record)),
        Ended::Broken => Err(with_offset(StatusCode::BAD_REQUEST, &record).into()),
        Ended::TooLarge(refusal) => Err(refusal),
    }
}

/// Gathers the body into large pieces and hands them to the disk.
async fn pump(
    state: &State,
    body: &mut Body,
    (durable, offset): (u64, u64),
    pieces: &mpsc::Sender<Piece>,
) -> Ended {
    let (mut piece, mut gathered, mut received) = (Vec::new(), 0_usize, 0_u64);
    let mut stopping = state.stopping.clone();
    let ended = loop {
        let frame = tokio::select! {
            frame = timeout(limits::BLOB_SILENCE, body.frame()) => frame,
            () = stopped(&mut stopping) => break Ended::Broken,
        };
        let bytes = match frame {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(None) => break Ended::Whole,
            Ok(Some(Err(_))) | Err(_) => break Ended::Broken,
        };
        received = received.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if let Err(refusal) = check_room(state, durable, offset, received) {
            break Ended::TooLarge(refusal);
        }
        add(&state.metrics.blob_bytes_in, bytes.len());
        gathered = gathered.saturating_add(bytes.len());
        piece.push(bytes);
        if gathered >= limits::BLOB_CHUNK {
            gathered = 0;
            if pieces.send(std::mem::take(&mut piece)).await.is_err() {
                return Ended::Broken;
            }
        }
    };
    let _failed = pieces.send(piece).await;
    ended
}

async fn complete(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let blob = name(&id)?;
    let shown = token_hash(request.headers())?;
    let length = number(&request, "length").ok_or(StatusCode::BAD_REQUEST)?;
    let until = number(&request, "until");
    let Some(_turn) = state.blobs.turn(&blob).await else {
        return Err(unavailable());
    };
    let mut record = known(&state, blob).await?;
    check(&shown, &record.write_hash)?;
    if length != record.durable {
        return Err(with_offset(StatusCode::CONFLICT, &record).into());
    }
    if !record.complete {
        if let Some(until) = until {
            let noted = state.store.blob_expires(blob, until.min(MAX_SECONDS)).await;
            noted.map_err(|_| unstored(&state))?;
        }
        state
            .store
            .note_blob(blob, length, true)
            .await
            .map_err(|_| unstored(&state))?;
        record.complete = true;
    }
    Ok(with_offset(StatusCode::NO_CONTENT, &record))
}

async fn remove(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let blob = name(&id)?;
    let shown = token_hash(&headers)?;
    let Some(_turn) = state.blobs.turn(&blob).await else {
        return Err(unavailable());
    };
    let Some(record) = find(&state, blob).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    check(&shown, &record.write_hash)?;
    discard(&state, blob, record.durable)
        .await
        .map_err(|()| unavailable())?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Deletes a blob: the file first, so that no file is without a record.
pub(crate) async fn discard(state: &State, blob: BlobId, bytes: u64) -> Result<(), ()> {
    state.blobs.remove(&blob).await.map_err(|_| ())?;
    state.store.forget_blob(blob).await.map_err(|_| ())?;
    state.blobs.count(bytes, 0);
    Ok(())
}

async fn download(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let blob = name(&id)?;
    let shown = token_hash(&headers)?;
    let record = known(&state, blob).await?;
    check(&shown, &record.read_hash)?;
    if !record.complete {
        return Err(StatusCode::NOT_FOUND.into());
    }
    note_use(&state, blob, &record).await?;
    let (file, length) = state
        .blobs
        .read(&blob)
        .await
        .map_err(|_| StatusCode::NOT_FOUND)?;
    let length = length.min(record.durable);
    let range = match headers.get(header::RANGE) {
        None => None,
        Some(range) => match range
            .to_str()
            .ok()
            .and_then(|text| parse_range(text, length))
        {
            Some(range) => Some(range),
            None => {
                let whole = format!("bytes */{length}");
                return Err((
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    [(header::CONTENT_RANGE, whole)],
                )
                    .into_response()
                    .into());
            }
        },
    };
    let (from, to) = range.unwrap_or((0, length));
    let mut answer = Response::new(body_of(state, file, from, to));
    let head = answer.headers_mut();
    head.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(to.saturating_sub(from)),
    );
    head.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    head.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if range.is_some() {
        let text = format!("bytes {from}-{}/{length}", to.saturating_sub(1));
        if let Ok(value) = HeaderValue::from_str(&text) {
            head.insert(header::CONTENT_RANGE, value);
        }
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(answer)
}

fn body_of(state: Arc<State>, file: Arc<File>, from: u64, to: u64) -> Body {
    let pieces = stream::try_unfold((state, file, from), move |(state, file, at)| async move {
        let left = usize::try_from(to.saturating_sub(at)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok::<_, std::io::Error>(None);
        }
        let length = left.min(limits::BLOB_READ);
        let bytes = blobs::read_at(Arc::clone(&file), at, length).await?;
        add(&state.metrics.blob_bytes_out, length);
        let next = at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        Ok(Some((bytes, (state, file, next))))
    });
    Body::from_stream(pieces)
}

/// One range `bytes=A-B`, `bytes=A-` or `bytes=-N` as start and end (RFC 9110, section 14.1.2).
fn parse_range(text: &str, length: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (first.trim(), last.trim()) {
        ("", suffix) => (length.saturating_sub(suffix.parse().ok()?), length),
        (first, "") => (first.parse().ok()?, length),
        (first, last) => (
            first.parse().ok()?,
            last.parse::<u64>().ok()?.saturating_add(1).min(length),
        ),
    };
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        assert_eq!(parse_range("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(parse_range("bytes=3-", 10), Some((3, 10)));
        assert_eq!(parse_range("bytes=-4", 10), Some((6, 10)));
        assert_eq!(parse_range("bytes=2-99", 10), Some((2, 10)));
        for wrong in [
            "bytes=10-",
            "bytes=5-4",
            "bytes=-0",
            "bytes=a-b",
            "bytes=-",
            "items=0-1",
            "bytes=0-1,3-4",
        ] {
            assert_eq!(parse_range(wrong, 10), None, "{wrong}");
        }
    }
}
