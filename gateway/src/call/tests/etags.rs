//! `If-Match` on the way in, `ETag` on the way out.

use super::*;

fn season(headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let request = request("POST", "/v1/seasonings/7").header(header::CONTENT_TYPE, "application/json");
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::from(body.to_owned())).unwrap()
}

fn kitchen() -> Kitchen {
    Kitchen::new(Answer::Messages(vec![Ok(message(
        "Seasoning",
        "{\"id\":\"7\",\"etag\":\"abc\"}",
    ))]))
}

#[tokio::test]
async fn the_header_fills_its_field_and_the_version_becomes_a_header() {
    let kitchen = kitchen();
    let headers = [("if-match", "\"one\""), ("if-match", "W/\"two\"")];
    let response = kitchen.send(season(&headers, "{\"salt\":\"much\"}")).await.unwrap();
    assert_eq!(header_text(response.headers(), "etag"), Some("\"abc\""));
    let sent = kitchen.backend.message();
    assert!(sent.contains(r#"seen:"\"one\", W/\"two\"""#), "{sent}");
}

#[tokio::test]
async fn a_method_that_demands_a_version_is_not_called_without_one() {
    let kitchen = kitchen();
    let problem = kitchen.send(season(&[], "{}")).await.unwrap_err();
    assert_eq!(problem.status, StatusCode::PRECONDITION_REQUIRED);
    assert_eq!(problem.reason, "PRECONDITION_REQUIRED");
    assert!(kitchen.backend.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_header_without_a_tag_is_refused() {
    for empty in ["", " , "] {
        let kitchen = kitchen();
        let problem = kitchen.send(season(&[("if-match", empty)], "{}")).await.unwrap_err();
        assert_eq!(problem.violations[0].field, "If-Match", "{empty:?}");
        assert!(kitchen.backend.seen.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn neither_the_body_nor_the_query_fills_the_field() {
    let kitchen = kitchen();
    let body = season(&[("if-match", "*")], "{\"seen\":\"x\"}");
    assert_eq!(
        kitchen.send(body).await.unwrap_err().status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert!(kitchen.backend.seen.lock().unwrap().is_empty());
}
