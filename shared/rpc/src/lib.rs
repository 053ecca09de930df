//! What every service does with a call, so that no service does it differently.
//!
//! In reading order, which is the order a call meets them:
//! - [`host`] is the process around a service;
//! - [`server`] serves a service over a port or in this process, with health and reflection;
//! - [`access`] is the layer in front of every method: deadline (`timeout` reads its header),
//!   identity, policy, panic guard;
//! - `guard` ends a stream whose caller is no longer welcome, and `served` is the call as traces
//!   and metrics see it;
//! - [`token`] defines a token, [`verifier`] checks one, with the keys of [`keys`] and the
//!   ended sessions of [`revocations`];
//! - [`call`] is what a method learns of its call: who calls, until when, in which language;
//! - [`methods`] is how a service lists its RPCs;
//! - [`mask`] and [`timestamp`] read the well-known types that requests carry;
//! - [`failure`] is what a method answers when it cannot do what was requested, and `from_kernel`
//!   makes one of the errors of the crates below;
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
pub mod keys;
pub mod mask;
pub mod methods;

pub mod peer;
pub mod revocations;
mod served;
pub mod server;
mod timeout;
pub mod timestamp;
pub mod token;
pub mod upstream;
pub mod verifier;

pub use attempts::failure_of;
pub use call::Call;
pub use caller::{Caller, User};
pub use config::Config;
pub use failure::Failure;
pub use peer::Peer;
pub use upstream::Upstream;
pub use verifier::Verifier;
