//! What the stores of all services share, for both databases.
//!
//! A service has one trait, one file of queries that is compiled once per database, and two sets of
//! migrations. This crate gives it:
//! - [`database`]: the pools, opened from a URL, with deadlines that reach the statement;
//! - [`migrations`]: forward, back, and where they stand;
//! - [`backend`]: what a unit of work needs from either;
//! - [`context`]: the time, the deadline and the trace of one piece of work;
//! - [`dialect`]: the literals in which the SQL of the two differs;
//! - [`columns`]: column types that both databases store alike;
//! - [`error`]: what can go wrong, by what a caller can do about it;
//! - [`page`]: pages by number and by opaque keyset token;
//! - [`snapshot`]: copies of several SQLite databases at one moment;
//! - [`connect_retry`]: waiting for a database that is away while a process starts.

pub mod backend;
pub mod columns;
pub mod config;
pub mod connect_retry;
pub mod context;
pub mod database;
pub mod dialect;
pub mod error;
pub mod migrations;
pub mod page;
pub mod snapshot;

pub use backend::{Backend, Reader, RowLock};
pub use columns::Timestamp;
pub use config::Config;
pub use connect_retry::ConnectRetry;
pub use context::{Context, Provenance};
pub use database::{Database, Postgres, PostgresConnections, Sqlite};
pub use error::Error;
pub use migrations::Migrations;
