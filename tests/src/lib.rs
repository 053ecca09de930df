//! Support for tests of a running suite.
//!
//! Modules in reading order:
//!
//! - [`programs`] and [`process`]: programs that start with a test and end with it;
//! - [`suite`]: the three topologies; [`vault`]: keys and certificates of a secured one;
//! - [`app`] and [`person`]: what a test does, such as to register a user;
//! - [`rest`] and [`grpc`]: calls;
//! - [`events`] and [`socket`]: subscriptions; [`subscriber`]: one that reconnects;
//! - [`mail`]: the mails that the suite has sent;
//! - [`collector`]: the traces that it exports;
//! - [`rules`], [`message`], [`violation`] and [`transcode`]: requests generated from the
//!   contracts.
//!
//! Tests use the suite over its real ports only. They share one suite per topology and create users
//! of their own, so they run at once.

pub mod app;
pub mod collector;
pub mod events;
pub mod grpc;
pub mod mail;
pub mod message;
pub mod person;
pub mod process;
pub mod programs;
pub mod rest;
pub mod rules;
pub mod socket;
pub mod subscriber;
pub mod suite;
pub mod transcode;
pub mod vault;
pub mod violation;

pub use app::App;
pub use person::Person;
pub use rest::{Reply, Rest};
pub use suite::Suite;

/// Runs each of these `async fn(App)` in every topology: as [`on_both_topologies!`], and against a
/// running system, such as a composed one, that the settings describe. A test belongs here when it
/// uses ports, and mails, alone.
#[macro_export]
macro_rules! on_every_topology {
    ($($name:ident),* $(,)?) => {
        $crate::on_both_topologies!($($name),*);

        mod composed {
            $(
                #[tokio::test]
                #[ignore = "needs a running system: make test-compose"]
                async fn $name() { super::$name($crate::App::composed()).await; }
            )*
        }
    };
}

/// Runs each of these `async fn(App)` against separate processes that prove themselves to one
/// another by mutual TLS and by keys of their own.
#[macro_export]
macro_rules! on_secured_topology {
    ($($name:ident),* $(,)?) => {
        mod secured {
            $(
                #[tokio::test]
                #[ignore = "needs PostgreSQL: make test"]
                async fn $name() { super::$name($crate::App::secured()).await; }
            )*
        }
    };
}

/// Runs each of these `async fn(App)` once against the suite in one process, and once against
/// separate processes on PostgreSQL, where the tests are ignored by default. A test belongs here
/// when it needs what only a suite of the tests' own has, such as its logs.
#[macro_export]
macro_rules! on_both_topologies {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test] async fn $name() { super::$name($crate::App::embedded()).await; })*
        }

        mod distributed {
            $(
                #[tokio::test]
                #[ignore = "needs PostgreSQL: make test"]
                async fn $name() { super::$name($crate::App::distributed()).await; }
            )*
        }
    };
}
