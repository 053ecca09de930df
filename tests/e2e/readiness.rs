//! Readiness: a process says that it can serve exactly while it can.

use std::time::Duration;

use sqlx::{Connection, SqliteConnection};

use quartet_tests::App;
use quartet_tests::app::eventually;

#[tokio::test]
async fn a_store_that_is_locked_makes_the_suite_unready_until_it_is_free() {
    let app = App::own(&[]);
    let ready = app.get("/readyz").await.expect(200);
    assert_eq!(ready["checks"]["revocations"], "ok", "{ready}");

    let file = app.suite().folder().join("data/todos.db");
    let mut lock = SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    sqlx::query("begin immediate").execute(&mut lock).await.unwrap();
    let becomes = async |status: u16| {
        eventually(Duration::from_secs(20), "the readiness changes", async || {
            (app.get("/readyz").await.status == status).then_some(())
        })
        .await;
    };
    becomes(503).await;
    assert_eq!(app.get("/livez").await.status, 200);
    sqlx::query("rollback").execute(&mut lock).await.unwrap();
    becomes(200).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_gateway_without_the_list_of_ended_sessions_is_unready() {
    let app = App::own_distributed(&[]);
    // A gateway that has never reached the auth service.
    let nowhere = quartet_tests::process::free_address();
    let http = app.suite().spawn_gateway(&[("AUTH_URL", &format!("http://{nowhere}"))]);
    let gateway = quartet_tests::Rest::new(&http);
    let ready = eventually(Duration::from_secs(20), "the gateway answers", async || {
        gateway.call(http::Method::GET, "/readyz").try_send().await.ok()
    })
    .await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.text().contains("\"revocations\":\"not received\""),
        "{}",
        ready.text()
    );
}
