//! Panics on purpose: a test shows that each of them is a rejected promise and no more. Compiled only with the feature of
//! the same name, which no build that is used has.

/// The place that is to panic.
const VARIABLE: &str = "PGSESS_PANIC_AT";

/// Panics if `place` is the one that the environment names.
pub(crate) fn at(place: &str) {
    if std::env::var(VARIABLE).as_deref() == Ok(place) {
        #[expect(clippy::panic, reason = "this is what it is for")]
        {
            panic!("a panic on purpose");
        }
    }
}
