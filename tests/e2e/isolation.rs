//! Isolation: no request of one user fails a call of another.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::Method;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use quartet_proto::options::{Access, access};
use serde_json::{Value, json};
use tonic::Code;

use crate::access_matrix;
use quartet_tests::grpc::{call, fields, send};
use quartet_tests::{App, Person, on_every_topology};

on_every_topology!(
    answers_with_thousands_of_violations_fail_no_call_of_another,
    a_long_list_of_violations_is_cut_and_counted,
    the_answer_to_a_long_wrong_list_is_short,
    long_headers_fail_no_call_of_another,
    hostile_requests_of_every_kind_fail_no_call_of_another,
);

/// A batch of todos, each with as many wrong tags as a todo may have.
fn wrong_batch() -> Value {
    let tags = vec!["no id"; 20];
    let todos: Vec<Value> = (0..50)
        .map(|number| json!({"title": format!("Todo {number}"), "tag_ids": tags}))
        .collect();
    json!({"todos": todos})
}

/// A mask of thousands of fields that no todo has.
fn wrong_mask() -> String {
    let paths: Vec<String> = (0..3_000).map(|number| format!("a{number}")).collect();
    format!(
        "/api/v1/todos/01890000-0000-7000-8000-000000000000?update_mask={}",
        paths.join(",")
    )
}

async fn create_many(person: &Person) {
    for number in 0..60 {
        let todo = json!({"title": format!("Todo {number}")});
        person.post("/api/v1/todos", todo).await.expect(201);
    }
}

async fn answers_with_thousands_of_violations_fail_no_call_of_another(app: App) {
    let (eve, ada) = (app.register().await, app.register().await);
    let (batch, mask) = (wrong_batch(), wrong_mask());
    let attacks = join_all([(); 4].map(|()| async {
        for _ in 0..30 {
            eve.post("/api/v1/todos:batchCreate", batch.clone()).await.expect(422);
            eve.patch(&mask, json!({"title": "x"})).await.expect(422);
        }
    }));
    tokio::join!(attacks, create_many(&ada));
}

async fn a_long_list_of_violations_is_cut_and_counted(app: App) {
    let eve = app.register().await;
    let problem = eve.post("/api/v1/todos:batchCreate", wrong_batch()).await.expect(422);
    let errors = problem["errors"].as_array().unwrap();
    assert!((50..=100).contains(&errors.len()), "{}", errors.len());
    assert_eq!(errors[0]["field"], "todos[0].tag_ids[0]");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.ends_with("(and 999 more)"), "{detail}");

    let problem = eve
        .patch(&wrong_mask(), json!({"title": "x"}))
        .await
        .invalid("update_mask");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 1);
}

async fn the_answer_to_a_long_wrong_list_is_short(app: App) {
    let eve = app.register().await;
    let many = vec!["x"; 200_000];
    for (path, body) in [
        (
            "/api/v1/webhooks",
            json!({"url": "https://example.com/", "events": many}),
        ),
        ("/api/v1/todos:batchDelete", json!({"todo_ids": many})),
        ("/api/v1/todos", json!({"title": "x", "tag_ids": many})),
        (
            "/api/v1/auth/login",
            json!({"username_or_email": many, "password": many}),
        ),
    ] {
        let reply = eve.post(path, body).await;
        assert!(matches!(reply.status, 400 | 422), "{path}: {}", reply.status);
        assert!(reply.text().len() < 16 << 10, "{path}: {} bytes", reply.text().len());
    }
    let reply = eve.patch(&wrong_mask(), json!({"title": "x"})).await;
    assert!(reply.text().len() < 16 << 10, "{} bytes", reply.text().len());
}

#[tokio::test]
async fn no_request_takes_more_memory_than_eight_times_its_body_and_4_mib() {
    let app = App::own(&[]);
    let eve = app.register().await;
    let list = |element: &str, size: usize| {
        format!(
            "[{}{element}]",
            format!("{element},").repeat(size / (element.len() + 1))
        )
    };
    type Body<'b> = &'b dyn Fn(usize) -> String;
    let requests: [(&str, &str, Body<'_>); 6] = [
        ("strings", "/api/v1/webhooks", &|size| {
            format!(
                r#"{{"url": "https://example.com/", "events": {}}}"#,
                list("\"x\"", size)
            )
        }),
        ("ids", "/api/v1/todos:batchDelete", &|size| {
            format!(r#"{{"todo_ids": {}}}"#, list("\"x\"", size))
        }),
        ("messages", "/api/v1/todos:batchCreate", &|size| {
            format!(r#"{{"todos": {}}}"#, list("{}", size))
        }),
        (
            "messages, of which one is wrong",
            "/api/v1/todos:batchCreate",
            &|size| format!(r#"{{"nothing": 1, "todos": {}}}"#, list("{}", size)),
        ),
        ("text", "/api/v1/todos", &|size| {
            format!(r#"{{"title": "{}"}}"#, "x".repeat(size))
        }),
        ("nesting", "/api/v1/todos", &|size| {
            format!(r#"{{"title": {}{}}}"#, "[".repeat(size / 2), "]".repeat(size / 2))
        }),
    ];
    for (name, path, body) in requests {
        let send = async |size: usize| {
            let body = body(size);
            let length = body.len();
            let reply = eve.call(Method::POST, path).body("application/json", body).send().await;
            assert!(matches!(reply.status, 400 | 422), "{name}: {}", reply.status);
            length
        };
        // The first one warms everything up.
        send(1_000).await;
        let (before, reset) = (app.suite().memory(), app.suite().reset_peak());
        reset.unwrap();
        let size = send((2 << 20) - 1_000).await;
        let growth = app.suite().peak_memory().saturating_sub(before);
        println!("{name}: {growth} bytes for {size}");
        assert!(growth <= 8 * size + (4 << 20), "{name}: {growth} bytes for {size}");
    }
}

/// Bytes of a message that a service takes at the most.
const LARGEST: usize = 4 << 20;

/// A field of a message on the wire that holds `payload`, `times` over.
fn wire(number: u32, payload: &[u8], times: usize) -> Vec<u8> {
    let mut one = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut one);
    encode_varint(payload.len() as u64, &mut one);
    one.extend_from_slice(payload);
    one.repeat(times)
}

/// The numbers of the fields that lead to each list of a message, and to its first text.
fn lists_and_text(message: &MessageDescriptor, above: &[u32], found: &mut Vec<(Vec<u32>, bool)>) {
    for field in message.fields() {
        let path = [above, &[field.number()]].concat();
        let is_text = matches!(field.kind(), Kind::String | Kind::Bytes);
        if field.is_list() && (is_text || field.kind().as_message().is_some()) {
            found.push((path.clone(), true));
        } else if is_text && !found.iter().any(|(_, is_list)| !is_list) {
            found.push((path.clone(), false));
        }
        if let Some(inner) = field.kind().as_message()
            && above.len() < 3
        {
            lists_and_text(inner, &path, found);
        }
    }
}

/// Without the gateway in front, which passes on no more of a list than its rule allows.
#[tokio::test]
async fn no_call_takes_more_memory_than_eight_times_its_messages_and_4_mib() {
    // All that a service does with a message, and none of what the limits keep from it.
    let app = App::own(&[]);
    let (eve, root) = (app.register().await, app.superuser().await);
    let service = app.service_tokens("quartet");
    let channels = access_matrix::channels(&app).await;
    let (mut calls, mut most, mut wrong) = (0, 0.0_f64, Vec::new());
    for method in access_matrix::methods() {
        let mut found = Vec::new();
        lists_and_text(&method.input(), &[], &mut found);
        for (path, is_list) in found {
            let (last, above) = path.split_last().unwrap();
            let innermost = |size: usize| match is_list {
                true => wire(*last, b"", size / 2),
                false => wire(*last, &vec![b'x'; size], 1),
            };
            let message = |size: usize| -> Bytes {
                let inner = above.iter().rev();
                inner
                    .fold(innermost(size), |inner, number| wire(*number, &inner, 1))
                    .into()
            };
            let send = async |message: Bytes| {
                let token = match access(&method) {
                    Some(Access::Service) => service.current().unwrap(),
                    Some(Access::Superuser) => root.access_token.clone(),
                    _ => eve.access_token.clone(),
                };
                let channel = &channels[access_matrix::service(&method)];
                let sent = send(channel, &method, vec![message], &token);
                tokio::time::timeout(Duration::from_secs(20), sent)
                    .await
                    .expect("an answer")
            };
            // Eve may end her own sessions by it.
            if ["Logout", "LogoutAll", "CloseAccount", "PurgeAccount"].contains(&method.name()) {
                continue;
            }
            let _ = send(message(1_000)).await;
            let large = message(LARGEST - 64);
            let size = large.len();
            let (before, reset) = (app.suite().memory(), app.suite().reset_peak());
            reset.unwrap();
            let answer = send(large).await;
            let growth = app.suite().peak_memory().saturating_sub(before);
            calls += 1;
            most = most.max(growth as f64 / size as f64);
            let name = format!("{} {path:?}", method.full_name());
            if growth > 8 * size + (4 << 20) {
                wrong.push(format!("{name}: {growth} bytes for {size}"));
            }
            // What is too long is refused by name.
            if is_list {
                let refused = answer
                    .as_ref()
                    .err()
                    .map(|status| (status.code(), fields(status).len()));
                if refused != Some((Code::InvalidArgument, 1)) {
                    wrong.push(format!("{name}: {answer:?}"));
                }
            }
        }
    }
    println!("{calls} calls, the most took {most:.1} times its message");
    assert!(wrong.is_empty(), "{} of {calls}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(calls > 60, "{calls} calls");
    eve.get("/api/v1/todos").await.expect(200);
}

#[tokio::test]
async fn no_upload_and_no_metadata_takes_more_memory_than_that_over_grpc() {
    let app = App::own(&[]);
    let eve = app.register().await;
    let channels = access_matrix::channels(&app).await;
    let method = |name: &str| {
        let method = access_matrix::methods().find(|method| method.name() == name);
        method.expect("there is such a method")
    };
    let (upload, get) = (method("UploadImport"), method("GetTask"));
    let import = async |size: usize| {
        let rows = format!("[{}0]", "0,".repeat(size / 2));
        let pieces = rows.as_bytes().chunks(1 << 20).map(|piece| {
            let file = [wire(1, b"application/json", 1), wire(2, piece, 1)].concat();
            Bytes::from(wire(1, &file, 1))
        });
        let jobs = &channels["jobs"];
        let reply = send(jobs, &upload, pieces.collect(), &eve.access_token).await.unwrap();
        let task = DynamicMessage::decode(upload.output(), reply).unwrap();
        let id = task.get_field_by_name("id").unwrap().as_str().unwrap().to_owned();
        crate::jobs::ended(&eve, &id).await
    };
    import(1_000).await;
    let size = 9 << 20;
    let (before, reset) = (app.suite().memory(), app.suite().reset_peak());
    reset.unwrap();
    let task = import(size).await;
    assert_eq!(task["status"], "TASK_STATUS_FAILED", "{task}");
    let growth = app.suite().peak_memory().saturating_sub(before);
    println!("{growth} bytes for an import of {size}");
    assert!(growth <= 8 * size + (4 << 20), "{growth} bytes for {size}");

    let with_metadata = async |size: usize| {
        let mut message = DynamicMessage::new(get.input());
        message.set_field_by_name("task_id", prost_reflect::Value::String(eve.id.clone()));
        let channel = app.channel("jobs").await;
        let token = format!("{}{}", eve.access_token, "x".repeat(size));
        call(&channel, &get, &message, Some(&token)).await.unwrap_err()
    };
    with_metadata(10).await;
    for size in [14_000, 200_000, 4_000_000] {
        let (before, reset) = (app.suite().memory(), app.suite().reset_peak());
        reset.unwrap();
        let refused = with_metadata(size).await;
        let growth = app.suite().peak_memory().saturating_sub(before);
        println!("{growth} bytes for {size} of metadata: {:?}", refused.code());
        assert!(growth <= 8 * size + (4 << 20), "{growth} bytes for {size} of metadata");
    }
    // Other callers are served as ever.
    let status = with_metadata(0).await;
    assert_eq!(status.code(), Code::NotFound);
}

async fn long_headers_fail_no_call_of_another(app: App) {
    let (eve, ada) = (app.register().await, app.register().await);
    let attacks = join_all([(); 4].map(|()| async {
        for size in [1_000, 8_000, 15_000, 30_000] {
            for name in [
                "accept-language",
                "user-agent",
                "x-request-id",
                "traceparent",
                "tracestate",
            ] {
                let call = eve.call(Method::GET, "/api/v1/todos");
                // Any answer will do, as long as only eve gets it.
                let _ = call.header(name, &"a".repeat(size)).try_send().await;
            }
        }
    }));
    tokio::join!(attacks, create_many(&ada));
}

/// Hostile requests that one test sends, unless `HOSTILE_REQUESTS` has another number.
const HOSTILE: usize = 240;

/// Sends a hostile request of the kind with this number. Any answer will do, as long as only eve gets
/// it, and no answer as well.
async fn attack(app: &App, eve: &Person, number: usize) {
    let post = |path: &str, body: String| eve.call(Method::POST, path).body("application/json", body);
    let call = match number % 12 {
        0 => post("/api/v1/todos:batchCreate", wrong_batch().to_string()),
        1 => eve.call(Method::PATCH, &wrong_mask()).json(&json!({"title": "x"})),
        2 => post("/api/v1/tasks:import", format!("[{}0]", "0,".repeat(50_000))),
        3 => post(
            "/api/v1/webhooks",
            json!({"url": "https://example.com", "events": vec!["x"; 20_000]}).to_string(),
        ),
        4 => post(
            "/api/v1/webhooks",
            json!({"url": "http://[::ffff:127.0.0.1]/", "events": []}).to_string(),
        ),
        5 => post(
            "/api/v1/todos",
            format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)),
        ),
        6 => eve.call(Method::GET, &format!("/api/v1/todos?page_token={}", "A".repeat(4_000))),
        7 => {
            let parts: Vec<&str> = eve.access_token.split('.').collect();
            let forged = format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86));
            app.with_token(&forged).call(Method::GET, "/api/v1/todos")
        }
        8 => app.with_token(&"a.".repeat(3_000)).call(Method::GET, "/api/v1/todos"),
        9 => post("/api/v1/todos", "{\"title\":\"".to_owned() + &"\\ud800".repeat(10_000)),
        10 => eve.call(Method::GET, &format!("/api/v1/todos?{}", "a=1&".repeat(3_000))),
        _ => eve
            .call(Method::GET, "/api/v1/todos")
            .header("grpc-timeout", &"9".repeat(3_000)),
    };
    let _ = call.try_send().await;
}

async fn hostile_requests_of_every_kind_fail_no_call_of_another(app: App) {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a test runs is no setting of the product"
    )]
    let number = std::env::var("HOSTILE_REQUESTS")
        .ok()
        .and_then(|number| number.parse().ok());
    let number: usize = number.unwrap_or(HOSTILE);
    let (eve, ada) = (app.register().await, app.register().await);
    let done = std::sync::atomic::AtomicBool::new(false);
    let attacks = async {
        join_all((0..4).map(async |worker| {
            for attempt in (worker..number).step_by(4) {
                attack(&app, &eve, attempt).await;
            }
        }))
        .await;
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    let work = async {
        let mut calls = 0;
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            // Each of them has to succeed.
            ada.post("/api/v1/todos", json!({"title": "Todo"})).await.expect(201);
            ada.get("/api/v1/todos").await.expect(200);
            ada.get("/api/v1/auth/me").await.expect(200);
            calls += 3;
        }
        calls
    };
    let ((), calls) = tokio::join!(attacks, work);
    println!("{number} hostile requests, {calls} calls of another, none failed");
    assert!(calls > 0);
}
