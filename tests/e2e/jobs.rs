//! Tasks: work that continues after the answer.

use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt as _, stream};
use http::Method;
use quartet_tests::app::eventually;
use quartet_tests::events::Events;
use quartet_tests::socket::Socket;
use quartet_tests::{App, Person, mail, on_every_topology, on_secured_topology};
use serde_json::{Value, json};

on_every_topology!(
    an_export_is_watched_and_downloaded_by_its_link,
    an_import_reports_invalid_rows_by_line_and_creates_the_others_once,
    concurrent_creations_with_one_key_create_one_task,
    a_waiting_task_is_cancelled_and_retried,
    a_socket_follows_a_task,
    a_new_user_receives_one_welcome_mail,
    a_webhook_into_the_internal_network_is_refused,
    a_link_to_a_file_ends_when_its_reader_signs_out_everywhere,
    another_users_export_does_not_wait_behind_hundreds,
);

on_secured_topology!(
    an_export_is_watched_and_downloaded_by_its_link,
    an_import_reports_invalid_rows_by_line_and_creates_the_others_once,
    a_new_user_receives_one_welcome_mail,
);

/// Bound on a task, on few cores under many tests.
const SOON: Duration = Duration::from_secs(30);

/// Creates a task; returns its id.
async fn create(owner: &Person, task: Value) -> String {
    let created = owner.post("/api/v1/tasks", task).await.expect(202);
    created["id"].as_str().unwrap().to_owned()
}

/// Waits until the task has ended; returns it.
pub(crate) async fn ended(owner: &Person, id: &str) -> Value {
    eventually(SOON, "the task has ended", async || {
        let task = owner.get(&format!("/api/v1/tasks/{id}")).await.expect(200);
        (!task["finished_at"].is_null()).then_some(task)
    })
    .await
}

async fn an_export_is_watched_and_downloaded_by_its_link(app: App) {
    let (anna, eve) = (app.register().await, app.register().await);
    for number in 0..3 {
        let todo = json!({"title": format!("todo, {number}")});
        anna.post("/api/v1/todos", todo).await.expect(201);
    }
    let id = create(&anna, json!({"export_todos": {"format": "FILE_FORMAT_CSV"}})).await;
    let mut events = Events::open(&app, &anna, &format!("/api/v1/tasks/{id}:watch"), None).await;
    let mut last = Value::Null;
    while let Some(event) = events.next().await {
        last = event.data;
    }
    assert_eq!(
        (&last["status"], &last["progress"], &last["export"]["todos"]),
        (&json!("TASK_STATUS_SUCCEEDED"), &json!(100), &json!(3)),
        "{last}"
    );

    let link = last["export"]["download_url"].as_str().unwrap();
    // Whoever has the link needs nothing else.
    let file = app.get(link).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(
        file.headers["content-disposition"],
        "attachment; filename=\"todos.csv\""
    );
    let lines: Vec<_> = file.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[1].starts_with("\"todo, 0\",,false,"), "{lines:?}");

    let forged = format!("{}x", &link[..link.len() - 1]);
    app.get(&forged).await.expect(403);
    eve.get(&format!("/api/v1/tasks/{id}/result")).await.expect(404);
    eve.get(&format!("/api/v1/tasks/{id}")).await.expect(404);
}

async fn a_link_to_a_file_ends_when_its_reader_signs_out_everywhere(app: App) {
    let anna = app.register().await;
    let id = create(&anna, json!({"export_todos": {}})).await;
    let link = ended(&anna, &id).await["export"]["download_url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(app.get(&link).await.status, 200);
    anna.post("/api/v1/auth/logout-all", json!({})).await.expect(204);
    eventually(SOON, "the link has ended", async || {
        (app.get(&link).await.status == 403).then_some(())
    })
    .await;
    // Another session has another link to it.
    let again = app.login(&anna).await;
    let link = ended(&again, &id).await["export"]["download_url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(app.get(&link).await.status, 200);
}

async fn an_import_reports_invalid_rows_by_line_and_creates_the_others_once(app: App) {
    let anna = app.register().await;
    let file =
        "title,due_at,tags\nWater the plants,2030-01-01T09:00:00Z,home\n,,\nCall Bob,soon,\nBuy milk,,\"home,shop\"\n";
    let upload = async || {
        let path = "/api/v1/tasks:import?unique_key=monday";
        let reply = anna.call(Method::POST, path).body("text/csv", file).send().await;
        reply.expect(202)["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (upload().await, upload().await);
    assert_eq!(first, second, "the same file under the same key is the same task");
    let task = ended(&anna, &first).await;
    assert_eq!(
        (&task["import"]["imported"], &task["import"]["rejected"]),
        (&json!(2), &json!(2)),
        "{task}"
    );
    let errors = task["import"]["errors"].as_array().unwrap();
    let reported: Vec<_> = errors
        .iter()
        .map(|error| (error["line"].as_i64().unwrap(), error["field"].as_str().unwrap()))
        .collect();
    assert_eq!(reported, [(3, "title"), (4, "due_at")]);
    let todos = anna.get("/api/v1/todos?sort=title").await.expect(200);
    let titles: Vec<_> = todos["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|todo| todo["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["Buy milk", "Water the plants"]);
}

async fn concurrent_creations_with_one_key_create_one_task(app: App) {
    let anna = app.register().await;
    let task = json!({"export_todos": {}, "unique_key": "export of today"});
    let ids = join_all((0..64).map(|_| create(&anna, task.clone()))).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let tasks = anna.get("/api/v1/tasks").await.expect(200);
    assert_eq!(tasks["total_count"], 1);
    // Another payload under the same key is a mistake of the caller's.
    let other = json!({"export_todos": {"format": "FILE_FORMAT_JSON"}, "unique_key": "export of today"});
    let refused = anna.post("/api/v1/tasks", other).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
}

async fn a_waiting_task_is_cancelled_and_retried(app: App) {
    let anna = app.register().await;
    let id = create(&anna, json!({"export_todos": {}, "run_at": "2100-01-01T00:00:00Z"})).await;
    let act = async |verb: &str| {
        let path = format!("/api/v1/tasks/{id}:{verb}");
        anna.post(&path, json!({})).await.expect(200)["status"].clone()
    };
    assert_eq!(
        anna.get(&format!("/api/v1/tasks/{id}")).await.expect(200)["status"],
        "TASK_STATUS_SCHEDULED"
    );
    assert_eq!(act("cancel").await, "TASK_STATUS_CANCELLED");
    assert_eq!(act("retry").await, "TASK_STATUS_QUEUED");
    assert_eq!(ended(&anna, &id).await["status"], "TASK_STATUS_SUCCEEDED");
}

async fn a_socket_follows_a_task(app: App) {
    let anna = app.register().await;
    let id = create(&anna, json!({"export_todos": {}, "run_at": "2100-01-01T00:00:00Z"})).await;
    let mut socket = Socket::open(&app, &anna).await;
    socket
        .subscribe(json!({"type": "subscribe", "topic": format!("tasks/{id}")}))
        .await;
    assert_eq!(socket.next().await["data"]["status"], "TASK_STATUS_SCHEDULED");
    anna.post(&format!("/api/v1/tasks/{id}:cancel"), json!({}))
        .await
        .expect(200);
    let event = socket.next().await;
    assert_eq!(event["data"]["status"], "TASK_STATUS_CANCELLED", "{event}");
    let end = socket.next().await;
    assert_eq!(end["type"], "unsubscribed", "{end}");
}

async fn a_new_user_receives_one_welcome_mail(app: App) {
    let anna = app.register().await;
    assert_eq!(mail::count_with_subject(&app, &anna.email, "Welcome").await, 1);
    mail::token_of_link(&app, &anna.email, mail::VERIFY).await;

    // In the language of the request. The subject is encoded by RFC 2047.
    let name = quartet_tests::app::unique("u");
    let email = format!("{name}@example.org");
    let body = json!({"name": "Ada", "username": name, "email": email, "password": "correct horse battery"});
    let register = app.call(Method::POST, "/api/v1/auth/register");
    register
        .header("accept-language", "ru")
        .json(&body)
        .send()
        .await
        .expect(201);
    assert_eq!(mail::count_with_subject(&app, &email, "Добро пожаловать").await, 1);
}

async fn a_webhook_into_the_internal_network_is_refused(app: App) {
    let anna = app.register().await;
    for url in [
        "http://127.0.0.1:9/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
    ] {
        let refused = anna.post("/api/v1/webhooks", json!({"url": url})).await;
        assert_eq!(
            (refused.status, &refused.json()["errors"][0]["field"]),
            (422, &json!("url")),
            "{url}"
        );
    }
}

async fn another_users_export_does_not_wait_behind_hundreds(app: App) {
    let (busy, other) = (app.register().await, app.register().await);
    let many = (0..600).map(|_| create(&busy, json!({"export_todos": {}})));
    let ids: Vec<String> = stream::iter(many).buffer_unordered(8).collect().await;
    let count = async |status: &str| {
        let path = format!("/api/v1/tasks?status=TASK_STATUS_{status}&items_per_page=1");
        busy.get(&path).await.expect(200)["total_count"].as_u64().unwrap()
    };
    let begun = Instant::now();
    let id = create(&other, json!({"export_todos": {}})).await;
    ended(&other, &id).await;
    let (waited, still) = (begun.elapsed(), count("QUEUED").await);
    // A second is promised where the cores are not shared with other tests.
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    eventually(SOON * 4, "all have ended", async || {
        (count("SUCCEEDED").await == ids.len() as u64).then_some(())
    })
    .await;
    // Otherwise the test has shown nothing.
    assert!(still > 0, "the queue was empty before the other export ended");
}

/// A file of zeros, each a row that is none.
fn zeros(bytes: usize) -> String {
    format!("[{}0]", "0,".repeat(bytes / 2))
}

#[tokio::test]
async fn an_upload_is_bounded_by_its_own_setting_and_costs_little_more_than_its_bytes() {
    let app = App::own(&[]);
    let anna = app.register().await;
    let upload = async |file: String| {
        let call = anna.call(Method::POST, "/api/v1/tasks:import");
        call.body("application/json", file).send().await
    };
    // The first one warms everything up.
    let first = upload(zeros(1_000)).await.expect(202)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(ended(&anna, &first).await["import"]["rejected"], 501);

    let size = 9 << 20;
    let (before, reset) = (app.suite().memory(), app.suite().reset_peak());
    reset.unwrap();
    let task = upload(zeros(size)).await.expect(202)["id"].as_str().unwrap().to_owned();
    let task = ended(&anna, &task).await;
    assert_eq!(task["status"], "TASK_STATUS_FAILED", "{task}");
    assert!(
        task["error"]["message"].as_str().unwrap().contains("100000 rows"),
        "{task}"
    );
    let growth = app.suite().peak_memory().saturating_sub(before);
    assert!(growth <= 8 * size + (4 << 20), "{growth} bytes for {size}");
    println!("{growth} bytes for an import of {size}");

    let large = upload(zeros(11 << 20)).await;
    large.problem(400, "upload_too_large");
}
