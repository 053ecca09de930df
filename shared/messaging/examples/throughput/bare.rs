//! lapin alone, as fast as it goes while it loses nothing.

use std::sync::Arc;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};

use crate::{IN_FLIGHT, PAYLOAD, PREFETCH};

/// A queue, with a connection for those who publish and one for those who consume.
pub(crate) struct Bare {
    queue: String,
    publishing: Channel,
    consuming: Connection,
    _connection: Connection,
    alike: bool,
}

/// The exchange of ours, and a topic that no queue of ours is bound to.
const EXCHANGE: &str = "quartet.events";

impl Bare {
    /// With `alike`, its messages have headers as ours have, and go through the exchange that ours
    /// go through.
    pub(crate) async fn new(url: &str, alike: bool) -> Self {
        let queue = format!("bare.{}", uuid::Uuid::new_v4().simple());
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let publishing = connection.create_channel().await.unwrap();
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let durable = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        publishing
            .queue_declare(queue.as_str().into(), durable, arguments)
            .await
            .unwrap();
        if alike {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            };
            let declare =
                publishing.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, FieldTable::default());
            declare.await.unwrap();
            let (name, options) = (queue.as_str(), QueueBindOptions::default());
            let bind = publishing.queue_bind(
                name.into(),
                EXCHANGE.into(),
                name.into(),
                options,
                FieldTable::default(),
            );
            bind.await.unwrap();
        }
        publishing
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        Self {
            queue,
            publishing,
            consuming: Connection::connect(url, ConnectionProperties::default()).await.unwrap(),
            _connection: connection,
            alike,
        }
    }

    fn properties(&self) -> BasicProperties {
        let properties = BasicProperties::default().with_delivery_mode(2);
        if !self.alike {
            return properties;
        }
        let id = uuid::Uuid::new_v4().to_string();
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("cloudEvents_specversion", "1.0"),
            ("cloudEvents_id", &id),
            ("cloudEvents_type", &self.queue),
            ("cloudEvents_source", "/test"),
            ("cloudEvents_subject", &id),
            ("cloudEvents_time", "2026-01-01T00:00:00.123456789Z"),
        ] {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        headers.insert("quartet-ordered".into(), AMQPValue::Boolean(true));
        properties
            .with_content_type("application/protobuf".into())
            .with_message_id(id.as_str().into())
            .with_type(self.queue.as_str().into())
            .with_headers(headers)
    }

    /// Publishes until all are confirmed; the next one goes as soon as one of those in flight is
    /// confirmed.
    pub(crate) async fn publish(&self, messages: u64) {
        let payload = [7u8; PAYLOAD];
        let exchange = if self.alike { EXCHANGE } else { "" };
        let properties = self.properties();
        let send = || async {
            let properties = properties.clone();
            let options = BasicPublishOptions {
                mandatory: true,
                ..Default::default()
            };
            let sent = self.publishing.basic_publish(
                exchange.into(),
                self.queue.as_str().into(),
                options,
                &payload,
                properties,
            );
            let confirmation = sent.await.unwrap().await.unwrap();
            assert_eq!(confirmation, Confirmation::Ack(None));
        };
        let mut in_flight = FuturesUnordered::new();
        for _ in 0..messages {
            if in_flight.len() == IN_FLIGHT {
                in_flight.next().await;
            }
            in_flight.push(send());
            // What is confirmed makes room at once.
            while in_flight.next().now_or_never().flatten().is_some() {}
        }
        while in_flight.next().await.is_some() {}
    }

    /// Work and acknowledges so many messages. What has arrived together is acknowledged together.
    pub(crate) async fn consume(&self, messages: u64) {
        let channel = self.consuming.create_channel().await.unwrap();
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
        let consume = channel.basic_consume(
            self.queue.as_str().into(),
            "bare".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut consumer = consume.await.unwrap();
        let mut taken = 0;
        while taken < messages {
            let mut last = consumer.next().await.unwrap().unwrap();
            taken += 1;
            while let Some(Some(next)) = consumer.next().now_or_never() {
                last = next.unwrap();
                taken += 1;
            }
            last.ack(BasicAckOptions { multiple: true }).await.unwrap();
        }
        assert_eq!(taken, messages);
        channel.close(200, "done".into()).await.unwrap();
    }

    pub(crate) async fn both(self: &Arc<Self>, messages: u64) {
        let (publishing, consuming) = (self.clone(), self.clone());
        let publish = tokio::spawn(async move { publishing.publish(messages).await });
        let consume = tokio::spawn(async move { consuming.consume(messages).await });
        publish.await.unwrap();
        consume.await.unwrap();
    }

    pub(crate) async fn end(&self) {
        let delete = self
            .publishing
            .queue_delete(self.queue.as_str().into(), QueueDeleteOptions::default());
        assert_eq!(delete.await.unwrap(), 0, "messages are left");
    }
}
