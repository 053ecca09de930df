//! `google.api.HttpBody`: bodies of any type, up and down, whole and streamed.

use std::sync::atomic::Ordering;

use futures::StreamExt;
use prost_reflect::{DynamicMessage, Value};
use tonic::Status;

use super::*;

/// The bytes of a `google.api.HttpBody`.
fn raw(content_type: &str, data: &str) -> Bytes {
    let descriptor = testing::pool().get_message_by_name("google.api.HttpBody").unwrap();
    let mut body = DynamicMessage::new(descriptor);
    body.set_field_by_name("content_type", Value::String(content_type.to_owned()));
    body.set_field_by_name("data", Value::Bytes(Bytes::copy_from_slice(data.as_bytes())));
    body.encode_to_vec().into()
}

fn upload(path: &str, body: Body) -> Request<Body> {
    request("POST", path)
        .header(header::CONTENT_TYPE, "image/png")
        .body(body)
        .unwrap()
}

fn chunks(chunks: Vec<Result<&'static str, std::io::Error>>) -> Body {
    Body::from_stream(futures::stream::iter(chunks))
}

#[tokio::test]
async fn a_body_goes_down_as_it_is() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(raw("text/csv", "a,b\n"))]));
    let request = request("GET", "/v1/downloads/x")
        .header(header::ACCEPT, "text/csv")
        .body(Body::empty())
        .unwrap();
    let response = kitchen.send(request).await.unwrap();
    assert_eq!(header_text(response.headers(), "content-type"), Some("text/csv"));
    assert_eq!(text(response).await, "a,b\n");
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let response = kitchen.get("/v1/downloads/x").await.unwrap();
    assert_eq!(
        header_text(response.headers(), "content-type"),
        Some("application/octet-stream")
    );
}

#[tokio::test]
async fn pieces_go_down_one_after_another() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(raw("text/csv", "a,")), Ok(raw("", "b\n"))]));
    let response = kitchen.get("/v1/download-parts/x").await.unwrap();
    assert_eq!(header_text(response.headers(), "content-type"), Some("text/csv"));
    assert_eq!(text(response).await, "a,b\n");
}

#[tokio::test]
async fn a_download_that_fails_midway_breaks_off() {
    let kitchen = Kitchen::new(Answer::Messages(vec![
        Ok(raw("text/csv", "a,")),
        Err(Status::internal("x")),
    ]));
    let response = kitchen.get("/v1/download-parts/x").await.unwrap();
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_body_of_any_type_goes_up_whole() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    kitchen
        .send(upload("/v1/uploads/x?public=true", Body::from("PNG")))
        .await
        .unwrap();
    assert_eq!(
        kitchen.backend.message(),
        "name:\"x\",file{content_type:\"image/png\",data:\"PNG\"},public:true"
    );
}

#[tokio::test]
async fn a_body_goes_up_in_pieces_and_only_the_first_carries_the_rest_of_the_request() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(dish("{\"taste\":1}"))]));
    let body = chunks(vec![Ok("one"), Ok("two")]);
    let response = kitchen
        .send(upload("/v1/upload-parts/x?public=true", body))
        .await
        .unwrap();
    assert!(text(response).await.contains("TASTE_SWEET"));
    assert_eq!(
        kitchen.backend.seen.lock().unwrap()[0].messages,
        [
            "name:\"x\",file{content_type:\"image/png\",data:\"one\"},public:true",
            "file{data:\"two\"}"
        ]
    );
}

#[tokio::test]
async fn an_empty_upload_is_one_message() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    kitchen.send(upload("/v1/upload-parts/x", Body::empty())).await.unwrap();
    assert_eq!(kitchen.backend.message(), "name:\"x\",file{content_type:\"image/png\"}");
}

#[tokio::test]
async fn an_upload_that_breaks_off_never_looks_whole_to_the_service() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let body = chunks(vec![Ok("half"), Err(std::io::Error::other("gone"))]);
    let problem = kitchen.send(upload("/v1/upload-parts/x", body)).await.unwrap_err();
    assert_eq!(problem.status, StatusCode::BAD_REQUEST);
    assert!(kitchen.backend.seen.lock().unwrap().is_empty());
    assert_eq!(kitchen.backend.broken.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_upload_over_the_limit_of_the_edge_is_413() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let body = Body::new(http_body_util::Limited::new(chunks(vec![Ok("one"), Ok("two")]), 4));
    let problem = kitchen.send(upload("/v1/upload-parts/x", body)).await.unwrap_err();
    assert_eq!(problem.reason, "BODY_TOO_LARGE");
}

#[tokio::test]
async fn a_body_goes_up_while_replies_come_down() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(dish("{}")), Ok(dish("{}"))]));
    let mut request = upload("/v1/transforms/x", chunks(vec![Ok("one"), Ok("two")]));
    request
        .headers_mut()
        .insert(header::ACCEPT, "application/x-ndjson".parse().unwrap());
    let response = kitchen.send(request).await.unwrap();
    assert_eq!(text(response).await.lines().count(), 2);
    assert_eq!(kitchen.backend.seen.lock().unwrap()[0].messages.len(), 2);
}

#[tokio::test]
async fn an_upload_that_breaks_off_after_the_first_reply_ends_the_replies() {
    let kitchen = Kitchen::new(Answer::MessagesAtOnce(vec![Ok(dish("{}"))]));
    let (breaks, broken) = tokio::sync::oneshot::channel::<()>();
    let body = futures::stream::once(async { Ok(Bytes::from_static(b"half")) }).chain(futures::stream::once(async {
        let _ = broken.await;
        Err(std::io::Error::other("gone"))
    }));
    let mut request = upload("/v1/transforms/x", Body::from_stream(body));
    request
        .headers_mut()
        .insert(header::ACCEPT, "application/x-ndjson".parse().unwrap());
    let response = kitchen.send(request).await.unwrap();
    breaks.send(()).unwrap();
    let body = tokio::time::timeout(Duration::from_secs(5), text(response))
        .await
        .unwrap();
    assert!(body.lines().last().unwrap().starts_with("{\"error\""), "{body}");
    assert_eq!(kitchen.backend.broken.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_body_of_a_client_without_a_token_is_not_read_where_one_is_needed() {
    let unread = || Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(dish("{}"))]));
    for authorization in [None, Some("Basic YTpi"), Some("Bearer")] {
        let mut order = request("POST", "/v1/orders");
        if let Some(authorization) = authorization {
            order = order.header(header::AUTHORIZATION, authorization);
        }
        let answer = kitchen.send(order.body(unread()).unwrap());
        let problem = tokio::time::timeout(Duration::from_secs(2), answer)
            .await
            .expect("the body is not waited for")
            .unwrap_err();
        assert_eq!(
            (problem.status.as_u16(), problem.reason.as_str()),
            (401, "TOKEN_MISSING")
        );
        assert_eq!(problem.headers, [(header::WWW_AUTHENTICATE, "Bearer".parse().unwrap())]);
    }
    assert!(kitchen.backend.seen.lock().unwrap().is_empty());

    // With a token, and where none is needed, it is read.
    let malformed = |path: &str| request("POST", path).header(header::AUTHORIZATION, "Bearer t");
    let problem = kitchen
        .send(malformed("/v1/orders").body(Body::from("{")).unwrap())
        .await;
    assert_eq!(problem.unwrap_err().reason, "MALFORMED_JSON");
    let problem = kitchen.json("POST", "/v1/tastings", "{").await;
    assert_eq!(problem.unwrap_err().reason, "MALFORMED_JSON");
}

#[tokio::test]
async fn a_compressed_upload_is_415_and_not_taken_for_plain() {
    for path in ["/v1/uploads/x", "/v1/upload-parts/x", "/v1/transforms/x"] {
        let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
        let compressed = |coding: &str| {
            let mut request = upload(path, chunks(vec![Ok("one"), Ok("two")]));
            let headers = request.headers_mut();
            headers.insert(header::CONTENT_ENCODING, coding.parse().unwrap());
            request
        };
        let problem = kitchen.send(compressed("gzip")).await.unwrap_err();
        assert_eq!(
            (problem.status.as_u16(), problem.reason.as_str()),
            (415, "UNSUPPORTED_MEDIA_TYPE"),
            "{path}"
        );
        assert_eq!(
            problem.headers,
            [(header::ACCEPT_ENCODING, "identity".parse().unwrap())]
        );
        assert!(kitchen.backend.seen.lock().unwrap().is_empty());
        assert!(kitchen.send(compressed("identity")).await.is_ok());
    }
}

/// A form with the boundary `b`, of these parts: what follows `Content-Disposition: form-data; `, and
/// the data.
fn form(parts: &[(&str, &str)]) -> String {
    let parts = parts
        .iter()
        .map(|(head, data)| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{data}\r\n"));
    parts.collect::<String>() + "--b--\r\n"
}

fn form_upload(body: Body) -> Request<Body> {
    request("POST", "/v1/upload-parts/x?public=true")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn the_file_of_a_form_goes_up_with_its_own_type() {
    for (head, kind) in [
        (
            "name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png",
            "image/png",
        ),
        ("name=\"file\"; filename=\"a.CSV\"", "text/csv"),
        (
            "name=\"file\"; filename=\"a.json\"\r\nContent-Type: application/octet-stream",
            "application/json",
        ),
    ] {
        let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
        let body = form(&[(head, "da--bta")]);
        kitchen.send(form_upload(Body::from(body))).await.unwrap();
        let seen = kitchen.backend.seen.lock().unwrap()[0].messages.concat();
        let data: String = seen
            .split("data:\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert_eq!(data, "da--bta", "{seen}");
        assert!(seen.contains(&format!("content_type:\"{kind}\"")), "{seen}");
        assert!(seen.contains("public:true"), "{seen}");
    }
}

#[tokio::test]
async fn a_form_of_anything_but_one_file_is_refused_and_never_looks_whole() {
    let file = ("name=\"file\"; filename=\"a.csv\"", "a,b");
    let long = format!("name=\"{}\"", "x".repeat(500));
    for (body, status, field) in [
        (form(&[]), 422, "file"),
        (form(&[("name=\"format\"", "csv"), file]), 422, "format"),
        (form(&[file, ("name=\"format\"", "csv")]), 422, "format"),
        (form(&[file, file]), 422, "file"),
        (form(&[file]).replace("--b--", ""), 400, ""),
        ("no form at all".to_owned(), 400, ""),
        (form(&[(&long, "csv")]), 422, "xxx"),
    ] {
        let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
        let problem = kitchen.send(form_upload(Body::from(body.clone()))).await.unwrap_err();
        assert_eq!(problem.status, status, "{body}");
        assert!(
            problem
                .violations
                .first()
                .map_or("", |violation| violation.field.as_str())
                .starts_with(field),
            "{problem:?}"
        );
        assert!(!format!("{problem:?}").contains(&"x".repeat(80)), "{problem:?}");
        assert!(kitchen.backend.seen.lock().unwrap().is_empty(), "{body}");
    }
}
