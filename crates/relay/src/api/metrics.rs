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

fn registry(state: &State) -> Registry {
    let mut registry = Registry::with_prefix("letterlock_relay");
    let (connections, subscriptions, delivered) = state.delivery.numbers();
    let (commits, failures) = state.store.transactions();
    let numbers = &state.metrics;
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let gauge = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
    let size = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    for (name, help, value) in [
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
            u64::from(state.store.is_failing()),
        ),
    ] {
        registry.register(name, help, gauge(value));
    }
    for (name, help, value) in [
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
        (
            "acknowledgements",
            "Acknowledgements stored",
            read(&numbers.acknowledgements),
        ),
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
            read(&numbers.bundles_one_time),
        ),
        (
            "bundles_last_resort",
            "Bundles with the last-resort KEM pre-key",
            read(&numbers.bundles_last_resort),
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
        (
            "connections_refused",
            "Connections refused",
            read(&numbers.connections_refused),
        ),
        ("commits", "Transactions", commits),
        ("commit_failures", "Transactions that failed", failures),
    ] {
        registry.register(name, help, ConstCounter::new(value));
    }
    registry
}
