//! The queries of what events of other services change here.

use std::collections::HashSet;

use async_trait::async_trait;
use quartet_messaging::Message;
use quartet_store::Context;
use uuid::Uuid;

use super::dialect::{among, bind_ids};
use super::unit::{Unit, Write, commit};
use super::{Queries, both};
use crate::domain::{Delivery, EventType};
use crate::store::{Reaction, Reactions};
use crate::{Error, events};

/// A webhook that is enabled: its id, its owner, and the names of the events that it is subscribed
/// to.
type Subscriber = (Uuid, Uuid, String);

#[async_trait]
impl Reactions for Queries {
    async fn react(&self, consumer: &str, reactions: &[(&Message, Reaction)], cx: &Context) -> Result<(), Error> {
        let subscribers = self.subscribers(reactions, cx).await?;
        // Most events are about users without webhooks. They change nothing, so nothing is written.
        let effective: Vec<&(&Message, Reaction)> = reactions
            .iter()
            .filter(|(_, reaction)| match reaction {
                Reaction::Insert(_) | Reaction::DeleteAll(_) => true,
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
        let (mut jobs, mut deleted, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (message, reaction) in effective {
            // Of two copies in one batch, one counts.
            if !first.contains(&message.id) || !seen.insert(message.id) {
                continue;
            }
            match reaction {
                Reaction::Insert(job) => jobs.push(job.clone()),
                Reaction::DeleteAll(owner) => deleted.push(*owner),
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
        if jobs.is_empty() {
            return unit.commit().await;
        }
        commit(unit, Write::Insert(jobs)).await?;
        Ok(())
    }
}

impl Queries {
    /// The enabled webhooks of those whom deliveries are for.
    async fn subscribers(&self, reactions: &[(&Message, Reaction)], cx: &Context) -> Result<Vec<Subscriber>, Error> {
        let owners: HashSet<Uuid> = reactions
            .iter()
            .filter_map(|(_, reaction)| match reaction {
                Reaction::Deliver(delivery) => Some(delivery.owner),
                Reaction::Insert(_) | Reaction::DeleteAll(_) => None,
            })
            .collect();
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        let owners: Vec<Uuid> = owners.into_iter().collect();
        let rows = sqlx::query_as(concat!(
            "select id, owner, events from webhooks where enabled and owner",
            among!("$1")
        ))
        .bind(bind_ids(&owners))
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        Ok(rows)
    }
}

/// The webhooks that receive a delivery.
fn receivers<'s>(subscribers: &'s [Subscriber], delivery: &Delivery) -> impl Iterator<Item = Uuid> + 's {
    let (owner, event) = (delivery.owner, delivery.event);
    let has = move |events: &str| {
        events
            .split_ascii_whitespace()
            .any(|name| EventType::from_name(name) == Some(event))
    };
    subscribers
        .iter()
        .filter(move |(_, of, events)| *of == owner && has(events))
        .map(|(id, _, _)| *id)
}

/// Deletes all that these users have.
async fn delete_all(unit: &mut Unit, owners: &[Uuid]) -> Result<(), Error> {
    sqlx::query(both!(
        concat!("delete from webhooks where owner", among!("$1")),
        concat!("delete from jobs where owner", among!("$1"))
    ))
    .bind(bind_ids(owners))
    .execute(unit.connection().await?)
    .await?;
    Ok(())
}
