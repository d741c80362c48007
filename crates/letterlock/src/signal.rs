//! The wish to stop: Ctrl-C, or the system's polite request.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until this process is asked to stop.
///
/// Without a handler for a signal the system ends the process as it always did, so a failure to install one is
/// waited out.
pub(crate) async fn stop_asked() {
    let wait = async |kind: SignalKind| match signal(kind) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}
