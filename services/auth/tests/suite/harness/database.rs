//! Fresh databases, migrated.

use std::sync::Arc;

use quartet_auth::store::MIGRATIONS;
use quartet_store::Database;
use quartet_testkit::database::{self, Fresh};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// A database that is open and migrated. A file goes with the last clone.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) database: Database,
    _fresh: Arc<Fresh>,
}

/// Opens a fresh database.
pub(crate) async fn open(kind: Kind) -> Opened {
    let fresh = match kind {
        Kind::Sqlite => database::sqlite().await,
        Kind::Postgres => database::postgres().await,
    };
    let database = fresh.open().await;
    MIGRATIONS.up(&database).await.unwrap();
    Opened {
        database,
        _fresh: Arc::new(fresh),
    }
}
