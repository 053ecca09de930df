//! A temporary database per test.

use quartet_store::database::DatabaseUrl;
use quartet_store::{Config, Database};
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::TempDir;

/// The variable with the URL of a PostgreSQL server on which tests may create databases. `make
/// test` sets it.
pub const SERVER: &str = "TEST_POSTGRES_URL";

/// A database for one test. A SQLite file is removed when it is dropped; a PostgreSQL database with
/// the temporary server.
pub struct Fresh {
    /// Its URL.
    pub url: DatabaseUrl,
    _folder: Option<TempDir>,
}

impl Fresh {
    /// The database of another `Fresh`, which must outlive this one.
    pub fn at(url: DatabaseUrl) -> Self {
        Self { url, _folder: None }
    }

    /// Opens it with default settings.
    pub async fn open(&self) -> Database {
        let config = Config::read(&quartet_config::Source::default()).expect("the defaults are valid");
        Database::open(&self.url, &config).await.expect("the database opens")
    }

    /// The URL, in the format of a setting.
    pub fn setting(&self) -> String {
        match &self.url {
            DatabaseUrl::Postgres(url) => url.clone(),
            DatabaseUrl::Sqlite(path) => format!("sqlite://{path}"),
        }
    }
}

/// A new SQLite file.
pub async fn sqlite() -> Fresh {
    let folder = TempDir::new().expect("a temporary folder");
    let url = DatabaseUrl::Sqlite(folder.path().join("test.db").display().to_string());
    Fresh {
        url,
        _folder: Some(folder),
    }
}

/// A new database on the server of [`SERVER`].
pub async fn postgres() -> Fresh {
    #[expect(clippy::disallowed_methods, reason = "a test's server is no setting of the product")]
    let server = std::env::var(SERVER)
        .unwrap_or_else(|_| panic!("{SERVER} is not set; `make test` starts a server and sets it"));
    let options: sqlx::postgres::PgConnectOptions = server.parse().expect("a PostgreSQL URL");
    let mut connection = options.connect().await.expect("the test server answers");
    #[expect(clippy::disallowed_methods, reason = "a unique name")]
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    connection
        .execute(sqlx::AssertSqlSafe(format!("create database {name}")))
        .await
        .expect("a database is created");
    connection.close().await.expect("the connection closes");
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    Fresh {
        url: DatabaseUrl::Postgres(format!("{base}/{name}")),
        _folder: None,
    }
}

/// Runs each of these `async fn(Fresh)` once over SQLite and once over PostgreSQL, where the tests
/// are ignored by default.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name($crate::database::sqlite().await).await; })*
        }

        mod postgres {
            $(
                #[tokio::test]
                #[ignore = "needs PostgreSQL: make test"]
                async fn $name() { super::$name($crate::database::postgres().await).await; }
            )*
        }
    };
}
