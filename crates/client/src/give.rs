//! Transfers by code: `give` and `take` for faces (docs/spec/give.md). Neither needs a profile.
//!
//! ```text
//!   give: queue by its number ─► code ─► waits ─► answers ─► confirmed ─► offer ─► done
//!            └─► seals and uploads meanwhile ──────────────────────────────┘
//!   take: own queue ─► hello ─► confirms ─► waits ─► fetches ─► opens ─► done
//! ```
//!
//! | module | has |
//! |---|---|
//! | `exchange` | both sides as what they hear and say, without a network |
//! | `line` | a queue at a relay, without an account |
//! | `giver`, `taker` | each side from its beginning to its end |
//! | `by_link` | both sides of a transfer to whoever has a link |
//! | `fetch` | from an offer to files |
//! | `upload` | what is given, sealed on its way to the relay |
//! | `page` | the page that takes links, on loopback |
//! | `state` | what is kept, so that a transfer that was killed goes on |
//! | `failure` | what people are told when it does not |

mod by_link;
mod exchange;
mod failure;
mod fetch;
mod giver;
mod line;
mod page;
mod state;
mod taker;
mod upload;

pub use by_link::{give_link, is_link, take_link};
pub use fetch::Place;
pub use giver::{Give, give};
pub use page::{Page, serve_page};
#[cfg(any(test, feature = "conformance"))]
pub(crate) use state::{is_giver, is_taker};
pub use taker::{Take, take};
