//! What follows from a change in another service, by way of messages.

use std::time::Duration;

use serde_json::json;

use quartet_tests::app::eventually;
use quartet_tests::{App, Person, on_both_topologies};

on_both_topologies!(the_todos_of_a_deleted_user_go_and_come_back_with_them,);

/// How long news may take, on few cores under many tests.
const NEWS: Duration = Duration::from_secs(30);

async fn todo(owner: &Person, title: &str) -> String {
    let made = owner.post("/api/v1/todos", json!({"title": title})).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn the_todos_of_a_deleted_user_go_and_come_back_with_them(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    let kept = todo(&ada, "kept").await;
    let thrown_away = todo(&ada, "thrown away").await;
    ada.delete(&format!("/api/v1/todos/{thrown_away}")).await.expect(204);
    let user = format!("/api/v1/users/{}", ada.id);

    ada.delete(&user).await.expect(204);

    // Nobody can look while the user is gone; that the todo was away shows in the time of its last change.
    root.post(&format!("{user}:restore"), json!({})).await.expect(200);
    let ada = app.login(&ada).await;
    eventually(NEWS, "the todo was away, and is back", async || {
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
    assert_eq!(deleted, [thrown_away.as_str()]);
}
