//! Support for the tests of several crates.
//!
//! [`database`] creates a temporary database per test, [`rabbitmq`] a virtual host, [`redis`] a
//! server; [`random`] makes input from seeds, [`on_both_databases!`] runs one suite over both kinds,
//! [`identity`] signs tokens, [`stack`] puts a service behind the access layer in this process, as
//! the suite in one process does.

pub mod database;
pub mod identity;
pub mod rabbitmq;
pub mod random;
pub mod redis;
pub mod stack;
