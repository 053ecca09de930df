//! What a store does with todos.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use uuid::Uuid;

use crate::Error;
use crate::domain::{Edit, Filter, Key, NewTodo, Order, Todo};

/// Todos with the tags on them. Every function but `purge_todo` sees only what `owner` owns.
#[async_trait]
pub trait Todos: Send + Sync {
    /// Makes todos, all or none, and returns them in the same order. The owner may have `limit` that
    /// are not deleted.
    ///
    /// Errors: [`Error::TagNotFound`] for the first tag that is not the owner's,
    /// [`Error::QuotaExceeded`].
    async fn insert_todos(
        &self,
        owner: Uuid,
        todos: &[NewTodo],
        limit: Option<i64>,
        cx: &Context,
    ) -> Result<Vec<Todo>, Error>;

    /// The todo, unless it is deleted.
    async fn find_todo(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Todo>, Error>;

    /// A page of the todos that pass `filter`.
    async fn list_todos(
        &self,
        owner: Uuid,
        filter: &Filter,
        order: Order,
        page: &Page<Key>,
        cx: &Context,
    ) -> Result<PageResult<Todo>, Error>;

    /// Writes the fields of `edit`.
    ///
    /// Errors: [`Error::TagNotFound`] for the first tag that is not the owner's.
    async fn update_todo(&self, owner: Uuid, id: Uuid, edit: &Edit, cx: &Context) -> Result<Option<Todo>, Error>;

    /// Deletes todos softly, all or none.
    ///
    /// Errors: [`Error::TodoNotFound`] for the first one that is not there.
    async fn delete_todos(&self, owner: Uuid, ids: &[Uuid], cx: &Context) -> Result<(), Error>;

    /// Brings a deleted todo back. The owner may have `limit` that are not deleted.
    ///
    /// Errors: [`Error::QuotaExceeded`].
    async fn restore_todo(
        &self,
        owner: Uuid,
        id: Uuid,
        limit: Option<i64>,
        cx: &Context,
    ) -> Result<Option<Todo>, Error>;

    /// Deletes anybody's todo for good; whether there was one.
    async fn purge_todo(&self, id: Uuid, cx: &Context) -> Result<bool, Error>;
}
