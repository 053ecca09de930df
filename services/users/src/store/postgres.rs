//! The queries over PostgreSQL.

mod statements;

#[path = "queries/account_events.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod account_events;
#[path = "queries/profiles.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod profiles;
#[path = "queries/rate_limits.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod rate_limits;
#[path = "queries/tiers.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod tiers;
#[path = "queries/unit.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod unit;
#[path = "queries/users.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod users;

use quartet_messaging::Publisher;
use quartet_store::Postgres as Database;
use quartet_store::dialect::postgres as dialect;
use sqlx::{PgConnection as Connection, Postgres as Db};

pub(super) struct Queries {
    database: Database,
    publisher: Publisher,
}

impl Queries {
    pub(super) fn new(database: Database, publisher: Publisher) -> Self {
        Self { database, publisher }
    }
}
