//! What somebody types who does not know the interface yet, and what comes back.

use http::Method;
use quartet_tests::{App, on_every_topology};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

on_every_topology!(
    json_without_its_header_is_refused_with_the_header_to_send,
    no_error_repeats_a_secret_or_more_than_a_name_of_what_was_sent,
    what_its_state_forbids_is_a_conflict,
    a_head_has_the_headers_of_its_get,
    an_unknown_tag_of_a_body_is_a_field_that_breaks_a_rule,
    a_patch_of_nothing_is_refused_everywhere,
    a_slash_too_many_is_redirected,
    options_lists_the_methods_of_a_path,
    me_stands_wherever_the_id_of_a_user_does,
    an_enum_is_taken_by_its_short_name_in_any_case,
    a_login_takes_a_name_an_address_or_either,
    who_comes_from_elsewhere_is_led_here,
    the_name_of_a_deleted_account_is_taken_and_says_what_to_do,
);

async fn me_stands_wherever_the_id_of_a_user_does(app: App) {
    let (ada, other) = (app.register().await, app.register().await);
    let me = ada
        .patch("/api/v1/users/me", json!({"name": "Ada L"}))
        .await
        .expect(200);
    assert_eq!((&me["id"], &me["name"]), (&json!(ada.id), &json!("Ada L")));
    assert_eq!(ada.get("/api/v1/users/me").await.expect(200)["name"], "Ada L");
    let profile = "/api/v1/users/me/profile";
    ada.put(profile, json!({"bio": "mine"})).await.expect(200);
    ada.patch(profile, json!({"bio": "still mine"})).await.expect(200);
    // What is cached for one caller is nothing to another, and a write makes it outdated.
    assert_eq!(ada.get(profile).await.expect(200)["bio"], "still mine");
    other.get(profile).await.problem(404, "profile_not_found");
    ada.patch(&format!("/api/v1/users/{}/profile", ada.id), json!({"bio": "new"}))
        .await
        .expect(200);
    assert_eq!(ada.get(profile).await.expect(200)["bio"], "new");
    ada.delete(profile).await.expect(204);
    ada.get("/api/v1/users/me/tier").await.problem(404, "tier_not_found");
    ada.get("/api/v1/users/me/rate-limits").await.expect(200);
    app.patch("/api/v1/users/me", json!({"name": "x y"}))
        .await
        .problem(401, "token_missing");
    ada.delete("/api/v1/users/me").await.expect(204);
    other
        .get(&format!("/api/v1/users/{}", ada.id))
        .await
        .problem(404, "user_not_found");
    other.get("/api/v1/users/me").await.expect(200);
}

async fn an_enum_is_taken_by_its_short_name_in_any_case(app: App) {
    let root = app.superuser().await;
    let ada = app.register().await;
    for text in ["high", "HIGH", "PRIORITY_HIGH", "priority_high"] {
        let todo = ada
            .post("/api/v1/todos", json!({"title": "t", "priority": text}))
            .await
            .expect(201);
        assert_eq!(todo["priority"], "PRIORITY_HIGH");
    }
    ada.post("/api/v1/tasks", json!({"export_todos": {"format": "csv"}}))
        .await
        .expect(202);
    let role = format!("/api/v1/auth/accounts/{}/role", ada.id);
    for text in ["USER_ROLE_USER", "ROLE_USER", "user"] {
        assert_eq!(
            root.put(&role, json!({"role": text})).await.expect(200)["role"],
            "ROLE_USER"
        );
    }
    // A role is printed alike wherever it is shown.
    assert_eq!(
        root.get(&format!("/api/v1/users/{}", ada.id)).await.expect(200)["role"],
        "ROLE_USER"
    );
    assert_eq!(ada.get("/api/v1/auth/me").await.expect(200)["role"], "ROLE_USER");
    ada.post("/api/v1/todos", json!({"title": "t", "priority": "highest"}))
        .await
        .problem(422, "validation_failed");
}

async fn a_login_takes_a_name_an_address_or_either(app: App) {
    let ada = app.register().await;
    let login = |names: Value| {
        let mut body = names;
        body["password"] = json!(ada.password);
        let app = &app;
        async move { app.post("/api/v1/auth/login", body).await }
    };
    for names in [
        json!({"username": ada.username}),
        json!({"email": ada.email}),
        json!({"username_or_email": ada.email}),
        json!({"username_or_email": ada.username}),
    ] {
        assert!(login(names).await.expect(200)["access_token"].is_string());
    }
    let none = login(json!({})).await.problem(422, "validation_failed");
    assert_eq!(none["errors"][0]["field"], "username_or_email");
    let both = login(json!({"username": ada.username, "email": ada.email})).await;
    assert_eq!(both.problem(422, "validation_failed")["errors"][0]["field"], "email");
}

async fn json_without_its_header_is_refused_with_the_header_to_send(app: App) {
    let body = json!({"username_or_email": "ada", "password": "hunter2hunter2"}).to_string();
    for path in ["/api/v1/auth/login", "/api/v1/auth/register", "/api/v1/auth/token"] {
        let call = app.call(Method::POST, path);
        let reply = call
            .body("application/x-www-form-urlencoded", body.clone())
            .send()
            .await;
        // The token endpoint answers as OAuth 2.0 clients expect.
        let problem = match path {
            "/api/v1/auth/token" => reply.expect(415),
            _ => reply.problem(415, "unsupported_media_type"),
        };
        assert_eq!(problem["error_code"], "unsupported_media_type");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("Content-Type: application/json"),
            "{problem}"
        );
        assert!(!reply.text().contains("hunter2"), "{problem}");
        assert!(reply.header("accept-post").unwrap().contains("application/json"));
    }
}

async fn no_error_repeats_a_secret_or_more_than_a_name_of_what_was_sent(app: App) {
    let secret = "correct-horse-battery-staple-of-mine";
    let long = "x".repeat(5_000);
    let register = |password: Value| json!({"username": "B A D", "email": "bad", "password": password});
    for body in [
        register(secret.into()),
        register(json!([secret])),
        register(json!({"is": secret})),
        json!({"username": secret.repeat(9), "email": secret.repeat(9), "password": secret.repeat(9)}),
        json!({&long: secret}),
    ] {
        let reply = app.post("/api/v1/auth/register", body.clone()).await;
        assert_eq!(reply.status, 422, "{body}");
        assert!(
            !reply.text().contains(secret) && !reply.text().contains(&"x".repeat(65)),
            "{}",
            reply.text()
        );
    }
    for (content_type, body) in [
        (
            "application/x-www-form-urlencoded",
            format!("username=a&password={secret}&{long}=1"),
        ),
        ("application/json", format!("{{\"password\": \"{secret}")),
        (long.as_str(), secret.to_owned()),
    ] {
        let call = app.call(Method::POST, "/api/v1/auth/login").body(content_type, body);
        let reply = call.send().await;
        assert!((400..500).contains(&reply.status));
        assert!(
            !reply.text().contains(secret) && !reply.text().contains(&"x".repeat(65)),
            "{}",
            reply.text()
        );
    }
}

async fn what_its_state_forbids_is_a_conflict(app: App) {
    let ada = app.register().await;
    let task = ada
        .post("/api/v1/tasks", json!({"export_todos": {"format": "FILE_FORMAT_CSV"}}))
        .await
        .expect(202);
    let id = task["id"].as_str().unwrap();
    crate::jobs::ended(&ada, id).await;
    let act = async |act: &str| ada.post(&format!("/api/v1/tasks/{id}:{act}"), json!({})).await;
    act("cancel").await.problem(409, "task_ended");
    act("retry").await.problem(409, "task_not_retryable");
}

async fn an_unknown_tag_of_a_body_is_a_field_that_breaks_a_rule(app: App) {
    let (ada, other) = (app.register().await, app.register().await);
    let theirs = other.post("/api/v1/tags", json!({"name": "theirs"})).await.expect(201)["id"].clone();
    let mine = ada.post("/api/v1/tags", json!({"name": "mine"})).await.expect(201)["id"].clone();
    let refused = |reply: quartet_tests::Reply, field: &str| {
        let problem = reply.problem(422, "validation_failed");
        assert_eq!(
            (&problem["errors"][0]["field"], &problem["errors"][0]["rule"]),
            (&json!(field), &json!("TAG_NOT_FOUND")),
            "{problem}"
        );
    };
    let todo = json!({"title": "a", "tag_ids": [mine, theirs]});
    refused(ada.post("/api/v1/todos", todo.clone()).await, "tag_ids[1]");
    let batch = json!({"todos": [{"title": "b"}, todo]});
    refused(
        ada.post("/api/v1/todos:batchCreate", batch).await,
        "todos[1].tag_ids[1]",
    );
    let todo = ada.post("/api/v1/todos", json!({"title": "c"})).await.expect(201);
    let path = format!("/api/v1/todos/{}", todo["id"].as_str().unwrap());
    refused(ada.patch(&path, json!({"tag_ids": [theirs]})).await, "tag_ids[0]");
}

async fn a_patch_of_nothing_is_refused_everywhere(app: App) {
    let root = app.superuser().await;
    let id = root.id.clone();
    let tier = quartet_tests::app::unique("t");
    let make = async |path: &str, body: Value| {
        let made = root.post(path, body).await.expect(201);
        format!("{path}/{}", made["id"].as_str().unwrap())
    };
    let limit = json!({"name": "l", "path": "/api/v1/todos", "limit": 1, "period": 60});
    let made = [
        make("/api/v1/todos", json!({"title": "t"})).await,
        make("/api/v1/tags", json!({"name": tier})).await,
        make("/api/v1/webhooks", json!({"url": "https://example.com/hook"})).await,
        make("/api/v1/tiers", json!({"name": tier})).await,
        make(&format!("/api/v1/tiers/{tier}/rate-limits"), limit).await,
    ];
    let of_user = ["", "/profile", "/tier"].map(|part| format!("/api/v1/users/{id}{part}"));
    let description = app.get("/openapi.json").await.expect(200);
    let mut patched = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        if operations.get("patch").is_none() {
            continue;
        }
        patched += 1;
        // The path with what was made in the place of its variables.
        let path = match path.as_str() {
            "/api/v1/tiers/{name}" => format!("/api/v1/tiers/{tier}"),
            "/api/v1/users/me" => path.clone(),
            path => {
                let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
                let is_of = |made: &&String| {
                    let (made, path) = (parts(made), parts(path));
                    let pairs = made.iter().zip(&path);
                    made.len() == path.len()
                        && pairs
                            .into_iter()
                            .all(|(made, part)| part.starts_with('{') || made == part)
                };
                let all = made.iter().chain(&of_user);
                all.into_iter()
                    .find(is_of)
                    .unwrap_or_else(|| panic!("nothing is made for {path}"))
                    .clone()
            }
        };
        let problem = root.patch(&path, json!({})).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["rule"], "REQUIRED", "{path}: {problem}");
    }
    assert!(patched >= 9, "{patched}");
    root.patch(&format!("/api/v1/users/{id}/tier"), json!({"tier": null}))
        .await
        .expect(200);
}

async fn a_slash_too_many_is_redirected(app: App) {
    for (path, location) in [
        ("/api/v1/todos/?page=2", "/api/v1/todos?page=2"),
        ("/api/v1/auth/login/", "/api/v1/auth/login"),
        ("/health/", "/health"),
        ("/verify-email/?token=x", "/verify-email?token=x"),
    ] {
        for method in [Method::GET, Method::POST] {
            let reply = app.call(method, path).send().await;
            assert_eq!(
                (reply.status, reply.header("location")),
                (308, Some(location)),
                "{path}"
            );
        }
    }
    for path in ["/api/v1/nothing/", "/api/v1/todos//", "//evil.example/"] {
        app.get(path).await.problem(404, "route_not_found");
    }
}

async fn options_lists_the_methods_of_a_path(app: App) {
    let options = async |path: &str| {
        let reply = app.call(Method::OPTIONS, path).send().await;
        assert_eq!((reply.status, reply.body.len()), (204, 0), "{path}");
        reply.header("allow").unwrap().to_owned()
    };
    assert_eq!(options("/api/v1/todos").await, "GET, HEAD, POST, OPTIONS");
    assert_eq!(options("/health").await, "GET, HEAD, OPTIONS");
    assert_eq!(options("/verify-email").await, "GET, HEAD, POST, OPTIONS");
    app.call(Method::OPTIONS, "/api/v1/nothing")
        .send()
        .await
        .problem(404, "route_not_found");
    for path in [
        "/",
        "/docs",
        "/openapi.json",
        "/problems/validation_failed",
        "/.well-known/jwks.json",
        "/api/v1/todos:watch",
        "/api/v1/ws",
    ] {
        assert_eq!(options(path).await, "GET, HEAD, OPTIONS", "{path}");
    }
    assert_eq!(options("/api/v1/auth/login").await, "POST, OPTIONS");
    // What no GET is, has no HEAD.
    let head = app.call(Method::HEAD, "/api/v1/auth/login").send().await;
    assert_eq!((head.status, head.header("allow")), (405, Some("POST")));
}

async fn a_head_has_the_headers_of_its_get(app: App) {
    let ada = app.register().await;
    for path in [
        "/",
        "/health",
        "/livez",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/asyncapi.json",
        "/problems/validation_failed",
        "/.well-known/jwks.json",
        "/verify-email?token=x",
        "/api/v1/todos",
        "/api/v1/users/me",
        "/api/v1/nothing",
    ] {
        let head = ada.call(Method::HEAD, path).send().await;
        let get = ada.get(path).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for name in ["content-type", "etag", "cache-control", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
    // A stream has no length.
    let watch = ada
        .call(Method::HEAD, "/api/v1/todos:watch")
        .header("accept", "text/event-stream");
    let watch = watch.send().await;
    assert_eq!(
        (
            watch.status,
            watch.header("content-type"),
            watch.header("content-length")
        ),
        (200, Some("text/event-stream"), None)
    );
}

#[tokio::test]
async fn the_last_superuser_stays_whatever_would_take_them() {
    let app = App::own(&[]);
    let root = app.superuser().await;
    let first = app.suite().root().0.to_owned();
    let first = root
        .get(&format!("/api/v1/users/by-username/{first}"))
        .await
        .expect(200)["id"]
        .clone();
    let first = format!("/api/v1/auth/accounts/{}/role", first.as_str().unwrap());
    root.put(&first, json!({"role": "user"})).await.expect(200);
    let user = format!("/api/v1/users/{}", root.id);
    let account = format!("/api/v1/auth/accounts/{}", root.id);
    for (method, path, body) in [
        (Method::PUT, format!("{account}/role"), json!({"role": "user"})),
        (Method::PUT, format!("{account}/status"), json!({"status": "disabled"})),
        (Method::DELETE, user.clone(), Value::Null),
        (Method::DELETE, "/api/v1/users/me".to_owned(), Value::Null),
        (Method::DELETE, format!("{user}:purge"), Value::Null),
    ] {
        let call = root.call(method.clone(), &path);
        let call = if body.is_null() { call } else { call.json(&body) };
        let problem = call.send().await.problem(409, "last_superuser");
        assert!(
            problem["detail"].as_str().unwrap().contains("superuser"),
            "{method} {path}: {problem}"
        );
    }
    root.get("/api/v1/tiers").await.expect(200);
}

/// Paths, parameters and headers of others.
async fn who_comes_from_elsewhere_is_led_here(app: App) {
    let detail =
        |reply: quartet_tests::Reply, status, code| reply.problem(status, code)["detail"].as_str().unwrap().to_owned();
    let nowhere = detail(app.get("/api/v1/login").await, 404, "route_not_found");
    assert!(nowhere.contains("/api/v1/auth/login"), "{nowhere}");
    let bare = app.call(Method::GET, "/api/v1/todos").header("authorization", "token");
    let bare = detail(bare.send().await, 401, "token_missing");
    assert!(bare.contains("Authorization: Bearer"), "{bare}");
    let ada = app.register().await;
    let paging = detail(ada.get("/api/v1/todos?per_page=5").await, 422, "validation_failed");
    assert!(paging.contains("`items_per_page`"), "{paging}");
    for (path, near) in [
        ("/api/v1/items/", "/api/v1/todos"),
        ("/users/me", "/api/v1/users/me"),
        ("/api/v1/login/access-token", "/api/v1/auth/login"),
        ("/healthz", "/health"),
        ("/api/v1/openapi.json", "/openapi.json"),
        // Where nothing is near, there is the way to all of them.
        ("/graphql", "/docs"),
    ] {
        let nowhere = detail(app.get(path).await, 404, "route_not_found");
        assert!(nowhere.contains(near), "{path}: {nowhere}");
    }
    let method = detail(ada.put("/api/v1/todos", json!({})).await, 405, "method_not_allowed");
    assert!(method.contains("GET, HEAD, POST"), "{method}");
    let due = json!({"title": "t", "due_date": "2030-01-01"});
    let field = detail(ada.post("/api/v1/todos", due).await, 422, "validation_failed");
    assert!(field.contains("`due_at`"), "{field}");
    let role = format!("/api/v1/auth/accounts/{}/role", ada.id);
    let role = app.superuser().await.put(&role, json!({"role": "admin"})).await;
    let role = detail(role, 422, "validation_failed");
    assert!(
        role.contains("`ROLE_SUPERUSER`") && !role.contains("UNSPECIFIED"),
        "{role}"
    );
    let event = json!({"url": "https://example.com/hook", "events": ["todo.created"]});
    let event = detail(ada.post("/api/v1/webhooks", event).await, 422, "validation_failed");
    assert!(event.contains("`todos.todo.created`"), "{event}");
}

async fn the_name_of_a_deleted_account_is_taken_and_says_what_to_do(app: App) {
    let ada = app.register().await;
    ada.delete("/api/v1/users/me").await.expect(204);
    for (username, email, code) in [
        (
            ada.username.clone(),
            "somebody.new@example.org".to_owned(),
            "username_taken",
        ),
        (quartet_tests::app::unique("n"), ada.email.clone(), "email_taken"),
    ] {
        let body = json!({"username": username, "email": email, "password": "quite another sentence"});
        let problem = app.post("/api/v1/auth/register", body).await.problem(409, code);
        assert!(problem["detail"].as_str().unwrap().contains("superuser"), "{problem}");
    }
}

/// Sends bytes to the gateway as they are; what it answers until it closes the connection.
async fn raw(app: &App, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(&app.suite().http).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A gateway that closes while bytes are on their way resets the connection.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_message_has_one_end_whatever_its_headers_claim() {
    let app = App::embedded();
    let post = |headers: &str, body: &str| {
        format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{headers}\r\n\r\n{body}"
        )
    };
    let next = "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: -1",
        "Content-Length: +5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
    ] {
        let answer = raw(&app, &format!("{}{next}", post(headers, "hello"))).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{headers}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers}: {answer}");
    }
    // Chunks decide, and the connection ends after the answer (RFC 9112 §6.1): what follows is read
    // by nobody.
    let both = format!("Transfer-Encoding: chunked\r\nContent-Length: {}", next.len() + 5);
    let answer = raw(&app, &format!("{}{next}", post(&both, "0\r\n\r\n"))).await;
    let statuses: Vec<_> = answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, text)| &answer[at + text.len()..][..3])
        .collect();
    assert!(matches!(statuses.as_slice(), ["400" | "422"]), "{answer}");
}
