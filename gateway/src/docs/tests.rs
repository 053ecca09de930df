//! The docs pages, by environment.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use quartet_clock::Clock;
use quartet_config::Source;
use quartet_limits::Limits;
use quartet_proto::auth::v1::{TokenRequest, TokenResponse};
use quartet_rpc::Upstream;
use quartet_rpc::upstream::LocalService;
use quartet_testkit::identity::Identity;
use quartet_testkit::stack::host;
use tower::ServiceExt;

use super::*;
use crate::{Deps, build};

/// A gateway in an environment, before an auth service that accepts one password and returns
/// `token` for it.
struct Fixture {
    router: Router,
    logins: Arc<Mutex<u32>>,
}

fn fixture(environment: &'static str, token: &str) -> Fixture {
    let clock = Clock::system();
    let config = Config::read(&Source::of([("ENVIRONMENT", environment), ("APP_NAME", "Test")])).unwrap();
    let logins = Arc::new(Mutex::new(0));
    let auth = auth(token.to_owned(), logins.clone());
    let verifier = host("gateway", &clock, auth.clone()).verifier();
    let mut upstreams: BTreeMap<String, Upstream> = ["jobs", "users", "todos"]
        .map(|name| (name.to_owned(), Upstream::local(name).0))
        .into();
    upstreams.insert("auth".into(), auth);
    let deps = Deps {
        public_url: String::new(),
        limits: Limits::none(),
        cache: quartet_cache::Cache::none(),
        upstreams,
        clock,
        verifier: Some(verifier),
        tokens: None,
        rooms: crate::ws::rooms::Rooms::default(),
    };
    Fixture {
        router: build(&config, deps).unwrap().router(),
        logins,
    }
}

fn auth(token: String, logins: Arc<Mutex<u32>>) -> Upstream {
    let (upstream, slot) = Upstream::local("auth");
    let service = tower::service_fn(move |request: Request<tonic::body::Body>| {
        let (token, logins) = (token.clone(), logins.clone());
        async move {
            if request.uri().path() != "/quartet.auth.v1.AuthService/Token" {
                return Ok(tonic::Status::unimplemented("only tokens here").into_http());
            }
            *logins.lock().unwrap() += 1;
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let request = TokenRequest::decode(&body[5..]).unwrap();
            if (request.username.as_str(), request.password.as_str()) != ("ada", "right: horse") {
                return Ok::<_, Infallible>(tonic::Status::unauthenticated("no").into_http());
            }
            Ok(reply(&TokenResponse {
                access_token: token,
                ..Default::default()
            }))
        }
    });
    slot.fill(LocalService::new(service.map_err(Into::into)));
    upstream
}

/// A gRPC reply of one message.
fn reply(message: &impl Message) -> Response<tonic::body::Body> {
    let encoded = message.encode_to_vec();
    let head = [&[0][..], &u32::try_from(encoded.len()).unwrap().to_be_bytes()].concat();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = [
        Frame::data(Bytes::from([head, encoded].concat())),
        Frame::trailers(trailers),
    ];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, tonic::Status>)));
    Response::builder()
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::new(body))
        .unwrap()
}

async fn fetch(fixture: &Fixture, path: &str, pairs: &[(&str, &str)]) -> (StatusCode, HeaderMap, Bytes) {
    let request = pairs.iter().fold(Request::get(path), |request, (name, value)| {
        request.header(*name, *value)
    });
    let response = fixture
        .router
        .clone()
        .oneshot(request.header("host", "api.example.com").body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

const PATHS: [&str; 5] = [
    "/docs",
    "/redoc",
    "/openapi.json",
    "/asyncapi.json",
    "/docs/assets/swagger-start.js",
];

#[tokio::test]
async fn the_docs_are_open_to_everybody_before_staging() {
    for environment in ["local", "dev", "uat", "uatbiz", "sanity"] {
        let fixture = fixture(environment, "");
        for path in PATHS {
            assert_eq!(fetch(&fixture, path, &[]).await.0, 200, "{environment} {path}");
        }
    }
}

#[tokio::test]
async fn the_docs_are_not_there_in_production() {
    let fixture = fixture("production", "");
    let superuser = format!("Bearer {}", Identity::superuser(&Clock::system()).token);
    for path in PATHS {
        let (status, _, body) = fetch(&fixture, path, &[("authorization", &superuser)]).await;
        let document: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (status.as_u16(), &document["error_code"]),
            (404, &json!("route_not_found")),
            "{path}"
        );
    }
    let root: Value = serde_json::from_slice(&fetch(&fixture, "/", &[]).await.2).unwrap();
    assert_eq!(root["links"], json!({"health": "/health"}));
}

#[tokio::test]
async fn the_version_is_not_shown_in_production() {
    for (environment, is_shown) in [("production", false), ("local", true)] {
        let fixture = fixture(environment, "");
        let root: Value = serde_json::from_slice(&fetch(&fixture, "/", &[]).await.2).unwrap();
        assert_eq!(root["version"].is_string(), is_shown, "{environment}");
        let page = fetch(&fixture, "/", &[("accept", "text/html")]).await.2;
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert_eq!(page.contains(env!("CARGO_PKG_VERSION")), is_shown, "{environment}");
    }
}

#[tokio::test]
async fn in_staging_superusers_alone_see_the_docs() {
    let clock = Clock::system();
    let fixture = fixture("staging", "");
    let status = async |authorization: &str| fetch(&fixture, "/docs", &[("authorization", authorization)]).await.0;
    assert_eq!(
        status(&format!("Bearer {}", Identity::superuser(&clock).token)).await,
        200
    );
    assert_eq!(status(&format!("Bearer {}", Identity::user(&clock).token)).await, 403);
    assert_eq!(status("Bearer forged").await, 401);
    for path in PATHS {
        let (status, headers, _) = fetch(&fixture, path, &[]).await;
        assert_eq!(status, 401, "{path}");
        let challenges: Vec<_> = headers
            .get_all("www-authenticate")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert!(
            challenges[0].starts_with("Basic ") && challenges[1].starts_with("Bearer "),
            "{challenges:?}"
        );
    }
    assert_eq!(fetch(&fixture, "/livez", &[]).await.0, 200);
}

#[tokio::test]
async fn in_staging_a_browser_signs_in_with_name_and_password_once() {
    let clock = Clock::system();
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let fixture = fixture("staging", &Identity::superuser(&clock).token);
    for path in PATHS {
        assert_eq!(
            fetch(&fixture, path, &[("authorization", &basic("ada:right: horse"))])
                .await
                .0,
            200,
            "{path}"
        );
    }
    assert_eq!(*fixture.logins.lock().unwrap(), 1);
    for wrong in [basic("ada:wrong"), basic("ada"), "Basic ?".into()] {
        let (status, headers, _) = fetch(&fixture, "/docs", &[("authorization", &wrong)]).await;
        assert_eq!(status, 401, "{wrong}");
        assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    }
}

#[tokio::test]
async fn in_staging_a_password_of_somebody_else_is_not_enough() {
    let fixture = fixture("staging", &Identity::user(&Clock::system()).token);
    let basic = format!("Basic {}", STANDARD.encode("ada:right: horse"));
    assert_eq!(fetch(&fixture, "/docs", &[("authorization", &basic)]).await.0, 403);
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere() {
    let fixture = fixture("local", "");
    for page in ["/docs", "/redoc"] {
        let (_, headers, body) = fetch(&fixture, page, &[]).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("script-src 'self';") && !policy.contains("http"),
            "{policy}"
        );
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert!(!html.contains("://") && !html.contains("<script>"), "{html}");
        assert!(html.contains("<title>Test"), "{html}");
        let mut found = 0;
        for part in html.split("=\"docs/assets/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert_eq!(
                fetch(&fixture, &format!("/docs/assets/{name}"), &[]).await.0,
                200,
                "{name}"
            );
            found += 1;
        }
        assert!(found >= 3, "{html}");
    }
}

#[tokio::test]
async fn vendored_files_are_sent_packed_cached_for_good_and_unpacked_for_those_that_cannot() {
    let fixture = fixture("local", "");
    let path = format!("/docs/assets/{}", pages::SWAGGER_CSS);
    let (_, headers, packed) = fetch(&fixture, &path, &[("accept-encoding", "gzip")]).await;
    assert_eq!(headers["content-encoding"], "gzip");
    assert!(headers["cache-control"].to_str().unwrap().contains("immutable"));
    let (_, plain_headers, plain) = fetch(&fixture, &path, &[("accept-encoding", "identity, gzip;q=0")]).await;
    assert!(!plain_headers.contains_key("content-encoding"));
    assert!(plain.starts_with(b".swagger-ui") && plain.len() > 4 * packed.len());

    let tag = headers["etag"].to_str().unwrap();
    assert_eq!(fetch(&fixture, &path, &[("if-none-match", tag)]).await.0, 304);
    assert_eq!(fetch(&fixture, "/docs/assets/nothing.js", &[]).await.0, 404);
}

#[tokio::test]
async fn the_description_is_revalidated_and_sent_once() {
    let fixture = fixture("local", "");
    let (_, headers, body) = fetch(&fixture, "/openapi.json", &[("accept-encoding", "gzip")]).await;
    assert_eq!(
        (&headers["content-type"], &headers["cache-control"]),
        (&"application/json".parse().unwrap(), &"no-cache".parse().unwrap())
    );
    assert!(body.len() < 48_000, "{}", body.len());
    let tag = headers["etag"].to_str().unwrap();
    let (status, _, body) = fetch(&fixture, "/openapi.json", &[("if-none-match", tag)]).await;
    assert_eq!((status.as_u16(), body.len()), (304, 0));
}

#[tokio::test]
async fn the_socket_is_described_with_its_topics_and_what_they_carry() {
    let fixture = fixture("local", "");
    let openapi: Value = serde_json::from_slice(&fetch(&fixture, "/openapi.json", &[]).await.2).unwrap();
    let socket: Value = serde_json::from_slice(&fetch(&fixture, "/asyncapi.json", &[]).await.2).unwrap();
    assert_eq!(openapi["externalDocs"]["url"], "/asyncapi.json");
    assert_eq!(socket["asyncapi"], "3.0.0");
    assert_eq!(socket["channels"]["socket"]["address"], "/api/v1/ws");
    let event = &socket["components"]["messages"]["event.todos.WatchTodos"];
    let data = event["payload"]["properties"]["data"]["$ref"].as_str().unwrap();
    assert_eq!(data, "/openapi.json#/components/schemas/TodoChange");
    assert!(openapi["components"]["schemas"]["TodoChange"].is_object());

    // Every reference within the document has a target, and nothing is left out.
    let mut references = Vec::new();
    collect(&socket, &mut references);
    for reference in references.iter().filter_map(|reference| reference.strip_prefix('#')) {
        assert!(socket.pointer(reference).is_some(), "{reference}");
    }
    let operations = &socket["operations"];
    let frames = ["receiveClientFrame", "sendServerFrame"];
    let listed = frames.map(|name| operations[name]["messages"].as_array().unwrap().len());
    assert_eq!(
        listed[0] + listed[1],
        socket["components"]["messages"].as_object().unwrap().len()
    );
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            references.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[tokio::test]
async fn the_root_links_to_the_docs() {
    let root: Value = serde_json::from_slice(&fetch(&fixture("local", ""), "/", &[]).await.2).unwrap();
    assert_eq!(
        (&root["name"], &root["links"]["docs"], &root["links"]["openapi"]),
        (&json!("Test"), &json!("/docs"), &json!("/openapi.json"))
    );
}

#[tokio::test]
async fn a_failed_readiness_probe_still_reads_the_report() {
    let (status, _, body) = fetch(&fixture("local", ""), "/readyz", &[]).await;
    let report: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (status.as_u16(), &report["checks"]["todos"]),
        (503, &json!("unreachable"))
    );
}

#[tokio::test]
async fn a_service_that_is_away_is_a_problem_document() {
    let sent = [("accept-language", "ru"), ("authorization", "Bearer t")];
    let (status, headers, body) = fetch(&fixture("local", ""), "/api/v1/todos", &sent).await;
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status.as_u16(), &document["error_code"]), (503, &json!("unavailable")));
    assert_eq!(
        (&headers["content-language"], &document["instance"]),
        (&"ru".parse().unwrap(), &json!("/api/v1/todos"))
    );
}
