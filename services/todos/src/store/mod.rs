//! Where todos and tags are kept: one trait, two databases.
//!
//! `queries.rs` is compiled once per database; what differs between the two stands in `postgres.rs` and `sqlite.rs`.

mod list;
mod postgres;
mod sqlite;

use async_trait::async_trait;
use quartet_rpc::Deadline;
use quartet_rpc::host::StartError;
use quartet_store::page::{Page, Rows};
use quartet_store::{Database, Migrations};
use sqlx::migrate::Migrator;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{Edit, Filter, Key, NewTodo, Order, Tag, TagName, Todo};
use crate::{Config, Error};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The migrations of the service's store.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: &POSTGRES,
    sqlite: &SQLITE,
};

/// Todos and tags. Every function but `purge_todo` sees only what `owner` owns.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes todos, all or none, and returns them in the same order.
    ///
    /// Errors: [`Error::TagNotFound`] for the first tag that is not the owner's.
    async fn insert_todos(
        &self,
        owner: Uuid,
        todos: &[NewTodo],
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Vec<Todo>, Error>;

    /// The todo, unless it is deleted.
    async fn find_todo(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<Option<Todo>, Error>;

    /// A page of the todos that pass `filter`.
    async fn list_todos(
        &self,
        owner: Uuid,
        filter: &Filter,
        order: Order,
        page: &Page<Key>,
        deadline: Deadline,
    ) -> Result<Rows<Todo>, Error>;

    /// Writes the fields of `edit`.
    ///
    /// Errors: [`Error::TagNotFound`] for the first tag that is not the owner's.
    async fn update_todo(
        &self,
        owner: Uuid,
        id: Uuid,
        edit: &Edit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Todo>, Error>;

    /// Deletes todos softly, all or none.
    ///
    /// Errors: [`Error::TodoNotFound`] for the first one that is not there.
    async fn delete_todos(
        &self,
        owner: Uuid,
        ids: &[Uuid],
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;

    /// Brings a deleted todo back.
    async fn restore_todo(
        &self,
        owner: Uuid,
        id: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Todo>, Error>;

    /// Deletes anybody's todo for good; whether there was one.
    async fn purge_todo(&self, id: Uuid, deadline: Deadline) -> Result<bool, Error>;

    /// Makes a tag.
    ///
    /// Errors: [`Error::TagNameTaken`].
    async fn insert_tag(&self, tag: &Tag, deadline: Deadline) -> Result<(), Error>;

    /// The tag.
    async fn find_tag(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<Option<Tag>, Error>;

    /// A page of the tags, by name.
    async fn list_tags(&self, owner: Uuid, page: &Page<String>, deadline: Deadline) -> Result<Rows<Tag>, Error>;

    /// Renames a tag.
    ///
    /// Errors: [`Error::TagNameTaken`].
    async fn update_tag(
        &self,
        owner: Uuid,
        id: Uuid,
        name: &TagName,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Tag>, Error>;

    /// Deletes a tag and takes it off every todo; whether there was one.
    async fn delete_tag(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<bool, Error>;
}

/// Opens the store that `config` names and migrates it if the settings say so.
pub async fn open(config: &Config) -> Result<Box<dyn Store>, StartError> {
    let database = Database::open(&config.database_url, &config.store).await?;
    if config.store.migrate_on_start {
        MIGRATIONS.up(&database).await?;
    }
    Ok(over(database))
}

/// The store over a database that is open and migrated.
pub fn over(database: Database) -> Box<dyn Store> {
    match database {
        Database::Postgres(database) => Box::new(postgres::Queries::new(database)),
        Database::Sqlite(database) => Box::new(sqlite::Queries::new(database)),
    }
}
