//! What every service does with a call, so that no service does it differently.
pub mod upstream;
pub use upstream::Upstream;
