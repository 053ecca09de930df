//! What a store does with the feed of changes.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Heads;
use crate::Error;
use crate::domain::Stretch;

/// The feed of changes. Every write of a todo or a tag appends to it in its own transaction; here it is read and pruned.
#[async_trait]
pub trait Changes: Send + Sync {
    /// At most `limit` changes of the owner after `position`.
    async fn read_feed(&self, owner: Uuid, position: i64, limit: u32, deadline: Deadline) -> Result<Stretch, Error>;

    /// The number of the newest change of each of these owners that has one.
    async fn list_heads(&self, owners: &[Uuid], deadline: Deadline) -> Result<Vec<(Uuid, i64)>, Error>;

    /// Forgets at most `limit` changes from before `before`; how many there were.
    async fn prune_changes(&self, before: OffsetDateTime, limit: u32, deadline: Deadline) -> Result<u64, Error>;

    /// Where this store tells of changes as soon as they are committed.
    fn heads(&self) -> &Heads;
}
