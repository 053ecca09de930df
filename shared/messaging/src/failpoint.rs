//! Named points between each two steps, where a test can make the process die or stop.
//!
//! With the feature `failpoints` they are those of the crate `fail`, set by its calls or by the
//! variable `FAILPOINTS`; without it, nothing.

/// Passes a named point.
macro_rules! pass {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!($name);
    };
}

pub(crate) use pass;
