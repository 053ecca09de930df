//! REST/JSON in front of gRPC.
pub mod backends;
pub mod config;
pub mod docs;
pub mod edge;
pub mod l10n;
pub mod problem;
pub mod routes;
