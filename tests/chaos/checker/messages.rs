//! Every event took effect at every consumer, and no message is left.

use std::collections::{BTreeMap, BTreeSet};

use quartet_messaging::{Broker as _, Priority, Queue};
use quartet_proto::events;

use super::results::Results;
use crate::cluster::Cluster;
use crate::stores::Stores;

/// The messages of a run.
#[derive(Default)]
pub struct Traffic {
    /// Published events, by kind.
    pub published: BTreeMap<String, usize>,
    /// Deliveries that the subscriptions require: pairs of an event and a consumer.
    pub deliveries: usize,
}

/// Whether the handling of an event always leaves a row in the inbox. Events of todos are for
/// webhooks, which few users have.
fn has_inbox_row(consumer: &str, kind: &str) -> bool {
    !(consumer == "jobs" && kind.starts_with("todos."))
}

/// The outboxes and inboxes of all services.
struct Messages {
    /// Id and kind of each event.
    published: Vec<(String, String)>,
    /// Those that were not sent to the broker.
    unsent: Vec<String>,
    /// Consumer and event of each row of an inbox.
    handled: BTreeSet<(String, String)>,
}

impl Messages {
    async fn read(stores: &Stores) -> Result<Self, sqlx::Error> {
        let mut messages = Self {
            published: Vec::new(),
            unsent: Vec::new(),
            handled: BTreeSet::new(),
        };
        for service in stores.services() {
            let (id, unsent) = (stores.id("id"), Stores::flag("sent_at is null"));
            let sql = format!("select {id}, kind, {unsent}, coalesce(failure, '') from outbox order by seq");
            for row in stores.query(service, &sql).await? {
                if row[2] == "1" {
                    messages
                        .unsent
                        .push(format!("{service}: {} {} {}", row[1], row[0], row[3]));
                }
                messages.published.push((row[0].clone(), row[1].clone()));
            }
            let sql = format!("select consumer, {} from inbox", stores.id("message_id"));
            let handled = stores.query(service, &sql).await?;
            messages
                .handled
                .extend(handled.into_iter().map(|row| (row[0].clone(), row[1].clone())));
        }
        Ok(messages)
    }

    /// The deliveries that the contracts require: consumer and event, with the kind.
    fn expected(&self) -> BTreeMap<(String, String), &str> {
        let queues: Vec<(&str, Queue)> = events::consumers()
            .into_iter()
            .map(|consumer| (consumer, Queue::of_service(consumer)))
            .collect();
        let pairs = self.published.iter().flat_map(|(id, kind)| {
            let subscribed = queues
                .iter()
                .filter(|(consumer, queue)| queue.accepts(kind) && has_inbox_row(consumer, kind));
            subscribed.map(|(consumer, _)| (((*consumer).to_owned(), id.clone()), kind.as_str()))
        });
        pairs.collect()
    }

    fn unhandled(&self) -> Vec<String> {
        let missing = self
            .expected()
            .into_iter()
            .filter(|(pair, _)| !self.handled.contains(pair));
        missing
            .map(|((consumer, id), kind)| format!("{consumer} did not handle {kind} {id}"))
            .collect()
    }
}

/// Whether every outbox is sent, every event is handled, and the broker is empty.
pub(super) async fn all_handled(cluster: &Cluster) -> Result<bool, sqlx::Error> {
    let messages = Messages::read(&cluster.stores).await?;
    Ok(messages.unsent.is_empty() && messages.unhandled().is_empty() && at_broker(cluster).await?.is_empty())
}

pub(super) async fn check(cluster: &Cluster, results: &mut Results) -> Result<Traffic, sqlx::Error> {
    let messages = Messages::read(&cluster.stores).await?;
    results.add(
        "messages in outboxes were sent to the broker",
        messages.published.len(),
        &messages.unsent,
    );
    let expected = messages.expected();
    results.add(
        "deliveries of an event to a consumer were handled",
        expected.len(),
        &messages.unhandled(),
    );
    let published: BTreeSet<&str> = messages.published.iter().map(|(id, _)| id.as_str()).collect();
    let unknown: Vec<String> = messages
        .handled
        .iter()
        .filter(|(_, id)| !published.contains(id.as_str()))
        .map(|pair| format!("{pair:?}"))
        .collect();
    results.add_none("messages that were handled and never published", &unknown);
    results.add_none("messages left in queues or dead letters", &at_broker(cluster).await?);
    let mut traffic = Traffic {
        deliveries: expected.len(),
        ..Traffic::default()
    };
    for (_, kind) in &messages.published {
        *traffic.published.entry(kind.clone()).or_default() += 1;
    }
    Ok(traffic)
}

/// The messages that are at the broker.
async fn at_broker(cluster: &Cluster) -> Result<Vec<String>, sqlx::Error> {
    let mut left = Vec::new();
    if let Some(rabbit) = &cluster.rabbit {
        let work = Priority::ALL.map(|priority| Queue::work("jobs", priority));
        for queue in Queue::of_every_service().into_iter().chain(work) {
            let name = &queue.name;
            match rabbit.queue_stats(name).await {
                Ok(Some(stats)) if stats.ready + stats.delayed + stats.dead == 0 => {}
                other => left.push(format!("{name}: {other:?}")),
            }
            for letter in rabbit.dead_letters(name, 5).await.unwrap_or_default() {
                left.push(format!(
                    "{name}, dead: {} {}: {}",
                    letter.message.kind, letter.message.id, letter.reason
                ));
            }
        }
    }
    if let Some(path) = &cluster.local_broker {
        let broker = Stores::Sqlite([("broker", path.display().to_string())].into());
        let sql = "select queue_name, kind, coalesce(reason, ''), cast(retries as text) from deliveries";
        left.extend(broker.query("broker", sql).await?.into_iter().map(|row| row.join(" ")));
    }
    Ok(left)
}
