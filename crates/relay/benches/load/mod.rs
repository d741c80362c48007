//! A load generator: pairs of connections, of which one sends to the other's queue.

mod connection;
mod letters;

pub(crate) use connection::{Connection, Target};
pub(crate) use letters::{Flow, Load, run};
