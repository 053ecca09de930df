//! What tests of several crates need.
//!
//! [`database`] makes a throw-away database per test, [`rabbitmq`] a virtual host, [`on_both_databases!`] runs one suite over both kinds, [`identity`] signs tokens,
//! [`stack`] puts a service behind the access layer in this process, as `cargo run` does.

pub mod database;
pub mod identity;
pub mod rabbitmq;
pub mod stack;
