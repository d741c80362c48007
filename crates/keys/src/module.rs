//! The cryptographic module that this program is linked with.

use crate::lc;
use std::borrow::Cow;

/// What the module says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Module {
    /// Name and version, for example `AWS-LC 5.12.0` or `AWS-LC FIPS 4.2.0`.
    pub version: Cow<'static, str>,
    /// Whether it is the FIPS module in FIPS mode, its self-tests passed. Which of its versions are validated is said in
    /// docs/fips.md.
    pub fips: bool,
}

/// Asks the module.
#[must_use]
pub fn module() -> Module {
    Module {
        version: lc::version().to_string_lossy(),
        fips: aws_lc_rs::try_fips_mode().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_one_of_the_build() {
        let module = module();
        assert!(module.version.starts_with("AWS-LC"), "{module:?}");
        assert_eq!(module.fips, cfg!(feature = "fips"));
        assert_eq!(module.version.contains("FIPS"), cfg!(feature = "fips"));
    }
}
