//! Fresh databases: a SQLite file, or a schema of its own on the PostgreSQL server at `TEST_DATABASE_URL`.

use std::sync::Arc;

use quartet_auth::store::MIGRATIONS;
use quartet_config::Source;
use quartet_store::Database;
use quartet_store::database::DatabaseUrl;
use tempfile::TempDir;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A database that is open and migrated. The folder goes with the last clone.
#[derive(Clone)]
pub struct Opened {
    pub database: Database,
    _folder: Option<Arc<TempDir>>,
}

/// Opens a fresh database.
pub async fn open(kind: Kind) -> Opened {
    let config = quartet_store::Config::read(&Source::of([("SQLITE_SYNCHRONOUS", "normal")])).unwrap();
    let (url, folder) = match kind {
        Kind::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("auth.db");
            (
                DatabaseUrl::Sqlite(path.to_str().unwrap().to_owned()),
                Some(Arc::new(folder)),
            )
        }
        Kind::Postgres => (DatabaseUrl::Postgres(fresh_schema().await), None),
    };
    let database = Database::open(&url, &config).await.unwrap();
    MIGRATIONS.up(&database).await.unwrap();
    Opened {
        database,
        _folder: folder,
    }
}

async fn fresh_schema() -> String {
    use sqlx::{AssertSqlSafe, Connection, PgConnection};
    #[expect(
        clippy::disallowed_methods,
        reason = "the server is the one thing that a test is told"
    )]
    let url = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL names a PostgreSQL server");
    let schema = format!("auth_{}", quartet_clock::Clock::system().new_id().simple());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("create schema {schema}")))
        .execute(&mut connection)
        .await
        .unwrap();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options=-c%20search_path%3D{schema}")
}
