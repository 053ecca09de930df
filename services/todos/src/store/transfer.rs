//! What a store does for the suite's own work: not scoped by an owner, or in an owner's name.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::page::{Page, Rows};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{DueKey, DueTodo, ImportedTodo};

/// Todos in bulk.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Makes those of these todos that are not there, with their tags, all or none.
    ///
    /// Errors: [`Error::OwnerDeparted`].
    async fn import_todos(
        &self,
        owner: Uuid,
        todos: &[ImportedTodo],
        tag_ids: &(dyn Fn() -> Uuid + Send + Sync),
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// A page of everybody's open todos that are due after one moment and before another, the most pressing first. The total is not counted.
    async fn list_due(
        &self,
        after: OffsetDateTime,
        before: OffsetDateTime,
        page: &Page<DueKey>,
        deadline: Deadline,
    ) -> Result<Rows<DueTodo>, Error>;

    /// Deletes for good up to `limit` todos that were deleted before a moment; how many there were.
    async fn purge_deleted(
        &self,
        before: OffsetDateTime,
        limit: i64,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<u64, Error>;
}
