//! What a store does with the feed of changes.

use async_trait::async_trait;
use quartet_store::Context;
use time::OffsetDateTime;
use uuid::Uuid;

use super::FeedNotifier;
use crate::Error;
use crate::domain::FeedPage;

/// The feed of changes. Every write of a todo or a tag appends to it in its own transaction; here
/// it is read and pruned.
#[async_trait]
pub trait Feed: Send + Sync {
    /// At most `limit` changes of the owner after `position`.
    async fn read_feed(&self, owner: Uuid, position: i64, limit: u32, cx: &Context) -> Result<FeedPage, Error>;

    /// The position of the newest change of each of these owners that has one.
    async fn list_heads(&self, owners: &[Uuid], cx: &Context) -> Result<Vec<(Uuid, i64)>, Error>;

    /// Forgets at most `limit` changes from before `before`; how many there were.
    async fn prune_changes(&self, before: OffsetDateTime, limit: u32, cx: &Context) -> Result<u64, Error>;

    /// Notified of changes as soon as they are committed.
    fn notifier(&self) -> &FeedNotifier;
}
