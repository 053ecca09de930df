//! Invalid input: the right status and `error_code`, never a 500, and the suite keeps serving.

mod without_proxy;

use http::Method;
use serde_json::json;

use crate::todos::{create, path};
use quartet_tests::{App, on_every_topology};

on_every_topology!(
    a_problem_is_in_the_language_of_the_request,
    malformed_json_has_another_reason_than_invalid_json,
    an_unknown_field_and_a_wrong_type_are_reported,
    an_invalid_id_is_reported,
    nul_bytes_and_other_odd_text_are_refused_or_kept_as_they_are,
    a_body_that_is_too_large_is_refused,
    a_body_of_another_type_is_refused,
    a_known_path_lists_its_methods,
    an_unknown_path_is_no_route,
    deep_nesting_is_refused,
    an_invalid_query_is_refused,
);

async fn a_problem_is_in_the_language_of_the_request(app: App) {
    let ada = app.register().await;
    let get = |language: &str| {
        let call = ada.call(Method::POST, "/api/v1/todos").json(&json!({"title": ""}));
        call.header("accept-language", language).send()
    };
    for (accepted, language, title) in [
        ("en", "en", "Some fields break their rules"),
        ("ru", "ru", ""),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru", ""),
        ("de", "en", "Some fields break their rules"),
        ("*", "en", "Some fields break their rules"),
        ("nonsense;;q=x", "en", "Some fields break their rules"),
    ] {
        let reply = get(accepted).await;
        let problem = reply.invalid("title");
        assert_eq!(reply.header("content-language"), Some(language), "{accepted}");
        let russian = problem["title"]
            .as_str()
            .unwrap()
            .chars()
            .any(|letter| ('а'..='я').contains(&letter));
        assert_eq!(russian, language == "ru", "{problem}");
        assert!(title.is_empty() || problem["title"] == title, "{problem}");
        let message = problem["errors"][0]["message"].as_str().unwrap();
        assert_eq!(
            message.chars().any(|letter| ('а'..='я').contains(&letter)),
            language == "ru",
            "{problem}"
        );
    }
}

async fn malformed_json_has_another_reason_than_invalid_json(app: App) {
    let ada = app.register().await;
    let send = |body: &str| {
        ada.call(Method::POST, "/api/v1/todos")
            .body("application/json", body.to_owned())
            .send()
    };
    for malformed in [
        "{",
        "{\"title\": ",
        "title",
        "{'title': 'x'}",
        "{\"title\": \"x\"} x",
        "\u{feff}{",
        "{\"title\": \"\u{1}\"}",
        "{\"title\": 01}",
    ] {
        send(malformed).await.problem(400, "malformed_json");
    }
    let bytes = ada
        .call(Method::POST, "/api/v1/todos")
        .body("application/json", &b"{\"title\": \"\xff\xfe\"}"[..]);
    bytes.send().await.problem(400, "malformed_json");
    for wrong in ["[]", "\"title\"", "1", "true"] {
        let reply = send(wrong).await;
        let problem = reply.json();
        assert!(matches!(reply.status, 400 | 422), "{wrong}: {problem}");
        reply.problem(reply.status, problem["error_code"].as_str().unwrap());
    }
    ada.get("/api/v1/todos").await.expect(200);
}

async fn an_unknown_field_and_a_wrong_type_are_reported(app: App) {
    let ada = app.register().await;
    let send = async |body: serde_json::Value| ada.post("/api/v1/todos", body).await;
    send(json!({"title": "x", "colour": "red"})).await.invalid("colour");
    send(json!({"title": 1})).await.invalid("title");
    send(json!({"title": ["x"]})).await.invalid("title");
    send(json!({"title": "x", "completed": "yes"}))
        .await
        .invalid("completed");
    send(json!({"title": "x", "due_at": "tomorrow"}))
        .await
        .invalid("due_at");
    send(json!({"title": "x", "due_at": "9999-99-99T00:00:00Z"}))
        .await
        .invalid("due_at");
    send(json!({"title": "x", "priority": "PRIORITY_SILLY"}))
        .await
        .invalid("priority");
    send(json!({"title": "x", "priority": 99})).await.invalid("priority");
    send(json!({"title": "x", "tag_ids": "one"})).await.invalid("tag_ids");
    send(json!({"title": "x", "tag_ids": [null]}))
        .await
        .problem(422, "validation_failed");
    let batch = json!({"todos": [{"title": "x"}, {"title": "x", "colour": 1}]});
    ada.post("/api/v1/todos:batchCreate", batch)
        .await
        .invalid("todos[1].colour");
    // Both spellings of a name are one field.
    send(json!({"title": "x", "dueAt": "2030-01-01T00:00:00Z"}))
        .await
        .expect(201);
}

async fn an_invalid_id_is_reported(app: App) {
    let ada = app.register().await;
    for id in [
        "1",
        "not-a-uuid",
        "01890000-0000-7000-8000-00000000000",
        "' or 1=1 --",
        "%F0%9F%94%91",
    ] {
        ada.get(&format!("/api/v1/todos/{}", id.replace(' ', "%20")))
            .await
            .invalid("todo_id");
        ada.delete(&format!("/api/v1/tags/{}", id.replace(' ', "%20")))
            .await
            .invalid("tag_id");
    }
    ada.post("/api/v1/todos", json!({"title": "x", "tag_ids": ["x"]}))
        .await
        .invalid("tag_ids[0]");
}

async fn nul_bytes_and_other_odd_text_are_refused_or_kept_as_they_are(app: App) {
    let ada = app.register().await;
    ada.post("/api/v1/todos", json!({"title": "a\u{0}b"}))
        .await
        .invalid("title");
    ada.post("/api/v1/todos", json!({"title": "x", "description": "a\u{0}b"}))
        .await
        .invalid("description");
    ada.post("/api/v1/tags", json!({"name": "a\u{0}b"}))
        .await
        .invalid("name");
    ada.get("/api/v1/todos?q=%00").await.invalid("q");
    ada.get("/api/v1/todos?tag=%00").await.problem(422, "validation_failed");
    ada.patch(&format!("/api/v1/users/{}", ada.id), json!({"name": "a\u{0}b"}))
        .await
        .invalid("name");
    let login = json!({"username_or_email": "a\u{0}b", "password": "a\u{0}bcdefgh"});
    let refused = app.post("/api/v1/auth/login", login).await;
    assert!(matches!(refused.status, 401 | 422), "{}", refused.text());
    for title in [
        "🔑 naïve “quotes” \\ ' \" % _ ; --",
        "<script>alert(1)</script>",
        "\u{202e}right to left",
        "ﷺ",
        "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    ] {
        let todo = create(&ada, title).await;
        assert_eq!(ada.get(&path(&todo)).await.expect(200)["title"], title);
    }
}

async fn a_body_that_is_too_large_is_refused(app: App) {
    let ada = app.register().await;
    let body = format!(r#"{{"title": "{}"}}"#, "x".repeat(10 * 1024 * 1024));
    // The suite may answer and hang up before it has read it all; a client that is still writing
    // sees either.
    if let Ok(reply) = ada
        .call(Method::POST, "/api/v1/todos")
        .body("application/json", body)
        .try_send()
        .await
    {
        reply.problem(413, "body_too_large");
    }
    ada.get("/api/v1/todos").await.expect(200);
}

async fn a_body_of_another_type_is_refused(app: App) {
    let ada = app.register().await;
    for kind in [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "nonsense",
    ] {
        let call = ada.call(Method::POST, "/api/v1/todos").body(kind, r#"{"title": "x"}"#);
        call.send().await.problem(415, "unsupported_media_type");
    }
    for kind in ["application/json; charset=utf-8", "APPLICATION/JSON"] {
        ada.call(Method::POST, "/api/v1/todos")
            .body(kind, r#"{"title": "x"}"#)
            .send()
            .await
            .expect(201);
    }
}

async fn a_known_path_lists_its_methods(app: App) {
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/todos", ["GET", "POST"].as_slice()),
        (
            Method::POST,
            "/api/v1/todos/01890000-0000-7000-8000-000000000000",
            &["DELETE", "GET", "PATCH", "PUT"],
        ),
        (Method::GET, "/api/v1/auth/login", &["POST"]),
        (Method::PUT, "/api/v1/auth/me", &["GET"]),
    ] {
        let reply = app.call(method, path).send().await;
        reply.problem(405, "method_not_allowed");
        let mut named: Vec<_> = reply
            .header("allow")
            .expect("Allow")
            .split(',')
            .map(str::trim)
            .collect();
        named.retain(|method| !["HEAD", "OPTIONS"].contains(method));
        named.sort_unstable();
        assert_eq!(named, allowed, "{path}");
    }
}

async fn an_unknown_path_is_no_route(app: App) {
    for path in [
        "/api/v1/nothing",
        "/api/v2/todos",
        "/api/v1/todos//",
        "/api/v1//todos",
        "/api/v1/todos/a/b/c",
        "/%ff",
    ] {
        is_no_route(&app, path).await;
    }
    app.get("/api/v1/nothing").await.problem(404, "route_not_found");
}

async fn is_no_route(app: &App, path: &str) {
    let reply = app.get(path).await;
    assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.text());
    let code = reply.json()["error_code"].as_str().unwrap().to_owned();
    reply.problem(reply.status, &code);
}

async fn deep_nesting_is_refused(app: App) {
    let ada = app.register().await;
    for body in [
        "[".repeat(200_000),
        format!("{{\"title\": {}", "{\"a\":".repeat(100_000)),
    ] {
        let reply = ada
            .call(Method::POST, "/api/v1/todos")
            .body("application/json", body)
            .send()
            .await;
        assert!(matches!(reply.status, 400 | 422), "{}", reply.text());
    }
    ada.get("/api/v1/todos").await.expect(200);
}

async fn an_invalid_query_is_refused(app: App) {
    let ada = app.register().await;
    for (query, field) in [
        ("colour=red", "colour"),
        ("completed=maybe", "completed"),
        ("page=one", "page"),
        ("page=99999999999999999999", "page"),
        ("page=1&page=2", "page"),
        ("due_before=tomorrow", "due_before"),
        ("priority=PRIORITY_SILLY", "priority"),
    ] {
        ada.get(&format!("/api/v1/todos?{query}")).await.invalid(field);
    }
    for odd in [
        "&&&",
        "=",
        "%",
        "%zz=1",
        "a[b]=c",
        "\u{1F511}".escape_unicode().to_string().as_str(),
    ] {
        let odd = odd.replace(['{', '}', '\\'], "");
        let reply = ada.get(&format!("/api/v1/todos?{odd}")).await;
        assert!(matches!(reply.status, 200 | 400 | 422), "{odd}: {}", reply.text());
    }
    let long = format!("/api/v1/todos?q={}", "x".repeat(60_000));
    let reply = ada.get(&long).await;
    assert!(matches!(reply.status, 400 | 414 | 422 | 431), "{}", reply.text());
}
