//! What any program of this machine may say to a vault that is served, for fuzz targets and tests.

use super::request::{decode, encode, properties_to_set, property_names, read_range};
use super::{Served, answer};
use crate::limits;
use crate::loopback;
use crate::vault::mount::hostile;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keys::codec::Reader;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Builder;

/// Bytes between the two.
const PIPE: usize = 1 << 16;
/// Bytes of answers that are heard.
const HEARD: u64 = 8 << 20;

/// Says bytes to a server of an empty vault at `h`, whose secret is `s`, and hears its answers. What is written lies in a
/// directory. Also says whether whoever goes on after a kill finds all that was written.
pub(crate) fn talk(directory: &Path, said: &[u8]) -> Option<(Vec<u8>, bool)> {
    let files = hostile::files(directory)?;
    let served = Arc::new(Served {
        files: Arc::clone(&files),
        authority: "h".to_owned(),
        secret: "s".to_owned(),
        locks: Mutex::default(),
    });
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let answer = service_fn(move |request| {
        let answered = Arc::clone(&served).answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    // Whoever has said all waits for the answers.
    let serving = loopback::rules(limits::STALL)
        .half_close(true)
        .serve_connection(TokioIo::new(theirs), answer);
    let (mut hear, mut say) = tokio::io::split(ours);
    let speaking = async {
        let _ = say.write_all(said).await;
        let _ = say.shutdown().await;
    };
    let mut heard = Vec::new();
    let hearing = async {
        let _ = (&mut hear).take(HEARD).read_to_end(&mut heard).await;
        let _ = tokio::io::copy(&mut hear, &mut tokio::io::sink()).await;
    };
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    let (_, (), ()) = runtime.block_on(async { tokio::join!(serving, speaking, hearing) });
    // It waits for what was begun.
    drop(runtime);
    let kept = hostile::is_kept(&files);
    Some((heard, kept))
}

/// A body of `PROPFIND`.
pub(crate) fn find(body: &[u8]) -> Option<bool> {
    property_names(body).map(|_| true)
}

/// A body of `PROPPATCH`.
pub(crate) fn patch(body: &[u8]) -> Option<bool> {
    properties_to_set(body).map(|_| true)
}

/// A part of a path: what it stands for is written, and stands for the same.
pub(crate) fn name(text: &[u8]) -> Option<bool> {
    let bytes = decode(std::str::from_utf8(text).ok()?)?;
    Some(decode(&encode(&bytes)) == Some(bytes))
}

/// `BE8(size) ‖ range`: it lies in what is there.
pub(crate) fn range(bytes: &[u8]) -> Option<bool> {
    let mut input = Reader::new(bytes);
    let size = input.u64().ok()?;
    let text = input.take(input.remaining()).ok()?;
    let range = read_range(Some(std::str::from_utf8(text).ok()?), size);
    let (start, length) = range.ok()??;
    Some(length > 0 && start.checked_add(length).is_some_and(|end| end <= size))
}

/// A date: it is written, and read again as the same.
pub(crate) fn date(text: &[u8]) -> Option<bool> {
    let seconds = answer::read_date(std::str::from_utf8(text).ok()?)?;
    Some(answer::read_date(&answer::date(seconds)) == Some(seconds))
}
