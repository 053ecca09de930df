//! The queries over SQLite.

mod edit;
mod journal;
mod listed;

#[path = "queries/feed.rs"]
mod feed;
#[path = "queries/tags.rs"]
mod tags;
#[path = "queries/todo_rows.rs"]
mod todo_rows;
#[path = "queries/todos.rs"]
mod todos;
#[path = "queries/transfer.rs"]
mod transfer;
#[path = "queries/unit.rs"]
mod unit;
#[path = "queries/user_lifecycle.rs"]
mod user_lifecycle;

use quartet_messaging::Publisher;
use quartet_store::Sqlite as Database;
use quartet_store::dialect::sqlite as dialect;
use sqlx::{Sqlite as Db, SqliteConnection as Connection};
use uuid::Uuid;

use super::FeedNotifier;
use super::tagged::Named;
use crate::Error;
use unit::Unit;

/// The tags of a todo, by name, as JSON.
macro_rules! tags_of_todo {
    () => {
        "(select json_group_array(json_array(lower(hex(tags.id)), tags.name) order by tags.name)
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

    /// The tags of these ids, for todos that `unit` makes. Nobody else writes until its commit.
    async fn named_tags(&self, unit: &mut Unit, owner: Uuid, ids: &[Uuid]) -> Result<Vec<Named>, Error> {
        tags::find_named(unit.connection().await?, owner, ids).await
    }
}
