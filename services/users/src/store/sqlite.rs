//! The queries over SQLite.

mod statements;

#[path = "queries/account_events.rs"]
mod account_events;
#[path = "queries/profiles.rs"]
mod profiles;
#[path = "queries/rate_limits.rs"]
mod rate_limits;
#[path = "queries/tiers.rs"]
mod tiers;
#[path = "queries/unit.rs"]
mod unit;
#[path = "queries/users.rs"]
mod users;

use quartet_messaging::Publisher;
use quartet_store::Sqlite as Database;
use quartet_store::dialect::sqlite as dialect;
use sqlx::{Sqlite as Db, SqliteConnection as Connection};

pub(super) struct Queries {
    database: Database,
    publisher: Publisher,
}

impl Queries {
    pub(super) fn new(database: Database, publisher: Publisher) -> Self {
        Self { database, publisher }
    }
}
