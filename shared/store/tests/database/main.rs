//! The pools keep their promises over both databases.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod connections;

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
    a_caller_who_gives_up_at_the_beginning_leaves_no_transaction_open,
    an_older_program_starts_on_the_store_of_a_newer_one
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

async fn an_older_program_starts_on_the_store_of_a_newer_one(fresh: Fresh) {
    let database = fresh.open().await;
    let (older, newer) = (
        ["create table one (id integer)"],
        ["create table one (id integer)", "select 1"],
    );
    migrations(&newer).up(&database).await.unwrap();
    migrations(&older).up(&database).await.unwrap();
    assert_eq!(migrations(&newer).status(&database).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_migrate_one_file_at_once_all_succeed() {
    let config = quartet_store::Config::read(&quartet_config::Source::of([])).unwrap();
    let all = [
        "create table a (id integer)",
        "create table b (id integer)",
        "create table c (id integer)",
    ];
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/one.db", folder.path().display());
        let one = async || {
            let database = Database::open(&url.parse().unwrap(), &config).await.unwrap();
            migrations(&all).up(&database).await
        };
        let (first, second, third) = tokio::join!(one(), one(), one());
        for migrated in [first, second, third] {
            migrated.unwrap();
        }
    }
}

#[tokio::test]
async fn databases_are_copied_as_they_are_at_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let config = quartet_store::Config::read(&quartet_config::Source::of([])).unwrap();
    let mut stores = Vec::new();
    for name in ["first", "second"] {
        let url = format!("sqlite://{}/{name}.db", folder.path().display());
        let database = Database::open(&url.parse().unwrap(), &config).await.unwrap();
        migration("create table counted (n integer)")
            .up(&database)
            .await
            .unwrap();
        let Database::Sqlite(database) = database else {
            panic!("SQLite")
        };
        stores.push(database);
    }
    // What is in the second is in the first, at every moment.
    let writing = {
        let stores = stores.clone();
        tokio::spawn(async move {
            for n in 0.. {
                for store in &stores {
                    let insert = sqlx::query("insert into counted values ($1)").bind(n);
                    insert.execute(store.pool()).await.unwrap();
                }
            }
        })
    };
    for round in 0..5 {
        let copies = ["first", "second"].map(|name| {
            let copy = folder.path().join(format!("{name}-{round}.db"));
            (folder.path().join(format!("{name}.db")), copy)
        });
        quartet_store::snapshot::copy(&copies).await.unwrap();
        let mut counts = Vec::new();
        for (_, copy) in &copies {
            assert!(quartet_store::snapshot::is_intact(copy).await.unwrap());
            let url = format!("sqlite://{}", copy.display());
            let Database::Sqlite(copied) = Database::open(&url.parse().unwrap(), &config).await.unwrap() else {
                panic!("SQLite")
            };
            let count: i64 = sqlx::query_scalar("select count(*) from counted")
                .fetch_one(copied.pool())
                .await
                .unwrap();
            counts.push(count);
        }
        assert!(counts[0] - counts[1] <= 1 && counts[0] >= counts[1], "{counts:?}");
    }
    assert!(!writing.is_finished());
    writing.abort();
}

fn migration(sql: &'static str) -> Migrations {
    migrations(&[sql])
}

fn migrations(all: &[&'static str]) -> Migrations {
    let of = |(version, sql): (i64, &&'static str)| {
        Migration::new(version, "made".into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let all = (1..).zip(all).map(of).collect();
    let migrator: &'static Migrator = Box::leak(Box::new(Migrator::with_migrations(all)));
    Migrations {
        postgres: migrator,
        sqlite: migrator,
    }
}

/// A statement of SQLite that ends by its deadline alone.
const ENDLESS: &str = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";

/// A statement that runs far longer than any deadline here.
async fn run_for_long(database: &Database, deadline: Deadline) -> Result<(), Error> {
    match database {
        Database::Postgres(database) => {
            sqlx::query("select pg_sleep(60)")
                .execute(&mut *database.read(deadline).await?)
                .await?;
        }
        Database::Sqlite(database) => {
            sqlx::query(ENDLESS)
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

#[tokio::test]
async fn a_read_of_sqlite_that_was_abandoned_keeps_nobody_waiting() {
    let fresh = quartet_testkit::database::sqlite().await;
    let database = fresh.open().await;
    for _ in 0..3 {
        let mut abandoned = Box::pin(run_for_long(&database, Deadline::after(Duration::from_secs(3))));
        let ended = tokio::time::timeout(Duration::from_millis(50), &mut abandoned).await;
        assert!(ended.is_err());
        drop(abandoned);
        for _ in 0..3 {
            select_one(&database, Deadline::after(Duration::from_secs(1)))
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_write_of_sqlite_that_was_abandoned_ends_at_its_deadline() {
    let fresh = quartet_testkit::database::sqlite().await;
    let Database::Sqlite(database) = fresh.open().await else {
        panic!("it is SQLite");
    };
    let abandoned = async {
        let mut write = database
            .write(Deadline::after(Duration::from_millis(500)))
            .await
            .unwrap();
        sqlx::query(ENDLESS).fetch_one(&mut *write).await.map(drop)
    };
    tokio::time::timeout(Duration::from_millis(50), abandoned)
        .await
        .unwrap_err();
    let next = database.write(Deadline::after(Duration::from_secs(20))).await.unwrap();
    next.commit().await.unwrap();
}

#[tokio::test]
async fn closing_sqlite_waits_for_statements() {
    let fresh = quartet_testkit::database::sqlite().await;
    let database = fresh.open().await;
    let running = tokio::spawn({
        let database = database.clone();
        async move { run_for_long(&database, Deadline::after(Duration::from_millis(300))).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!running.is_finished());
    database.close().await;
    // The task has yet to receive what its statement returned.
    let ended = tokio::time::timeout(Duration::from_millis(200), running).await;
    ended.expect("it has ended").unwrap().unwrap_err();
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
