//! The queries over SQLite.

mod statements;

#[path = "queries/accounts.rs"]
mod accounts;
#[path = "queries/attempts.rs"]
mod attempts;
#[path = "queries/keys.rs"]
mod keys;
#[path = "queries/mail_requests.rs"]
mod mail_requests;
#[path = "queries/mails.rs"]
mod mails;
#[path = "queries/second_factors.rs"]
mod second_factors;
#[path = "queries/security_events.rs"]
mod security_events;
#[path = "queries/sessions.rs"]
mod sessions;
#[path = "queries/unit.rs"]
mod unit;
#[path = "queries/user_lifecycle.rs"]
mod user_lifecycle;

use quartet_messaging::Publisher;
use quartet_store::Sqlite as Database;
use quartet_store::dialect::sqlite as dialect;
use sqlx::Sqlite as Db;
use sqlx::SqliteConnection as Connection;

use crate::ended_sessions::EndedSessions;

pub(super) struct Queries {
    database: Database,
    publisher: Publisher,
    ended: EndedSessions,
}

impl Queries {
    pub(super) fn new(database: Database, publisher: Publisher, ended: EndedSessions) -> Self {
        Self {
            database,
            publisher,
            ended,
        }
    }
}
