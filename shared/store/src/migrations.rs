//! Migrations: forward, back, and where they stand.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{PgPool, SqlitePool};

use crate::Database;
use crate::error::is_away;

/// The migrations of one service, for both databases: `Migrations { postgres: &POSTGRES, sqlite:
/// &SQLITE }` with `static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres")`.
#[derive(Clone, Copy)]
pub struct Migrations {
    /// Those of `migrations/postgres`.
    pub postgres: &'static Migrator,
    /// Those of `migrations/sqlite`.
    pub sqlite: &'static Migrator,
}

/// Where one migration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Number of the migration.
    pub version: i64,
    /// What it does, from its file's name.
    pub description: String,
    /// Whether it has been applied.
    pub applied: bool,
}

/// The migrator, which leaves migrations alone that only a newer program has: after a rollback, the older
/// program starts on the newer store.
fn forward(migrator: &Migrator) -> Migrator {
    let mut forward = Migrator::with_migrations(migrator.iter().cloned().collect());
    forward.set_ignore_missing(true);
    forward
}

/// SQLite has no lock for migrations: of two processes that start at once, one may find that the other
/// has been faster, and goes on from there.
async fn up_sqlite(migrator: &Migrator, pool: &SqlitePool) -> Result<(), MigrateError> {
    loop {
        let before = applied_sqlite(pool).await?.len();
        let done = migrator.run(pool).await;
        if done.is_ok() || applied_sqlite(pool).await?.len() == before {
            return done;
        }
    }
}

/// On a connection of its own, without the bound on every statement: a migration may take long, and
/// so may the wait for another process's.
async fn run_unbounded(migrator: &Migrator, pool: &PgPool) -> Result<(), MigrateError> {
    let mut connection = pool.acquire().await?;
    connection.close_on_drop();
    sqlx::query("set statement_timeout = 0")
        .execute(&mut *connection)
        .await?;
    forward(migrator).run(&mut *connection).await
}

impl Migrations {
    /// Applies what has not been applied. Processes that start at once wait for one another, and
    /// for a server that goes away meanwhile: a migration that it took along is applied anew.
    pub async fn up(&self, database: &Database) -> Result<(), MigrateError> {
        let database = match database {
            Database::Postgres(database) => database,
            Database::Sqlite(database) => return up_sqlite(&forward(self.sqlite), database.pool()).await,
        };
        let retry = database.connect_retry();
        loop {
            let done = run_unbounded(self.postgres, database.pool()).await;
            let (Err(MigrateError::Execute(error)) | Err(MigrateError::ExecuteMigration(error, _))) = &done else {
                return done;
            };
            if !is_away(error) || !retry.wait(error).await {
                return done;
            }
        }
    }

    /// Applies what has not been applied if `on_start` says so, and warns of it otherwise.
    pub async fn at_start(&self, database: &Database, on_start: bool) -> Result<(), MigrateError> {
        if on_start {
            return self.up(database).await;
        }
        let standings = self.status(database).await?;
        let pending: Vec<_> = standings.iter().filter(|standing| !standing.applied).collect();
        if let Some(first) = pending.first() {
            tracing::warn!(
                pending = pending.len(),
                first = format!("{:04} {}", first.version, first.description),
                "migrations of the store are pending, and DATABASE_MIGRATE_ON_START is off: run `quartet migrate up`"
            );
        }
        Ok(())
    }

    /// Takes back the newest applied migration; `None` when none is applied.
    pub async fn down(&self, database: &Database) -> Result<Option<Standing>, MigrateError> {
        let standings = self.status(database).await?;
        let mut applied = standings.into_iter().rev().filter(|standing| standing.applied);
        let Some(last) = applied.next() else {
            return Ok(None);
        };
        let target = applied.next().map_or(0, |standing| standing.version);
        match database {
            Database::Postgres(database) => self.postgres.undo(database.pool(), target).await?,
            Database::Sqlite(database) => self.sqlite.undo(database.pool(), target).await?,
        }
        Ok(Some(last))
    }

    /// Where every migration stands, in order.
    pub async fn status(&self, database: &Database) -> Result<Vec<Standing>, MigrateError> {
        let (migrator, applied) = match database {
            Database::Postgres(database) => (self.postgres, applied_postgres(database.pool()).await?),
            Database::Sqlite(database) => (self.sqlite, applied_sqlite(database.pool()).await?),
        };
        let ups = migrator
            .iter()
            .filter(|migration| !migration.migration_type.is_down_migration());
        let standing = |migration: &sqlx::migrate::Migration| Standing {
            version: migration.version,
            description: migration.description.to_string(),
            applied: applied.contains(&migration.version),
        };
        Ok(ups.map(standing).collect())
    }
}

async fn applied_postgres(pool: &PgPool) -> Result<Vec<i64>, sqlx::Error> {
    let made: Option<String> = sqlx::query_scalar("select to_regclass('_sqlx_migrations')::text")
        .fetch_one(pool)
        .await?;
    match made {
        None => Ok(Vec::new()),
        Some(_) => {
            sqlx::query_scalar("select version from _sqlx_migrations where success")
                .fetch_all(pool)
                .await
        }
    }
}

async fn applied_sqlite(pool: &SqlitePool) -> Result<Vec<i64>, sqlx::Error> {
    let made: i64 = sqlx::query_scalar("select count(*) from sqlite_master where name = '_sqlx_migrations'")
        .fetch_one(pool)
        .await?;
    match made {
        0 => Ok(Vec::new()),
        _ => {
            sqlx::query_scalar("select version from _sqlx_migrations where success")
                .fetch_all(pool)
                .await
        }
    }
}
