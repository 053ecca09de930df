//! The stores of the services, read from outside once the dust has settled.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Row};

/// The stores, by service.
pub enum Books {
    /// Paths of SQLite files.
    Sqlite(BTreeMap<&'static str, String>),
    /// URLs of PostgreSQL databases.
    Postgres(BTreeMap<&'static str, String>),
}

/// A connection to one store.
enum Open {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Books {
    /// The services that have a store.
    pub fn services(&self) -> Vec<&'static str> {
        let (Self::Sqlite(stores) | Self::Postgres(stores)) = self;
        stores.keys().copied().collect()
    }

    /// SQL that gives an id as 32 hexadecimal digits.
    pub fn id(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("lower(hex({column}))"),
            Self::Postgres(_) => format!("replace({column}::text, '-', '')"),
        }
    }

    /// SQL that gives a condition as `1` or `0`.
    pub fn flag(condition: &str) -> String {
        format!("case when {condition} then '1' else '0' end")
    }

    /// The rows of a query whose columns are text.
    pub async fn rows(&self, service: &str, sql: &str) -> Result<Vec<Vec<String>>, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.open(service).await? {
            Open::Sqlite(mut connection) => {
                let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
                let read = |row: &sqlx::sqlite::SqliteRow| (0..row.len()).map(|column| row.try_get(column)).collect();
                rows.iter().map(read).collect()
            }
            Open::Postgres(mut connection) => {
                let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
                let read = |row: &sqlx::postgres::PgRow| (0..row.len()).map(|column| row.try_get(column)).collect();
                rows.iter().map(read).collect()
            }
        }
    }

    /// Runs statements; how many rows were written.
    pub async fn run(&self, service: &str, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self.open(service).await? {
            Open::Sqlite(mut connection) => sql.execute(&mut connection).await.map(|done| done.rows_affected()),
            Open::Postgres(mut connection) => sql.execute(&mut connection).await.map(|done| done.rows_affected()),
        }
    }

    async fn open(&self, service: &str) -> Result<Open, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(stores) => {
                let options = SqliteConnectOptions::new().filename(&stores[service]);
                Open::Sqlite(SqliteConnection::connect_with(&options).await?)
            }
            Self::Postgres(stores) => Open::Postgres(PgConnection::connect(&stores[service]).await?),
        })
    }
}
