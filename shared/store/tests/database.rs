//! The pools keep their promises over both databases.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use quartet_kernel::Deadline;
use quartet_store::{Database, Error, Migrations};
use quartet_testkit::database::Fresh;
use quartet_testkit::on_both_databases;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

on_both_databases!(
    a_slow_statement_ends_at_the_deadline,
    a_bound_of_one_call_does_not_reach_the_next,
    a_caller_who_gives_up_at_the_beginning_leaves_no_transaction_open
);

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn migrations_wait_for_a_server_that_goes_away_while_they_start() {
    let fresh = quartet_testkit::database::postgres().await;
    let (database, other) = (fresh.open().await, fresh.open().await);
    let (Database::Postgres(migrated), Database::Postgres(other)) = (&database, &other) else {
        panic!("a PostgreSQL database");
    };
    // What the pool holds is dead, which shows when it is used: as after a server that was
    // restarted.
    let connection: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(migrated.pool())
        .await
        .unwrap();
    let ended: bool = sqlx::query_scalar("select pg_terminate_backend($1, 5000)")
        .bind(connection)
        .fetch_one(other.pool())
        .await
        .unwrap();
    assert!(ended);
    migration("create table made (id integer)").up(&database).await.unwrap();
    sqlx::query("insert into made values (1)")
        .execute(migrated.pool())
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_migration_may_take_longer_than_other_statements() {
    let fresh = quartet_testkit::database::postgres().await;
    let source = quartet_config::Source::of([("DATABASE_STATEMENT_TIMEOUT", "200ms")]);
    let config = quartet_store::Config::read(&source).unwrap();
    let database = Database::open(&fresh.setting().parse().unwrap(), &config)
        .await
        .unwrap();
    migration("select pg_sleep(0.6)").up(&database).await.unwrap();
}

fn migration(sql: &'static str) -> Migrations {
    let migration = Migration::new(1, "one".into(), MigrationType::Simple, sql.into_sql_str(), false);
    let migrator: &'static Migrator = Box::leak(Box::new(Migrator::with_migrations(vec![migration])));
    Migrations {
        postgres: migrator,
        sqlite: migrator,
    }
}

/// A statement that runs far longer than any deadline here.
async fn run_for_long(database: &Database, deadline: Deadline) -> Result<(), Error> {
    match database {
        Database::Postgres(database) => {
            sqlx::query("select pg_sleep(60)")
                .execute(&mut *database.read(deadline).await?)
                .await?;
        }
        Database::Sqlite(database) => {
            let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
            sqlx::query(endless)
                .execute(&mut *database.read(deadline).await?)
                .await?;
        }
    }
    Ok(())
}

async fn a_slow_statement_ends_at_the_deadline(fresh: Fresh) {
    let database = fresh.open().await;
    let begun = Instant::now();
    let result = run_for_long(&database, Deadline::after(Duration::from_millis(200))).await;
    assert!(matches!(result, Err(Error::Deadline)), "{result:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

async fn a_bound_of_one_call_does_not_reach_the_next(fresh: Fresh) {
    let database = fresh.open().await;
    // More calls than connections, so that each connection has held a bound that has passed.
    for _ in 0..20 {
        let short = Deadline::after(Duration::from_millis(50));
        select_one(&database, short).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
    for _ in 0..20 {
        select_one(&database, Deadline::after(Duration::from_secs(20)))
            .await
            .unwrap();
    }
}

async fn a_caller_who_gives_up_at_the_beginning_leaves_no_transaction_open(fresh: Fresh) {
    let (database, watcher) = (fresh.open().await, fresh.open().await);
    let soon = || Deadline::after(Duration::from_secs(20));
    select_one(&database, soon()).await.unwrap();
    for step in 0..20 {
        let mut beginning = Box::pin(async {
            match &database {
                Database::Postgres(database) => drop(database.write(soon()).await.unwrap()),
                Database::Sqlite(database) => drop(database.write(soon()).await.unwrap()),
            }
        });
        // The first poll sends the statement; the caller gives up while the answer is on its way.
        let _ = futures::poll!(&mut beginning);
        tokio::time::sleep(Duration::from_micros(200 * step)).await;
        drop(beginning);
        match &watcher {
            Database::Postgres(watcher) => none_is_open(watcher).await,
            // Somebody else may write.
            Database::Sqlite(watcher) => watcher.write(soon()).await.unwrap().commit().await.unwrap(),
        }
    }
}

/// Waits until no transaction of this database is open but idle.
async fn none_is_open(database: &quartet_store::Postgres) {
    let open =
        "select count(*) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'";
    let mut connection = database.read(Deadline::after(Duration::from_secs(20))).await.unwrap();
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let count: i64 = sqlx::query_scalar(open).fetch_one(&mut *connection).await.unwrap();
        if count == 0 {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "a transaction stays open");
    }
}

async fn select_one(database: &Database, deadline: Deadline) -> Result<(), Error> {
    // Enough steps that SQLite calls the progress handler.
    let some = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) select count(*) from n";
    match database {
        Database::Postgres(database) => {
            sqlx::query(some).execute(&mut *database.read(deadline).await?).await?;
        }
        Database::Sqlite(database) => {
            sqlx::query(some).execute(&mut *database.read(deadline).await?).await?;
        }
    }
    Ok(())
}
