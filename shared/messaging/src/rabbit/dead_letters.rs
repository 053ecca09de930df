//! Reads the dead letters of a queue.
//!
//! They are taken out and returned, since AMQP has no other way to read them; meanwhile another
//! process finds fewer of them.

use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use uuid::Uuid;

use super::envelope::{self, History};
use super::publisher::Publication;
use super::{Inner, topology};
use crate::broker::{DeadLetter, Error, Published};

/// The oldest of them. What is no message is passed over.
pub(super) async fn list(inner: &Inner, queue: &str, limit: u32) -> Result<Vec<DeadLetter>, Error> {
    let _turn = inner.reading_dead_letters.lock().await;
    let name = topology::dead_queue(queue);
    // They go back when the channel closes.
    let mut letters = inner
        .on_channel(async |channel| {
            let mut letters = Vec::new();
            while letters.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
                let Some(delivery) = get(channel, &name).await? else {
                    break;
                };
                letters.extend(letter(&delivery, queue));
            }
            Ok(letters)
        })
        .await?;
    // What was returned is at the end of a quorum queue, so their order is not that of their ages.
    letters.sort_by_key(|letter: &DeadLetter| (letter.dead_since, letter.message.id));
    Ok(letters)
}

/// Puts one of them back into its queue, as new.
pub(super) async fn replay(inner: &Inner, queue: &str, id: Uuid) -> Result<bool, Error> {
    let _turn = inner.reading_dead_letters.lock().await;
    let name = topology::dead_queue(queue);
    inner
        .on_channel(async |channel| {
            while let Some(delivery) = get(channel, &name).await? {
                let Some(letter) = letter(&delivery, queue).filter(|letter| letter.message.id == id) else {
                    continue;
                };
                let publication = Publication::to(queue.to_owned(), &letter.message, &History::default());
                return match inner.publishing.publish(vec![publication]).await.pop() {
                    Some(Published::Confirmed) => {
                        delivery.ack(BasicAckOptions::default()).await?;
                        Ok(Ok(true))
                    }
                    Some(Published::Failed { reason }) => Ok(Err(Error::Unavailable(reason))),
                    Some(Published::Unroutable) | None => Ok(Err(Error::Refused(format!("there is no queue {queue}")))),
                };
            }
            Ok(Ok(false))
        })
        .await?
}

async fn get(channel: &Channel, queue: &str) -> Result<Option<Delivery>, lapin::Error> {
    let message = channel.basic_get(queue.into(), BasicGetOptions::default()).await?;
    Ok(message.map(|message| message.delivery))
}

fn letter(delivery: &Delivery, queue: &str) -> Option<DeadLetter> {
    let message = envelope::read(&delivery.properties, &delivery.data).ok()?;
    let history = envelope::history(&delivery.properties, queue);
    Some(DeadLetter {
        message,
        queue: queue.to_owned(),
        reason: history.reason.unwrap_or_else(|| "no reason is known".into()),
        retries: history.retries,
        dead_since: history.dead_since,
    })
}
