//! The auth service over its gRPC methods, with the access layer in front and a clock that stands
//! still.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of tests fails as a test does"
)]

mod harness;

mod access;
mod accounts;
mod login;
mod mails;
mod passwords;
mod refresh;
mod revocations;
mod store;
mod superusers;
mod throttle;
