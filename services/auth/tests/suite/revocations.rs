//! revocations.
