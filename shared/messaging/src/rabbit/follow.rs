//! What follows when a message could not be done at once: another try after a while, or the dead
//! letters.

use tokio_util::sync::CancellationToken;

use super::consumer::{QueueConsumer, Received};
use super::envelope::{self, History};
use super::publisher::Publication;
use super::topology;
use crate::Failure;
use crate::broker::{Error, Published};
use crate::failpoint::pass;
use crate::handling::attempt;

impl QueueConsumer {
    /// Does what follows from a failed attempt; whether the delivery is done. It is not when the
    /// session ends before.
    pub(super) async fn follow(
        &self,
        received: &Received,
        failure: Failure,
        session: &CancellationToken,
    ) -> Result<bool, Error> {
        let queue = &self.subscription.queue;
        let history = envelope::history(&received.delivery.properties, &queue.name);
        let message = match &received.message {
            Ok(message) => message,
            Err(reason) => {
                tracing::error!(
                    queue = queue.name,
                    reason,
                    "what is no message goes to the dead letters"
                );
                let properties = Ok(received.delivery.properties.clone());
                let publication =
                    Publication::raw(topology::dead_queue(&queue.name), &received.delivery.data, properties);
                return self.move_on(publication).await;
            }
        };
        let mut failure = failure;
        let mut retries = history.retries;
        loop {
            let (id, kind) = (message.id, &message.kind);
            let (reason, delay) = match failure {
                Failure::Permanent(reason) => (reason, None),
                Failure::Transient(reason) => (reason, queue.retry.delay(retries + 1)),
            };
            let mut history = History {
                retries,
                reason: Some(reason.clone()),
                dead_since: None,
            };
            let Some(delay) = delay else {
                tracing::error!(queue = queue.name, kind, %id, reason, "a message is a dead letter");
                history.dead_since = Some(self.inner.clock.now());
                let publication = Publication::to(topology::dead_queue(&queue.name), message, &history);
                return self.move_on(publication).await;
            };
            tracing::info!(queue = queue.name, kind, %id, reason, ?delay, "a message will be retried");
            retries += 1;
            history.retries = retries;
            if !queue.ordered {
                let publication = Publication::to(topology::retry_queue(&queue.name, delay), message, &history);
                return self.move_on(publication).await;
            }
            // It holds back the later ones of its subject, so it waits here.
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = session.cancelled() => return Ok(false),
            }
            let outcome = attempt(self.handler.as_ref(), message, self.subscription.timeout).await;
            pass!("rabbit-handled");
            let Err(next) = outcome else {
                return Ok(true);
            };
            failure = next;
        }
    }

    /// Puts a copy where the message goes next; then it is done here. A crash in between leaves
    /// both, which the inbox absorbs.
    async fn move_on(&self, publication: Publication<'_>) -> Result<bool, Error> {
        match self.inner.publishing.publish(vec![publication]).await.pop() {
            Some(Published::Confirmed) => {
                pass!("rabbit-moved");
                Ok(true)
            }
            // It stays in the queue, which delivers it again in the next session.
            Some(Published::Unroutable) => Err(Error::Unavailable("the queue that it goes to is gone".into())),
            Some(Published::Failed { reason }) => Err(Error::Unavailable(reason)),
            None => Ok(false),
        }
    }
}
