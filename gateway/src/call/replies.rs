//! The messages that a backend streams down.

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::status;
use crate::problem::Problem;

/// Replies on their way. Dropping them cancels the call.
pub(super) struct Replies {
    messages: Streaming<Bytes>,
    upload: Broken,
}

/// What comes next.
pub(super) enum Next {
    Message(Bytes),
    End,
    /// The backend has failed.
    Failed(Status),
    /// The body that goes up beside the replies has broken off.
    Broken(Problem),
    /// Nothing came in time.
    Late,
}

impl Replies {
    pub(super) fn new(messages: Streaming<Bytes>, upload: Broken) -> Self {
        Self { messages, upload }
    }

    /// Waits for the next message, at most until `until`. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self, until: Instant) -> Next {
        let message = tokio::select! {
            biased;
            problem = self.upload.problem() => return Next::Broken(problem),
            message = tokio::time::timeout_at(until, self.messages.message()) => message,
        };
        match message {
            Ok(Ok(Some(message))) => Next::Message(message),
            Ok(Ok(None)) => Next::End,
            Ok(Err(failure)) => Next::Failed(status::named(failure, None)),
            Err(_) => Next::Late,
        }
    }
}

/// Hears why the body of a request broke off, if there is one that streams up.
#[derive(Default)]
pub(super) struct Broken(pub(super) Option<oneshot::Receiver<Problem>>);

impl Broken {
    /// Resolves when the body breaks off, and never when it does not.
    pub(super) async fn problem(&mut self) -> Problem {
        if let Some(receiver) = &mut self.0 {
            if let Ok(problem) = receiver.await {
                return problem;
            }
            // The body has ended well.
            self.0 = None;
        }
        std::future::pending().await
    }
}
