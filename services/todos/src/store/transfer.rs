//! What a store does for the suite's own work: not scoped by an owner, or in an owner's name.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{DueKey, DueTodo, ImportedTodo, Limits};

/// Todos in bulk.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Makes those of these todos that are not there, with their tags, all or none.
    ///
    /// Errors: [`Error::OwnerDeleted`], [`Error::QuotaExceeded`].
    async fn import_todos(
        &self,
        owner: Uuid,
        todos: &[ImportedTodo],
        limits: Limits,
        cx: &Context,
    ) -> Result<(), Error>;

    /// A page of everybody's open todos that are due between two times, the most pressing first.
    /// The total is not counted.
    async fn list_due(
        &self,
        after: OffsetDateTime,
        before: OffsetDateTime,
        page: &Page<DueKey>,
        cx: &Context,
    ) -> Result<PageResult<DueTodo>, Error>;

    /// Deletes for good up to `limit` todos that were deleted before `before`; how many there were.
    async fn purge_deleted(&self, before: OffsetDateTime, limit: i64, cx: &Context) -> Result<u64, Error>;
}
