//! What every service does with a call, so that no service does it differently.
//!
//! In reading order, which is the order a call meets them:
//! - [`host`] is the process around a service;
//! - [`server`] serves a service over a port or in this process, with health and reflection;
//! - [`access`] is the layer in front of every method: deadline (`timeout` reads its header),
//!   identity, the method's policy of `policies`, panic guard;
//! - `guard` ends a stream whose caller is no longer welcome, and `served` is the call as traces
//!   and metrics see it;
//! - [`token`] defines a token, [`verifier`] checks one, with the keys of [`keys`], those of services
//!   (`service_keys`) and the ended sessions of [`revocations`];
//! - [`call`] is what a method learns of its call: who calls, until when, in which language;
//! - [`methods`] is how a service lists its RPCs;
//! - [`idempotency`] answers a repeat of a request with a key as the first one was answered;
//! - [`mask`] and [`timestamp`] read the well-known types that requests carry;
//! - [`failure`] is what a method answers when it cannot do what was requested, and `from_kernel`
//!   makes one of the errors of the crates below;
//! - [`tls`] encrypts what goes from one process to another;
//! - [`peer`] and [`upstream`] are how a service calls another, and [`attempts`] is what its answer
//!   means for another attempt.

pub mod access;
pub mod attempts;
pub mod call;
pub mod caller;
pub mod config;
pub mod failure;
mod from_kernel;
mod guard;
pub mod host;
pub mod idempotency;
pub mod keys;
pub mod mask;
pub mod methods;
pub mod peer;
mod policies;
mod rate_limits;
pub mod revocations;
mod served;
pub mod server;
mod service_keys;
mod timeout;
pub mod timestamp;
pub mod tls;
pub mod token;
pub mod upstream;
pub mod verifier;

pub use attempts::failure_of;
pub use call::Call;
pub use caller::{Caller, User};
pub use config::Config;
pub use failure::Failure;
pub use peer::Peer;
pub use revocations::Revocations;
pub use upstream::Upstream;
pub use verifier::Verifier;
