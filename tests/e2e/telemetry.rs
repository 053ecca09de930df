//! Telemetry of a running suite: a request in the logs of every process and in traces; messages and
//! jobs in metrics.

use std::time::Duration;

use http::Method;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use quartet_clock::Clock;
use quartet_tests::app::eventually;
use quartet_tests::collector::{Collector, hex};
use quartet_tests::{App, Person, Rest, on_both_topologies};
use serde_json::{Value, json};

on_both_topologies!(
    a_request_is_traced_through_the_logs_of_every_service_to_its_job,
    metrics_cover_messages_and_jobs,
);

/// Bound on the appearance of a line, a span or a value, on few cores under many tests.
const SOON: Duration = Duration::from_secs(30);

/// A trace that a client has begun: its id, and the span that the client is in.
struct Client {
    trace: String,
    span: String,
}

impl Client {
    fn new() -> Self {
        let trace = Clock::system().new_id().simple().to_string();
        Self {
            span: trace[16..].to_owned(),
            trace,
        }
    }

    fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.span)
    }

    async fn post(&self, person: &Person, path: &str, body: &Value) -> Value {
        let call = person
            .call(Method::POST, path)
            .header("traceparent", &self.traceparent());
        let reply = call.json(body).send().await;
        assert!((200..300).contains(&reply.status), "{path}: {}", reply.text());
        reply.json()
    }
}

/// The log lines so far that are JSON and satisfy `is_one`.
fn lines(app: &App, is_one: impl Fn(&Value) -> bool) -> Vec<Value> {
    let logs = app.suite().logs();
    let lines = logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| is_one(line)).collect()
}

/// The lines of calls to `method` that a service has served.
fn calls(app: &App, method: &str) -> Vec<Value> {
    lines(app, |line| {
        line["target"] == "quartet_rpc::served" && line["span"]["method"] == method
    })
}

async fn a_request_is_traced_through_the_logs_of_every_service_to_its_job(app: App) {
    let anna = app.register().await;
    let client = Client::new();
    let of_client = |line: &Value| line["trace_id"] == client.trace.as_str();

    client.post(&anna, "/api/v1/todos", &json!({"title": "followed"})).await;
    let at_gateway = |line: &Value| line["route"] == "/api/v1/todos" && of_client(line);
    let edge = eventually(SOON, "the gateway logs the request", async || {
        lines(&app, at_gateway).pop()
    })
    .await;
    let create_todo = "/quartet.todos.v1.TodoService/CreateTodo";
    let served = calls(&app, create_todo).into_iter().find(|line| of_client(line));
    let served = served.unwrap_or_else(|| panic!("todos logs the call: {:?}", calls(&app, create_todo)));
    // Each process is in a span of its own, and the client in another.
    let spans = [&edge["span_id"], &served["span_id"], &client.span.as_str().into()];
    for (index, span) in spans.iter().enumerate() {
        assert!(span.as_str().is_some_and(|span| span.len() == 16), "{span}");
        assert!(!spans[..index].contains(span), "{spans:?}");
    }
    assert_eq!(served["code"], "OK");
    let time = served["timestamp"].as_str().expect("a line has its time");
    assert!(time.ends_with('Z'), "{time} is in UTC");
    // Both are found by the id of the request as well.
    let request_id = edge["request_id"].as_str().expect("an id");
    assert!(served.to_string().contains(request_id), "{request_id} in {served}");

    let task = client.post(&anna, "/api/v1/tasks", &json!({"export_todos": {}})).await;
    let id = task["id"].as_str().unwrap();
    crate::jobs::ended(&anna, id).await;
    let of_attempt = |line: &Value| line["message"] == "attempt ended" && line["span"]["id"] == id;
    let attempt = eventually(SOON, "the worker logs the attempt", async || {
        lines(&app, of_attempt).pop()
    })
    .await;
    // Effects are traces of their own, with a link to the one that caused them.
    assert_eq!(attempt["linked_trace_id"], client.trace.as_str(), "{attempt}");
    assert_ne!(attempt["trace_id"], attempt["linked_trace_id"]);
    // The job's calls to other services are part of the job's trace.
    let exported = |line: &&Value| line["trace_id"] == attempt["trace_id"];
    let export = calls(&app, "/quartet.todos.v1.TransferService/ExportTodos");
    assert!(export.iter().any(|line| exported(&line)), "{export:?}");
}

/// The metrics of a program.
struct Metrics(String);

impl Metrics {
    async fn of(app: &App, service: &str) -> Self {
        let reply = Rest::new(app.suite().metrics(service)).get("/metrics").await;
        assert_eq!(reply.status, 200);
        Self(reply.text())
    }

    /// The value of a metric with these labels, among others; the sum, where several have them.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let of_name = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        let found =
            of_name.filter(|(written, _)| labels.iter().all(|label| written.split(',').any(|one| one == label)));
        let values: Vec<f64> = found.map(|(_, value)| value.trim().parse().unwrap()).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }
}

async fn metrics_cover_messages_and_jobs(app: App) {
    let attempts = (
        "job_attempt_duration_seconds_count",
        [("kind", "export_todos"), ("outcome", "succeeded")],
    );
    let attempted = async || {
        Metrics::of(&app, "jobs")
            .await
            .value(attempts.0, &attempts.1)
            .unwrap_or(0.0)
    };
    let before = attempted().await;
    let anna = app.register().await;
    anna.post("/api/v1/todos", json!({"title": "counted"}))
        .await
        .expect(201);
    let task = anna
        .post("/api/v1/tasks", json!({"export_todos": {}}))
        .await
        .expect(202);
    crate::jobs::ended(&anna, task["id"].as_str().unwrap()).await;

    eventually(SOON, "the attempt is counted", async || {
        (attempted().await > before).then_some(())
    })
    .await;
    eventually(SOON, "the gauges show that nothing waits", async || {
        let (jobs, todos) = (Metrics::of(&app, "jobs").await, Metrics::of(&app, "todos").await);
        let found = [
            jobs.value("jobs", &[("kind", "export_todos"), ("status", "dead")])? == 0.0,
            jobs.value("job_queue_depth", &[("queue", "default")])? >= 0.0,
            jobs.value("job_queue_oldest_age_seconds", &[("queue", "default")])? >= 0.0,
            jobs.value("messaging_client_sent_messages_total", &[("service", "jobs")])? >= 1.0,
            jobs.value("outbox_unsent_messages", &[("service", "jobs")])? == 0.0,
            jobs.value("outbox_oldest_unsent_age_seconds", &[("service", "jobs")])? == 0.0,
            jobs.value("outbox_failed_attempts_total", &[("service", "jobs")])? >= 0.0,
            jobs.value(
                "messaging_queue_messages",
                &[("queue", "jobs.events"), ("state", "dead")],
            )? == 0.0,
            jobs.value(
                "messaging_queue_messages",
                &[("queue", "jobs.normal"), ("state", "ready")],
            )? >= 0.0,
            jobs.value("messaging_queue_consumers", &[("queue", "jobs.events")])? >= 1.0,
            // The welcome mail of the registration.
            jobs.value(
                "messaging_process_duration_seconds_count",
                &[("kind", "auth.account.registered.v1"), ("outcome", "done")],
            )? >= 1.0,
            todos.value("messaging_client_sent_messages_total", &[("service", "todos")])? >= 1.0,
        ];
        found.iter().all(|found| *found).then_some(())
    })
    .await;

    let (gateway, todos) = (Metrics::of(&app, "gateway").await, Metrics::of(&app, "todos").await);
    let created = [
        ("http_request_method", "POST"),
        ("http_route", "/api/v1/todos"),
        ("http_response_status_code", "201"),
    ];
    assert!(
        gateway
            .value("http_server_request_duration_seconds_count", &created)
            .unwrap()
            >= 1.0
    );
    let served = [
        ("rpc_method", "quartet.todos.v1.TodoService/CreateTodo"),
        ("rpc_response_status_code", "OK"),
    ];
    assert!(todos.value("rpc_server_call_duration_seconds_count", &served).unwrap() >= 1.0);
    // No label is an id, however many there are.
    anna.get(&format!("/api/v1/todos/{}", anna.id))
        .await
        .problem(404, "todo_not_found");
    let gateway = Metrics::of(&app, "gateway").await;
    assert!(!gateway.0.contains(&anna.id), "{}", gateway.0);
}

// The collector has to answer while the test waits for the suite to stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn spans_arrive_at_a_collector_with_their_parents_and_links() {
    let collector = Collector::start().await;
    let app = App::own(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ]);
    let anna = app.register().await;
    let client = Client::new();
    let task = client.post(&anna, "/api/v1/tasks", &json!({"export_todos": {}})).await;
    crate::jobs::ended(&anna, task["id"].as_str().unwrap()).await;
    let todo = client.post(&anna, "/api/v1/todos", &json!({"title": "followed"})).await;

    let (edge, rpc) = eventually(SOON, "the spans of the request arrive", async || {
        let trace = collector.trace(&client.trace);
        let named = |name: &str| trace.iter().find(|exported| exported.span.name == name).cloned();
        Some((
            named("POST /api/v1/todos")?,
            named("quartet.todos.v1.TodoService/CreateTodo")?,
        ))
    })
    .await;
    assert_eq!((edge.service.as_str(), rpc.service.as_str()), ("quartet", "quartet"));
    assert_eq!(hex(&edge.span.parent_span_id), client.span);
    assert_eq!(rpc.span.parent_span_id, edge.span.span_id);
    // 2 is `SPAN_KIND_SERVER` of OTLP.
    assert_eq!((edge.span.kind, rpc.span.kind), (2, 2));
    let attribute = |name: &str| edge.attribute(name).or(rpc.attribute(name)).unwrap_or_default();
    assert_eq!(attribute("http.route"), "/api/v1/todos");
    assert_eq!(attribute("http.response.status_code"), "201");
    assert_eq!(attribute("rpc.response.status_code"), "OK");

    let linked = eventually(SOON, "what follows from the requests arrives", async || {
        let linked = collector.linked_to(&client.trace);
        let named = |name: &str| linked.iter().find(|exported| exported.span.name == name).cloned();
        Some((named("job export_todos")?, named("process todos.todo.created.v1")?))
    })
    .await;
    for exported in [&linked.0, &linked.1] {
        assert_eq!(exported.span.parent_span_id, Vec::<u8>::new());
        assert!(exported.attribute("outcome").is_some());
    }
    assert_eq!(
        linked.1.attribute("cloudevents.event_subject").as_deref(),
        todo["id"].as_str()
    );
    // The job's call to todos is part of the job's trace.
    let of_job = hex(&linked.0.span.trace_id);
    eventually(SOON, "the export is part of the job", async || {
        let trace = collector.trace(&of_job);
        let call = trace
            .iter()
            .find(|exported| exported.span.name == "quartet.todos.v1.TransferService/ExportTodos")?;
        (call.span.parent_span_id == linked.0.span.span_id).then_some(())
    })
    .await;

    // Spans that are not exported at SIGTERM are exported before the process exits.
    let last = Client::new();
    last.post(&anna, "/api/v1/todos", &json!({"title": "last"})).await;
    assert!(app.suite().terminate());
    assert!(collector.trace(&last.trace).len() >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn metrics_and_log_lines_arrive_at_a_collector() {
    let collector = Collector::start().await;
    let app = App::own(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
    ]);
    let anna = app.register().await;
    let client = Client::new();
    client.post(&anna, "/api/v1/todos", &json!({"title": "followed"})).await;
    eventually(SOON, "metrics arrive", async || {
        let names = collector.metrics();
        let wanted = [
            "http_server_request_duration_seconds",
            "quartet_build_info",
            "tokio_workers",
        ];
        wanted.iter().all(|name| names.contains(*name)).then_some(())
    })
    .await;
    eventually(SOON, "the line of the request arrives, with its trace", async || {
        let has_route = |record: &LogRecord| record.attributes.iter().any(|attribute| attribute.key == "route");
        collector.logs(&client.trace).iter().any(has_route).then_some(())
    })
    .await;
}
