//! Isolation: no request of one user fails a call of another.

use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};

use quartet_tests::{App, Person, on_both_topologies};

on_both_topologies!(
    answers_with_thousands_of_violations_fail_no_call_of_another,
    a_long_list_of_violations_is_cut_and_counted,
    long_headers_fail_no_call_of_another,
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
