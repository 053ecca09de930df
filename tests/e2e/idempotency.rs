//! Requests with an `Idempotency-Key`: a repeat takes effect once and gets the same reply.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::todos::{create, create_tag, path};
use quartet_tests::app::{eventually, unique};
use quartet_tests::rest::Reply;
use quartet_tests::{App, Person, Rest, on_every_topology};

on_every_topology!(
    a_repeat_gets_the_same_reply_and_makes_nothing,
    of_64_requests_at_once_one_takes_effect_and_all_get_its_reply,
    a_key_is_one_users_and_one_requests,
    a_key_that_breaks_a_rule_is_refused_by_the_name_of_the_header,
    a_request_that_failed_may_be_repeated,
    a_repeat_succeeds_where_the_request_itself_would_fail_now,
    batches_tasks_uploads_and_updates_take_keys,
    queues_of_tasks_show_what_was_just_done_to_them,
    a_reply_with_a_secret_is_never_kept,
    a_repeated_registration_signs_in_to_the_same_account,
    a_repeated_registration_with_another_password_is_refused,
    a_change_of_a_user_takes_a_key,
);

const REPLAYED: &str = "idempotency-replayed";

async fn send(rest: &Rest, method: Method, path: &str, key: &str, body: &Value) -> Reply {
    let call = rest.call(method, path).header("idempotency-key", key);
    call.json(body).send().await
}

async fn post(rest: &Rest, path: &str, key: &str, body: &Value) -> Reply {
    send(rest, Method::POST, path, key, body).await
}

async fn todos(person: &Person) -> Value {
    person.get("/api/v1/todos").await.expect(200)["total_count"].clone()
}

async fn a_repeat_gets_the_same_reply_and_makes_nothing(app: App) {
    let ada = app.register().await;
    let (key, body) = (unique("key"), json!({"title": "Once"}));
    let first = post(&ada, "/api/v1/todos", &key, &body).await;
    first.expect(201);
    assert_eq!(first.header(REPLAYED), None);
    // The quotes of a structured field are no part of the key.
    for key in [key.clone(), format!("\"{key}\"")] {
        let repeat = post(&ada, "/api/v1/todos", &key, &body).await;
        assert_eq!((repeat.status, &repeat.body), (201, &first.body));
        assert_eq!(repeat.header("location"), first.header("location"));
        assert_eq!(repeat.header(REPLAYED), Some("true"));
    }
    assert_eq!(todos(&ada).await, 1);
}

async fn of_64_requests_at_once_one_takes_effect_and_all_get_its_reply(app: App) {
    let ada = app.register().await;
    for round in 0..3 {
        let key = unique("key");
        let calls = (0..64).map(|_| {
            let (ada, key) = (ada.clone(), key.clone());
            tokio::spawn(async move {
                let body = json!({"title": "Once", "description": "For all"});
                let reply = post(&ada, "/api/v1/todos", &key, &body).await;
                (reply.expect(201), reply.header(REPLAYED).is_some())
            })
        });
        let calls: Vec<_> = calls.collect();
        let mut replies = Vec::new();
        for call in calls {
            replies.push(call.await.unwrap());
        }
        assert!(replies.iter().all(|(todo, _)| *todo == replies[0].0));
        assert_eq!(replies.iter().filter(|(_, is_replay)| !is_replay).count(), 1);
        assert_eq!(todos(&ada).await, round + 1);
    }
}

async fn a_key_is_one_users_and_one_requests(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    let key = unique("key");
    let mine = post(&ada, "/api/v1/todos", &key, &json!({"title": "Mine"}))
        .await
        .expect(201);
    let hers = post(&eve, "/api/v1/todos", &key, &json!({"title": "Mine"})).await;
    assert_eq!(hers.header(REPLAYED), None);
    assert_ne!(hers.expect(201)["id"], mine["id"]);
    post(&ada, "/api/v1/todos", &key, &json!({"title": "Other"}))
        .await
        .problem(422, "idempotency_key_reused");
    send(&ada, Method::PATCH, &path(&mine), &key, &json!({"title": "Mine"}))
        .await
        .problem(422, "idempotency_key_reused");
    assert_eq!(todos(&ada).await, 1);
    // A method that only reads ignores it.
    let call = ada.call(Method::GET, &path(&mine)).header("idempotency-key", &key);
    assert_eq!(call.send().await.expect(200), mine);
}

async fn a_key_that_breaks_a_rule_is_refused_by_the_name_of_the_header(app: App) {
    let ada = app.register().await;
    for wrong in ["", "two words", &"k".repeat(256)] {
        let reply = post(&ada, "/api/v1/todos", wrong, &json!({"title": "No"})).await;
        reply.invalid("Idempotency-Key");
    }
    let twice = ada
        .call(Method::POST, "/api/v1/todos")
        .header("idempotency-key", "one")
        .header("idempotency-key", "two")
        .json(&json!({"title": "No"}));
    twice.send().await.invalid("Idempotency-Key");
    assert_eq!(todos(&ada).await, 0);
}

async fn a_request_that_failed_may_be_repeated(app: App) {
    let ada = app.register().await;
    let (key, name) = (unique("key"), json!({"name": "home"}));
    let tag = create_tag(&ada, "home").await;
    post(&ada, "/api/v1/tags", &key, &name)
        .await
        .problem(409, "tag_name_taken");
    ada.delete(&format!("/api/v1/tags/{}", tag["id"].as_str().unwrap()))
        .await
        .expect(204);
    let made = post(&ada, "/api/v1/tags", &key, &name).await;
    assert_eq!(made.header(REPLAYED), None);
    let repeat = post(&ada, "/api/v1/tags", &key, &name).await;
    assert_eq!(
        (repeat.expect(201), repeat.header(REPLAYED)),
        (made.expect(201), Some("true"))
    );
}

async fn a_repeat_succeeds_where_the_request_itself_would_fail_now(app: App) {
    let ada = app.register().await;
    let todo = create(&ada, "Back again").await;
    ada.delete(&path(&todo)).await.expect(204);
    let (key, restore) = (unique("key"), format!("{}:restore", path(&todo)));
    let restored = post(&ada, &restore, &key, &json!({})).await.expect(200);
    assert_eq!(post(&ada, &restore, &key, &json!({})).await.expect(200), restored);
    ada.post(&restore, json!({})).await.problem(404, "todo_not_found");
    // What changes nothing is kept, too.
    let (key, reopen) = (unique("key"), format!("{}:reopen", path(&todo)));
    post(&ada, &reopen, &key, &json!({})).await.expect(200);
    ada.post(&format!("{}:complete", path(&todo)), json!({}))
        .await
        .expect(200);
    let repeat = post(&ada, &reopen, &key, &json!({})).await;
    assert_eq!(repeat.header(REPLAYED), Some("true"));
    assert_eq!(ada.get(&path(&todo)).await.expect(200)["completed"], true);
}

async fn batches_tasks_uploads_and_updates_take_keys(app: App) {
    let ada = app.register().await;
    let batch = json!({"todos": [{"title": "One"}, {"title": "Two"}]});
    let todo = create(&ada, "Zero").await;
    let tag = create_tag(&ada, "home").await;
    let tag_path = format!("/api/v1/tags/{}", tag["id"].as_str().unwrap());
    let profile = format!("/api/v1/users/{}/profile", ada.id);
    for (method, path, body) in [
        (Method::POST, "/api/v1/todos:batchCreate", batch),
        (
            Method::POST,
            "/api/v1/tasks",
            json!({"export_todos": {"format": "FILE_FORMAT_CSV"}}),
        ),
        (Method::PATCH, path(&todo).as_str(), json!({"title": "Nought"})),
        (Method::PATCH, tag_path.as_str(), json!({"name": "house"})),
        (Method::PATCH, profile.as_str(), json!({"bio": "Counts"})),
    ] {
        let key = unique("key");
        let first = send(&ada, method.clone(), path, &key, &body).await;
        assert!(first.status / 100 == 2, "{path}: {}", first.text());
        let repeat = send(&ada, method, path, &key, &body).await;
        assert_eq!((repeat.status, &repeat.body), (first.status, &first.body), "{path}");
        assert_eq!(repeat.header(REPLAYED), Some("true"), "{path}");
    }
    assert_eq!(todos(&ada).await, 3);

    let key = unique("key");
    let upload = async |file: &'static str| {
        let call = ada
            .call(Method::POST, "/api/v1/tasks:import")
            .header("idempotency-key", &key);
        call.body("text/csv", file).send().await
    };
    let first = upload("title\nFrom a file\n").await;
    assert!(first.status / 100 == 2, "{}", first.text());
    let repeat = upload("title\nFrom a file\n").await;
    assert_eq!((&repeat.body, repeat.header(REPLAYED)), (&first.body, Some("true")));
    upload("title\nFrom another\n")
        .await
        .problem(422, "idempotency_key_reused");
    let task = first.json()["id"].as_str().unwrap().to_owned();
    eventually(Duration::from_secs(30), "the import ends", async || {
        let task = ada.get(&format!("/api/v1/tasks/{task}")).await.expect(200);
        (task["status"] == "TASK_STATUS_SUCCEEDED").then_some(())
    })
    .await;
    assert_eq!(todos(&ada).await, 4);

    // A key of a task beside the header: each does its part.
    let unique_key = unique("task");
    let body = json!({"export_todos": {"format": "FILE_FORMAT_CSV"}, "unique_key": unique_key});
    let first = post(&ada, "/api/v1/tasks", &unique("key"), &body).await;
    let second = post(&ada, "/api/v1/tasks", &unique("key"), &body).await;
    assert_eq!(second.header(REPLAYED), None);
    assert_eq!(second.json()["id"], first.json()["id"]);
}

async fn queues_of_tasks_show_what_was_just_done_to_them(app: App) {
    let root = app.superuser().await;
    for (verb, paused) in [("pause", true), ("resume", false)] {
        let key = unique("key");
        for _ in 0..2 {
            let queue = post(&root, &format!("/api/v1/queues/low:{verb}"), &key, &json!({})).await;
            assert_eq!(queue.expect(200)["paused"], paused);
        }
    }
}

async fn a_reply_with_a_secret_is_never_kept(app: App) {
    let ada = app.register().await;
    let login = json!({"username_or_email": ada.username, "password": ada.password});
    for (rest, path, body) in [
        (&*app, "/api/v1/auth/login", login),
        (
            &*app,
            "/api/v1/auth/refresh",
            json!({"refresh_token": ada.refresh_token}),
        ),
        (&*ada, "/api/v1/webhooks", json!({"url": "https://example.com/hook"})),
    ] {
        let reply = post(rest, path, &unique("key"), &body).await;
        reply.problem(400, "idempotency_key_refused");
    }
}

fn registration(username: &str) -> Value {
    json!({
        "name": "Ada",
        "username": username,
        "email": format!("{username}@example.org"),
        "password": "correct horse battery",
    })
}

async fn a_repeated_registration_signs_in_to_the_same_account(app: App) {
    let (key, body) = (unique("key"), registration(&unique("r")));
    let calls = (0..4).map(|_| {
        let (rest, key, body) = ((*app).clone(), key.clone(), body.clone());
        tokio::spawn(async move { post(&rest, "/api/v1/auth/register", &key, &body).await.expect(201) })
    });
    let calls: Vec<_> = calls.collect();
    let mut replies = Vec::new();
    for call in calls {
        replies.push(call.await.unwrap());
    }
    replies.push(post(&app, "/api/v1/auth/register", &key, &body).await.expect(201));
    for reply in &replies {
        assert_eq!(reply["user"], replies[0]["user"]);
        let token = reply["access_token"].as_str().unwrap();
        app.with_token(token).get("/api/v1/todos").await.expect(200);
    }
    let mut tokens: Vec<&str> = replies
        .iter()
        .filter_map(|reply| reply["refresh_token"].as_str())
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), replies.len(), "each has a session of its own");
}

async fn a_repeated_registration_with_another_password_is_refused(app: App) {
    let (key, body) = (unique("key"), registration(&unique("r")));
    post(&app, "/api/v1/auth/register", &key, &body).await.expect(201);
    let mut other = body.clone();
    other["password"] = json!("another horse entirely");
    post(&app, "/api/v1/auth/register", &key, &other)
        .await
        .problem(401, "invalid_credentials");
    // Without the key, and with another one, the name is taken.
    app.post("/api/v1/auth/register", body.clone())
        .await
        .problem(409, "username_taken");
    post(&app, "/api/v1/auth/register", &unique("key"), &body)
        .await
        .problem(409, "username_taken");
}

async fn a_change_of_a_user_takes_a_key(app: App) {
    let ada = app.register().await;
    let me = format!("/api/v1/users/{}", ada.id);
    let (key, username) = (unique("key"), unique("u"));
    let body = json!({"name": "Ada L.", "username": username});
    let first = send(&ada, Method::PATCH, &me, &key, &body).await;
    assert_eq!(first.expect(200)["username"], username.as_str());
    let repeat = send(&ada, Method::PATCH, &me, &key, &body).await;
    assert_eq!((&repeat.body, repeat.header(REPLAYED)), (&first.body, Some("true")));
    let change = json!({"current_password": ada.password, "new_password": "an entirely new horse"});
    let key = unique("key");
    for _ in 0..2 {
        post(&ada, "/api/v1/auth/password:change", &key, &change)
            .await
            .expect(204);
    }
    post(&ada, "/api/v1/auth/logout", &unique("key"), &json!({}))
        .await
        .expect(204);
    // Within a second, in every process.
    let reply = eventually(Duration::from_secs(5), "the session has ended", async || {
        let reply = ada.get("/api/v1/todos").await;
        (reply.status != 200).then_some(reply)
    })
    .await;
    reply.problem(401, "token_revoked");
}

#[tokio::test]
async fn a_key_takes_effect_once_though_the_process_is_killed_in_the_middle() {
    let app = App::own(&[]);
    let ada = app.register().await;
    for round in 1..=3 {
        let (key, body) = (unique("key"), json!({"title": format!("Once {round}")}));
        let calls = (0..64).map(|_| {
            let (ada, key, body) = (ada.clone(), key.clone(), body.clone());
            tokio::spawn(async move { until_answered(&ada, &key, &body).await })
        });
        let calls: Vec<_> = calls.collect();
        tokio::time::sleep(Duration::from_millis(round * 15)).await;
        app.suite().kill();
        app.suite().restart();
        let mut replies = Vec::new();
        for call in calls {
            replies.push(call.await.unwrap());
        }
        assert!(replies.iter().all(|reply| *reply == replies[0]));
        assert_eq!(todos(&ada).await, round);
    }
}

/// Repeats the request until it is answered, as a client does that has lost its connection.
async fn until_answered(rest: &Rest, key: &str, body: &Value) -> Value {
    for _ in 0..600 {
        let call = rest.call(Method::POST, "/api/v1/todos").header("idempotency-key", key);
        match call.json(body).try_send().await {
            Ok(reply) if reply.status == 201 => return reply.json(),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("the request was never answered");
}
