//! Cutting a derived secret into keys.

use keys::Secret;

/// `N` bytes of `whole` from `start`; what lies beyond the end would be zero, and no caller asks for it.
pub(crate) fn part<const N: usize, const L: usize>(whole: &Secret<L>, start: usize) -> Secret<N> {
    debug_assert!(
        start.saturating_add(N) <= L,
        "callers cut within the secret"
    );
    Secret::from_fn(|out| {
        let tail = whole.expose_secret().get(start..).unwrap_or_default();
        if let Some(bytes) = tail.first_chunk() {
            *out = *bytes;
        }
    })
}
