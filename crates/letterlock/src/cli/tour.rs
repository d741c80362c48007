//! `letterlock tour`

use clap::Args;

/// Show a real relay and three people on loopback, step by step
///
/// Starts a relay and makes three people with throw-away homes. They add each other, exchange letters and a file
/// over the network, and each step says what each of them sees. Ends with what the relay stored and saw. Takes a
/// few seconds and leaves nothing behind.
#[derive(Debug, Args)]
pub(crate) struct TourArgs {}
