//! What becomes of a reply: status, headers and body.

use super::*;

#[tokio::test]
async fn a_reply_is_json_with_its_declared_status_and_headers() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(dish(
        "{\"string_field\":\"a/b\",\"nested\":{\"name\":\"é\"}}",
    ))]));
    let response = kitchen.json("POST", "/v1/dishes/7:cook", "{}").await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    for (name, value) in [
        ("content-type", "application/json"),
        ("location", "/v1/menus/%C3%A9/dishes/a%2Fb"),
        ("deprecation", "@1769817600"),
        ("sunset", "Thu, 31 Dec 2026 00:00:00 GMT"),
        (
            "link",
            "<https://example.org/next>; rel=\"deprecation\"; type=\"text/html\"",
        ),
    ] {
        assert_eq!(header_text(response.headers(), name), Some(value), "{name}");
    }
    let route = response.extensions().get::<crate::edge::RouteTemplate>();
    assert_eq!(route.map(|route| &*route.0), Some("/v1/dishes/{dish_id}:cook"));
    assert!(text(response).await.contains("\"string_field\":\"a/b\""));
}

#[tokio::test]
async fn a_location_with_a_hole_is_left_out() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(dish("{\"string_field\":\"a\"}"))]));
    let response = kitchen.json("POST", "/v1/dishes/7:cook", "{}").await.unwrap();
    assert_eq!(header_text(response.headers(), "location"), None);
}

#[tokio::test]
async fn no_content_has_no_body_whatever_the_client_accepts() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let request = request("DELETE", "/v1/dishes/7")
        .header(header::ACCEPT, "text/html")
        .body(Body::empty())
        .unwrap();
    let response = kitchen.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(header_text(response.headers(), "content-type"), None);
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn response_body_picks_one_field() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(message(
        "NamesRequest",
        "{\"names\":[\"a\"]}",
    ))]));
    assert_eq!(
        text(kitchen.json("PUT", "/v1/names/7", "[]").await.unwrap()).await,
        "[\"a\"]"
    );
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    assert_eq!(
        text(kitchen.json("PUT", "/v1/names/7", "[]").await.unwrap()).await,
        "[]"
    );
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let length = text(kitchen.get("/v1/dishes/7").await.unwrap()).await.len();
    let response = kitchen
        .send(request("HEAD", "/v1/dishes/7").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        header_text(response.headers(), "content-length"),
        Some(length.to_string().as_str())
    );
    assert_eq!(
        header_text(response.headers(), "content-type"),
        Some("application/json")
    );
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn a_client_that_accepts_nothing_that_there_is_gets_406_and_no_call_is_made() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let request = request("GET", "/v1/dishes/7")
        .header(header::ACCEPT, "text/html")
        .body(Body::empty())
        .unwrap();
    let problem = kitchen.send(request).await.unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.reason.as_str()),
        (406, "NOT_ACCEPTABLE")
    );
    assert!(kitchen.backend.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_reply_that_does_not_decode_or_is_too_large_is_an_inner_failure() {
    for reply in [
        Bytes::from_static(b"\xff\xff\xff"),
        Bytes::from(vec![0; 2 * 1024 * 1024]),
    ] {
        let kitchen = Kitchen::new(Answer::Messages(vec![Ok(reply)]));
        let problem = kitchen.get("/v1/dishes/7").await.unwrap_err();
        assert!(
            problem.status.is_server_error() || problem.status == StatusCode::BAD_REQUEST,
            "{problem:?}"
        );
    }
}
