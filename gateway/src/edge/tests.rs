//! The layers together, around a few routes.

use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use quartet_config::Source;
use quartet_proto::options::Reason;
use quartet_telemetry::in_memory_exporter::InMemoryExporter;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::problem::Problem;

fn edge(pairs: &[(&'static str, &'static str)]) -> Router {
    let config = Config::read(&Source::of(pairs.iter().copied())).unwrap();
    let routes = Router::new()
        .route("/ok", get(async || "fine"))
        .route("/large", get(async || axum::Json("a".repeat(4_096))))
        .route("/panic", get(async || -> &'static str { panic!("boom") }))
        .route("/never", get(std::future::pending::<StatusCode>))
        .route(
            "/deadline",
            get(async |request: Request| {
                let left = request.extensions().get::<Deadline>().unwrap().0 - tokio::time::Instant::now();
                // To the next ten seconds: a slow machine takes some of them.
                format!(
                    "{} {}",
                    left.as_secs() / 10 * 10 + 10,
                    request.extensions().get::<DeadlineRequested>().is_some()
                )
            }),
        )
        .route(
            "/missing",
            get(async || Problem::new(StatusCode::NOT_FOUND, Reason::TodoNotFound, "no")),
        )
        .route("/echo", post(async |body: Bytes| body))
        .route(
            "/trace",
            get(async |headers: HeaderMap| {
                let header = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
                format!("{:?} {:?}", header("traceparent"), header("tracestate"))
            }),
        )
        .route(
            "/client",
            get(async |request: Request| request.extensions().get::<ClientAddress>().unwrap().0.to_string()),
        );
    router(Arc::new(Edge::new(&config, Clock::system()).around(routes)))
}

async fn send(router: &Router, request: http::request::Builder, body: Body) -> (StatusCode, HeaderMap, Bytes) {
    let mut request = request.body(body).unwrap();
    request
        .headers_mut()
        .entry("host")
        .or_insert(HeaderValue::from_static("localhost"));
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

async fn fetch(router: &Router, path: &str, pairs: &[(&str, &str)]) -> (StatusCode, HeaderMap, Bytes) {
    let request = pairs.iter().fold(http::Request::get(path), |request, (name, value)| {
        request.header(*name, *value)
    });
    send(router, request, Body::empty()).await
}

fn code(body: &[u8]) -> String {
    let document: Value = serde_json::from_slice(body).unwrap();
    document["error_code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_reply_carries_its_id_its_time_and_the_security_headers() {
    let router = edge(&[]);
    for path in ["/ok", "/panic", "/nowhere"] {
        let (_, headers, _) = fetch(&router, path, &[("x-request-id", "r-7")]).await;
        assert_eq!(headers["x-request-id"], "r-7", "{path}");
        assert!(headers["x-process-time"].to_str().unwrap().ends_with("ms"));
        assert!(headers["server-timing"].to_str().unwrap().starts_with("app;dur="));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(!headers.contains_key("strict-transport-security"));
    }
    let (_, headers, _) = fetch(&edge(&[("ENVIRONMENT", "production")]), "/ok", &[]).await;
    assert!(headers.contains_key("strict-transport-security"));
}

#[tokio::test]
async fn every_error_is_a_problem_document() {
    let router = edge(&[]);
    for (path, status, expected) in [
        ("/nowhere", 404, "route_not_found"),
        ("/echo", 405, "method_not_allowed"),
        ("/panic", 500, "internal"),
        ("/missing", 404, "todo_not_found"),
    ] {
        let (found, headers, body) = fetch(&router, path, &[]).await;
        assert_eq!((found.as_u16(), code(&body).as_str()), (status, expected), "{path}");
        assert_eq!(headers["content-type"], "application/problem+json");
        assert!(headers.contains_key("x-errorhandletime"));
    }
    let (_, headers, _) = fetch(&router, "/echo", &[]).await;
    assert_eq!(headers["allow"], "POST");
}

#[tokio::test]
async fn a_problem_repeats_the_request_id_and_is_in_the_clients_language() {
    let (_, headers, body) = fetch(
        &edge(&[]),
        "/missing",
        &[("x-request-id", "r-7"), ("accept-language", "ru")],
    )
    .await;
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (document["request_id"].as_str(), document["title"].as_str()),
        (Some("r-7"), Some("Задача не найдена"))
    );
    assert_eq!(headers["content-language"], "ru");
}

#[tokio::test]
async fn after_a_panic_the_next_request_is_served() {
    let router = edge(&[]);
    assert_eq!(fetch(&router, "/panic", &[]).await.0, 500);
    assert_eq!(fetch(&router, "/ok", &[]).await.0, 200);
}

#[tokio::test]
async fn the_route_gets_the_deadline_of_the_client() {
    let router = edge(&[("REQUEST_TIMEOUT", "60s"), ("REQUEST_TIMEOUT_MAX", "90s")]);
    assert_eq!(fetch(&router, "/deadline", &[]).await.2, "60 false");
    let request = async |timeout| fetch(&router, "/deadline", &[("x-request-timeout", timeout)]).await.2;
    assert_eq!(request("30000ms").await, "30 true");
    assert_eq!(request("3600").await, "90 true");

    let (status, _, body) = fetch(&router, "/ok", &[("x-request-timeout", "soon")]).await;
    assert_eq!((status.as_u16(), code(&body).as_str()), (400, "bad_request"));
    assert!(String::from_utf8_lossy(&body).contains("X-Request-Timeout"));
}

#[tokio::test]
async fn a_request_is_given_up_when_its_own_time_is_up() {
    let (status, _, body) = fetch(&edge(&[]), "/never", &[("x-request-timeout", "50ms")]).await;
    assert_eq!((status.as_u16(), code(&body).as_str()), (504, "deadline_exceeded"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let router = edge(&[("MAX_BODY_SIZE", "8")]);
    let (status, _, body) = send(&router, http::Request::post("/echo"), Body::from("12345678")).await;
    assert_eq!((status.as_u16(), &body[..]), (200, &b"12345678"[..]));

    let announced = http::Request::post("/echo").header("content-length", "9");
    let (status, _, body) = send(&router, announced, Body::from("123456789")).await;
    assert_eq!((status.as_u16(), code(&body).as_str()), (413, "body_too_large"));

    let chunks = futures::stream::iter(["12345", "6789"].map(Ok::<_, std::io::Error>));
    let (status, _, body) = send(&router, http::Request::post("/echo"), Body::from_stream(chunks)).await;
    assert_eq!((status.as_u16(), code(&body).as_str()), (413, "body_too_large"));
}

#[tokio::test]
async fn errors_too_can_be_read_by_the_pages_of_a_listed_origin() {
    let router = edge(&[("CORS_ALLOW_ORIGINS", "https://app.example.com")]);
    let origin = ("origin", "https://app.example.com");
    for path in ["/ok", "/missing", "/panic"] {
        let (_, headers, _) = fetch(&router, path, &[origin]).await;
        assert_eq!(
            headers["access-control-allow-origin"], "https://app.example.com",
            "{path}"
        );
    }
    let preflight = http::Request::options("/echo")
        .header(origin.0, origin.1)
        .header("access-control-request-method", "POST");
    let (status, headers, _) = send(&router, preflight, Body::empty()).await;
    assert_eq!(status, 204);
    assert_eq!(headers["access-control-allow-origin"], "https://app.example.com");
    assert!(headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn large_replies_are_packed_in_a_coding_that_the_client_accepts() {
    let router = edge(&[]);
    let encoding = async |path, accepted| {
        let (_, headers, body) = fetch(&router, path, &[("accept-encoding", accepted)]).await;
        (
            headers
                .get("content-encoding")
                .map(|value| value.to_str().unwrap().to_owned()),
            body.len(),
        )
    };
    assert!(matches!(encoding("/large", "br").await, (Some(name), 0..1_000) if name == "br"));
    assert!(matches!(encoding("/large", "gzip").await, (Some(name), 0..1_000) if name == "gzip"));
    assert_eq!(encoding("/large", "identity").await, (None, 4_098));
    assert_eq!(encoding("/ok", "gzip").await, (None, 4));
}

#[tokio::test]
async fn the_client_is_the_one_that_the_trusted_proxy_forwards() {
    let router = edge(&[("TRUSTED_PROXIES", "10.0.0.0/8")]);
    let request = http::Request::get("/client")
        .header("x-forwarded-for", "203.0.113.9")
        .extension(Peer(([10, 0, 0, 1], 80).into()));
    assert_eq!(send(&router, request, Body::empty()).await.2, "203.0.113.9");
}

#[derive(Clone, Default)]
struct Logged(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_warned_of_once() {
    let warnings = async |settings: &[(&'static str, &'static str)], pairs: &[(&str, &str)]| {
        let (logged, router) = (Logged::default(), edge(settings));
        let writer = logged.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        for _ in 0..3 {
            fetch(&router, "/ok", pairs).await;
        }
        let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
        text.matches("not in TRUSTED_PROXIES").count()
    };
    let forwarded = [("x-forwarded-for", "203.0.113.9")];
    assert_eq!(warnings(&[], &forwarded).await, 1);
    assert_eq!(warnings(&[], &[]).await, 0);
    assert_eq!(warnings(&[("TRUSTED_PROXIES", "0.0.0.0/0")], &forwarded).await, 0);
}

#[tokio::test]
async fn a_trace_goes_on_from_the_edge_as_the_child_of_the_client() {
    const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (exporter, _here) = InMemoryExporter::install();
    let router = edge(&[]);
    let (_, headers, body) = fetch(&router, "/trace", &[("traceparent", CLIENT), ("tracestate", "rojo=1")]).await;
    assert!(!headers.contains_key("traceparent"));
    let spans = exporter.finished_spans();
    let [span] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
    let own = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", span.span_context.span_id());
    assert_eq!(body, format!("{:?} {:?}", Some(own), Some("rojo=1")));

    // Without a client's, or with one that is none, the edge begins a trace.
    for sent in [None, Some("00-1")] {
        let pairs: Vec<_> = sent.map(|sent| ("traceparent", sent)).into_iter().collect();
        let (_, _, body) = fetch(&router, "/trace", &pairs).await;
        let span = exporter.finished_spans().pop().unwrap();
        let own = format!("00-{}-{}-01", span.span_context.trace_id(), span.span_context.span_id());
        assert_eq!(body, format!("{:?} None", Some(own)));
    }
}

#[tokio::test]
async fn a_request_that_does_not_name_its_host_once_is_400() {
    for hosts in [&[][..], &["a.example", "a.example"], &["a b"]] {
        let request = hosts
            .iter()
            .fold(http::Request::get("/ok"), |request, host| request.header("host", *host));
        let response = edge(&[]).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(
            (parts.status.as_u16(), code(&body).as_str()),
            (400, "bad_request"),
            "{hosts:?}"
        );
        assert!(String::from_utf8_lossy(&body).contains("name its host once"));
        assert!(parts.headers.contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn a_head_has_no_body_whoever_serves_it() {
    let config = Config::read(&Source::of([])).unwrap();
    let edged = Edge::new(&config, Clock::system()).around(Router::new());
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::HEAD;
    request
        .headers_mut()
        .insert("host", HeaderValue::from_static("localhost"));
    // Not through a router, which would take the body away: HTTP/2 does not.
    let (parts, body) = edged.handle(request).await.into_parts();
    assert_eq!(parts.status, StatusCode::NOT_FOUND);
    assert_ne!(parts.headers["content-length"], "0");
    assert!(body.collect().await.unwrap().to_bytes().is_empty());
}
