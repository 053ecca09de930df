//! Batches: creation and deletion of many todos, all or none.

use serde_json::{Value, json};

use super::{create, path};
use quartet_tests::{App, on_every_topology};

on_every_topology!(
    a_batch_is_created_in_the_order_of_the_request,
    one_invalid_todo_in_a_batch_fails_the_batch,
    a_batch_is_deleted_completely_or_not_at_all,
    a_batch_is_at_most_a_hundred,
);

async fn total(person: &quartet_tests::Person) -> Value {
    person.get("/api/v1/todos").await.expect(200)["total_count"].clone()
}

async fn a_batch_is_created_in_the_order_of_the_request(app: App) {
    let ada = app.register().await;
    let titles: Vec<String> = (0..100).map(|number| format!("Todo {number:02}")).collect();
    let todos: Vec<Value> = titles.iter().map(|title| json!({"title": title})).collect();
    let created = ada
        .post("/api/v1/todos:batchCreate", json!({"todos": todos}))
        .await
        .expect(201);
    let created: Vec<_> = created["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|todo| todo["title"].as_str().unwrap())
        .collect();
    assert_eq!(created, titles);
    assert_eq!(total(&ada).await, 100);
}

async fn one_invalid_todo_in_a_batch_fails_the_batch(app: App) {
    let ada = app.register().await;
    let todos = json!({"todos": [{"title": "Good"}, {"title": ""}, {"title": "Good"}]});
    ada.post("/api/v1/todos:batchCreate", todos)
        .await
        .invalid("todos[1].title");
    let foreign =
        json!({"todos": [{"title": "Good"}, {"title": "Bad", "tag_ids": ["01890000-0000-7000-8000-000000000000"]}]});
    ada.post("/api/v1/todos:batchCreate", foreign)
        .await
        .invalid("todos[1].tag_ids[0]");
    assert_eq!(total(&ada).await, 0);
}

async fn a_batch_is_deleted_completely_or_not_at_all(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    let (one, two, foreign) = (
        create(&ada, "One").await,
        create(&ada, "Two").await,
        create(&eve, "Hers").await,
    );
    let batch = json!({"todo_ids": [one["id"], foreign["id"], two["id"]]});
    ada.post("/api/v1/todos:batchDelete", batch)
        .await
        .problem(404, "todo_not_found");
    assert_eq!(total(&ada).await, 2);
    ada.post("/api/v1/todos:batchDelete", json!({"todo_ids": [one["id"], two["id"]]}))
        .await
        .expect(204);
    assert_eq!(total(&ada).await, 0);
    eve.get(&path(&foreign)).await.expect(200);
}

async fn a_batch_is_at_most_a_hundred(app: App) {
    let ada = app.register().await;
    let todos: Vec<Value> = (0..101)
        .map(|number| json!({"title": format!("Todo {number}")}))
        .collect();
    ada.post("/api/v1/todos:batchCreate", json!({"todos": todos}))
        .await
        .invalid("todos");
    ada.post("/api/v1/todos:batchCreate", json!({"todos": []}))
        .await
        .invalid("todos");
    ada.post("/api/v1/todos:batchDelete", json!({"todo_ids": []}))
        .await
        .invalid("todo_ids");
    assert_eq!(total(&ada).await, 0);
}
