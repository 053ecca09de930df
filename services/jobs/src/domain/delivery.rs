//! What webhooks receive of an event.

use uuid::Uuid;

use super::EventType;

/// What a webhook receives of an event.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Whose webhooks receive it.
    pub owner: Uuid,
    /// What happened.
    pub event: EventType,
    /// The body of the request.
    pub body: String,
    /// Deliveries to one host at once.
    pub per_host: u32,
}
