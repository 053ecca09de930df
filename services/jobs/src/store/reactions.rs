//! What events of other services change here.

use async_trait::async_trait;
use prost::Message as _;
use quartet_messaging::Message;
use quartet_proto::jobs::v1 as pb;
use quartet_store::Context;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{EventType, Kind, NewJob, UniqueKey};

/// What one event changes here.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// A job is made, unless there is one of its key.
    Insert(NewJob),
    /// A delivery is made for each enabled webhook of the owner that is subscribed to the event.
    Deliver(Delivery),
    /// All that this user has is deleted.
    DeleteAll(Uuid),
}

/// What a webhook receives of an event.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Whose webhooks receive it.
    pub owner: Uuid,
    /// What happened.
    pub event: EventType,
    /// The body of the request.
    pub body: String,
}

impl Delivery {
    /// The job that delivers it to a webhook.
    pub(super) fn job(&self, id: Uuid, webhook: Uuid, message: &Message, now: OffsetDateTime) -> NewJob {
        let payload = pb::DeliverWebhook {
            webhook_id: webhook.to_string(),
            event_id: format!("msg_{}", message.id.simple()),
            event_type: self.event.name().to_owned(),
            body: self.body.clone(),
        };
        NewJob::new(id, self.owner, Kind::Webhook, payload.encode_to_vec(), now)
            .once(UniqueKey::of("webhook", format_args!("{webhook}:{}", message.id)))
    }
}

/// What events of other services change here.
#[async_trait]
pub trait Reactions: Send + Sync {
    /// Does what these events change, all or none, except for those that `consumer` has handled
    /// before.
    async fn react(&self, consumer: &str, reactions: &[(&Message, Reaction)], cx: &Context) -> Result<(), Error>;
}
