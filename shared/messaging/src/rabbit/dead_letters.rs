//! Looks into the dead letters of a queue.
//!
//! They are taken out and given back, since AMQP has no other way to look; meanwhile another process sees fewer of them.

use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use uuid::Uuid;

use super::envelope::{self, History};
use super::publisher::Parcel;
use super::{Inner, topology};
use crate::broker::{DeadLetter, Error, Published};

/// The oldest of them. What is no message is passed over.
pub(super) async fn list(inner: &Inner, queue: &str, limit: u32) -> Result<Vec<DeadLetter>, Error> {
    let _turn = inner.looking.lock().await;
    let name = topology::dead_queue(queue);
    // They go back when the channel closes.
    let mut letters = inner
        .ask(async |channel| {
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
    // What was given back is at the end of a quorum queue, so the queue itself does not tell which is the oldest.
    letters.sort_by_key(|letter: &DeadLetter| (letter.dead_since, letter.message.id));
    Ok(letters)
}

/// Puts one of them back into its queue, as new.
pub(super) async fn replay(inner: &Inner, queue: &str, id: Uuid) -> Result<bool, Error> {
    let _turn = inner.looking.lock().await;
    let name = topology::dead_queue(queue);
    inner
        .ask(async |channel| {
            while let Some(delivery) = get(channel, &name).await? {
                let Some(letter) = letter(&delivery, queue).filter(|letter| letter.message.id == id) else {
                    continue;
                };
                let parcel = Parcel::to(queue.to_owned(), &letter.message, &History::default());
                return match inner.publishing.publish(vec![parcel]).await.pop() {
                    Some(Published::Confirmed) => {
                        delivery.ack(BasicAckOptions::default()).await?;
                        Ok(Ok(true))
                    }
                    Some(Published::Failed { reason }) => Ok(Err(Error::Away(reason))),
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
        reason: history.reason.unwrap_or_else(|| "nobody has said why".into()),
        retries: history.retries,
        dead_since: history.dead_since,
    })
}
