//! What events of other services change here.

use async_trait::async_trait;
use quartet_messaging::Message;
use quartet_store::Context;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Delivery, NewJob};

/// What one event changes here.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// A job is made, unless there is one of its key.
    Insert(NewJob),
    /// A delivery is made for each enabled webhook of the owner that is subscribed to the event.
    Deliver(Delivery),
    /// All webhooks of this user that are switched on are switched off; if there are any, the job is made.
    PauseWebhooks(Uuid, NewJob),
    /// All that this user has is deleted.
    DeleteAll(Uuid),
}

/// What events of other services change here.
#[async_trait]
pub trait Reactions: Send + Sync {
    /// Does what these events change, all or none, except for those that `consumer` has handled
    /// before.
    async fn react(&self, consumer: &str, reactions: &[(&Message, Reaction)], cx: &Context) -> Result<(), Error>;
}
