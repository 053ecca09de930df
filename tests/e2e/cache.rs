//! Replies that are kept, and requests that need none.

use std::time::Duration;

use http::Method;
use quartet_proto::todos::v1 as pb;
use quartet_proto::todos::v1::todo_service_client::TodoServiceClient;
use quartet_testkit::redis::Server;
use quartet_tests::app::eventually;
use quartet_tests::rest::Reply;
use quartet_tests::{App, Person, Rest, on_every_topology};
use serde_json::{Value, json};
use tonic::Request;

use crate::todos::{create, path};

on_every_topology!(
    a_reply_that_the_client_has_is_304,
    whoever_wrote_sees_it_at_once,
    a_reply_is_its_callers_alone,
    fields_of_a_reply_can_be_chosen,
);

async fn if_none_match(rest: &Rest, path: &str, etag: &str) -> Reply {
    rest.call(Method::GET, path).header("if-none-match", etag).send().await
}

async fn a_reply_that_the_client_has_is_304(app: App) {
    let ada = app.register().await;
    let todo = create(&ada, "Cheese").await;
    for path in [
        path(&todo),
        "/api/v1/todos".into(),
        "/api/v1/users/me".into(),
        "/api/v1/tags?page=1".into(),
    ] {
        let reply = ada.get(&path).await;
        reply.expect(200);
        let etag = reply
            .header("etag")
            .unwrap_or_else(|| panic!("{path} has no tag"))
            .to_owned();
        assert!(etag.starts_with('"'), "{etag}");
        assert_eq!(reply.header("cache-control"), Some("private, no-cache"));
        assert!(reply.header("vary").unwrap().to_lowercase().contains("authorization"));
        for given in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".into()] {
            let same = if_none_match(&ada, &path, &given).await;
            assert_eq!((same.status, same.text().as_str()), (304, ""), "{path}");
            assert_eq!(same.header("etag"), Some(etag.as_str()));
        }
        if_none_match(&ada, &path, "\"x\"").await.expect(200);
        let head = ada
            .call(Method::HEAD, &path)
            .header("if-none-match", &etag)
            .send()
            .await;
        assert_eq!(head.status, 304);
    }
    let etag = ada.get(&path(&todo)).await.header("etag").unwrap().to_owned();
    ada.patch(&path(&todo), json!({"title": "Bread"})).await.expect(200);
    let changed = if_none_match(&ada, &path(&todo), &etag).await;
    assert_eq!(changed.expect(200)["title"], "Bread");
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    // The keys are for everybody.
    let keys = app.get("/.well-known/jwks.json").await;
    assert_eq!(keys.header("cache-control"), Some("public, max-age=60"));
    // What is not read is not kept.
    let posted = ada.post("/api/v1/todos", json!({"title": "x"})).await;
    assert_eq!(posted.header("cache-control"), Some("no-store"));
}

/// A new todo with a tag.
async fn tagged(ada: &Person, title: &str, tag: &Value) -> Value {
    let body = json!({"title": title, "tag_ids": [tag["id"]]});
    ada.post("/api/v1/todos", body).await.expect(201)
}

async fn titles(rest: &Rest) -> Vec<String> {
    let list = rest.get("/api/v1/todos?items_per_page=100").await.expect(200);
    let todos = list["data"].as_array().unwrap().iter();
    todos.map(|todo| todo["title"].as_str().unwrap().to_owned()).collect()
}

async fn whoever_wrote_sees_it_at_once(app: App) {
    let ada = app.register().await;
    let tag = ada.post("/api/v1/tags", json!({"name": "shop"})).await.expect(201);
    for round in 0..20 {
        let title = format!("Cheese {round}");
        let todo = tagged(&ada, &title, &tag).await;
        assert!(titles(&ada).await.contains(&title));
        let name = format!("shop {round}");
        ada.patch(
            &format!("/api/v1/tags/{}", tag["id"].as_str().unwrap()),
            json!({"name": name}),
        )
        .await
        .expect(200);
        assert_eq!(
            ada.get(&path(&todo)).await.expect(200)["tags"][0]["name"],
            name.as_str()
        );
        ada.delete(&path(&todo)).await.expect(204);
        ada.get(&path(&todo)).await.problem(404, "todo_not_found");
        assert!(!titles(&ada).await.contains(&title));
    }
    for name in ["Ada", "Ada L.", "A. Lovelace"] {
        ada.patch(&format!("/api/v1/users/{}", ada.id), json!({"name": name}))
            .await
            .expect(200);
        assert_eq!(ada.get("/api/v1/users/me").await.expect(200)["name"], name);
        assert_eq!(
            ada.get(&format!("/api/v1/users/{}", ada.id)).await.expect(200)["name"],
            name
        );
        let profile = format!("/api/v1/users/{}/profile", ada.id);
        ada.patch(&profile, json!({"bio": name})).await.expect(200);
        assert_eq!(ada.get(&profile).await.expect(200)["bio"], name);
    }
}

async fn a_reply_is_its_callers_alone(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    let todo = create(&ada, "Secret").await;
    for _ in 0..3 {
        ada.get(&path(&todo)).await.expect(200);
        eve.get(&path(&todo)).await.problem(404, "todo_not_found");
        app.get(&path(&todo)).await.problem(401, "token_missing");
        assert!(titles(&eve).await.is_empty());
        assert_eq!(titles(&ada).await, ["Secret"]);
        // An address is shown to its owner alone.
        let user = format!("/api/v1/users/{}", ada.id);
        assert_eq!(ada.get(&user).await.expect(200)["email"], ada.email.as_str());
        assert_eq!(eve.get(&user).await.expect(200).get("email"), None);
    }
    let etag = ada.get(&path(&todo)).await.header("etag").unwrap().to_owned();
    if_none_match(&eve, &path(&todo), &etag)
        .await
        .problem(404, "todo_not_found");
    // Nobody is shown anything after a logout.
    ada.post("/api/v1/auth/logout", json!({})).await;
    let gone = eventually(Duration::from_secs(5), "the token is refused", async || {
        let reply = if_none_match(&ada, &path(&todo), &etag).await;
        (reply.status == 401).then_some(reply)
    })
    .await;
    gone.problem(401, "token_revoked");
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

async fn fields_of_a_reply_can_be_chosen(app: App) {
    let ada = app.register().await;
    let tag = ada.post("/api/v1/tags", json!({"name": "shop"})).await.expect(201);
    let todo = tagged(&ada, "Cheese", &tag).await;
    let chosen = ada
        .get(&format!("{}?fields=title,tags.name", path(&todo)))
        .await
        .expect(200);
    assert_eq!(chosen, json!({"title": "Cheese", "tags": [{"name": "shop"}]}));
    let list = ada
        .get("/api/v1/todos?fields=id,title&items_per_page=5")
        .await
        .expect(200);
    assert_eq!(keys(&list["data"][0]), ["id", "title"]);
    assert_eq!(list["total_count"], 1);
    let list = ada.get("/api/v1/todos?fields=data.id").await.expect(200);
    assert_eq!(list, json!({"data": [{"id": todo["id"]}]}));
    let me = ada.get("/api/v1/users/me?fields=username,createdAt").await.expect(200);
    assert_eq!(keys(&me), ["username", "created_at"]);
    for wrong in ["nothing", "title.x", "id,", "", "data.nothing", "title&fields=id"] {
        ada.get(&format!("{}?fields={wrong}", path(&todo)))
            .await
            .invalid("fields");
    }
}

/// How often the service was called for one todo.
async fn calls(app: &App) -> u64 {
    let metrics = Rest::new(app.suite().metrics("todos")).get("/metrics").await.text();
    let line = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let of = name.starts_with("rpc_server_call_duration_seconds_count") && name.contains("/GetTodo\"");
        of.then(|| value.parse::<u64>().ok()).flatten()
    };
    metrics.lines().filter_map(line).sum()
}

async fn storm(ada: &Person, path: &str, count: usize) {
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (ada, path) = (ada.clone(), path.to_owned());
        running.spawn(async move { ada.get(&path).await.expect(200) });
    }
    running.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_served_without_a_call_and_a_stampede_is_one() {
    let app = App::own(&[]);
    let ada = app.register().await;
    let todo = create(&ada, "Cheese").await;
    for round in 1..=3 {
        storm(&ada, &path(&todo), 64).await;
        let etag = ada.get(&path(&todo)).await.header("etag").unwrap().to_owned();
        assert_eq!(if_none_match(&ada, &path(&todo), &etag).await.status, 304);
        assert_eq!(calls(&app).await, round);
        ada.patch(&path(&todo), json!({"title": format!("Cheese {round}")}))
            .await
            .expect(200);
    }
}

/// Changes a todo without the gateway.
async fn rename_directly(app: &App, ada: &Person, todo: &Value, title: &str) {
    let mut client = TodoServiceClient::new(app.channel("todos").await);
    let mut request = Request::new(pb::UpdateTodoRequest {
        todo_id: todo["id"].as_str().unwrap().into(),
        todo: Some(pb::TodoEdit {
            title: title.into(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["title".into()],
        }),
        ..Default::default()
    });
    let bearer = format!("Bearer {}", ada.access_token);
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    client.update_todo(request).await.unwrap();
}

#[tokio::test]
async fn a_write_past_the_gateway_is_seen_through_it() {
    let app = App::own(&[]);
    let ada = app.register().await;
    let todo = create(&ada, "Cheese").await;
    for round in 0..10 {
        let title = format!("Cheese {round}");
        ada.get(&path(&todo)).await.expect(200);
        rename_directly(&app, &ada, &todo, &title).await;
        assert_eq!(ada.get(&path(&todo)).await.expect(200)["title"], title.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and Redis: make test"]
async fn what_one_gateway_has_kept_another_ones_writes_make_outdated() {
    let mut redis = Server::start();
    let app = App::own_distributed(&[("REDIS_URL", &redis.url()), ("REDIS_TIMEOUT", "5s")]);
    let ada = app.register().await;
    let second = Rest::new(&app.suite().add_gateway(&[])).with_token(&ada.access_token);
    let todo = create(&ada, "Cheese").await;
    let gateways = [(*ada).clone(), second];
    // Redis is used once it has been well for a while.
    let before = calls(&app).await;
    eventually(Duration::from_secs(20), "a reply is kept", async || {
        let before = calls(&app).await;
        gateways[0].get(&path(&todo)).await.expect(200);
        gateways[1].get(&path(&todo)).await.expect(200);
        (calls(&app).await == before).then_some(())
    })
    .await;
    assert!(calls(&app).await > before);
    for round in 0..50 {
        let title = format!("Cheese {round}");
        let (writer, reader) = (&gateways[round % 2], &gateways[(round + 1) % 2]);
        reader.get(&path(&todo)).await.expect(200);
        if round % 5 == 4 {
            rename_directly(&app, &ada, &todo, &title).await;
        } else {
            writer.patch(&path(&todo), json!({"title": title})).await.expect(200);
        }
        assert_eq!(reader.get(&path(&todo)).await.expect(200)["title"], title.as_str());
        assert_eq!(titles(reader).await, [title.as_str()]);
        assert_eq!(titles(writer).await, [title.as_str()]);
    }
    // Without Redis everything is served as it is.
    redis.kill();
    ada.patch(&path(&todo), json!({"title": "Bread"})).await.expect(200);
    for gateway in &gateways {
        assert_eq!(gateway.get(&path(&todo)).await.expect(200)["title"], "Bread");
    }
}

#[tokio::test]
async fn a_client_may_use_a_reply_of_its_own_for_as_long_as_the_setting_says() {
    let app = App::own(&[("CLIENT_CACHE_MAX_AGE", "30s")]);
    let ada = app.register().await;
    let reply = ada.get("/api/v1/todos").await;
    assert_eq!(reply.header("cache-control"), Some("private, max-age=30"));
}

#[tokio::test]
async fn without_the_cache_every_read_is_a_call() {
    let app = App::own(&[("CACHE_ENABLED", "false")]);
    let ada = app.register().await;
    let todo = create(&ada, "Cheese").await;
    for _ in 0..3 {
        ada.get(&path(&todo)).await.expect(200);
    }
    assert_eq!(calls(&app).await, 3);
}
