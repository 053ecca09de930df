//! The queries over PostgreSQL.

mod statements;

#[path = "queries/accounts.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod accounts;
#[path = "queries/attempts.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod attempts;
#[path = "queries/keys.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod keys;
#[path = "queries/mail_requests.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod mail_requests;
#[path = "queries/mails.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod mails;
#[path = "queries/second_factors.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod second_factors;
#[path = "queries/security_events.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod security_events;
#[path = "queries/sessions.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod sessions;
#[path = "queries/unit.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod unit;
#[path = "queries/user_lifecycle.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod user_lifecycle;

use quartet_messaging::Publisher;
use quartet_store::Postgres as Database;
use quartet_store::dialect::postgres as dialect;
use sqlx::PgConnection as Connection;
use sqlx::Postgres as Db;

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
