//! The tables, for a service's own migrations.
//!
//! A service copies these into its folders of migrations, such as `0002_outbox.up.sql` and `0002_outbox.down.sql`: its migrations then stand complete in
//! one place, and [`assert_copied`] in a test of the service keeps the copies equal.

use sqlx::migrate::Migrator;

/// Makes the tables in PostgreSQL.
pub const POSTGRES_UP: &str = include_str!("../schema/postgres/outbox.up.sql");
/// Drops them.
pub const POSTGRES_DOWN: &str = include_str!("../schema/postgres/outbox.down.sql");
/// Makes the tables in SQLite.
pub const SQLITE_UP: &str = include_str!("../schema/sqlite/outbox.up.sql");
/// Drops them.
pub const SQLITE_DOWN: &str = include_str!("../schema/sqlite/outbox.down.sql");

/// Panics unless `migrations` have a migration described as `outbox` that is this crate's, for a test of a service.
///
/// # Panics
/// If there is none, or if it is a different one.
pub fn assert_copied(migrations: &quartet_store::Migrations) {
    for (database, migrator, up, down) in [
        ("postgres", migrations.postgres, POSTGRES_UP, POSTGRES_DOWN),
        ("sqlite", migrations.sqlite, SQLITE_UP, SQLITE_DOWN),
    ] {
        let sql = |is_down: bool| copy(migrator, is_down);
        assert_eq!(
            sql(false).as_deref(),
            Some(up),
            "migrations/{database}: the copy of outbox.up.sql"
        );
        assert_eq!(
            sql(true).as_deref(),
            Some(down),
            "migrations/{database}: the copy of outbox.down.sql"
        );
    }
}

fn copy(migrator: &Migrator, is_down: bool) -> Option<String> {
    let mut migrations = migrator.iter().filter(|migration| migration.description == "outbox");
    migrations
        .find(|migration| migration.migration_type.is_down_migration() == is_down)
        .map(|migration| migration.sql.as_str().to_owned())
}
