//! How often somebody may call: per user by their tier, per address where nobody is signed in, and
//! per method where that declares a limit of its own.
//!
//! In reading order: [`Quota`] (so many calls in so much time), [`bucket`] (whose calls are counted
//! together, and what a count says), [`counters`] (where they are counted: in [`redis`](counters)
//! for all processes, else in this one), [`pattern`] and [`rules`] (which quota a tier has for a
//! method), and [`Limits`], which puts them together for a call.
//!
//! Counting is GCRA, the generic cell rate algorithm (ITU-T I.371): one number per bucket, the time
//! at which it will be full again. A quota can be used up at once, and comes back evenly. So in any
//! period at most the quota passes, plus what has come back meanwhile.

pub mod bucket;
mod config;
pub mod counters;
mod limits;
pub mod pattern;
mod quota;
pub mod rules;

pub use bucket::{Bucket, Refused, Verdict};
pub use config::Config;
pub use limits::{Limits, Subject};
pub use quota::Quota;
