//! Broadcasts to all processes of a kind, which nobody keeps: a non-durable fan-out exchange, with
//! a queue of its own for each process.
//!
//! It is the opposite of everything else in this crate. What is broadcast while the server is away,
//! or to a process that cannot keep up, is lost, and nobody waits for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer, ExchangeKind};
use quartet_clock::Clock;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use crate::Config;
use crate::broker::Error;

/// What waits to be sent; behind it, what is broadcast is dropped.
const QUEUE_LENGTH: usize = 1_024;
/// What waits at the server for one process; the oldest goes first.
const SERVER_QUEUE_LENGTH: i64 = 10_000;
/// The first pause after a failure, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A fan-out exchange.
pub struct Fanout {
    connection: Connection,
    exchange: String,
    /// Distinguishes what this process has broadcast from what others have.
    id: String,
    timeout: Duration,
    sender: mpsc::Sender<Broadcast>,
    waiting: Mutex<mpsc::Receiver<Broadcast>>,
    dropped: AtomicU64,
}

struct Broadcast {
    key: ShortString,
    body: Bytes,
}

impl Fanout {
    /// The exchange of that name on the server that the settings name; `None` when they name none.
    /// The server need not answer yet.
    ///
    /// Errors: what is wrong with the setting.
    pub fn connect(
        settings: &Config,
        name: &str,
        exchange: &str,
        clock: &Clock,
    ) -> Result<Option<Self>, quartet_config::Error> {
        let Some(url) = &settings.rabbitmq_url else {
            return Ok(None);
        };
        let timeout = settings.confirm_timeout.0;
        let connection = Connection::new(url, format!("{name} {exchange}"), timeout).map_err(super::invalid)?;
        let (sender, waiting) = mpsc::channel(QUEUE_LENGTH);
        Ok(Some(Self {
            connection,
            exchange: exchange.to_owned(),
            id: clock.new_id().to_string(),
            timeout,
            sender,
            waiting: Mutex::new(waiting),
            dropped: AtomicU64::new(0),
        }))
    }

    /// Broadcasts to every other process, without waiting for it. `key` is a word of at most 255
    /// bytes that comes with it.
    pub fn broadcast(&self, key: &str, body: Bytes) {
        // AMQP's words are no longer.
        if key.len() > usize::from(u8::MAX) {
            return;
        }
        let key = ShortString::from(key);
        if self.sender.try_send(Broadcast { key, body }).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends what is broadcast, and passes what others broadcast to `handle`, through every failure
    /// of the server, until `stop`.
    pub async fn run(&self, handle: impl Fn(&str, Bytes) + Send + Sync, stop: CancellationToken) {
        let mut waiting = self.waiting.lock().await;
        let mut pause = PAUSES.0;
        loop {
            let began = tokio::time::Instant::now();
            let session = stop.run_until_cancelled(self.session(&mut waiting, &handle)).await;
            let Some(Err(error)) = session else {
                return;
            };
            tracing::warn!(%error, exchange = self.exchange, "the exchange is lost; it is opened anew");
            if began.elapsed() > PAUSES.1 {
                pause = PAUSES.0;
            }
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn session(
        &self,
        waiting: &mut mpsc::Receiver<Broadcast>,
        handle: &(impl Fn(&str, Bytes) + Send + Sync),
    ) -> Result<(), Error> {
        let (channel, mut consumer) = match tokio::time::timeout(self.timeout, self.open()).await {
            Ok(opened) => opened?,
            Err(_) => return Err(self.timed_out().await),
        };
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                exchange = self.exchange,
                "what was broadcast while the server was away is lost"
            );
        }
        loop {
            tokio::select! {
                delivery = consumer.next() => {
                    let delivery = delivery.ok_or_else(|| Error::Unavailable("the channel was closed".into()))??;
                    let own = delivery.properties.app_id().as_ref().is_some_and(|id| id.as_str() == self.id);
                    if !own {
                        handle(delivery.routing_key.as_str(), Bytes::from(delivery.data));
                    }
                }
                Some(broadcast) = waiting.recv() => {
                    match tokio::time::timeout(self.timeout, self.send(&channel, broadcast)).await {
                        Ok(sent) => sent?,
                        Err(_) => return Err(self.timed_out().await),
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<(Channel, Consumer), Error> {
        let channel = self.connection.channel().await?;
        let none = FieldTable::default;
        // It goes with its last queue.
        let options = ExchangeDeclareOptions {
            auto_delete: true,
            ..Default::default()
        };
        let exchange = self.exchange.as_str();
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Fanout, options, none())
            .await?;
        let mut bounds = FieldTable::default();
        bounds.insert("x-max-length".into(), AMQPValue::LongLongInt(SERVER_QUEUE_LENGTH));
        bounds.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
        // It goes with its connection.
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..Default::default()
        };
        let queue = channel.queue_declare("".into(), options, bounds).await?;
        let queue = queue.name().clone();
        channel
            .queue_bind(
                queue.clone(),
                exchange.into(),
                "".into(),
                QueueBindOptions::default(),
                none(),
            )
            .await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..Default::default()
        };
        let consumer = channel.basic_consume(queue, "".into(), options, none()).await?;
        Ok((channel, consumer))
    }

    async fn send(&self, channel: &Channel, broadcast: Broadcast) -> Result<(), Error> {
        let properties = BasicProperties::default().with_app_id(self.id.as_str().into());
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(
                self.exchange.as_str().into(),
                broadcast.key,
                options,
                &broadcast.body,
                properties,
            )
            .await?;
        Ok(())
    }

    async fn timed_out(&self) -> Error {
        self.connection.discard().await;
        Error::Unavailable("it did not answer in time".into())
    }
}
