//! What was answered is kept, whatever happens to the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::todos::{create, path};
use quartet_tests::App;
use quartet_tests::app::{eventually, unique};

/// Writers at once.
const WRITERS: usize = 8;
/// Answers before the process is killed.
const ENOUGH: usize = 200;

#[tokio::test]
async fn what_was_answered_survives_kill_9_during_writes() {
    let app = App::own(&[]);
    let ada = app.register().await;
    let answered: Arc<Mutex<Vec<Value>>> = Arc::default();
    let registered: Arc<Mutex<Vec<String>>> = Arc::default();
    let killed = Arc::new(AtomicBool::new(false));
    let writers = (0..WRITERS).map(|writer| {
        let (answered, registered, killed) = (answered.clone(), registered.clone(), killed.clone());
        let (ada, anybody) = (ada.clone(), (*app).clone());
        tokio::spawn(async move {
            for number in 0.. {
                let body = json!({"title": format!("{writer}/{number}")});
                let Ok(reply) = ada.call(Method::POST, "/api/v1/todos").json(&body).try_send().await else { break };
                if killed.load(Ordering::SeqCst) && reply.status != 201 {
                    break;
                }
                answered.lock().push(reply.expect(201));
                if number % 10 == 0 {
                    let username = unique("c");
                    let body = json!({"username": username, "email": format!("{username}@example.org"), "password": "correct horse battery"});
                    let Ok(reply) = anybody.call(Method::POST, "/api/v1/auth/register").json(&body).try_send().await else { break };
                    if reply.status == 201 {
                        registered.lock().push(username);
                    }
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    eventually(Duration::from_secs(60), "enough writes are answered", async || {
        (answered.lock().len() >= ENOUGH).then_some(())
    })
    .await;
    killed.store(true, Ordering::SeqCst);
    app.suite().kill();
    for writer in writers {
        writer.await.unwrap();
    }

    app.suite().start_again();
    let answered = answered.lock().clone();
    assert!(answered.len() >= ENOUGH);
    for todo in &answered {
        assert_eq!(ada.get(&path(todo)).await.expect(200), *todo);
    }
    let registered = registered.lock().clone();
    assert!(!registered.is_empty());
    for username in &registered {
        let login = json!({"username_or_email": username, "password": "correct horse battery"});
        app.post("/api/v1/auth/login", login).await.expect(200);
    }
    create(&ada, "And it goes on").await;
}

#[tokio::test]
async fn a_stop_is_clean_and_data_keys_and_sessions_survive_it() {
    let app = App::own(&[]);
    let ada = app.register().await;
    let todo = create(&ada, "Still here").await;
    let gone = app.login(&ada).await;
    gone.post("/api/v1/auth/logout", json!({})).await.expect(204);
    let keys = app.get("/.well-known/jwks.json").await.expect(200);
    assert!(app.suite().terminate(), "{}", app.suite().tails());

    app.suite().start_again();
    assert_eq!(ada.get(&path(&todo)).await.expect(200), todo);
    assert_eq!(app.get("/.well-known/jwks.json").await.expect(200), keys);
    // An ended session stays ended.
    gone.get("/api/v1/todos").await.problem(401, "token_revoked");
    let tokens = app
        .post("/api/v1/auth/refresh", json!({"refresh_token": ada.refresh_token}))
        .await
        .expect(200);
    ada.with_tokens(&tokens).get("/api/v1/todos").await.expect(200);
}
