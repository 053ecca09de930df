//! RabbitMQ.
//!
//! Events go to one topic exchange, work straight to its queue. Every queue is a quorum queue, with
//! one for its dead letters and one for each step of its retries. Publishing and consuming have a
//! connection each, since a server that is short of memory stops the connections that publish.
//!
//! A connection or channel that failed is not mended but made anew, with everything that was
//! declared on it: one way back from a lost connection, a closed channel, a restarted server, and a
//! server that lost its queues. It is tried without end. (lapin can mend connections by itself; it
//! does not reopen a channel that the server closed, so this way would be needed beside that one.)

mod acks;
mod connection;
mod consumer;
mod dead_letters;
mod envelope;
mod fanout;
mod follow;
mod lanes;
mod publisher;
mod topology;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use parking_lot::Mutex;
use quartet_clock::Clock;
use quartet_config::Secret;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::broker::{DeadLetter, Error, Published, QueueStats};
use crate::{Broker, Config, Handler, Message, Queue, Subscription};
use connection::Connection;
pub use fanout::Fanout;
use publisher::{Publication, Publisher};

/// A RabbitMQ server, or a cluster of them. Clones share their connections.
#[derive(Clone)]
pub struct Rabbit(Arc<Inner>);

struct Inner {
    clock: Clock,
    publishing: Publisher,
    consuming: Connection,
    declared: Arc<DeclaredQueues>,
    timeout: Duration,
    /// One reader of dead letters at a time: they are out of their queue meanwhile.
    reading_dead_letters: tokio::sync::Mutex<()>,
}

/// The queues that this process has declared, which are declared again on every new connection.
#[derive(Default)]
struct DeclaredQueues(Mutex<BTreeMap<String, Queue>>);

impl DeclaredQueues {
    fn add(&self, queues: &[Queue]) {
        let mut declared = self.0.lock();
        declared.extend(queues.iter().map(|queue| (queue.name.clone(), queue.clone())));
    }

    fn all(&self) -> Vec<Queue> {
        let declared = self.0.lock();
        declared.values().cloned().collect()
    }

    fn find(&self, name: &str) -> Option<Queue> {
        let declared = self.0.lock();
        declared.get(name).cloned()
    }

    fn accepts(&self, kind: &str) -> bool {
        let declared = self.0.lock();
        declared.values().any(|queue| queue.accepts(kind))
    }
}

impl Rabbit {
    /// The server at `url` (`amqp://user:password@host:port/vhost`), connected there as `name`. It
    /// need not answer yet.
    ///
    /// Errors: what is wrong with the URL.
    pub fn new(url: &Secret, name: &str, clock: Clock, timeout: Duration) -> Result<Self, String> {
        let declared = Arc::new(DeclaredQueues::default());
        let connection = |role| Connection::new(url, format!("{name} {role}"), timeout);
        Ok(Self(Arc::new(Inner {
            clock,
            publishing: Publisher::new(connection("publishes")?, declared.clone(), timeout),
            consuming: connection("consumes")?,
            declared,
            timeout,
            reading_dead_letters: tokio::sync::Mutex::default(),
        })))
    }
}

/// The RabbitMQ server that the settings name, where this process is connected as `name`; `None`
/// when they name none.
///
/// Errors: what is wrong with the setting.
pub fn connect(settings: &Config, name: &str, clock: Clock) -> Result<Option<Arc<dyn Broker>>, quartet_config::Error> {
    let Some(url) = &settings.rabbitmq_url else {
        return Ok(None);
    };
    let rabbit = Rabbit::new(url, name, clock, settings.confirm_timeout.0).map_err(invalid)?;
    Ok(Some(Arc::new(rabbit)))
}

fn invalid(error: String) -> quartet_config::Error {
    quartet_config::Error::Invalid {
        name: "RABBITMQ_URL".into(),
        shown: "…".into(),
        origin: "its layer".into(),
        rule: format!("expected `amqp://user:password@host:port/vhost`: {error}"),
    }
}

impl Inner {
    /// A request on a channel of its own, within the time that a broker may take. A refusal closes
    /// it.
    async fn on_channel<T>(
        &self,
        request: impl AsyncFnOnce(&lapin::Channel) -> Result<T, lapin::Error>,
    ) -> Result<T, Error> {
        let answered = async {
            let channel = self.consuming.channel().await?;
            let answer = request(&channel).await;
            if channel.status().connected() {
                let _ = channel.close(200, "done".into()).await;
            }
            answer.map_err(Error::from)
        };
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Unavailable("it did not answer in time".into())),
        }
    }

    /// Messages in a queue and consumers of it; `None` when it is not there.
    async fn count(&self, queue: &str) -> Result<Option<(u64, u64)>, Error> {
        let counted = self
            .on_channel(async |channel| topology::count(channel, queue).await)
            .await;
        match counted {
            Ok(counts) => Ok(Some(counts)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn messages(&self, queue: &str) -> Result<u64, Error> {
        Ok(self.count(queue).await?.map_or(0, |(messages, _)| messages))
    }
}

#[async_trait]
impl Broker for Rabbit {
    async fn declare(&self, queues: &[Queue]) -> Result<(), Error> {
        self.0.declared.add(queues);
        self.0
            .on_channel(async |channel| topology::declare(channel, queues).await)
            .await
    }

    async fn publish(&self, batch: &[Message]) -> Vec<Published> {
        let publications = batch.iter().map(Publication::first).collect();
        self.0.publishing.publish(publications).await
    }

    async fn consume(&self, subscription: Subscription, handler: Arc<dyn Handler>, stop: CancellationToken) {
        self.0.declared.add(std::slice::from_ref(&subscription.queue));
        consumer::run(&self.0, subscription, handler, stop).await;
    }

    async fn dead_letters(&self, queue: &str, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        dead_letters::list(&self.0, queue, limit).await
    }

    async fn replay(&self, queue: &str, message_id: Uuid) -> Result<bool, Error> {
        dead_letters::replay(&self.0, queue, message_id).await
    }

    async fn queue_stats(&self, queue: &str) -> Result<Option<QueueStats>, Error> {
        let Some((ready, consumers)) = self.0.count(queue).await? else {
            return Ok(None);
        };
        let mut delayed = 0;
        // Another process may retry in other steps; those that this one has declared are counted.
        for step in self.0.declared.find(queue).iter().flat_map(topology::steps) {
            delayed += self.0.messages(&topology::retry_queue(queue, step)).await?;
        }
        Ok(Some(QueueStats {
            ready,
            delayed,
            dead: self.0.messages(&topology::dead_queue(queue)).await?,
            consumers,
            paused: self.0.messages(&topology::pause_queue(queue)).await? > 0,
        }))
    }

    async fn pause(&self, queue: &str) -> Result<(), Error> {
        let publication = Publication::marker(&topology::pause_queue(queue));
        match self.0.publishing.publish(vec![publication]).await.pop() {
            Some(Published::Confirmed) => Ok(()),
            Some(Published::Unroutable) => Err(Error::Refused(format!("there is no queue {queue}"))),
            Some(Published::Failed { reason }) => Err(Error::Unavailable(reason)),
            None => Ok(()),
        }
    }

    async fn resume(&self, queue: &str) -> Result<(), Error> {
        let marker = topology::pause_queue(queue);
        self.0
            .on_channel(async |channel| topology::purge(channel, &marker).await)
            .await
    }
}

impl From<lapin::Error> for Error {
    fn from(error: lapin::Error) -> Self {
        let reason = error.to_string();
        let ErrorKind::ProtocolError(protocol) = error.kind() else {
            return Self::Unavailable(reason);
        };
        match protocol.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Self::NotFound(reason),
            AMQPErrorKind::Soft(_) => Self::Refused(reason),
            AMQPErrorKind::Hard(_) => Self::Unavailable(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPHardError};

    use super::*;

    fn error(kind: AMQPErrorKind) -> Error {
        lapin::Error::from(ErrorKind::ProtocolError(AMQPError::new(kind, "NOT_FOUND".into()))).into()
    }

    #[test]
    fn what_the_server_answers_is_decided_by_its_code_and_never_by_its_text() {
        let soft = |code: AMQPSoftError| error(code.into());
        assert!(matches!(soft(AMQPSoftError::NOTFOUND), Error::NotFound(_)));
        assert!(matches!(soft(AMQPSoftError::PRECONDITIONFAILED), Error::Refused(_)));
        assert!(matches!(
            error(AMQPHardError::CONNECTIONFORCED.into()),
            Error::Unavailable(_)
        ));
    }
}
