//! What the relay answers: frames over a WebSocket, and small HTTP resources.

pub(crate) mod blobs;
pub(crate) mod health;
pub(crate) mod http;
pub(crate) mod metrics;
pub(crate) mod ws;
