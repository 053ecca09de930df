//! Streams of replies in each of their forms.

use tonic::Status;

use super::*;
use crate::problem::render;
use crate::transcode::json::Writer;

fn menu(names: &[&str]) -> Vec<Result<Bytes, Status>> {
    names
        .iter()
        .map(|name| Ok(dish(&format!("{{\"string_field\":\"{name}\"}}"))))
        .collect()
}

fn watch(accept: &str) -> Request<Body> {
    request("GET", "/v1/watch/7")
        .header(header::ACCEPT, accept)
        .body(Body::empty())
        .unwrap()
}

/// The body with every element cut down to its `string_field`.
async fn short(response: Response<Body>) -> String {
    let mut whole = text(response).await;
    for name in ["a", "b"] {
        let mut json = Vec::new();
        let mut message = testing::empty("Dish");
        message.set_field_by_name("string_field", prost_reflect::Value::String(name.to_owned()));
        Writer::new(&mut json, &[]).message(&message).unwrap();
        whole = whole.replace(std::str::from_utf8(&json).unwrap(), name);
    }
    whole
}

#[tokio::test]
async fn accept_chooses_between_an_array_lines_and_events() {
    for (accept, content_type, body) in [
        ("*/*", "application/json", "[a,b]"),
        ("application/json", "application/json", "[a,b]"),
        ("application/x-ndjson", "application/x-ndjson", "a\nb\n"),
        ("text/event-stream", "text/event-stream", "data: a\n\ndata: b\n\n"),
    ] {
        let kitchen = Kitchen::new(Answer::Messages(menu(&["a", "b"])));
        let response = kitchen.send(watch(accept)).await.unwrap();
        assert_eq!(header_text(response.headers(), "content-type"), Some(content_type));
        assert_eq!(short(response).await, body, "{accept}");
    }
}

#[tokio::test]
async fn an_empty_stream_is_still_a_document() {
    for (accept, body) in [
        ("application/json", "[]"),
        ("application/x-ndjson", ""),
        ("text/event-stream", ""),
    ] {
        let kitchen = Kitchen::new(Answer::Messages(vec![]));
        assert_eq!(text(kitchen.send(watch(accept)).await.unwrap()).await, body, "{accept}");
    }
}

#[tokio::test]
async fn a_failure_before_the_first_message_is_a_status() {
    let failure = Status::not_found("no such dish");
    for answer in [Answer::Refuse(failure.clone()), Answer::Messages(vec![Err(failure)])] {
        for accept in ["application/json", "application/x-ndjson", "text/event-stream"] {
            let kitchen = Kitchen::new(answer.clone());
            assert_eq!(
                kitchen.send(watch(accept)).await.unwrap_err().status,
                StatusCode::NOT_FOUND
            );
        }
    }
}

#[tokio::test]
async fn a_failure_later_is_the_last_element() {
    for (accept, body) in [
        ("application/json", "[a,{\"error\":PROBLEM}]"),
        ("application/x-ndjson", "a\n{\"error\":PROBLEM}\n"),
        ("text/event-stream", "data: a\n\nevent: error\ndata: PROBLEM\n\n"),
    ] {
        let mut replies = menu(&["a"]);
        replies.push(Err(Status::unavailable("gone")));
        let kitchen = Kitchen::new(Answer::Messages(replies));
        let body = body.replace("PROBLEM", &rendered(&Status::unavailable("gone")));
        assert_eq!(
            short(kitchen.send(watch(accept)).await.unwrap()).await,
            body,
            "{accept}"
        );
    }
}

/// The problem document of a failure.
fn rendered(failure: &Status) -> String {
    let document = render::for_stream(&status::to_problem(failure), &HeaderMap::new());
    let text = String::from_utf8(document.to_vec()).unwrap();
    assert!(text.contains("\"status\":503,"), "{text}");
    text
}

#[tokio::test]
async fn an_idle_event_stream_is_kept_open_with_comments() {
    let kitchen = Kitchen::new(Answer::MessagesThenHang(menu(&["a"])));
    let response = kitchen.send(watch("text/event-stream")).await.unwrap();
    assert_eq!(header_text(response.headers(), "cache-control"), Some("no-cache"));
    let mut body = response.into_body();
    let mut seen = String::new();
    while !seen.ends_with(":\n\n:\n\n") {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        seen.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert!(seen.starts_with("data: {"));
}

#[tokio::test]
async fn an_event_stream_opens_before_its_first_message() {
    let kitchen = Kitchen::new(Answer::MessagesThenHang(vec![]));
    let response = tokio::time::timeout(Duration::from_secs(4), kitchen.send(watch("text/event-stream")))
        .await
        .unwrap();
    assert_eq!(response.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_stream() {
    let kitchen = Kitchen::new(Answer::MessagesThenHang(menu(&["a"])));
    let response = kitchen.send(watch("application/x-ndjson")).await.unwrap();
    assert_eq!(kitchen.backend.ended.load(std::sync::atomic::Ordering::SeqCst), 0);
    drop(response);
    kitchen.backend.wait_for_end(1).await;
}

#[tokio::test]
async fn streams_end_well_when_the_gateway_drains() {
    let kitchen = Kitchen::new(Answer::MessagesThenHang(menu(&["a"])));
    let response = kitchen.send(watch("application/json")).await.unwrap();
    kitchen.closing.cancel();
    let body = tokio::time::timeout(Duration::from_secs(5), short(response)).await;
    assert_eq!(body.unwrap(), "[a]");
}

fn follow(query: &str, last_event_id: Option<&str>) -> Request<Body> {
    let request = request("GET", &format!("/v1/follow{query}")).header(header::ACCEPT, "text/event-stream");
    let request = last_event_id
        .into_iter()
        .fold(request, |request, id| request.header("last-event-id", id));
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn events_carry_the_id_to_resume_from_and_the_time_to_connect_again() {
    let events = [
        "{\"id\":\"7\",\"word\":\"a\"}",
        "{\"word\":\"b\"}",
        "{\"id\":\"8\\ndata: forged\"}",
    ];
    let replies = events.iter().map(|json| Ok(message("Word", json))).collect();
    let kitchen = Kitchen::new(Answer::Messages(replies));
    let body = text(kitchen.send(follow("", None)).await.unwrap()).await;
    let (retry, events) = body.split_once("\n\n").unwrap();
    let retry: u64 = retry.strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((1_000..3_000).contains(&retry));
    assert_eq!(
        events,
        "id: 7\ndata: {\"id\":\"7\",\"word\":\"a\"}\n\ndata: {\"id\":\"\",\"word\":\"b\"}\n\n\
         data: {\"id\":\"8\\ndata: forged\",\"word\":\"\"}\n\n"
    );
}

#[tokio::test]
async fn last_event_id_wins_over_the_query_of_the_first_attempt() {
    for (query, header, filled) in [
        ("", Some("7"), "after:\"7\""),
        ("?after=1", Some("7"), "after:\"7\""),
        ("?after=1", None, "after:\"1\""),
        ("?after=1", Some(""), "after:\"1\""),
        ("", None, ""),
    ] {
        let kitchen = Kitchen::new(Answer::Messages(vec![]));
        text(kitchen.send(follow(query, header)).await.unwrap()).await;
        assert_eq!(kitchen.backend.message(), filled, "{query} {header:?}");
    }
}
