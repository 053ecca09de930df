//! Failures of backends as problems, and starts that are refused.

use std::collections::HashMap;

use quartet_config::Source;
use quartet_rpc::upstream::Upstreams;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;

#[tokio::test]
async fn every_code_has_its_status_and_reason() {
    for (code, status, reason) in [
        (Code::Cancelled, 499, "CANCELLED"),
        (Code::Unknown, 500, "INTERNAL"),
        (Code::InvalidArgument, 400, "BAD_REQUEST"),
        (Code::DeadlineExceeded, 504, "DEADLINE_EXCEEDED"),
        (Code::NotFound, 404, "NOT_FOUND"),
        (Code::AlreadyExists, 409, "ALREADY_EXISTS"),
        (Code::PermissionDenied, 403, "PERMISSION_DENIED"),
        (Code::ResourceExhausted, 429, "RATE_LIMITED"),
        (Code::FailedPrecondition, 400, "FAILED_PRECONDITION"),
        (Code::Aborted, 409, "ABORTED"),
        (Code::OutOfRange, 400, "BAD_REQUEST"),
        (Code::Unimplemented, 501, "UNIMPLEMENTED"),
        (Code::Internal, 500, "INTERNAL"),
        (Code::Unavailable, 503, "UNAVAILABLE"),
        (Code::DataLoss, 500, "INTERNAL"),
        (Code::Unauthenticated, 401, "TOKEN_INVALID"),
    ] {
        let kitchen = Kitchen::new(Answer::Refuse(Status::new(code, "secret detail")));
        let problem = kitchen.get("/v1/dishes/7").await.unwrap_err();
        assert_eq!(
            (problem.status.as_u16(), problem.reason.as_str()),
            (status, reason),
            "{code:?}"
        );
        let is_shown = problem.message.contains("secret");
        assert_eq!(is_shown, status != 500, "{code:?} shows `{}`", problem.message);
    }
}

fn refusal(code: Code, reason: &str, message: &str, fill: impl FnOnce(&mut ErrorDetails)) -> Answer {
    let mut details = ErrorDetails::new();
    details.set_error_info(
        reason,
        "quartet",
        HashMap::from([("dish_id".to_owned(), "7".to_owned())]),
    );
    fill(&mut details);
    Answer::Refuse(Status::with_error_details(code, message, details))
}

#[tokio::test]
async fn a_failure_keeps_its_reason_metadata_and_delay() {
    let answer = refusal(Code::ResourceExhausted, "HASHING_BUSY", "busy", |details| {
        details.set_retry_info(Some(Duration::from_secs(3)));
    });
    let problem = Kitchen::new(answer).get("/v1/dishes/7").await.unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.reason.as_str()),
        (429, "HASHING_BUSY")
    );
    assert_eq!(problem.retry_after, Some(Duration::from_secs(3)));
    assert_eq!(problem.metadata["dish_id"], "7");
}

#[tokio::test]
async fn violations_are_named_as_the_body_names_them() {
    let answer = refusal(Code::InvalidArgument, "VALIDATION_FAILED", "in any words", |details| {
        details.add_bad_request_violation("dish.taste", "is sour");
        details.add_bad_request_violation("dish_id", "is odd");
        details.add_bad_request_violation("dishes.taste", "is elsewhere");
    });
    let problem = Kitchen::new(answer.clone())
        .json("PUT", "/v1/dishes/7", "{}")
        .await
        .unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.message.as_str()),
        (422, "taste: is sour")
    );
    let fields: Vec<_> = problem
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(fields, ["taste", "dish_id", "dishes.taste"]);
    // Where the body is the whole message, its paths are the message's.
    let problem = Kitchen::new(answer)
        .json("POST", "/v1/dishes/7:cook", "{}")
        .await
        .unwrap_err();
    assert_eq!(problem.violations[0].field, "dish.taste");
}

#[tokio::test]
async fn a_message_that_only_looks_like_a_violation_stays_as_it_is() {
    let message = "dish.taste: is out of season";
    let answer = refusal(Code::FailedPrecondition, "OUT_OF_SEASON", message, |details| {
        details.add_bad_request_violation("dish.taste", "is sour");
    });
    let problem = Kitchen::new(answer)
        .json("PUT", "/v1/dishes/7", "{}")
        .await
        .unwrap_err();
    assert_eq!(
        (problem.message.as_str(), problem.violations[0].field.as_str()),
        (message, "taste")
    );
}

#[tokio::test]
async fn a_challenge_shows_whether_the_token_was_bad_or_missing() {
    for (reason, token, challenge) in [
        ("TOKEN_MISSING", None, "Bearer"),
        ("TOKEN_EXPIRED", Some("Bearer x"), "Bearer error=\"invalid_token\""),
        ("INVALID_CREDENTIALS", None, "Bearer"),
    ] {
        let kitchen = Kitchen::new(refusal(Code::Unauthenticated, reason, "no", |_| {}));
        let mut request = request("GET", "/v1/dishes/7");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let problem = kitchen.send(request.body(Body::empty()).unwrap()).await.unwrap_err();
        assert_eq!(
            problem.headers,
            [(header::WWW_AUTHENTICATE, challenge.parse().unwrap())],
            "{reason}"
        );
    }
}

#[tokio::test]
async fn the_failures_of_a_deprecated_method_show_it_too() {
    let kitchen = Kitchen::new(Answer::Refuse(Status::not_found("x")));
    let problem = kitchen.json("POST", "/v1/dishes/7:cook", "{}").await.unwrap_err();
    assert!(problem.headers.iter().any(|(name, _)| name == "deprecation"));
}

#[tokio::test]
async fn a_backend_that_cannot_be_reached_is_503() {
    // A port that was just free, and on which there is no server.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let upstreams = Upstreams::read(&Source::default()).unwrap();
    let upstream = upstreams
        .remote("kitchen", &format!("http://127.0.0.1:{port}"))
        .unwrap();
    let routes = Arc::new(Routes::compile(testing::pool()).unwrap());
    let backends = HashMap::from([("kitchen.v1.Kitchen".to_owned(), upstream)]);
    let transcoder = Transcoder::new(routes, &backends, config(CancellationToken::new())).unwrap();
    let request = request("GET", "/v1/dishes/7").body(Body::empty()).unwrap();
    let problem = transcoder.call(request).await.unwrap_err();
    assert_eq!((problem.status.as_u16(), problem.reason.as_str()), (503, "UNAVAILABLE"));
    assert_eq!(problem.retry_after, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_proxy_that_answers_for_the_service_is_understood_by_its_status() {
    for (status, content_type, expected, reason) in [
        (400, "text/html", 500, "INTERNAL"),
        (401, "text/html", 401, "TOKEN_INVALID"),
        (403, "text/html", 403, "PERMISSION_DENIED"),
        (404, "text/html", 501, "UNIMPLEMENTED"),
        (429, "text/html", 503, "UNAVAILABLE"),
        (502, "text/html", 503, "UNAVAILABLE"),
        (503, "application/grpc", 503, "UNAVAILABLE"),
        (504, "text/plain", 503, "UNAVAILABLE"),
        (418, "text/html", 500, "INTERNAL"),
        (200, "text/html", 500, "INTERNAL"),
    ] {
        let proxy = tower::service_fn(move |_: http::Request<tonic::body::Body>| async move {
            let reply = http::Response::builder()
                .status(status)
                .header("content-type", content_type);
            let body = http_body_util::Full::new(Bytes::from_static(b"<html>not here</html>"));
            Ok::<_, tower::BoxError>(reply.body(tonic::body::Body::new(body)).unwrap())
        });
        let (upstream, slot) = Upstream::local("kitchen");
        slot.fill(quartet_rpc::upstream::LocalService::new(proxy));
        let routes = Arc::new(Routes::compile(testing::pool()).unwrap());
        let backends = HashMap::from([("kitchen.v1.Kitchen".to_owned(), upstream)]);
        let transcoder = Transcoder::new(routes, &backends, config(CancellationToken::new())).unwrap();
        for path in ["/v1/dishes/7", "/v1/watch/7"] {
            let request = request("GET", path).body(Body::empty()).unwrap();
            let problem = transcoder.call(request).await.unwrap_err();
            assert_eq!(
                (problem.status.as_u16(), problem.reason.as_str()),
                (expected, reason),
                "{status} {path}"
            );
        }
    }
}

#[tokio::test]
async fn further_details_of_a_failure_reach_its_problem_unless_it_was_unexpected() {
    let fill = |details: &mut ErrorDetails| {
        details.add_help_link("the seasons", "https://example.org/seasons");
        details.set_retry_info(Some(Duration::from_secs(3)));
    };
    let expected = refusal(Code::FailedPrecondition, "OUT_OF_SEASON", "no", fill);
    let problem = Kitchen::new(expected).get("/v1/dishes/7").await.unwrap_err();
    let details = problem.details.unwrap().0;
    assert_eq!(details.len(), 1);
    assert_eq!(details[0]["links"][0]["url"], "https://example.org/seasons");
    let mut details = ErrorDetails::new();
    fill(&mut details);
    let unexpected = Answer::Refuse(Status::with_error_details(Code::Internal, "secret", details));
    let problem = Kitchen::new(unexpected).get("/v1/dishes/7").await.unwrap_err();
    assert!(problem.details.is_none());
}

/// Starts a transcoder over a service with one method.
fn start(method: &str, backends: &[&str]) -> Result<(), String> {
    let text = format!(
        "syntax = \"proto3\"; package t;\n\
         import \"google/api/annotations.proto\"; import \"quartet/options/v1/options.proto\";\n\
         message M {{ string a = 1; int32 n = 2; M m = 3; }}\n\
         message C {{ string c = 1 [(quartet.options.v1.cookie) = {{name: \"c\" max_age_field: \"nope\"}}]; }}\n\
         message N {{ int32 c = 1 [(quartet.options.v1.cookie) = {{name: \"c\"}}]; }}\n\
         service S {{ {method} }}"
    );
    let routes = Routes::compile(&testing::compile(&text)?).map_err(|error| error.to_string())?;
    let backends = backends
        .iter()
        .map(|name| ((*name).to_owned(), Upstream::local("x").0))
        .collect();
    Transcoder::new(Arc::new(routes), &backends, config(CancellationToken::new()))
        .map(drop)
        .map_err(|error| error.to_string())
}

#[test]
fn what_cannot_be_served_stops_the_start_and_is_named() {
    let edge = |edge: &str| {
        format!(
            "rpc Do(M) returns (M) {{ option (google.api.http) = {{get: \"/x\"}}; \
             option (quartet.options.v1.edge) = {{{edge}}}; }}"
        )
    };
    let plain = "rpc Do(M) returns (M) { option (google.api.http) = {get: \"/x\"}; }";
    assert!(start(plain, &["t.S"]).is_ok());
    assert!(start("rpc Do(M) returns (M);", &[]).is_ok());
    for (method, backends, why) in [
        (plain.to_owned(), &[][..], "no backend serves `t.S`"),
        (
            "rpc Do(stream M) returns (M) { option (google.api.http) = {post: \"/x\" body: \"*\"}; }".to_owned(),
            &["t.S"],
            "streams requests",
        ),
        (edge("status: 404"), &["t.S"], "no 2xx"),
        (edge("status: 70000"), &["t.S"], "no 2xx"),
        (edge("location: \"/x/{nope}\""), &["t.S"], "no single field"),
        (edge("location: \"/x/{m}\""), &["t.S"], "is a message"),
        (edge("location: \"/x/{a\""), &["t.S"], "not closed"),
        (edge("deprecation: {since: \"soon\"}"), &["t.S"], "no day"),
        (
            "rpc Do(M) returns (C) { option (google.api.http) = {get: \"/x\"}; }".to_owned(),
            &["t.S"],
            "no integer beside it",
        ),
        (
            "rpc Do(N) returns (M) { option (google.api.http) = {get: \"/x\"}; }".to_owned(),
            &["t.S"],
            "no single string",
        ),
    ] {
        let error = start(&method, backends).unwrap_err();
        assert!(
            error.starts_with("t.S.Do: ") && error.contains(why),
            "{method}: {error}"
        );
    }
}
