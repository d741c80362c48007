//! The wish to stop: Ctrl-C, or the system's polite request.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;

/// One permit for each wish that nobody has taken: a wish between two waits is not lost.
static WISHES: Semaphore = Semaphore::const_new(0);

/// Begins to listen; from here on the system no longer ends this process for such a signal.
///
/// Call it inside the runtime, before anything is made that must be put in order at the end. Where a handler cannot
/// be installed the system ends the process as it always did.
pub(crate) fn listen() {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    for signals in kinds.into_iter().filter_map(|kind| signal(kind).ok()) {
        tokio::spawn(count(signals));
    }
}

async fn count(mut signals: Signal) {
    while signals.recv().await.is_some() {
        WISHES.add_permits(1);
    }
}

/// Waits until this process is asked to stop, and takes that wish: the next wait is for another one.
pub(crate) async fn stop_asked() {
    if let Ok(wish) = WISHES.acquire().await {
        wish.forget();
    }
}
