//! Connections to PostgreSQL are given back as they were taken, whatever became of their callers.

use std::time::{Duration, Instant};

use futures::poll;
use quartet_config::Source;
use quartet_kernel::Deadline;
use quartet_store::{Config, Database, Error, Postgres};
use quartet_testkit::database::Fresh;

/// A database with so many connections.
async fn of_size(fresh: &Fresh, size: &str) -> Postgres {
    let source = Source::of([("DATABASE_POOL_SIZE", size), ("DATABASE_ACQUIRE_TIMEOUT", "2s")]);
    let config = Config::read(&source).unwrap();
    let database = Database::open(&fresh.setting().parse().unwrap(), &config).await;
    match database.unwrap() {
        Database::Postgres(database) => database,
        Database::Sqlite(_) => panic!("a PostgreSQL database"),
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// The server's process behind the connection that comes next.
async fn process(database: &Postgres) -> Result<i32, Error> {
    let mut connection = database.read(soon()).await?;
    Ok(sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *connection)
        .await?)
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn what_an_abandoned_statement_returns_reaches_nobody() {
    let fresh = quartet_testkit::database::postgres().await;
    let database = of_size(&fresh, "1").await;
    let before = process(&database).await.unwrap();
    for step in 0..20 {
        let mut abandoned = Box::pin(async {
            let mut connection = database.read(soon()).await.unwrap();
            let slow = sqlx::query_scalar::<_, i32>("select 7 from pg_sleep(0.02)");
            slow.fetch_one(&mut *connection).await.unwrap()
        });
        let _ = poll!(&mut abandoned);
        tokio::time::sleep(Duration::from_millis(step)).await;
        let _ = poll!(&mut abandoned);
        drop(abandoned);
        assert_eq!(
            process(&database).await.unwrap(),
            before,
            "the connection is used again"
        );
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn what_is_not_committed_is_rolled_back_and_what_was_stays() {
    let fresh = quartet_testkit::database::postgres().await;
    let database = of_size(&fresh, "1").await;
    let run = async |sql: &'static str| {
        let mut transaction = database.write(soon()).await.unwrap();
        sqlx::query(sql).execute(&mut *transaction).await.unwrap();
        transaction
    };
    run("create table kept (n integer)").await.commit().await.unwrap();
    drop(run("insert into kept values (1)").await);
    run("insert into kept values (2)").await.commit().await.unwrap();
    // Whoever gives up while the commit is on its way gets it, and spoils nothing for the next.
    let third = run("insert into kept values (3)").await;
    let mut commit = Box::pin(third.commit());
    let _ = poll!(&mut commit);
    drop(commit);
    let mut connection = database.read(soon()).await.unwrap();
    let kept: Vec<i32> = sqlx::query_scalar("select n from kept order by n")
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    assert_eq!(kept, [2, 3]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_connection_that_died_unused_is_replaced_before_anybody_has_it() {
    let fresh = quartet_testkit::database::postgres().await;
    let (database, other) = (of_size(&fresh, "1").await, of_size(&fresh, "1").await);
    let before = process(&database).await.unwrap();
    let mut connection = other.read(soon()).await.unwrap();
    let ended: bool = sqlx::query_scalar("select pg_terminate_backend($1, 5000)")
        .bind(before)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    assert!(ended);
    // Those that were used just now are not tried first.
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_ne!(process(&database).await.unwrap(), before);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_connection_that_fails_in_use_is_not_used_again() {
    let fresh = quartet_testkit::database::postgres().await;
    let database = of_size(&fresh, "1").await;
    let before = process(&database).await.unwrap();
    let mut connection = database.read(soon()).await.unwrap();
    let ended = sqlx::query("select pg_terminate_backend(pg_backend_pid())")
        .execute(&mut *connection)
        .await;
    ended.unwrap_err();
    drop(connection);
    assert_ne!(process(&database).await.unwrap(), before);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn whoever_gets_no_connection_in_time_learns_that_the_store_is_away() {
    let fresh = quartet_testkit::database::postgres().await;
    let database = of_size(&fresh, "2").await;
    let (one, two) = (
        database.read(soon()).await.unwrap(),
        database.write(soon()).await.unwrap(),
    );
    let begun = Instant::now();
    let none = database.read(soon()).await.err();
    assert!(matches!(none, Some(Error::Unavailable(_))), "{none:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    drop((one, two));
    process(&database).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn closing_waits_for_statements_and_lets_nobody_begin_one() {
    let fresh = quartet_testkit::database::postgres().await;
    let opened = Database::Postgres(of_size(&fresh, "2").await);
    let Database::Postgres(database) = opened.clone() else {
        panic!("a PostgreSQL database");
    };
    let mut connection = database.read(soon()).await.unwrap();
    let closing = tokio::spawn(async move { opened.close().await });
    tokio::task::yield_now().await;
    let last = sqlx::query("select pg_sleep(0.2)").execute(&mut *connection).await;
    last.unwrap();
    assert!(!closing.is_finished());
    let refused = database.read(soon()).await.err();
    assert!(matches!(refused, Some(Error::Unavailable(_))), "{refused:?}");
    drop(connection);
    closing.await.unwrap();
}
