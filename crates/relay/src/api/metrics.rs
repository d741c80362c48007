//! `GET /metrics`: Prometheus text.

use crate::state::State;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Answers with all numbers.
pub(crate) async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry(&state)) {
        Ok(()) => {
            let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, form)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

type Named = (&'static str, &'static str, u64);

fn registry(state: &State) -> Registry {
    let mut registry = Registry::with_prefix("letterlock_relay");
    for (name, help, value) in gauges(state) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        registry.register(name, help, ConstGauge::new(value));
    }
    for (name, help, value) in counters(state).into_iter().chain(counters_of_groups(state)) {
        registry.register(name, help, ConstCounter::new(value));
    }
    registry
}

fn gauges(state: &State) -> [Named; 5] {
    let (connections, subscriptions, _) = state.delivery.numbers();
    let size = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let failing = u64::from(state.store.is_failing());
    [
        (
            "connections",
            "WebSocket connections that are open",
            size(connections),
        ),
        (
            "subscriptions",
            "Queues that are subscribed",
            size(subscriptions),
        ),
        (
            "stored_blob_bytes",
            "Bytes of all blobs",
            state.blobs.bytes(),
        ),
        (
            "store_version",
            "Number of the last transaction",
            state.store.version(),
        ),
        (
            "storage_failing",
            "1 while the store cannot be written",
            failing,
        ),
    ]
}

fn counters(state: &State) -> [Named; 15] {
    let (_, _, delivered) = state.delivery.numbers();
    let (commits, failures) = state.store.transactions();
    let numbers = &state.metrics;
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let acknowledged = read(&numbers.acknowledgements);
    let (one_time, last_resort) = (
        read(&numbers.bundles_one_time),
        read(&numbers.bundles_last_resort),
    );
    let refused = read(&numbers.connections_refused);
    [
        (
            "letters_accepted",
            "Bodies stored in queues",
            read(&numbers.letters_accepted),
        ),
        (
            "letters_delivered",
            "Bodies pushed to subscribers",
            delivered,
        ),
        ("acknowledgements", "Acknowledgements stored", acknowledged),
        (
            "body_bytes",
            "Bytes of bodies stored",
            read(&numbers.body_bytes),
        ),
        ("refusals", "Requests refused", read(&numbers.refusals)),
        (
            "malformed_frames",
            "Frames that could not be read",
            read(&numbers.malformed),
        ),
        (
            "bundles_one_time",
            "Bundles with a one-time KEM pre-key",
            one_time,
        ),
        (
            "bundles_last_resort",
            "Bundles with the last-resort KEM pre-key",
            last_resort,
        ),
        (
            "blob_bytes_received",
            "Bytes of uploads",
            read(&numbers.blob_bytes_in),
        ),
        (
            "blob_bytes_sent",
            "Bytes of downloads",
            read(&numbers.blob_bytes_out),
        ),
        ("connections_refused", "Connections refused", refused),
        (
            "heads_written",
            "Heads made, replaced or written again",
            read(&numbers.heads_written),
        ),
        (
            "lock_keys",
            "Keys of locks given out",
            read(&numbers.lock_keys),
        ),
        ("commits", "Transactions", commits),
        ("commit_failures", "Transactions that failed", failures),
    ]
}

fn counters_of_groups(state: &State) -> [Named; 3] {
    let numbers = &state.metrics;
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    [
        (
            "epochs_passed",
            "Sends refused because their group was in another epoch",
            read(&numbers.epochs_passed),
        ),
        (
            "key_packages_once",
            "Key packages given out, each once",
            read(&numbers.key_packages_once),
        ),
        (
            "key_packages_last_resort",
            "Key packages of last resort given out",
            read(&numbers.key_packages_last_resort),
        ),
    ]
}
