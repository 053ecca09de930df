//! Todos and tags.

use serde_json::{Value as Json, json};

use super::scenarios;
use crate::cluster::{Cluster, Person, text};

scenarios! {
    "TodoService/ListTodos": |cluster| {
        let person = with_todos(cluster, 3).await;
        (person.token, json!({"page_size": 2}))
    };
    "TodoService/ListTodos, next page": |cluster| {
        let person = with_todos(cluster, 3).await;
        let first = cluster.call("TodoService/ListTodos", &person.token, json!({"page_size": 2})).await;
        (person.token, json!({"page_size": 2, "page_token": first["next_page_token"]}))
    };
    "TodoService/ListTodos, completed": |cluster| {
        let person = with_todos(cluster, 3).await;
        (person.token, json!({"page_size": 2, "completed": false}))
    };
    "TodoService/ListTodos, by tag": |cluster| {
        let person = with_todos(cluster, 3).await;
        (person.token, json!({"page_size": 2, "tag": ["home"]}))
    };
    "TodoService/ListTodos, search": |cluster| {
        let person = with_todos(cluster, 3).await;
        (person.token, json!({"page_size": 2, "q": "bread"}))
    };
    "TodoService/GetTodo": |cluster| {
        let (person, todo) = with_todo(cluster).await;
        (person.token, json!({"todo_id": todo}))
    };
    "TodoService/CreateTodo": |cluster| {
        // The first todo of somebody makes their feed.
        let (person, _) = with_todo(cluster).await;
        (person.token, json!({"title": "Bread", "due_at": "2100-01-01T00:00:00Z"}))
    };
    "TodoService/CreateTodo, with a key": |cluster| {
        let (person, _) = with_todo(cluster).await;
        (person.token, json!({"title": "Bread", "due_at": "2100-01-01T00:00:00Z"}))
    };
    "TodoService/UpdateTodo, with a key": |cluster| {
        let (person, todo) = with_todo(cluster).await;
        (person.token, json!({"todo_id": todo, "todo": {"title": "Rolls"}, "update_mask": "title"}))
    };
    "TodoService/CreateTodo, with tags": |cluster| {
        let (person, _) = with_todo(cluster).await;
        let tags = [tag(cluster, &person, "one").await, tag(cluster, &person, "two").await];
        (person.token, json!({"title": "Bread", "tag_ids": tags}))
    };
    "TodoService/UpdateTodo": |cluster| {
        let (person, todo) = with_todo(cluster).await;
        (person.token, json!({"todo_id": todo, "todo": {"title": "Rolls"}, "update_mask": "title"}))
    };
    "TodoService/UpdateTodo, with an etag": |cluster| {
        let (person, todo) = with_todo(cluster).await;
        let edit = json!({"title": "Rolls"});
        (person.token, json!({"todo_id": todo, "todo": edit, "update_mask": "title", "etag": "*"}))
    };
    "TodoService/UpdateTodo, tags": |cluster| {
        let (person, todo) = with_todo(cluster).await;
        let edit = json!({"tag_ids": [tag(cluster, &person, "one").await]});
        (person.token, json!({"todo_id": todo, "todo": edit, "update_mask": "tagIds"}))
    };
    "TodoService/DeleteTodo": |cluster| {
        let (person, todo) = with_todo(cluster).await;
        (person.token, json!({"todo_id": todo}))
    };
    "TodoService/RestoreTodo": |cluster| {
        let (person, todo) = with_todo(cluster).await;
        cluster.call("TodoService/DeleteTodo", &person.token, json!({"todo_id": todo})).await;
        (person.token, json!({"todo_id": todo}))
    };
    "TodoService/PurgeTodo": |cluster| {
        let (_, todo) = with_todo(cluster).await;
        (cluster.superuser.clone(), json!({"todo_id": todo}))
    };
    "TodoService/CompleteTodo": |cluster| {
        let (person, todo) = with_todo(cluster).await;
        (person.token, json!({"todo_id": todo}))
    };
    "TodoService/ReopenTodo": |cluster| {
        let (person, todo) = with_todo(cluster).await;
        cluster.call("TodoService/CompleteTodo", &person.token, json!({"todo_id": todo})).await;
        (person.token, json!({"todo_id": todo}))
    };
    "TodoService/BatchCreateTodos": |cluster| {
        let (person, _) = with_todo(cluster).await;
        (person.token, json!({"todos": [{"title": "Bread"}, {"title": "Butter"}, {"title": "Jam"}]}))
    };
    "TodoService/BatchDeleteTodos": |cluster| {
        let person = with_todos(cluster, 3).await;
        let todos = cluster.call("TodoService/ListTodos", &person.token, json!({})).await;
        let ids = todos["data"].as_array().expect("a list").iter().map(|todo| todo["id"].clone());
        let ids: Vec<Json> = ids.collect();
        (person.token, json!({"todo_ids": ids}))
    };
    "TodoService/WatchTodos": |cluster| {
        let (person, _) = with_todo(cluster).await;
        (person.token, json!({}))
    };
    "TagService/ListTags": |cluster| {
        let person = cluster.person().await;
        for name in ["one", "two", "three"] {
            tag(cluster, &person, name).await;
        }
        (person.token, json!({"page_size": 2}))
    };
    "TagService/ListTags, next page": |cluster| {
        let person = cluster.person().await;
        for name in ["one", "two", "three"] {
            tag(cluster, &person, name).await;
        }
        let first = cluster.call("TagService/ListTags", &person.token, json!({"page_size": 2})).await;
        (person.token, json!({"page_size": 2, "page_token": first["next_page_token"]}))
    };
    "TagService/GetTag": |cluster| {
        let person = cluster.person().await;
        let id = tag(cluster, &person, "home").await;
        (person.token, json!({"tag_id": id}))
    };
    "TagService/CreateTag": |cluster| (cluster.person().await.token, json!({"name": "home"}));
    "TagService/UpdateTag": |cluster| {
        let (person, tag) = with_tagged_todo(cluster).await;
        (person.token, json!({"tag_id": tag, "tag": {"name": "work"}, "update_mask": "name"}))
    };
    "TagService/DeleteTag": |cluster| {
        let (person, tag) = with_tagged_todo(cluster).await;
        (person.token, json!({"tag_id": tag}))
    };
    "TransferService/ExportTodos": |cluster| {
        let person = with_todos(cluster, 3).await;
        (cluster.service.clone(), json!({"user_id": person.id, "page_size": 2}))
    };
    "TransferService/ExportTodos, next page": |cluster| {
        let person = with_todos(cluster, 3).await;
        let page = json!({"user_id": person.id, "page_size": 2});
        let first = cluster.call("TransferService/ExportTodos", &cluster.service, page).await;
        let page = json!({"user_id": person.id, "page_size": 2, "page_token": first["next_page_token"]});
        (cluster.service.clone(), page)
    };
    "TransferService/ImportTodos": |cluster| {
        let person = with_todos(cluster, 1).await;
        let rows = json!([
            {"line": 1, "title": "Bread", "tags": ["home"]},
            {"line": 2, "title": "Butter", "tags": ["home", "new"]},
        ]);
        (cluster.service.clone(), json!({"user_id": person.id, "import_id": cluster.id(), "rows": rows}))
    };
    "TransferService/ListDueTodos": |cluster| {
        let (person, _) = with_todo(cluster).await;
        let todo = json!({"title": "Bread", "due_at": "2100-01-01T00:00:00Z"});
        cluster.call("TodoService/CreateTodo", &person.token, todo).await;
        let message = json!({"due_after": "2099-12-31T00:00:00Z", "due_before": "2100-01-02T00:00:00Z"});
        (cluster.service.clone(), message)
    };
    "TransferService/PurgeDeletedTodos": |cluster| {
        // Those of other scenarios go first.
        let all = json!({"deleted_before": "2100-01-01T00:00:00Z", "limit": 1000});
        cluster.call("TransferService/PurgeDeletedTodos", &cluster.service, all.clone()).await;
        let (person, todo) = with_todo(cluster).await;
        cluster.call("TodoService/DeleteTodo", &person.token, json!({"todo_id": todo})).await;
        (cluster.service.clone(), all)
    };
}

/// Somebody new with so many todos, which have a tag.
async fn with_todos(cluster: &Cluster, count: usize) -> Person {
    let person = cluster.person().await;
    let home = tag(cluster, &person, "home").await;
    let todos: Vec<Json> = (0..count)
        .map(|number| json!({"title": format!("Bread {number}"), "tag_ids": [home]}))
        .collect();
    cluster
        .call("TodoService/BatchCreateTodos", &person.token, json!({"todos": todos}))
        .await;
    person
}

/// Somebody new with a todo; its id.
async fn with_todo(cluster: &Cluster) -> (Person, String) {
    let person = cluster.person().await;
    let home = tag(cluster, &person, "home").await;
    let todo = json!({"title": "Bread", "tag_ids": [home]});
    let todo = cluster.call("TodoService/CreateTodo", &person.token, todo).await;
    (person, text(&todo["id"]))
}

/// Somebody new with a todo that has a tag; the tag's id.
async fn with_tagged_todo(cluster: &Cluster) -> (Person, String) {
    let (person, todo) = with_todo(cluster).await;
    let todo = cluster
        .call("TodoService/GetTodo", &person.token, json!({"todo_id": todo}))
        .await;
    (person, text(&todo["tags"][0]["id"]))
}

/// A new tag; its id.
async fn tag(cluster: &Cluster, person: &Person, name: &str) -> String {
    let tag = cluster
        .call("TagService/CreateTag", &person.token, json!({"name": name}))
        .await;
    text(&tag["id"])
}
