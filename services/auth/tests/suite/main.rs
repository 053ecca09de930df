//! The auth service over its gRPC methods, with the access layer in front and a clock that stands still.

#![expect(missing_docs, reason = "a test has no readers of its documentation")]

mod harness;

mod access;
mod accounts;
mod login;
mod mails;
mod passwords;
mod refresh;
mod revocations;
mod store;
