//! Every event took effect at every consumer, and nothing is left on the way.

use std::collections::{BTreeMap, BTreeSet};

use quartet_messaging::{Broker as _, Priority, Queue};
use quartet_proto::events;

use crate::books::Books;
use crate::findings::Findings;
use crate::stage::Stage;

/// What was said and heard.
#[derive(Default)]
pub struct Traffic {
    /// Events by kind.
    pub said: BTreeMap<String, usize>,
    /// Pairs of an event and a consumer.
    pub heard: usize,
}

/// Whether hearing an event leaves a row in the inbox. News of todos are for webhooks, and nobody has one here.
fn leaves_a_mark(consumer: &str, kind: &str) -> bool {
    !(consumer == "jobs" && kind.starts_with("todos."))
}

/// The outboxes and inboxes of all services.
struct Boxes {
    /// Id and kind of each event.
    said: Vec<(String, String)>,
    /// Those that the broker does not have.
    unsent: Vec<String>,
    /// Consumer and event.
    heard: BTreeSet<(String, String)>,
}

impl Boxes {
    async fn read(books: &Books) -> Result<Self, sqlx::Error> {
        let mut boxes = Self {
            said: Vec::new(),
            unsent: Vec::new(),
            heard: BTreeSet::new(),
        };
        for service in books.services() {
            let (id, unsent) = (books.id("id"), Books::flag("sent_at is null"));
            let sql = format!("select {id}, kind, {unsent}, coalesce(failure, '') from outbox order by seq");
            for row in books.rows(service, &sql).await? {
                if row[2] == "1" {
                    boxes
                        .unsent
                        .push(format!("{service}: {} {} {}", row[1], row[0], row[3]));
                }
                boxes.said.push((row[0].clone(), row[1].clone()));
            }
            let sql = format!("select consumer, {} from inbox", books.id("message_id"));
            let heard = books.rows(service, &sql).await?;
            boxes
                .heard
                .extend(heard.into_iter().map(|row| (row[0].clone(), row[1].clone())));
        }
        Ok(boxes)
    }

    /// Who has to hear what, by the contracts.
    fn expected(&self) -> BTreeMap<(String, String), &str> {
        let queues: Vec<(&str, Queue)> = events::consumers()
            .into_iter()
            .map(|consumer| (consumer, Queue::of_service(consumer)))
            .collect();
        let pairs = self.said.iter().flat_map(|(id, kind)| {
            let taking = queues
                .iter()
                .filter(|(consumer, queue)| queue.takes(kind) && leaves_a_mark(consumer, kind));
            taking.map(|(consumer, _)| (((*consumer).to_owned(), id.clone()), kind.as_str()))
        });
        pairs.collect()
    }

    fn unheard(&self) -> Vec<String> {
        let missing = self
            .expected()
            .into_iter()
            .filter(|(pair, _)| !self.heard.contains(pair));
        missing
            .map(|((consumer, id), kind)| format!("{consumer} never heard {kind} {id}"))
            .collect()
    }
}

/// Whether every outbox is empty, every consumer has heard everything, and the broker has nothing left.
pub(super) async fn are_through(stage: &Stage) -> Result<bool, sqlx::Error> {
    let boxes = Boxes::read(&stage.books).await?;
    Ok(boxes.unsent.is_empty() && boxes.unheard().is_empty() && left(stage).await?.is_empty())
}

pub(super) async fn check(stage: &Stage, findings: &mut Findings) -> Result<Traffic, sqlx::Error> {
    let boxes = Boxes::read(&stage.books).await?;
    findings.hold(
        "events were written to outboxes, and the broker has them",
        boxes.said.len(),
        &boxes.unsent,
    );
    let expected = boxes.expected();
    findings.hold(
        "times an event was to be heard by a consumer, and was",
        expected.len(),
        &boxes.unheard(),
    );
    let unsaid: Vec<String> = boxes
        .heard
        .iter()
        .filter(|pair| !expected.contains_key(*pair))
        .map(|pair| format!("{pair:?}"))
        .collect();
    findings.none("messages were heard that nobody said", &unsaid);
    findings.none("messages are left in queues or dead", &left(stage).await?);
    let mut traffic = Traffic {
        heard: expected.len(),
        ..Traffic::default()
    };
    for (_, kind) in &boxes.said {
        *traffic.said.entry(kind.clone()).or_default() += 1;
    }
    Ok(traffic)
}

/// What is still at the broker.
async fn left(stage: &Stage) -> Result<Vec<String>, sqlx::Error> {
    let mut left = Vec::new();
    if let Some(rabbit) = &stage.rabbit {
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
    if let Some(path) = &stage.local_broker {
        let broker = Books::Sqlite([("broker", path.display().to_string())].into());
        let sql = "select queue_name, kind, coalesce(reason, ''), cast(retries as text) from deliveries";
        left.extend(broker.rows("broker", sql).await?.into_iter().map(|row| row.join(" ")));
    }
    Ok(left)
}
