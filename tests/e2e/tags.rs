//! Tags.

use serde_json::json;

use crate::todos::create_tag;
use quartet_tests::{App, on_every_topology};

on_every_topology!(
    a_tag_is_created_renamed_and_deleted,
    a_name_is_taken_once_per_user,
    names_are_compared_without_regard_to_case,
    the_tag_of_somebody_else_is_not_found,
    tags_are_listed_by_name_in_pages,
);

async fn a_tag_is_created_renamed_and_deleted(app: App) {
    let ada = app.register().await;
    let reply = ada.post("/api/v1/tags", json!({"name": "home"})).await;
    let tag = reply.expect(201);
    let path = format!("/api/v1/tags/{}", tag["id"].as_str().unwrap());
    assert_eq!(reply.header("location"), Some(path.as_str()));
    assert_eq!(tag["user_id"], ada.id.as_str());
    assert_eq!(ada.get(&path).await.expect(200), tag);
    assert_eq!(
        ada.patch(&path, json!({"name": "house"})).await.expect(200)["name"],
        "house"
    );
    assert_eq!(
        ada.put(&path, json!({"name": "flat"})).await.expect(200)["name"],
        "flat"
    );
    ada.patch(&path, json!({"name": ""})).await.invalid("name");
    ada.delete(&path).await.expect(204);
    ada.get(&path).await.problem(404, "tag_not_found");
    ada.delete(&path).await.problem(404, "tag_not_found");
}

async fn a_name_is_taken_once_per_user(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    create_tag(&ada, "home").await;
    ada.post("/api/v1/tags", json!({"name": "home"}))
        .await
        .problem(409, "tag_name_taken");
    create_tag(&eve, "home").await;
    let other = create_tag(&ada, "work").await;
    let path = format!("/api/v1/tags/{}", other["id"].as_str().unwrap());
    ada.patch(&path, json!({"name": "home"}))
        .await
        .problem(409, "tag_name_taken");
    ada.patch(&path, json!({"name": "work"})).await.expect(200);
}

async fn names_are_compared_without_regard_to_case(app: App) {
    let ada = app.register().await;
    let tag = create_tag(&ada, "Äpfel").await;
    ada.post("/api/v1/tags", json!({"name": "äPFEL"}))
        .await
        .problem(409, "tag_name_taken");
    let path = format!("/api/v1/tags/{}", tag["id"].as_str().unwrap());
    assert_eq!(
        ada.patch(&path, json!({"name": "äpfel"})).await.expect(200)["name"],
        "äpfel"
    );
    ada.post("/api/v1/todos", json!({"title": "Bake", "tag_ids": [tag["id"]]}))
        .await
        .expect(201);
    let found = ada.get("/api/v1/todos?tag=%C3%84PFEL").await.expect(200);
    assert_eq!(found["total_count"], 1);
}

async fn the_tag_of_somebody_else_is_not_found(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    let tag = create_tag(&ada, "private").await;
    let path = format!("/api/v1/tags/{}", tag["id"].as_str().unwrap());
    eve.get(&path).await.problem(404, "tag_not_found");
    eve.patch(&path, json!({"name": "mine"}))
        .await
        .problem(404, "tag_not_found");
    eve.delete(&path).await.problem(404, "tag_not_found");
    assert_eq!(eve.get("/api/v1/tags").await.expect(200)["total_count"], 0);
    assert_eq!(ada.get(&path).await.expect(200), tag);
}

async fn tags_are_listed_by_name_in_pages(app: App) {
    let ada = app.register().await;
    for name in ["c", "a", "b"] {
        create_tag(&ada, name).await;
    }
    let page = ada.get("/api/v1/tags?page_size=2").await.expect(200);
    assert_eq!(
        (&page["data"][0]["name"], &page["data"][1]["name"]),
        (&json!("a"), &json!("b"))
    );
    assert_eq!(page["total_count"], 3);
    let token = page["next_page_token"].as_str().unwrap();
    let page = ada
        .get(&format!("/api/v1/tags?page_size=2&page_token={token}"))
        .await
        .expect(200);
    assert_eq!(page["data"][0]["name"], "c");
    assert_eq!(
        (&page["has_more"], &page["next_page_token"]),
        (&json!(false), &json!(""))
    );
}
