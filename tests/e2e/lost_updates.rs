//! Lost updates: a change that names the version it was made for fails when there is another.

use http::Method;
use serde_json::{Value, json};

use crate::todos::{create, create_tag, path};
use quartet_tests::app::unique;
use quartet_tests::rest::Reply;
use quartet_tests::{App, Rest, on_every_topology};

on_every_topology!(
    of_two_changes_of_one_version_one_wins,
    a_version_is_the_same_wherever_it_is_read,
    every_resource_has_an_id_its_times_and_a_version,
    every_form_of_the_header_is_understood,
    a_stale_version_is_refused_by_every_change_of_todos_and_tags,
    a_stale_version_is_refused_by_every_change_of_users_tiers_and_accounts,
    a_stale_version_is_refused_by_every_change_of_webhooks,
    what_is_not_yours_is_not_found_whatever_the_version,
    a_key_and_a_version_go_together,
    a_version_comes_by_the_header_alone,
);

async fn send(rest: &Rest, method: Method, path: &str, etag: &str, body: &Value) -> Reply {
    let call = rest.call(method.clone(), path).header("if-match", etag);
    match method {
        Method::DELETE => call.send().await,
        _ => call.json(body).send().await,
    }
}

/// The header of what is at `path`.
async fn etag(rest: &Rest, path: &str) -> String {
    let reply = rest.get(path).await;
    let shown = reply.expect(200)["etag"].as_str().unwrap().to_owned();
    let header = reply.header("etag").unwrap().to_owned();
    assert_eq!(header, format!("\"{shown}\""));
    header
}

async fn of_two_changes_of_one_version_one_wins(app: App) {
    let ada = app.register().await;
    let path = path(&create(&ada, "Contended").await);
    for round in 0..5 {
        let seen = etag(&ada, &path).await;
        let calls = ["one", "two"].map(|title| {
            let (ada, path, seen) = (ada.clone(), path.clone(), seen.clone());
            let body = json!({"title": format!("{title} {round}")});
            tokio::spawn(async move { send(&ada, Method::PATCH, &path, &seen, &body).await })
        });
        let [one, two] = calls;
        let replies = [one.await.unwrap(), two.await.unwrap()];
        let won: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
        let lost: Vec<&Reply> = replies.iter().filter(|reply| reply.status != 200).collect();
        assert_eq!((won.len(), lost.len()), (1, 1), "{replies:?}");
        lost[0].problem(412, "etag_mismatch");
        assert_eq!(ada.get(&path).await.expect(200)["title"], won[0].json()["title"]);
        assert_eq!(won[0].header("etag").unwrap(), etag(&ada, &path).await);
    }
}

async fn every_resource_has_an_id_its_times_and_a_version(app: App) {
    let root = app.superuser().await;
    let name = unique("t");
    let limit = json!({"name": "l", "path": "/api/v1/todos", "limit": 1, "period": 60});
    let mut resources = vec![root.get("/api/v1/users/me").await.expect(200)];
    for (path, body) in [
        ("/api/v1/todos", json!({"title": "t"})),
        ("/api/v1/tags", json!({"name": name})),
        ("/api/v1/tiers", json!({"name": name})),
        (&format!("/api/v1/tiers/{name}/rate-limits"), limit),
        ("/api/v1/webhooks", json!({"url": "https://example.com/hook"})),
    ] {
        resources.push(root.post(path, body).await.expect(201));
    }
    for resource in resources {
        let id = uuid::Uuid::parse_str(resource["id"].as_str().unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7, "{resource}");
        for part in ["created_at", "updated_at", "etag"] {
            assert!(
                resource[part].as_str().is_some_and(|text| !text.is_empty()),
                "{part}: {resource}"
            );
        }
    }
}

async fn a_version_is_the_same_wherever_it_is_read(app: App) {
    let ada = app.register().await;
    let mut tags = Vec::new();
    // In an order that databases do not agree on.
    for name in ["b", "A", "ä", "_"] {
        tags.push(create_tag(&ada, name).await["id"].clone());
    }
    let body = json!({"title": "Seen", "due_at": "2030-01-02T03:04:05.678901234Z", "tag_ids": tags});
    let made = ada.post("/api/v1/todos", body).await;
    let todo = made.expect(201);
    assert_eq!(made.header("etag").unwrap(), etag(&ada, &path(&todo)).await);
    let listed = ada.get("/api/v1/todos").await.expect(200)["data"][0].clone();
    assert_eq!(listed["etag"], todo["etag"]);
    let edited = ada.patch(&path(&todo), json!({"tag_ids": tags[..3]})).await.expect(200);
    assert_ne!(edited["etag"], todo["etag"]);
    assert_eq!(format!("{}", edited["etag"]), etag(&ada, &path(&todo)).await);
    // A tag is part of what a todo shows.
    let tag = format!("/api/v1/tags/{}", tags[0].as_str().unwrap());
    ada.patch(&tag, json!({"name": "c"})).await.expect(200);
    send(
        &ada,
        Method::PATCH,
        &path(&todo),
        &format!("{}", edited["etag"]),
        &json!({"title": "No"}),
    )
    .await
    .problem(412, "etag_mismatch");
    // A viewer who is shown less sees the same version.
    let (me, eve) = (format!("/api/v1/users/{}", ada.id), app.register().await);
    assert_eq!(etag(&ada, &me).await, etag(&eve, &me).await);
}

async fn every_form_of_the_header_is_understood(app: App) {
    let ada = app.register().await;
    let path = path(&create(&ada, "Seen").await);
    for round in 0..4 {
        let seen = etag(&ada, &path).await;
        let value = match round {
            0 => "*".to_owned(),
            1 => format!("W/{seen}"),
            2 => format!("\"other\", {seen}"),
            _ => seen.trim_matches('"').to_owned(),
        };
        let body = json!({"title": format!("{round}")});
        send(&ada, Method::PATCH, &path, &value, &body).await.expect(200);
    }
    send(&ada, Method::PATCH, &path, "\"unclosed", &json!({"title": "No"}))
        .await
        .invalid("etag");
    let gone = "/api/v1/todos/01890a5d-ac96-774b-bcce-b302099a8057";
    send(&ada, Method::PATCH, gone, "*", &json!({"title": "No"}))
        .await
        .problem(404, "todo_not_found");
}

/// Sends each change with a version that is no longer there, then with the one that is.
async fn refused_when_stale(rest: &Rest, read: &str, changes: &[(Method, &str, Value)]) {
    for (method, path, body) in changes {
        let stale = send(rest, method.clone(), path, "\"stale\"", body).await;
        stale.problem(412, "etag_mismatch");
        let seen = etag(rest, read).await;
        let reply = send(rest, method.clone(), path, &seen, body).await;
        assert!(reply.status / 100 == 2, "{method} {path}: {}", reply.text());
    }
}

async fn a_stale_version_is_refused_by_every_change_of_todos_and_tags(app: App) {
    let (ada, root) = (app.register().await, app.superuser().await);
    let todo = create(&ada, "Seen").await;
    let path = path(&todo);
    let (complete, reopen) = (format!("{path}:complete"), format!("{path}:reopen"));
    let changes = [
        (Method::PATCH, path.as_str(), json!({"title": "Read"})),
        (Method::PUT, path.as_str(), json!({"title": "Written"})),
        (Method::POST, complete.as_str(), json!({})),
        (Method::POST, reopen.as_str(), json!({})),
        (Method::DELETE, path.as_str(), json!({})),
    ];
    refused_when_stale(&ada, &path, &changes).await;
    let deleted = ada.get("/api/v1/todos?deleted=true").await.expect(200)["data"][0].clone();
    let restore = format!("{path}:restore");
    send(&ada, Method::POST, &restore, "\"stale\"", &json!({}))
        .await
        .problem(412, "etag_mismatch");
    send(
        &ada,
        Method::POST,
        &restore,
        deleted["etag"].as_str().unwrap(),
        &json!({}),
    )
    .await
    .expect(200);
    let purge = format!("{path}:purge");
    send(&root, Method::DELETE, &purge, "\"stale\"", &json!({}))
        .await
        .problem(412, "etag_mismatch");
    send(&root, Method::DELETE, &purge, &etag(&ada, &path).await, &json!({}))
        .await
        .expect(204);

    let tag = format!(
        "/api/v1/tags/{}",
        create_tag(&ada, "home").await["id"].as_str().unwrap()
    );
    let changes = [
        (Method::PATCH, tag.as_str(), json!({"name": "house"})),
        (Method::PUT, tag.as_str(), json!({"name": "flat"})),
        (Method::DELETE, tag.as_str(), json!({})),
    ];
    refused_when_stale(&ada, &tag, &changes).await;
}

async fn a_stale_version_is_refused_by_every_change_of_users_tiers_and_accounts(app: App) {
    let (ada, root) = (app.register().await, app.superuser().await);
    let tier = format!("/api/v1/tiers/{}", unique("tier"));
    let name = tier.rsplit('/').next().unwrap().to_owned();
    root.post("/api/v1/tiers", json!({"name": name})).await.expect(201);
    let limits = format!("{tier}/rate-limits");
    let limit = json!({"name": "all", "path": "/api/v1/todos", "limit": 10, "period": 60});
    let limit = root.post(&limits, limit).await.expect(201);
    let limit = format!("{limits}/{}", limit["id"].as_str().unwrap());
    let changes = [
        (Method::PATCH, limit.as_str(), json!({"limit": 20})),
        (Method::DELETE, limit.as_str(), json!({})),
    ];
    refused_when_stale(&root, &limit, &changes).await;

    let me = format!("/api/v1/users/{}", ada.id);
    let of_mine = format!("{me}/tier");
    let changes = [
        (Method::PATCH, me.as_str(), json!({"name": "Ada L."})),
        (Method::PATCH, me.as_str(), json!({"username": unique("u")})),
        (Method::PUT, of_mine.as_str(), json!({"tier": name})),
    ];
    refused_when_stale(&root, &me, &changes).await;

    let profile = format!("{me}/profile");
    send(&ada, Method::PATCH, &profile, "*", &json!({"bio": "First"}))
        .await
        .problem(412, "etag_mismatch");
    ada.patch(&profile, json!({"bio": "First"})).await.expect(200);
    let changes = [
        (Method::PATCH, profile.as_str(), json!({"bio": "Second"})),
        (Method::PUT, profile.as_str(), json!({"bio": "Third"})),
        (Method::DELETE, profile.as_str(), json!({})),
    ];
    refused_when_stale(&ada, &profile, &changes).await;

    let role = format!("/api/v1/auth/accounts/{}/role", ada.id);
    let status = format!("/api/v1/auth/accounts/{}/status", ada.id);
    for (path, body) in [
        (role, json!({"role": "ROLE_USER"})),
        (status, json!({"status": "ACCOUNT_STATUS_ACTIVE"})),
    ] {
        send(&root, Method::PUT, &path, "\"stale\"", &body)
            .await
            .problem(412, "etag_mismatch");
        let seen = etag(&ada, "/api/v1/auth/me").await;
        send(&root, Method::PUT, &path, &seen, &body).await.expect(200);
    }

    send(
        &root,
        Method::PATCH,
        &tier,
        "\"stale\"",
        &json!({"name": unique("tier")}),
    )
    .await
    .problem(412, "etag_mismatch");
    refused_when_stale(&root, &tier, &[(Method::DELETE, tier.as_str(), json!({}))]).await;
    refused_when_stale(&ada, &me, &[(Method::DELETE, me.as_str(), json!({}))]).await;
    let restore = format!("{me}:restore");
    send(&root, Method::POST, &restore, "\"stale\"", &json!({}))
        .await
        .problem(412, "etag_mismatch");
    root.post(&restore, json!({})).await.expect(200);
    let purge = format!("{me}:purge");
    send(&root, Method::DELETE, &purge, "\"stale\"", &json!({}))
        .await
        .problem(412, "etag_mismatch");
    send(&root, Method::DELETE, &purge, &etag(&root, &me).await, &json!({}))
        .await
        .expect(204);
}

async fn a_stale_version_is_refused_by_every_change_of_webhooks(app: App) {
    let ada = app.register().await;
    let made = ada
        .post("/api/v1/webhooks", json!({"url": "https://example.com/hook"}))
        .await;
    let webhook = format!("/api/v1/webhooks/{}", made.expect(201)["id"].as_str().unwrap());
    assert_eq!(made.header("etag").unwrap(), etag(&ada, &webhook).await);
    let changes = [
        (Method::PATCH, webhook.as_str(), json!({"enabled": false})),
        (
            Method::PUT,
            webhook.as_str(),
            json!({"url": "https://example.com/other"}),
        ),
        (Method::DELETE, webhook.as_str(), json!({})),
    ];
    refused_when_stale(&ada, &webhook, &changes).await;
}

async fn what_is_not_yours_is_not_found_whatever_the_version(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    let path = path(&create(&ada, "Mine").await);
    for seen in ["*".to_owned(), "\"stale\"".to_owned(), etag(&ada, &path).await] {
        for method in [Method::PATCH, Method::DELETE] {
            let reply = send(&eve, method, &path, &seen, &json!({"title": "Hers"})).await;
            reply.problem(404, "todo_not_found");
        }
    }
    // Nor is what is gone.
    ada.delete(&path).await.expect(204);
    send(&ada, Method::PATCH, &path, "\"stale\"", &json!({"title": "No"}))
        .await
        .problem(404, "todo_not_found");
}

async fn a_key_and_a_version_go_together(app: App) {
    let ada = app.register().await;
    let path = path(&create(&ada, "Seen").await);
    let (key, seen) = (unique("key"), etag(&ada, &path).await);
    let mut replies = Vec::new();
    for _ in 0..2 {
        let call = ada
            .call(Method::PATCH, &path)
            .header("if-match", &seen)
            .header("idempotency-key", &key);
        replies.push(call.json(&json!({"title": "Once"})).send().await);
    }
    // The first change has made the version another one; its repeat is not a second change.
    assert_eq!((replies[0].status, replies[1].status), (200, 200));
    assert_eq!(replies[0].body, replies[1].body);
    assert_eq!(replies[1].header("etag"), replies[0].header("etag"));
    // A version that is wrong leaves the key free.
    let (key, body) = (unique("key"), json!({"title": "Twice"}));
    for (seen, status) in [(seen, 412), (etag(&ada, &path).await, 200)] {
        let call = ada
            .call(Method::PATCH, &path)
            .header("if-match", &seen)
            .header("idempotency-key", &key);
        call.json(&body).send().await.expect(status);
    }
}

async fn a_version_comes_by_the_header_alone(app: App) {
    let ada = app.register().await;
    let path = path(&create(&ada, "Seen").await);
    let reply = ada.patch(&path, json!({"title": "No", "etag": "stale"})).await;
    assert_eq!(reply.status, 422, "{}", reply.text());
    let reply = ada.delete(&format!("{path}?etag=stale")).await;
    assert_eq!(reply.status, 422, "{}", reply.text());
}
