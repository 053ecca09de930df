//! Refresh tokens.

use std::time::Duration;

use serde_json::{Value, json};

use quartet_tests::app::eventually;
use quartet_tests::{App, Person, Reply, on_every_topology};

on_every_topology!(
    a_refresh_token_is_exchanged_for_its_successor,
    a_retried_refresh_gets_the_same_successor,
    refreshes_at_once_get_the_same_successor,
    a_replayed_refresh_token_revokes_its_family,
    an_unknown_refresh_token_is_refused,
    an_access_token_is_no_refresh_token,
);

async fn refresh(app: &App, token: &str) -> Reply {
    app.post("/api/v1/auth/refresh", json!({"refresh_token": token})).await
}

async fn next(app: &App, person: &Person) -> Person {
    person.with_tokens(&refresh(app, &person.refresh_token).await.expect(200))
}

async fn a_refresh_token_is_exchanged_for_its_successor(app: App) {
    let mut ada = app.register().await;
    let session = ada.session_id();
    for _ in 0..3 {
        let before = ada.refresh_token.clone();
        ada = next(&app, &ada).await;
        assert_ne!(ada.refresh_token, before);
        assert_eq!(ada.session_id(), session);
        ada.get("/api/v1/auth/me").await.expect(200);
    }
}

async fn a_retried_refresh_gets_the_same_successor(app: App) {
    let ada = app.register().await;
    let (first, second) = (next(&app, &ada).await, next(&app, &ada).await);
    assert_eq!(first.refresh_token, second.refresh_token);
}

async fn refreshes_at_once_get_the_same_successor(app: App) {
    let ada = app.register().await;
    let replies = futures::future::join_all((0..8).map(|_| refresh(&app, &ada.refresh_token))).await;
    let tokens: Vec<Value> = replies
        .iter()
        .map(|reply| reply.expect(200)["refresh_token"].clone())
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}

async fn a_replayed_refresh_token_revokes_its_family(app: App) {
    let ada = app.register().await;
    let elsewhere = app.login(&ada).await;
    let successor = next(&app, &ada).await;
    // The reuse window has to end first; within it, a replay counts as a retry.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    refresh(&app, &ada.refresh_token)
        .await
        .problem(401, "refresh_token_reused");
    let status = refresh(&app, &successor.refresh_token).await;
    assert_eq!(status.status, 401, "{}", status.text());
    eventually(Duration::from_secs(1), "the access token counts no more", async || {
        (successor.get("/api/v1/todos").await.status == 401).then_some(())
    })
    .await;
    // Another session of the same user is a family of its own.
    elsewhere.get("/api/v1/todos").await.expect(200);
    next(&app, &elsewhere).await;
}

async fn an_unknown_refresh_token_is_refused(app: App) {
    for token in ["nonsense", "\u{1F511}", &"x".repeat(512), "a.b.c"] {
        refresh(&app, token).await.problem(401, "invalid_refresh_token");
    }
    refresh(&app, "").await.invalid("refresh_token");
}

async fn an_access_token_is_no_refresh_token(app: App) {
    let ada = app.register().await;
    let refused = refresh(&app, &ada.access_token).await;
    assert!(matches!(refused.status, 401 | 422), "{}", refused.text());
    app.with_token(&ada.refresh_token)
        .get("/api/v1/todos")
        .await
        .problem(401, "token_invalid");
}
