//! Todos: one by one, in lists, in batches.

mod batches;
mod lists;

use serde_json::{Value, json};

use quartet_tests::{App, Person, on_every_topology, on_secured_topology};

on_every_topology!(
    a_created_todo_has_a_location_and_can_be_read,
    a_todo_has_tags,
    a_patch_keeps_absent_fields_and_null_clears,
    a_put_writes_every_field,
    completing_and_reopening_are_repeatable,
    a_deleted_todo_is_gone_until_it_is_restored,
    a_superuser_purges_anybodys_todo_for_good,
    the_todo_of_somebody_else_is_not_found,
    the_tag_of_somebody_else_is_not_found,
    a_deleted_user_has_no_way_to_sign_in,
);

on_secured_topology!(
    a_created_todo_has_a_location_and_can_be_read,
    a_patch_keeps_absent_fields_and_null_clears,
    a_deleted_todo_is_gone_until_it_is_restored,
    the_todo_of_somebody_else_is_not_found,
);

/// A todo of this title.
pub(crate) async fn create(person: &Person, title: &str) -> Value {
    person.post("/api/v1/todos", json!({"title": title})).await.expect(201)
}

/// The path of a todo.
pub(crate) fn path(todo: &Value) -> String {
    format!("/api/v1/todos/{}", todo["id"].as_str().expect("a todo has an id"))
}

/// A tag of this name.
pub(crate) async fn create_tag(person: &Person, name: &str) -> Value {
    person.post("/api/v1/tags", json!({"name": name})).await.expect(201)
}

async fn a_created_todo_has_a_location_and_can_be_read(app: App) {
    let ada = app.register().await;
    let body = json!({
        "title": "Water the plants",
        "description": "All of them",
        "due_at": "2030-01-02T03:04:05.678901Z",
        "priority": "PRIORITY_HIGH",
    });
    let reply = ada.post("/api/v1/todos", body.clone()).await;
    let todo = reply.expect(201);
    assert_eq!(reply.header("location"), Some(path(&todo).as_str()));
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(todo[name], *value, "{name}");
    }
    assert_eq!(todo["user_id"], ada.id.as_str());
    assert_eq!(todo["completed"], false);
    assert_eq!(todo["tags"], json!([]));
    assert_eq!(
        (&todo["completed_at"], &todo["deleted_at"]),
        (&Value::Null, &Value::Null)
    );
    assert!(todo["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(ada.get(&path(&todo)).await.expect(200), todo);
}

async fn a_todo_has_tags(app: App) {
    let ada = app.register().await;
    let (home, work) = (create_tag(&ada, "home").await, create_tag(&ada, "work").await);
    let body = json!({"title": "Both", "tag_ids": [work["id"], home["id"]]});
    let todo = ada.post("/api/v1/todos", body).await.expect(201);
    let expected = json!([{"id": home["id"], "name": "home"}, {"id": work["id"], "name": "work"}]);
    assert_eq!(todo["tags"], expected);
    let todo = ada
        .patch(&path(&todo), json!({"tag_ids": [work["id"]]}))
        .await
        .expect(200);
    assert_eq!(todo["tags"], json!([{"id": work["id"], "name": "work"}]));
    ada.delete(&format!("/api/v1/tags/{}", work["id"].as_str().unwrap()))
        .await
        .expect(204);
    assert_eq!(ada.get(&path(&todo)).await.expect(200)["tags"], json!([]));
}

async fn a_patch_keeps_absent_fields_and_null_clears(app: App) {
    let ada = app.register().await;
    let body =
        json!({"title": "Old", "description": "Kept", "due_at": "2030-01-01T00:00:00Z", "priority": "PRIORITY_LOW"});
    let todo = ada.post("/api/v1/todos", body).await.expect(201);

    let renamed = ada.patch(&path(&todo), json!({"title": "New"})).await.expect(200);
    assert_eq!(renamed["title"], "New");
    for kept in ["description", "due_at", "priority", "created_at"] {
        assert_eq!(renamed[kept], todo[kept], "{kept}");
    }
    let cleared = ada
        .patch(
            &path(&todo),
            json!({"description": null, "due_at": null, "priority": null}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&cleared["description"], &cleared["due_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(cleared["priority"], "PRIORITY_UNSPECIFIED");
    assert_eq!(cleared["title"], "New");
    ada.patch(&path(&todo), json!({})).await.invalid("todo");
    ada.patch(&path(&todo), json!({"title": null})).await.invalid("title");
}

async fn a_put_writes_every_field(app: App) {
    let ada = app.register().await;
    let body = json!({"title": "Old", "description": "Gone", "due_at": "2030-01-01T00:00:00Z", "completed": true});
    let todo = ada.post("/api/v1/todos", body).await.expect(201);
    assert!(todo["completed_at"].is_string());
    let put = ada.put(&path(&todo), json!({"title": "New"})).await.expect(200);
    assert_eq!((&put["title"], &put["completed"]), (&json!("New"), &json!(false)));
    for cleared in ["description", "due_at", "completed_at"] {
        assert_eq!(put[cleared], Value::Null, "{cleared}");
    }
    ada.put(&path(&todo), json!({"description": "No title"}))
        .await
        .invalid("title");
}

async fn completing_and_reopening_are_repeatable(app: App) {
    let ada = app.register().await;
    let todo = create(&ada, "Do it").await;
    let act = async |act: &str| ada.post(&format!("{}:{act}", path(&todo)), json!({})).await;
    let done = act("complete").await.expect(200);
    assert_eq!(done["completed"], true);
    assert!(done["completed_at"].is_string());
    assert_eq!(act("complete").await.expect(200), done);
    let open = act("reopen").await.expect(200);
    assert_eq!(
        (&open["completed"], &open["completed_at"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(act("reopen").await.expect(200), open);
}

async fn a_deleted_todo_is_gone_until_it_is_restored(app: App) {
    let ada = app.register().await;
    let todo = create(&ada, "Come back").await;
    ada.delete(&path(&todo)).await.expect(204);
    ada.get(&path(&todo)).await.problem(404, "todo_not_found");
    ada.patch(&path(&todo), json!({"title": "x"}))
        .await
        .problem(404, "todo_not_found");
    ada.delete(&path(&todo)).await.problem(404, "todo_not_found");
    assert_eq!(ada.get("/api/v1/todos").await.expect(200)["total_count"], 0);
    let deleted = ada.get("/api/v1/todos?deleted=true").await.expect(200);
    assert_eq!(deleted["data"][0]["id"], todo["id"]);
    assert!(deleted["data"][0]["deleted_at"].is_string());
    let restored = ada
        .post(&format!("{}:restore", path(&todo)), json!({}))
        .await
        .expect(200);
    assert_eq!(restored["deleted_at"], Value::Null);
    assert_eq!(ada.get(&path(&todo)).await.expect(200)["title"], "Come back");
    ada.post(&format!("{}:restore", path(&todo)), json!({}))
        .await
        .problem(404, "todo_not_found");
}

async fn a_superuser_purges_anybodys_todo_for_good(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    for deleted_before in [false, true] {
        let todo = create(&ada, "Never again").await;
        if deleted_before {
            ada.delete(&path(&todo)).await.expect(204);
        }
        let purge = format!("{}:purge", path(&todo));
        ada.delete(&purge).await.problem(403, "permission_denied");
        root.delete(&purge).await.expect(204);
        root.delete(&purge).await.problem(404, "todo_not_found");
        ada.post(&format!("{}:restore", path(&todo)), json!({}))
            .await
            .problem(404, "todo_not_found");
    }
}

async fn the_todo_of_somebody_else_is_not_found(app: App) {
    let (ada, eve, root) = (app.register().await, app.register().await, app.superuser().await);
    let todo = create(&ada, "Private").await;
    for other in [&eve, &root] {
        other.get(&path(&todo)).await.problem(404, "todo_not_found");
        other
            .patch(&path(&todo), json!({"title": "Mine"}))
            .await
            .problem(404, "todo_not_found");
        other
            .put(&path(&todo), json!({"title": "Mine"}))
            .await
            .problem(404, "todo_not_found");
        other.delete(&path(&todo)).await.problem(404, "todo_not_found");
        other
            .post(&format!("{}:complete", path(&todo)), json!({}))
            .await
            .problem(404, "todo_not_found");
        let batch = json!({"todo_ids": [todo["id"]]});
        other
            .post("/api/v1/todos:batchDelete", batch)
            .await
            .problem(404, "todo_not_found");
        assert_eq!(other.get("/api/v1/todos?q=Private").await.expect(200)["total_count"], 0);
    }
    assert_eq!(ada.get(&path(&todo)).await.expect(200), todo);
}

async fn the_tag_of_somebody_else_is_not_found(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    let tag = create_tag(&ada, "private").await;
    let body = json!({"title": "Mine", "tag_ids": [tag["id"]]});
    eve.post("/api/v1/todos", body).await.invalid("tag_ids[0]");
    let todo = create(&eve, "Mine").await;
    eve.patch(&path(&todo), json!({"tag_ids": [tag["id"]]}))
        .await
        .invalid("tag_ids[0]");
    assert_eq!(eve.get("/api/v1/todos?tag=private").await.expect(200)["total_count"], 0);
    assert_eq!(eve.get("/api/v1/todos").await.expect(200)["total_count"], 1);
}

async fn a_deleted_user_has_no_way_to_sign_in(app: App) {
    let ada = app.register().await;
    create(&ada, "Left behind").await;
    ada.delete(&format!("/api/v1/users/{}", ada.id)).await.expect(204);
    quartet_tests::app::eventually(
        std::time::Duration::from_secs(1),
        "the token counts no more",
        async || (ada.get("/api/v1/todos").await.status == 401).then_some(()),
    )
    .await;
}
