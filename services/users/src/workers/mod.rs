//! Work in the background.

pub(crate) mod rate_limits;
