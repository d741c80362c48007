//! `GET /health`: whether the relay can store.

use crate::state::State;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// Answers the health check.
pub(crate) async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    let (code, status) = if state.store.is_failing() {
        (StatusCode::SERVICE_UNAVAILABLE, "storage")
    } else {
        (StatusCode::OK, "ok")
    };
    let body = serde_json::json!({ "status": status }).to_string();
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
