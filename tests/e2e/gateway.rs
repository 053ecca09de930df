//! The edge: probes, request ids, timing, deadlines, CORS, compression, headers, documents.

use http::Method;
use serde_json::json;

use crate::todos::{create, path};
use quartet_tests::{App, on_every_topology};

on_every_topology!(
    the_probes_answer,
    a_request_id_is_kept_or_generated,
    every_reply_has_timing_and_security_headers,
    a_deadline_that_has_passed_is_a_problem_of_its_own,
    an_invalid_deadline_is_refused,
    only_known_origins_may_call_from_a_browser,
    a_large_reply_is_compressed_on_request,
    numbers_and_names_have_every_spelling_of_protojson,
    head_answers_as_get_without_a_body,
    problems_have_a_page,
    a_form_fills_a_message_as_json_does,
);

async fn the_probes_answer(app: App) {
    for path in ["/livez", "/readyz", "/health"] {
        assert!(app.get(path).await.expect(200)["status"].is_string(), "{path}");
    }
}

async fn a_request_id_is_kept_or_generated(app: App) {
    let reply = app
        .call(Method::GET, "/livez")
        .header("x-request-id", "a-request-of-mine")
        .send()
        .await;
    assert_eq!(reply.header("x-request-id"), Some("a-request-of-mine"));
    let problem = app
        .call(Method::GET, "/api/v1/todos")
        .header("x-request-id", "mine-too")
        .send()
        .await;
    assert_eq!(problem.problem(401, "token_missing")["request_id"], "mine-too");
    let (first, second) = (app.get("/livez").await, app.get("/livez").await);
    let (first, second) = (
        first.header("x-request-id").unwrap(),
        second.header("x-request-id").unwrap(),
    );
    assert!(first != second && first.len() >= 16);
    // A value that would break a log line is not repeated.
    let odd = "x".repeat(500);
    let reply = app
        .call(Method::GET, "/livez")
        .header("x-request-id", &odd)
        .send()
        .await;
    assert_ne!(reply.header("x-request-id"), Some(odd.as_str()));
}

async fn every_reply_has_timing_and_security_headers(app: App) {
    for path in ["/livez", "/api/v1/todos", "/api/v1/nothing"] {
        let reply = app.get(path).await;
        for name in [
            "server-timing",
            "x-process-time",
            "x-request-id",
            "x-content-type-options",
            "referrer-policy",
        ] {
            assert!(reply.header(name).is_some(), "{name} of {path}: {:?}", reply.headers);
        }
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            reply.header("x-errorhandletime").is_some(),
            reply.status >= 400,
            "{path}"
        );
    }
}

async fn a_deadline_that_has_passed_is_a_problem_of_its_own(app: App) {
    let ada = app.register().await;
    let todo = create(&ada, "Before").await;
    let mut late = 0;
    for _ in 0..20 {
        let call = ada.call(Method::PATCH, &path(&todo)).json(&json!({"title": "After"}));
        let reply = call.header("x-request-timeout", "0.000001").send().await;
        if reply.status != 200 {
            reply.problem(504, "deadline_exceeded");
            late += 1;
        }
    }
    assert!(late > 0, "a microsecond was enough every time");
    let call = ada.call(Method::GET, &path(&todo)).header("x-request-timeout", "10s");
    call.send().await.expect(200);
}

async fn an_invalid_deadline_is_refused(app: App) {
    for odd in ["x", "0", "-1", "1e400", "5h"] {
        app.call(Method::GET, "/api/v1/todos")
            .header("x-request-timeout", odd)
            .send()
            .await
            .problem(400, "bad_request");
    }
}

async fn only_known_origins_may_call_from_a_browser(app: App) {
    let preflight = |origin: &str| {
        let call = app.call(Method::OPTIONS, "/api/v1/todos").header("origin", origin);
        call.header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .send()
    };
    let allowed = preflight("https://app.example.com").await;
    assert!(matches!(allowed.status, 200 | 204), "{}", allowed.text());
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("https://app.example.com")
    );
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("POST"));
    assert!(
        allowed
            .header("access-control-allow-headers")
            .unwrap()
            .to_lowercase()
            .contains("authorization")
    );
    assert_eq!(
        preflight("https://evil.example")
            .await
            .header("access-control-allow-origin"),
        None
    );
    let reply = app
        .call(Method::GET, "/api/v1/todos")
        .header("origin", "https://app.example.com")
        .send()
        .await;
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://app.example.com")
    );
    assert!(
        reply
            .header("access-control-expose-headers")
            .unwrap()
            .to_lowercase()
            .contains("x-request-id")
    );
}

async fn a_large_reply_is_compressed_on_request(app: App) {
    let ada = app.register().await;
    let todos: Vec<_> = (0..50)
        .map(|number| json!({"title": format!("Todo {number}")}))
        .collect();
    ada.post("/api/v1/todos:batchCreate", json!({"todos": todos}))
        .await
        .expect(201);
    let list = |encoding: &str| {
        ada.call(Method::GET, "/api/v1/todos?page_size=50")
            .header("accept-encoding", encoding)
            .send()
    };
    let plain = list("identity").await;
    assert_eq!(plain.header("content-encoding"), None);
    for encoding in ["gzip", "br"] {
        let packed = list(encoding).await;
        assert_eq!(packed.header("content-encoding"), Some(encoding));
        assert!(
            packed.body.len() * 3 < plain.body.len(),
            "{} of {}",
            packed.body.len(),
            plain.body.len()
        );
    }
}

async fn numbers_and_names_have_every_spelling_of_protojson(app: App) {
    let root = app.superuser().await;
    let tier = quartet_tests::app::unique("t");
    root.post("/api/v1/tiers", json!({"name": tier})).await.expect(201);
    let paths = [
        "/api/v1/todos",
        "/api/v1/tags",
        "/api/v1/tasks",
        "/api/v1/users",
        "/api/v1/tiers",
    ];
    for (number, (limit, path)) in ["3", "3.0", "3e0", "\"3\"", "30e-1"].iter().zip(paths).enumerate() {
        let body = format!(r#"{{"name": "n{number}", "path": "{path}", "limit": {limit}, "period": 1e2}}"#);
        let call = root
            .call(Method::POST, &format!("/api/v1/tiers/{tier}/rate-limits"))
            .body("application/json", body);
        let created = call.send().await.expect(201);
        assert_eq!(
            (&created["limit"], &created["period"]),
            (&json!(3), &json!(100)),
            "{limit}"
        );
    }
    for limit in ["3.5", "1e10", "NaN", "\"NaN\"", "true", "\"x\""] {
        let body = format!(r#"{{"name": "x", "path": "/api/v1/webhooks", "limit": {limit}, "period": 1}}"#);
        let call = root
            .call(Method::POST, &format!("/api/v1/tiers/{tier}/rate-limits"))
            .body("application/json", body);
        let reply = call.send().await;
        assert!(matches!(reply.status, 400 | 422), "{limit}: {}", reply.text());
    }
    let todo = root
        .post(
            "/api/v1/todos",
            json!({"title": "x", "priority": 3, "dueAt": "2030-01-01T01:00:00+01:00"}),
        )
        .await
        .expect(201);
    assert_eq!(
        (&todo["priority"], &todo["due_at"]),
        (&json!("PRIORITY_HIGH"), &json!("2030-01-01T00:00:00Z"))
    );
    let masked = root
        .patch(
            &format!("{}?update_mask=title,due_at", path(&todo)),
            json!({"title": "y", "priority": 1}),
        )
        .await;
    let masked = masked.expect(200);
    assert_eq!(
        (&masked["title"], &masked["due_at"], &masked["priority"]),
        (&json!("y"), &json!(null), &json!("PRIORITY_HIGH"))
    );
}

async fn head_answers_as_get_without_a_body(app: App) {
    let ada = app.register().await;
    let reply = ada.call(Method::HEAD, "/api/v1/todos").send().await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

async fn a_form_fills_a_message_as_json_does(app: App) {
    let ada = app.register().await;
    let form = [
        ("title", "From a form"),
        ("due_at", "2030-01-01T00:00:00Z"),
        ("priority", "PRIORITY_LOW"),
    ];
    let todo = ada
        .call(Method::POST, "/api/v1/todos")
        .form(&form)
        .send()
        .await
        .expect(201);
    assert_eq!(
        (&todo["title"], &todo["priority"]),
        (&json!("From a form"), &json!("PRIORITY_LOW"))
    );
    ada.call(Method::POST, "/api/v1/todos")
        .form(&[("colour", "red"), ("title", "x")])
        .send()
        .await
        .invalid("colour");
}

async fn problems_have_a_page(app: App) {
    let problem = app.get("/api/v1/todos").await.problem(401, "token_missing");
    let page = app.get(problem["type"].as_str().unwrap()).await;
    assert_eq!(page.status, 200);
    assert!(
        page.text().contains("token_missing") || page.text().contains("TOKEN_MISSING"),
        "{}",
        page.text()
    );
}
