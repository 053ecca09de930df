//! What stands between a test and a running suite.
//!
//! Rooms in reading order: [`programs`] and [`process`] (what is started, and that it ends with the test), [`suite`] (the two topologies),
//! [`app`] (what a test does: register, become a superuser, call), [`person`], [`rest`] and [`grpc`] (the two ways to call), [`events`] and
//! [`socket`] (the two ways to listen), [`mail`] (what the
//! suite has sent), [`collector`] (what it tells of itself), [`rules`], [`message`],
//! [`violation`] and [`transcode`] (requests made from the contracts).
//!
//! Tests talk to the suite over its real ports only. They share one suite per topology and make users of their own, so they run at once.

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
pub mod suite;
pub mod transcode;
pub mod violation;

pub use app::App;
pub use person::Person;
pub use rest::{Reply, Rest};
pub use suite::Suite;

/// Runs each of these `async fn(App)` once against the suite in one process, and once against separate processes on PostgreSQL, where
/// tests are ignored unless a server is there.
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
