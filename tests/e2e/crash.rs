//! Acknowledged writes survive the death of the process.

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
/// Acknowledged writes before the process is killed.
const ENOUGH: usize = 200;

#[tokio::test]
async fn acknowledged_writes_survive_kill_9() {
    let app = App::own(&[]);
    let ada = app.register().await;
    let acknowledged: Arc<Mutex<Vec<Value>>> = Arc::default();
    let registered: Arc<Mutex<Vec<String>>> = Arc::default();
    let killed = Arc::new(AtomicBool::new(false));
    let writers = (0..WRITERS).map(|writer| {
        let (acknowledged, registered, killed) = (acknowledged.clone(), registered.clone(), killed.clone());
        let (ada, anybody) = (ada.clone(), (*app).clone());
        tokio::spawn(async move {
            for number in 0.. {
                let body = json!({"title": format!("{writer}/{number}")});
                let call = ada.call(Method::POST, "/api/v1/todos").json(&body);
                let Ok(reply) = call.try_send().await else { break };
                if killed.load(Ordering::SeqCst) && reply.status != 201 {
                    break;
                }
                acknowledged.lock().push(reply.expect(201));
                if number % 10 == 0 {
                    let username = unique("c");
                    let body = json!({
                        "username": username,
                        "email": format!("{username}@example.org"),
                        "password": "correct horse battery",
                    });
                    let call = anybody.call(Method::POST, "/api/v1/auth/register").json(&body);
                    let Ok(reply) = call.try_send().await else { break };
                    if reply.status == 201 {
                        registered.lock().push(username);
                    }
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    eventually(Duration::from_secs(60), "enough writes are acknowledged", async || {
        (acknowledged.lock().len() >= ENOUGH).then_some(())
    })
    .await;
    killed.store(true, Ordering::SeqCst);
    app.suite().kill();
    for writer in writers {
        writer.await.unwrap();
    }

    app.suite().restart();
    let acknowledged = acknowledged.lock().clone();
    assert!(acknowledged.len() >= ENOUGH);
    for todo in &acknowledged {
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
    let logged_out = app.login(&ada).await;
    logged_out.post("/api/v1/auth/logout", json!({})).await.expect(204);
    let keys = app.get("/.well-known/jwks.json").await.expect(200);
    assert!(app.suite().terminate(), "{}", app.suite().log_tails());

    app.suite().restart();
    assert_eq!(ada.get(&path(&todo)).await.expect(200), todo);
    assert_eq!(app.get("/.well-known/jwks.json").await.expect(200), keys);
    // An ended session stays ended.
    logged_out.get("/api/v1/todos").await.problem(401, "token_revoked");
    let tokens = app
        .post("/api/v1/auth/refresh", json!({"refresh_token": ada.refresh_token}))
        .await
        .expect(200);
    ada.with_tokens(&tokens).get("/api/v1/todos").await.expect(200);
}
