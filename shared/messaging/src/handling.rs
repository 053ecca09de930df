//! One attempt of a handler at a message, bounded in time, with panics caught.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

use crate::{Handler, Message, Outcome};

/// What comes of `handler` and `message` within `timeout`.
pub(crate) async fn attempt(handler: &dyn Handler, message: &Message, timeout: Duration) -> Outcome {
    // What a handler shares with others is a store, whose transaction rolls back when it unwinds.
    let handled = AssertUnwindSafe(handler.handle(message)).catch_unwind();
    match tokio::time::timeout(timeout, handled).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::Retry {
            reason: "the handler panicked".into(),
        },
        Err(_) => Outcome::Retry {
            reason: format!("the handler took longer than {timeout:?}"),
        },
    }
}
