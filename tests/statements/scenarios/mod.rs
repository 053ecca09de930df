//! A scenario for every RPC: valid input that succeeds.

mod auth;
mod jobs;
mod todos;
mod users;

use std::pin::Pin;

use crate::cluster::{Call, Cluster};

/// A call to be counted.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Its line in the table: the method's short name, and what tells it apart from another
    /// scenario of the method, such as `TodoService/ListTodos, next page`.
    pub(crate) line: &'static str,
    /// Makes what the call needs.
    pub(crate) prepare: Prepare,
}

type Prepare = for<'c> fn(&'c Cluster) -> Pin<Box<dyn Future<Output = Call> + 'c>>;

/// Every scenario.
pub(crate) fn all() -> Vec<Scenario> {
    [
        auth::scenarios(),
        users::scenarios(),
        todos::scenarios(),
        jobs::scenarios(),
    ]
    .concat()
}

/// Scenarios: their lines, and how the call of each is prepared with the cluster.
macro_rules! scenarios {
    ($($line:literal: |$cluster:ident| $prepare:expr;)*) => {
        pub(super) fn scenarios() -> Vec<crate::scenarios::Scenario> {
            vec![$(crate::scenarios::Scenario {
                line: $line,
                prepare: |$cluster| Box::pin(async move {
                    let (token, message) = $prepare;
                    crate::cluster::Call::new(crate::method::of_line($line), &token, message)
                }),
            },)*]
        }
    };
}

use scenarios;
