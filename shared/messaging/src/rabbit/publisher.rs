//! Publishes with confirms, bounded in time.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Mutex;

use super::connection::Connection;
use super::envelope::{self, History};
use super::{DeclaredQueues, topology};
use crate::Message;
use crate::broker::{Error, Published};

pub(super) struct Publisher {
    connection: Connection,
    declared: Arc<DeclaredQueues>,
    timeout: Duration,
    channel: Mutex<Option<Channel>>,
}

/// A message, and where it is published.
pub(super) struct Publication<'a> {
    exchange: &'static str,
    key: String,
    payload: &'a [u8],
    properties: Result<BasicProperties, String>,
    /// The kind, if it is an event for every queue that accepts it.
    event: Option<&'a str>,
}

impl<'a> Publication<'a> {
    /// A message that is published for the first time.
    pub(super) fn first(message: &'a Message) -> Self {
        let work = message.route.queue();
        Self {
            exchange: if work.is_some() { "" } else { topology::EVENTS },
            event: work.is_none().then_some(message.kind.as_str()),
            key: work.unwrap_or_else(|| message.kind.clone()),
            payload: &message.payload,
            properties: envelope::write(message, &History::default()),
        }
    }

    /// A message that goes to one queue, with what it has been through.
    pub(super) fn to(queue: String, message: &'a Message, history: &History) -> Self {
        Self::raw(queue, &message.payload, envelope::write(message, history))
    }

    /// What is no message, as it came.
    pub(super) fn raw(queue: String, payload: &'a [u8], properties: Result<BasicProperties, String>) -> Self {
        Self {
            exchange: "",
            key: queue,
            payload,
            properties,
            event: None,
        }
    }

    /// A marker in a queue, of which the count matters alone.
    pub(super) fn marker(queue: &str) -> Self {
        Self::raw(
            queue.to_owned(),
            b"",
            Ok(BasicProperties::default().with_delivery_mode(2)),
        )
    }
}

impl Publisher {
    pub(super) fn new(connection: Connection, declared: Arc<DeclaredQueues>, timeout: Duration) -> Self {
        Self {
            connection,
            declared,
            timeout,
            channel: Mutex::new(None),
        }
    }

    /// Publishes all of these at once and returns what became of each.
    pub(super) async fn publish(&self, publications: Vec<Publication<'_>>) -> Vec<Published> {
        let channel = match self.open().await {
            Ok(channel) => channel,
            Err(error) => return publications.iter().map(|_| failed(&error)).collect(),
        };
        let mut outcomes = vec![failed("the broker did not confirm it in time"); publications.len()];
        // They go out in this order, all before the first confirm is waited for.
        let mut under_way: FuturesUnordered<_> = publications
            .into_iter()
            .enumerate()
            .map(|(place, publication)| {
                let channel = &channel;
                async move {
                    let event = publication.event;
                    (place, event, send(channel, publication).await)
                }
            })
            .collect();
        let confirmed = async {
            while let Some((place, event, sent)) = under_way.next().await {
                outcomes[place] = match sent {
                    Ok(confirmation) => self.outcome_of(event, confirmation),
                    Err(error) => failed(error),
                };
            }
        };
        // What is not confirmed by then stays as it stands above.
        let _ = tokio::time::timeout(self.timeout, confirmed).await;
        drop(under_way);
        if outcomes
            .iter()
            .any(|outcome| matches!(outcome, Published::Failed { .. }))
        {
            // Whatever the channel still does is not waited for any more, and the next one is
            // declared on anew.
            self.give_up(&channel).await;
        }
        outcomes
    }

    fn outcome_of(&self, event: Option<&str>, confirmation: Confirmation) -> Published {
        match (confirmation, event) {
            (Confirmation::Ack(None), _) => Published::Confirmed,
            (Confirmation::Ack(Some(_)), None) => Published::Unroutable,
            // No queue accepts it, and none that this process has declared should.
            (Confirmation::Ack(Some(_)), Some(kind)) if !self.declared.accepts(kind) => Published::Confirmed,
            (Confirmation::Ack(Some(_)), Some(_)) => failed("the broker has lost the queue for it"),
            (Confirmation::Nack(_), _) => failed("the broker cannot keep it for now"),
            (Confirmation::NotRequested, _) => failed("the broker does not confirm"),
        }
    }

    async fn open(&self) -> Result<Channel, Error> {
        let mut current = self.channel.lock().await;
        if let Some(channel) = &*current
            && channel.status().connected()
        {
            return Ok(channel.clone());
        }
        let channel = self.connection.channel().await?;
        let declared = async {
            topology::declare(&channel, &self.declared.all()).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await
        };
        match tokio::time::timeout(self.timeout, declared).await {
            Ok(declared) => declared?,
            Err(_) => {
                self.connection.discard().await;
                return Err(Error::Unavailable("it did not answer in time".into()));
            }
        }
        *current = Some(channel.clone());
        Ok(channel)
    }

    async fn give_up(&self, channel: &Channel) {
        let mut current = self.channel.lock().await;
        if current.as_ref() == Some(channel) {
            *current = None;
            drop(current);
            self.connection.discard().await;
        }
    }
}

async fn send(channel: &Channel, publication: Publication<'_>) -> Result<Confirmation, String> {
    let key: ShortString = topology::short(&publication.key)?;
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    let properties = publication.properties?;
    let sent = channel.basic_publish(
        publication.exchange.into(),
        key,
        options,
        publication.payload,
        properties,
    );
    let confirm = sent.await.map_err(|error| error.to_string())?;
    confirm.await.map_err(|error| error.to_string())
}

fn failed(reason: impl ToString) -> Published {
    Published::Failed {
        reason: reason.to_string(),
    }
}
