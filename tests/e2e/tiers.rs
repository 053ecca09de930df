//! Tiers and their rate limits.

use std::time::Duration;

use serde_json::{Value, json};

use quartet_tests::app::{eventually, unique};
use quartet_tests::{App, on_every_topology, on_secured_topology};

on_every_topology!(
    a_tier_is_created_renamed_and_deleted_by_superusers,
    a_users_tier_is_in_the_next_token,
    a_rate_limit_is_unique_per_tier_and_path,
    a_user_reads_the_limits_of_their_tier,
    tiers_are_listed_by_name,
    limits_are_listed_in_pages,
);

on_secured_topology!(a_users_tier_is_in_the_next_token,);

async fn a_tier_is_created_renamed_and_deleted_by_superusers(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    let (name, other) = (unique("t"), unique("t"));
    ada.post("/api/v1/tiers", json!({"name": name}))
        .await
        .problem(403, "permission_denied");
    let reply = root.post("/api/v1/tiers", json!({"name": name})).await;
    let tier = reply.expect(201);
    let path = format!("/api/v1/tiers/{name}");
    assert_eq!(reply.header("location"), Some(path.as_str()));
    assert_eq!(ada.get(&path).await.expect(200), tier);
    root.post("/api/v1/tiers", json!({"name": name}))
        .await
        .problem(409, "tier_name_taken");
    root.post("/api/v1/tiers", json!({"name": "Not A Name"}))
        .await
        .invalid("name");
    assert_eq!(
        root.patch(&path, json!({"name": other})).await.expect(200)["id"],
        tier["id"]
    );
    root.get(&path).await.problem(404, "tier_not_found");
    let path = format!("/api/v1/tiers/{other}");
    ada.delete(&path).await.problem(403, "permission_denied");
    root.delete(&path).await.expect(204);
    root.delete(&path).await.problem(404, "tier_not_found");
}

async fn a_users_tier_is_in_the_next_token(app: App) {
    let (root, ada, eve) = (app.superuser().await, app.register().await, app.register().await);
    let name = unique("t");
    root.post("/api/v1/tiers", json!({"name": name})).await.expect(201);
    let path = format!("/api/v1/users/{}/tier", ada.id);
    ada.get(&path).await.problem(404, "tier_not_found");
    ada.put(&path, json!({"tier": name}))
        .await
        .problem(403, "permission_denied");
    assert_eq!(
        root.put(&path, json!({"tier": name})).await.expect(200)["tier"],
        name.as_str()
    );
    assert_eq!(ada.get(&path).await.expect(200)["name"], name.as_str());
    eve.get(&path).await.problem(403, "not_your_user");

    assert_eq!(ada.claims().get("tier"), None);
    assert_eq!(app.login(&ada).await.claims()["tier"], name.as_str());
    // A refresh takes the tier that an event has brought to auth.
    let mut token = ada.refresh_token.clone();
    let ada = eventually(Duration::from_secs(30), "the tier in a refreshed token", async || {
        let refresh = json!({"refresh_token": token});
        let refreshed = ada.with_tokens(&app.post("/api/v1/auth/refresh", refresh).await.expect(200));
        token = refreshed.refresh_token.clone();
        (refreshed.claims().get("tier") == Some(&name.as_str().into())).then_some(refreshed)
    })
    .await;

    root.patch(&path, json!({"tier": "no-such-tier"}))
        .await
        .problem(404, "tier_not_found");
    assert_eq!(
        root.patch(&path, json!({"tier": null})).await.expect(200)["tier"],
        Value::Null
    );
    root.put(&path, json!({"tier": name})).await.expect(200);
    root.delete(&format!("/api/v1/tiers/{name}")).await.expect(204);
    assert_eq!(ada.get("/api/v1/users/me").await.expect(200)["tier"], Value::Null);
}

async fn a_rate_limit_is_unique_per_tier_and_path(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    let (tier, other) = (unique("t"), unique("t"));
    for name in [&tier, &other] {
        root.post("/api/v1/tiers", json!({"name": name})).await.expect(201);
    }
    let limits = format!("/api/v1/tiers/{tier}/rate-limits");
    let body = json!({"name": "reads", "path": "/api/v1/todos/{todo_id}", "limit": 10, "period": 60});
    ada.post(&limits, body.clone()).await.problem(403, "permission_denied");
    let reply = root.post(&limits, body.clone()).await;
    let limit = reply.expect(201);
    let path = format!("{limits}/{}", limit["id"].as_str().unwrap());
    assert_eq!(reply.header("location"), Some(path.as_str()));
    assert_eq!(
        (&limit["tier_name"], &limit["limit"], &limit["period"]),
        (&json!(tier), &json!(10), &json!(60))
    );
    assert_eq!(ada.get(&path).await.expect(200), limit);

    let same_path = json!({"name": "others", "path": body["path"], "limit": 1, "period": 1});
    root.post(&limits, same_path).await.problem(409, "rate_limit_exists");
    let same_name = json!({"name": "reads", "path": "/api/v1/tags", "limit": 1, "period": 1});
    root.post(&limits, same_name)
        .await
        .problem(409, "rate_limit_name_taken");
    let too_much = json!({"name": "x", "path": "no-path", "limit": 0, "period": 86_401});
    let problem = root.post(&limits, too_much).await.invalid("path");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3, "{problem}");

    let patched = root.patch(&path, json!({"limit": 20})).await.expect(200);
    assert_eq!((&patched["limit"], &patched["path"]), (&json!(20), &body["path"]));
    // The limits of one tier do not apply to another.
    let elsewhere = path.replace(&tier, &other);
    root.get(&elsewhere).await.problem(404, "rate_limit_not_found");
    root.delete(&elsewhere).await.problem(404, "rate_limit_not_found");
    root.delete(&path).await.expect(204);
    root.get(&path).await.problem(404, "rate_limit_not_found");
    assert_eq!(ada.get(&limits).await.expect(200)["data"], json!([]));
    root.get("/api/v1/tiers/no-such-tier/rate-limits")
        .await
        .problem(404, "tier_not_found");
}

async fn a_user_reads_the_limits_of_their_tier(app: App) {
    let (root, ada, eve) = (app.superuser().await, app.register().await, app.register().await);
    let tier = unique("t");
    root.post("/api/v1/tiers", json!({"name": tier})).await.expect(201);
    let body = json!({"name": "lists", "path": "/api/v1/todos", "limit": 5, "period": 1});
    root.post(&format!("/api/v1/tiers/{tier}/rate-limits"), body)
        .await
        .expect(201);
    let path = format!("/api/v1/users/{}/rate-limits", ada.id);
    assert_eq!(ada.get(&path).await.expect(200)["data"], json!([]));
    root.put(&format!("/api/v1/users/{}/tier", ada.id), json!({"tier": tier}))
        .await
        .expect(200);
    assert_eq!(ada.get(&path).await.expect(200)["data"][0]["name"], "lists");
    eve.get(&path).await.problem(403, "not_your_user");
    root.get(&path).await.expect(200);
}

async fn tiers_are_listed_by_name(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    let prefix = unique("t");
    for end in ["b", "a"] {
        root.post("/api/v1/tiers", json!({"name": format!("{prefix}{end}")}))
            .await
            .expect(201);
    }
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = ada
            .get(&format!("/api/v1/tiers?page_size=50&page_token={token}"))
            .await
            .expect(200);
        names.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tier| tier["name"].as_str().unwrap().to_owned()),
        );
        token = page["next_page_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    names.retain(|name| name.starts_with(&prefix));
    assert_eq!(names, [format!("{prefix}a"), format!("{prefix}b")]);
}

async fn limits_are_listed_in_pages(app: App) {
    let (root, ada) = (app.superuser().await, app.register().await);
    let tier = unique("t");
    root.post("/api/v1/tiers", json!({"name": tier})).await.expect(201);
    let of_tier = format!("/api/v1/tiers/{tier}/rate-limits");
    let paths = ["/api/v1/todos", "/api/v1/tags", "/api/v1/tasks", "/api/v1/webhooks"];
    let paths = paths
        .into_iter()
        .flat_map(|path| ["", "GET ", "POST "].map(|verb| format!("{verb}{path}")));
    for (number, path) in paths.take(11).enumerate() {
        let limit = json!({"name": format!("l{number}"), "path": path, "limit": 900, "period": 1});
        root.post(&of_tier, limit).await.expect(201);
    }
    root.put(&format!("/api/v1/users/{}/tier", ada.id), json!({"tier": tier}))
        .await
        .expect(200);
    for list in [of_tier, format!("/api/v1/users/{}/rate-limits", ada.id)] {
        // Whoever names no size gets all, as before there were pages.
        let all = ada.get(&list).await.expect(200);
        assert_eq!(all["data"].as_array().unwrap().len(), 11);
        assert_eq!((&all["total_count"], &all["has_more"]), (&json!(11), &json!(false)));
        let first = ada.get(&format!("{list}?page_size=6")).await.expect(200);
        let token = first["next_page_token"].as_str().unwrap();
        let second = ada
            .get(&format!("{list}?page_size=6&page_token={token}"))
            .await
            .expect(200);
        let rows = |page: &Value| page["data"].as_array().unwrap().clone();
        assert_eq!([rows(&first), rows(&second)].concat(), rows(&all));
        assert_eq!(
            (&second["has_more"], &second["next_page_token"]),
            (&json!(false), &json!(""))
        );
        ada.get(&format!("{list}?page_size=101")).await.invalid("page_size");
        ada.get(&format!("{list}?page_token=x")).await.invalid("page_token");
    }
}
