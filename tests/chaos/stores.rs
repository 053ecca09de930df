//! The databases of the services, read from outside once the cluster is quiet.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row};

/// The databases, by service.
pub enum Stores {
    /// Paths of SQLite files.
    Sqlite(BTreeMap<&'static str, String>),
    /// URLs of PostgreSQL databases.
    Postgres(BTreeMap<&'static str, String>),
}

/// A connection to one database.
enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Stores {
    /// The services that have a database.
    pub fn services(&self) -> Vec<&'static str> {
        let (Self::Sqlite(stores) | Self::Postgres(stores)) = self;
        stores.keys().copied().collect()
    }

    /// SQL that selects an id as 32 hexadecimal digits.
    pub fn id(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("lower(hex({column}))"),
            Self::Postgres(_) => format!("replace({column}::text, '-', '')"),
        }
    }

    /// SQL that selects a condition as `1` or `0`.
    pub fn flag(condition: &str) -> String {
        format!("case when {condition} then '1' else '0' end")
    }

    /// The rows of a query whose columns are text.
    pub async fn query(&self, service: &str, sql: &str) -> Result<Vec<Vec<String>>, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.connect(service).await? {
            Connection::Sqlite(mut connection) => {
                let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
                let read = |row: &sqlx::sqlite::SqliteRow| (0..row.len()).map(|column| row.try_get(column)).collect();
                rows.iter().map(read).collect()
            }
            Connection::Postgres(mut connection) => {
                let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
                let read = |row: &sqlx::postgres::PgRow| (0..row.len()).map(|column| row.try_get(column)).collect();
                rows.iter().map(read).collect()
            }
        }
    }

    /// Executes statements; returns the number of rows written.
    pub async fn execute(&self, service: &str, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self.connect(service).await? {
            Connection::Sqlite(mut connection) => sql.execute(&mut connection).await.map(|done| done.rows_affected()),
            Connection::Postgres(mut connection) => sql.execute(&mut connection).await.map(|done| done.rows_affected()),
        }
    }

    async fn connect(&self, service: &str) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(stores) => {
                let options = SqliteConnectOptions::new().filename(&stores[service]);
                Connection::Sqlite(SqliteConnection::connect_with(&options).await?)
            }
            Self::Postgres(stores) => Connection::Postgres(PgConnection::connect(&stores[service]).await?),
        })
    }
}
