//! Events: effects of a change in one service on another, through messages.

use std::time::Duration;

use serde_json::json;

use quartet_tests::app::eventually;
use quartet_tests::{App, Person, on_every_topology};

on_every_topology!(the_todos_of_a_deleted_user_are_deleted_and_restored_with_the_user,);

/// Bound on the delivery of an event, on few cores under many tests.
const DELIVERY: Duration = Duration::from_secs(30);

async fn todo(owner: &Person, title: &str) -> String {
    let created = owner.post("/api/v1/todos", json!({"title": title})).await.expect(201);
    created["id"].as_str().unwrap().to_owned()
}

async fn the_todos_of_a_deleted_user_are_deleted_and_restored_with_the_user(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    let kept = todo(&ada, "kept").await;
    let deleted_before = todo(&ada, "deleted before").await;
    ada.delete(&format!("/api/v1/todos/{deleted_before}")).await.expect(204);
    let user = format!("/api/v1/users/{}", ada.id);

    ada.delete(&user).await.expect(204);

    // Nobody can read the todo while the user is deleted; that it was deleted shows in
    // `updated_at`.
    root.post(&format!("{user}:restore"), json!({})).await.expect(200);
    let ada = app.login(&ada).await;
    eventually(DELIVERY, "the todo was deleted and is restored", async || {
        let todo = ada.get(&format!("/api/v1/todos/{kept}")).await;
        (todo.status == 200 && todo.json()["updated_at"] != todo.json()["created_at"]).then_some(())
    })
    .await;
    let deleted = ada.get("/api/v1/todos?deleted=true").await.expect(200);
    let deleted: Vec<_> = deleted["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|todo| todo["id"].as_str().unwrap())
        .collect();
    assert_eq!(deleted, [deleted_before.as_str()]);
}
