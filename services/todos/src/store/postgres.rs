//! The queries over PostgreSQL.

mod edit;
mod journal;
mod listed;

#[path = "queries/feed.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod feed;
#[path = "queries/tags.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod tags;
#[path = "queries/todo_rows.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod todo_rows;
#[path = "queries/todos.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod todos;
#[path = "queries/transfer.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod transfer;
#[path = "queries/unit.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod unit;
#[path = "queries/user_lifecycle.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod user_lifecycle;

use quartet_messaging::Publisher;
use quartet_store::Postgres as Database;
use quartet_store::dialect::postgres as dialect;
use sqlx::{PgConnection as Connection, Postgres as Db};
use uuid::Uuid;

use super::FeedNotifier;
use super::tagged::Named;
use crate::Error;
use unit::Unit;

/// The tags of a todo, by name, as JSON.
macro_rules! tags_of_todo {
    () => {
        "(select json_agg(json_build_array(tags.id, tags.name) order by tags.name)
            from todo_tags join tags on tags.id = todo_tags.tag_id
           where todo_tags.todo_id = todos.id)"
    };
}
use tags_of_todo;

pub(super) struct Queries {
    database: Database,
    publisher: Publisher,
    notifier: FeedNotifier,
}

impl Queries {
    pub(super) fn new(database: Database, publisher: Publisher) -> Self {
        Self {
            database,
            publisher,
            notifier: FeedNotifier::default(),
        }
    }

    /// The tags of these ids, for todos that `unit` makes. They are read without a lock, on another
    /// connection: the statement that makes the todos finds out whether they are still so.
    async fn named_tags(&self, unit: &mut Unit, owner: Uuid, ids: &[Uuid]) -> Result<Vec<Named>, Error> {
        let mut connection = self.database.read(unit.cx().deadline).await?;
        tags::find_named(&mut connection, owner, ids).await
    }
}
