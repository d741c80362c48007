//! What this program is made of.

use crate::failure::{self, Stop};
use crate::screen::Screen;
use client::view::FailureKind;
use serde::Serialize;

#[derive(Serialize)]
#[serde(tag = "answer", rename = "doctor")]
struct Doctor {
    version: &'static str,
    module: String,
    fips: bool,
}

/// Shows it.
///
/// *Errors*: refused where the FIPS module is wanted and this is another.
pub(crate) fn show(wants_fips: bool, screen: &mut Screen) -> Result<(), Stop> {
    let module = client::module();
    let doctor = Doctor {
        version: env!("CARGO_PKG_VERSION"),
        module: module.version.into_owned(),
        fips: module.fips,
    };
    let mode = if doctor.fips {
        "in FIPS mode"
    } else {
        "not the FIPS module"
    };
    let shown = format!(
        "letterlock {}\nmodule     {}, {mode}\n",
        doctor.version, doctor.module
    );
    screen.either(&shown, &doctor)?;
    if wants_fips && !doctor.fips {
        return Err(failure::new(
            FailureKind::Refused,
            "this is not the FIPS module",
            "build it with `cargo xtask fips`; see docs/fips.md",
        )
        .into());
    }
    Ok(())
}
