//! Attempts of a handler at messages, bounded in time, with panics caught, as traces and metrics
//! see them.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;

use crate::observed_attempt::ObservedAttempt;
use crate::{Failure, Handler, Message};

/// Attempts at once of a handler of batches: one is made while another one is committed.
pub(crate) const CONCURRENT_BATCHES: usize = 2;

/// What comes of `handler` and `message` within `timeout`.
pub(crate) async fn attempt(handler: &dyn Handler, message: &Message, timeout: Duration) -> Result<(), Failure> {
    let observed = ObservedAttempt::begin(&[message]);
    let outcome = match bounded(observed.within(handler.handle(message)), timeout).await {
        Ok(outcome) => outcome,
        Err(reason) => Err(Failure::Transient(reason)),
    };
    observed.end(&[message], std::slice::from_ref(&outcome));
    outcome
}

/// As [`attempt`], for several messages together. Where that fails as a whole, each is handled
/// alone, so that one that cannot be handled does not take the others along.
pub(crate) async fn attempt_all(
    handler: &dyn Handler,
    messages: &[&Message],
    timeout: Duration,
) -> Vec<Result<(), Failure>> {
    if messages.len() > 1 {
        let observed = ObservedAttempt::begin(messages);
        match bounded(observed.within(handler.handle_all(messages)), timeout).await {
            Ok(outcomes) if outcomes.len() == messages.len() => {
                observed.end(messages, &outcomes);
                return outcomes;
            }
            Ok(_) => {}
            Err(reason) => {
                tracing::info!(
                    messages = messages.len(),
                    reason,
                    "messages could not be handled together; each is handled alone"
                );
            }
        }
    }
    join_all(messages.iter().map(|message| attempt(handler, message, timeout))).await
}

/// The error is the reason, for a person.
async fn bounded<T>(handled: impl Future<Output = T>, timeout: Duration) -> Result<T, String> {
    // What a handler shares with others is a store, whose transaction rolls back when it unwinds.
    match tokio::time::timeout(timeout, AssertUnwindSafe(handled).catch_unwind()).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err("the handler panicked".into()),
        Err(_) => Err(format!("the handler took longer than {timeout:?}")),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use quartet_clock::Clock;

    use super::*;

    /// Fails over several in its way; alone, it does all but the poison.
    enum Failing {
        Panics,
        Sleeps,
        ForgetsSome,
    }

    #[async_trait]
    impl Handler for Failing {
        async fn handle(&self, message: &Message) -> Result<(), Failure> {
            match message.subject.as_str() {
                "poison" => Err(Failure::permanent("it is poison")),
                _ => Ok(()),
            }
        }

        async fn handle_all(&self, messages: &[&Message]) -> Vec<Result<(), Failure>> {
            match self {
                Self::Panics => panic!("over several"),
                Self::Sleeps => std::future::pending().await,
                Self::ForgetsSome => vec![Ok(()); messages.len() - 1],
            }
        }
    }

    #[tokio::test]
    async fn several_that_fail_as_a_whole_are_handled_alone() {
        let clock = Clock::system();
        let messages = ["a", "poison", "b"].map(|subject| Message::event(&clock, "/test", "a.b.v1", subject, &()));
        let messages: Vec<&Message> = messages.iter().collect();
        for handler in [Failing::Panics, Failing::Sleeps, Failing::ForgetsSome] {
            let outcomes = attempt_all(&handler, &messages, Duration::from_millis(50)).await;
            assert_eq!(outcomes, [Ok(()), Err(Failure::permanent("it is poison")), Ok(())]);
        }
    }
}
