//! The queries of what events of other services change here.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use quartet_messaging::Message;
use quartet_store::{Context, Timestamp};
use uuid::Uuid;

use super::dialect::{among, bind_ids};
use super::unit::{Unit, Write, commit, recount, set};
use super::{Queries, both};
use crate::domain::{Delivery, EventType, LaneKey, NewJob, Queue};
use crate::store::{Reaction, Reactions};
use crate::{Error, events};

/// A webhook that is active: its id, its owner, the names of the events that it is subscribed to,
/// and its URL.
type Subscriber = (Uuid, Uuid, String, String);

#[async_trait]
impl Reactions for Queries {
    async fn react(&self, consumer: &str, reactions: &[(&Message, Reaction)], cx: &Context) -> Result<(), Error> {
        let subscribers = self.subscribers(reactions, cx).await?;
        // Most events are about users without webhooks. They change nothing, so nothing is written.
        let effective: Vec<&(&Message, Reaction)> = reactions
            .iter()
            .filter(|(_, reaction)| match reaction {
                Reaction::Insert(_) | Reaction::PauseWebhooks(..) | Reaction::DeleteAll(_) => true,
                Reaction::Deliver(delivery) => receivers(&subscribers, delivery).next().is_some(),
            })
            .collect();
        if effective.is_empty() {
            return Ok(());
        }
        let mut unit = self.begin(cx);
        let messages: Vec<&Message> = effective.iter().map(|(message, _)| *message).collect();
        let first: HashSet<Uuid> = unit
            .first_times(consumer, &messages)
            .await?
            .into_iter()
            .map(|message| message.id)
            .collect();
        let (mut jobs, mut deleted, mut seen) = (Vec::<NewJob>::new(), Vec::new(), HashSet::new());
        for (message, reaction) in effective {
            // Of two copies in one batch, one counts.
            if !first.contains(&message.id) || !seen.insert(message.id) {
                continue;
            }
            match reaction {
                Reaction::Insert(job) => jobs.push(job.clone()),
                Reaction::DeleteAll(owner) => deleted.push(*owner),
                Reaction::PauseWebhooks(owner, notice) => {
                    if pause(&mut unit, *owner, cx).await? {
                        jobs.push(notice.clone());
                    }
                }
                Reaction::Deliver(delivery) => {
                    for webhook in receivers(&subscribers, delivery) {
                        let id = unit.clock().new_id();
                        jobs.push(events::delivery_job(delivery, id, webhook, message, cx.now));
                    }
                }
            }
        }
        if !deleted.is_empty() {
            jobs.retain(|job| !deleted.contains(&job.owner));
            delete_all(&mut unit, &deleted).await?;
        }
        let mut lanes = by_lane(jobs);
        let Some(last) = lanes.pop() else {
            return unit.commit().await;
        };
        for jobs in lanes {
            set(&mut unit, Write::Insert(jobs));
            unit.flush().await?;
        }
        commit(unit, Write::Insert(last)).await?;
        Ok(())
    }
}

impl Queries {
    /// The active webhooks of those whom deliveries are for.
    async fn subscribers(&self, reactions: &[(&Message, Reaction)], cx: &Context) -> Result<Vec<Subscriber>, Error> {
        let owners: HashSet<Uuid> = reactions
            .iter()
            .filter_map(|(_, reaction)| match reaction {
                Reaction::Deliver(delivery) => Some(delivery.owner),
                Reaction::Insert(_) | Reaction::PauseWebhooks(..) | Reaction::DeleteAll(_) => None,
            })
            .collect();
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        let owners: Vec<Uuid> = owners.into_iter().collect();
        let rows = sqlx::query_as(concat!(
            "select id, owner, events, url from webhooks where enabled and proven_at is not null and owner",
            among!("$1")
        ))
        .bind(bind_ids(&owners))
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        Ok(rows)
    }
}

/// The webhooks that receive a delivery.
fn receivers<'s>(subscribers: &'s [Subscriber], delivery: &Delivery) -> impl Iterator<Item = (Uuid, &'s str)> {
    let (owner, event) = (delivery.owner, delivery.event);
    let has = move |events: &str| {
        events
            .split_ascii_whitespace()
            .any(|name| EventType::from_name(name) == Some(event))
    };
    subscribers
        .iter()
        .filter(move |(_, of, events, _)| *of == owner && has(events))
        .map(|(id, _, _, url)| (*id, url.as_str()))
}

/// The jobs of each lane, which are written together. In the order of lanes, so that two units cannot
/// wait for each other.
fn by_lane(jobs: Vec<NewJob>) -> Vec<Vec<NewJob>> {
    let mut lanes: BTreeMap<(&'static str, Option<LaneKey>), Vec<NewJob>> = BTreeMap::new();
    for job in jobs {
        let key = job.lane.as_ref().map(|lane| lane.key.clone());
        // Those without a lane may be of several queues.
        let queue = key.as_ref().map_or("", |_| job.queue.name());
        lanes.entry((queue, key)).or_default().push(job);
    }
    lanes.into_values().collect()
}

/// Switches the webhooks of a user off; whether there were any.
async fn pause(unit: &mut Unit, owner: Uuid, cx: &Context) -> Result<bool, Error> {
    let done = sqlx::query("update webhooks set enabled = $3, updated_at = $2 where owner = $1 and enabled")
        .bind(owner)
        .bind(Timestamp(cx.now))
        .bind(false)
        .execute(unit.connection().await?)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes all that these users have.
async fn delete_all(unit: &mut Unit, owners: &[Uuid]) -> Result<(), Error> {
    let lanes: Vec<(String, String)> = sqlx::query_as(concat!(
        "select distinct queue, lane
           from jobs
          where lane is not null and finished_at is null and owner",
        among!("$1"),
        " order by queue, lane"
    ))
    .bind(bind_ids(owners))
    .fetch_all(unit.connection().await?)
    .await?;
    sqlx::query(both!(
        concat!("delete from webhooks where owner", among!("$1")),
        concat!("delete from jobs where owner", among!("$1"))
    ))
    .bind(bind_ids(owners))
    .execute(unit.connection().await?)
    .await?;
    for (queue, key) in lanes {
        if let Some(queue) = Queue::from_name(&queue) {
            recount(unit.connection().await?, queue, &LaneKey::stored(key)).await?;
        }
    }
    Ok(())
}
