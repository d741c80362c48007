//! Keys and their holders, as people read them.

use crate::{text, time};
use client::insight::Holder;
use std::fmt::Write as _;

/// A line for one key.
pub(crate) fn holder(holder: &Holder) -> String {
    let sure = if holder.certain { "can" } else { "may" };
    let mut line = format!(
        "{:<12}  {sure}  {:<28}  {}",
        text::line(&holder.item),
        text::line(&holder.who),
        text::line(&holder.message)
    );
    if let Some(until) = holder.until {
        let _ = write!(line, "; until {}", time::local(until));
    }
    line.push('\n');
    line
}
