use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use quartet_clock::Clock;
use quartet_config::Source;
use quartet_limits::Limits;
use quartet_proto::descriptors;
use quartet_rpc::Upstream;
use tower::ServiceExt;

use super::*;
use crate::config::Config;
use crate::routes::Routes;
use crate::{Deps, build};

fn gateway(public_url: &str) -> Router {
    let config = Config::read(&Source::of([("APP_NAME", "Test")])).unwrap();
    let upstreams: BTreeMap<String, Upstream> = ["auth", "jobs", "users", "todos"]
        .map(|name| (name.to_owned(), Upstream::local(name).0))
        .into();
    let deps = Deps {
        limits: Limits::none(),
        cache: quartet_cache::Cache::none(),
        upstreams,
        clock: Clock::system(),
        verifier: None,
        tokens: None,
        rooms: crate::ws::rooms::Rooms::default(),
        public_url: public_url.to_owned(),
    };
    build(&config, deps).unwrap().router()
}

/// The request with a host, if it names none.
fn addressed(mut request: Request<Body>) -> Request<Body> {
    let host = http::HeaderValue::from_static("api.example.com");
    request.headers_mut().entry("host").or_insert(host);
    request
}

async fn send(router: &Router, request: http::request::Builder, body: &str) -> (StatusCode, HeaderMap, String) {
    let request: Request<Body> = request.body(Body::from(body.to_owned())).unwrap();
    let (parts, body) = router.clone().oneshot(addressed(request)).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8_lossy(&body).into_owned())
}

async fn open(path: &str, language: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).header("accept-language", language);
    send(&gateway("http://localhost:8000"), request, "").await
}

#[test]
fn every_page_has_its_texts_in_every_language() {
    let routes = Routes::compile(descriptors::pool()).unwrap();
    let forms = Forms::of(routes.bindings()).unwrap();
    let mut paths: Vec<_> = forms.paths().map(str::to_owned).collect();
    paths.sort();
    assert_eq!(paths, ["/reset-password", "/undo-email-change", "/verify-email"]);
    for language in Language::ALL {
        let mut keys = vec!["incomplete-link".to_owned(), "field-new-password".to_owned()];
        for path in &paths {
            let key = path.trim_start_matches('/');
            keys.extend(["", ".lead", ".submit", ".done"].map(|part| format!("{key}{part}")));
        }
        keys.extend(["home.what", "home.links", "home.steps"].map(str::to_owned));
        keys.extend(["docs", "redoc", "openapi", "asyncapi", "health"].map(|name| format!("home-link-{name}")));
        keys.extend(["register", "token", "todo"].map(|name| format!("home-step-{name}")));
        for key in keys {
            assert!(l10n::page_text(language, &key).is_some(), "{key} in {}", language.tag());
        }
    }
}

#[tokio::test]
async fn a_link_leads_to_a_form_that_loads_nothing_and_runs_nothing() {
    for (language, tag, title) in [
        ("en", "en", "Set a new password"),
        ("ru-RU,ru;q=0.9", "ru", "Новый пароль"),
    ] {
        let (status, headers, html) = open("/reset-password?token=s3cret", language).await;
        assert_eq!(status, 200);
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["content-language"], tag);
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(html.contains(&format!("<html lang=\"{tag}\">")) && html.contains(&format!("<h1>{title}</h1>")));
        assert!(
            html.contains("<form method=\"post\" action=\"reset-password\">"),
            "{html}"
        );
        assert!(
            html.contains("<input type=\"hidden\" name=\"token\" value=\"s3cret\">"),
            "{html}"
        );
        assert!(html.contains("name=\"new_password\" type=\"password\" value=\"\" required minlength=\"8\""));
        for wrong in ["<script", "src=", "url(", "@import", "://", " onclick", "style="] {
            assert!(!html.contains(wrong), "{wrong}: {html}");
        }
        let style = &html[html.find("<style>").unwrap() + 7..html.find("</style>").unwrap()];
        assert!(policy.contains(&STANDARD.encode(Sha256::digest(style.as_bytes()))));
    }
    let (status, _, html) = open("/verify-email?token=%22%3E%3Cb%3E", "en").await;
    assert_eq!(status, 200);
    assert!(!html.contains("<b>"), "{html}");
}

#[tokio::test]
async fn a_link_without_its_token_is_explained() {
    for path in ["/verify-email", "/verify-email?token=", "/reset-password?tok=x"] {
        let (status, _, html) = open(path, "en").await;
        assert_eq!(status, 400, "{path}");
        assert!(
            html.contains("The link is incomplete") && !html.contains("<form"),
            "{html}"
        );
    }
}

#[tokio::test]
async fn there_are_no_pages_where_links_lead_elsewhere() {
    let router = gateway("https://app.example.com");
    for (host, expected) in [("api.example.com", 404), ("app.example.com", 200)] {
        let request = Request::get("/verify-email?token=x").header("host", host);
        assert_eq!(send(&router, request, "").await.0, expected, "{host}");
    }
    let request = Request::post("/verify-email").header("host", "api.example.com");
    assert_eq!(send(&router, request, "token=x").await.0, 404);
}

#[tokio::test]
async fn a_page_takes_its_form_alone_and_shows_a_failure_in_the_page() {
    let router = gateway("http://localhost:8000");
    let request = Request::post("/verify-email").header("content-type", "application/json");
    let (status, headers, _) = send(&router, request, "{\"token\": \"x\"}").await;
    assert_eq!(
        (status, &headers["content-type"]),
        (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            &"application/problem+json".parse().unwrap()
        )
    );
    // Nothing serves auth here.
    let request = Request::post("/verify-email").header("content-type", "application/x-www-form-urlencoded");
    let (status, headers, html) = send(&router, request, "token=s3cret").await;
    assert_eq!(status, 503, "{html}");
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert!(headers.contains_key("retry-after"));
    assert!(
        html.contains("role=\"alert\"") && html.contains("value=\"s3cret\""),
        "{html}"
    );
}

#[tokio::test]
async fn the_root_is_a_page_for_browsers_and_json_for_everybody_else() {
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let router = gateway("http://localhost:8000");
    let request = Request::get("/")
        .header("accept", browser)
        .header("host", "localhost:8000");
    let (status, headers, html) = send(&router, request, "").await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    for part in [
        "<h1>Test</h1>",
        "href=\"docs\"",
        "href=\"health\"",
        "http://localhost:8000/api/v1/auth/register",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    for accept in [None, Some("*/*"), Some("application/json"), Some("image/png")] {
        let request = Request::get("/");
        let request = accept
            .into_iter()
            .fold(request, |request, accept| request.header("accept", accept));
        let (status, headers, body) = send(&router, request, "").await;
        assert_eq!(
            (status, &headers["content-type"]),
            (StatusCode::OK, &"application/json".parse().unwrap())
        );
        assert!(headers["vary"].to_str().unwrap().contains("accept"), "{headers:?}");
        assert!(body.contains("\"docs\":\"/docs\""), "{body}");
    }
}

#[tokio::test]
async fn the_server_as_a_whole_has_options() {
    let request = Request::options("*");
    let (status, headers, body) = send(&gateway(""), request, "").await;
    assert_eq!((status, body.as_str()), (StatusCode::NO_CONTENT, ""));
    assert!(headers["allow"].to_str().unwrap().contains("PATCH"));
}
