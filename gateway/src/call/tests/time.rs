//! Deadlines, and clients that do not wait for them.

use tokio::time::Instant;

use super::*;

fn slow(path: &str, deadline: Option<Duration>) -> Request<Body> {
    let mut request = request("GET", path).body(Body::empty()).unwrap();
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(Deadline(Instant::now() + deadline));
    }
    request
}

#[tokio::test]
async fn a_call_past_its_deadline_is_504() {
    let kitchen = Kitchen::new(Answer::After(Duration::from_secs(60), Bytes::new()));
    let started = Instant::now();
    let problem = kitchen
        .send(slow("/v1/dishes/7", Some(Duration::from_millis(100))))
        .await
        .unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.reason.as_str()),
        (504, "DEADLINE_EXCEEDED")
    );
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_request_whose_time_is_over_makes_no_call() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let problem = kitchen
        .send(slow("/v1/dishes/7", Some(Duration::ZERO)))
        .await
        .unwrap_err();
    assert_eq!(problem.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(kitchen.backend.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_method_s_own_timeout_replaces_the_general_one() {
    let kitchen = Kitchen::new(Answer::After(Duration::from_secs(60), Bytes::new()));
    let started = Instant::now();
    let problem = kitchen
        .send(slow("/v1/slow/7", Some(Duration::from_secs(30))))
        .await
        .unwrap_err();
    assert_eq!(problem.status, StatusCode::GATEWAY_TIMEOUT);
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&started.elapsed()));
    // A time that the client sets itself still holds.
    let mut request = slow("/v1/slow/7", Some(Duration::from_millis(50)));
    request.extensions_mut().insert(DeadlineRequested);
    let started = Instant::now();
    kitchen.send(request).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(800));
}

#[tokio::test]
async fn the_time_that_is_left_travels_with_the_call() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    kitchen
        .send(slow("/v1/dishes/7", Some(Duration::from_secs(2))))
        .await
        .unwrap();
    let seen = kitchen.backend.seen.lock().unwrap();
    let timeout = seen[0].metadata.get("grpc-timeout").unwrap().to_str().unwrap();
    let micros: u64 = timeout.trim_end_matches(char::is_alphabetic).parse().unwrap();
    let scale = match timeout.chars().last().unwrap() {
        'n' => 1,
        'u' => 1_000,
        'm' => 1_000_000,
        unit => panic!("{unit}"),
    };
    let left = Duration::from_nanos(micros * scale);
    assert!(
        (Duration::from_millis(1500)..=Duration::from_secs(2)).contains(&left),
        "{timeout}"
    );
}

#[tokio::test]
async fn a_unary_call_is_not_cancelled_when_its_client_hangs_up() {
    let kitchen = Arc::new(Kitchen::new(Answer::After(Duration::from_millis(200), Bytes::new())));
    let calling = Arc::clone(&kitchen);
    let client = tokio::spawn(async move { calling.send(slow("/v1/dishes/7", None)).await.map(drop) });
    while kitchen.backend.seen.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let hung_up = Instant::now();
    client.abort();
    kitchen.backend.wait_for_end(1).await;
    assert!(hung_up.elapsed() > Duration::from_millis(100), "the call was cut short");
}

#[tokio::test]
async fn a_stream_outlives_the_general_timeout() {
    let kitchen = Kitchen::new(Answer::MessagesThenHang(vec![Ok(Bytes::new())]));
    let response = kitchen
        .send(slow("/v1/watch/7", Some(Duration::from_millis(50))))
        .await
        .unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(300), body.frame())
            .await
            .is_err()
    );
}
