//! The tables, for a service's own migrations.
//!
//! A service copies these into its folders of migrations, such as `0002_outbox.up.sql` and
//! `0002_outbox.down.sql`: its migrations then stand complete in one place, and [`assert_copied`]
//! in a test of the service keeps the copies equal.

use sqlx::migrate::Migrator;

/// The statements that make tables, and those that drop them.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The description of the migration.
    pub name: &'static str,
    /// For PostgreSQL: those that make the tables, and those that drop them.
    pub postgres: (&'static str, &'static str),
    /// For SQLite.
    pub sqlite: (&'static str, &'static str),
}

/// Outbox and inbox.
pub const OUTBOX: Schema = Schema {
    name: "outbox",
    postgres: (
        include_str!("../schema/postgres/outbox.up.sql"),
        include_str!("../schema/postgres/outbox.down.sql"),
    ),
    sqlite: (
        include_str!("../schema/sqlite/outbox.up.sql"),
        include_str!("../schema/sqlite/outbox.down.sql"),
    ),
};

/// The replies to requests with a key.
pub const IDEMPOTENCY: Schema = Schema {
    name: "idempotency",
    postgres: (
        include_str!("../schema/postgres/idempotency.up.sql"),
        include_str!("../schema/postgres/idempotency.down.sql"),
    ),
    sqlite: (
        include_str!("../schema/sqlite/idempotency.up.sql"),
        include_str!("../schema/sqlite/idempotency.down.sql"),
    ),
};

/// Panics unless `migrations` have a migration of each schema's name that is this crate's, for a
/// test of a service.
///
/// # Panics
/// If there is none, or if it is a different one.
pub fn assert_copied(migrations: &quartet_store::Migrations) {
    for Schema { name, postgres, sqlite } in [OUTBOX, IDEMPOTENCY] {
        for (database, migrator, (up, down)) in [
            ("postgres", migrations.postgres, postgres),
            ("sqlite", migrations.sqlite, sqlite),
        ] {
            for (direction, sql, is_down) in [("up", up, false), ("down", down, true)] {
                assert_eq!(
                    copy(migrator, name, is_down).as_deref(),
                    Some(sql),
                    "migrations/{database}: the copy of {name}.{direction}.sql"
                );
            }
        }
    }
}

fn copy(migrator: &Migrator, name: &str, is_down: bool) -> Option<String> {
    let mut migrations = migrator.iter().filter(|migration| migration.description == name);
    migrations
        .find(|migration| migration.migration_type.is_down_migration() == is_down)
        .map(|migration| migration.sql.as_str().to_owned())
}
