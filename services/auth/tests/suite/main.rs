//! The auth service over its gRPC methods, with the access layer in front and a clock that stands
//! still.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of tests fails as a test does"
)]

mod fresh_proof;
mod harness;

mod access;
mod accounts;
mod breaches;
mod hidden_accounts;
mod login;
mod mails;
mod oauth_clients;
mod passwords;
mod refresh;
mod revocations;
mod second_factors;
mod security_events;
mod store;
mod superusers;
mod throttle;
