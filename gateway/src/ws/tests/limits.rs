//! What one client may cost, and how a connection that costs more is closed.

use std::time::{Duration, Instant};

use futures::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::fixture::{Gateway, until};

#[tokio::test]
async fn a_message_over_the_limit_closes_the_connection() {
    let gateway = Gateway::with(&[("WS_MAX_MESSAGE", "1KiB")]).await;
    let mut client = gateway.join(&gateway.user()).await;
    client.send(json!({"type": "ping", "ref": "x".repeat(100)})).await;
    assert_eq!(client.next().await["type"], "pong");
    client
        .send(json!({"type": "publish", "topic": "rooms/a", "data": "x".repeat(1_100)}))
        .await;
    assert_eq!(client.close().await, (1009, "too_large".into()));
}

#[tokio::test]
async fn what_is_no_frame_closes_the_connection() {
    let gateway = Gateway::start().await;
    for text in ["", "hello", "[]", "{}", "{\"type\":1}"] {
        let mut client = gateway.join(&gateway.user()).await;
        client.socket.send(Message::text(text)).await.unwrap();
        assert_eq!(client.close().await, (4400, "malformed".into()), "{text}");
    }
    let long = "x".repeat(129);
    for frame in [
        json!({"type": "ping", "ref": long}),
        json!({"type": "subscribe", "topic": long}),
    ] {
        let mut client = gateway.join(&gateway.user()).await;
        client.send(frame).await;
        assert_eq!(client.close().await, (4400, "malformed".into()));
    }
    let mut client = gateway.join(&gateway.user()).await;
    client.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(client.close().await, (1003, "binary".into()));
}

#[tokio::test]
async fn a_client_that_sends_too_fast_is_closed() {
    let gateway = Gateway::with(&[("WS_RATE", "5")]).await;
    let mut client = gateway.join(&gateway.user()).await;
    for _ in 0..10 {
        client.send(json!({"type": "ping"})).await;
        assert_eq!(client.next().await["type"], "pong");
    }
    for _ in 0..5 {
        client.send(json!({"type": "ping"})).await;
    }
    assert_eq!(client.close().await, (4429, "rate_limited".into()));
}

#[tokio::test]
async fn a_client_that_sends_nothing_is_closed_and_one_that_answers_pings_is_not() {
    let gateway = Gateway::with(&[("WS_IDLE_TIMEOUT", "400ms")]).await;
    let (mut dead, mut alive) = (gateway.join(&gateway.user()).await, gateway.join(&gateway.user()).await);
    // Reading answers the pings.
    let reading = async {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(900) {
            assert!(alive.receives_only_pings().await);
        }
    };
    reading.await;
    assert_eq!(dead.close().await, (4410, "idle".into()));
    alive.send(json!({"type": "ping"})).await;
    assert_eq!(alive.next().await["type"], "pong");
}

impl super::fixture::Client {
    async fn receives_only_pings(&mut self) -> bool {
        use futures::StreamExt;
        match tokio::time::timeout(Duration::from_millis(50), self.socket.next()).await {
            Ok(Some(Ok(message))) => message.is_ping(),
            Ok(_) => false,
            Err(_) => true,
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_holds_nobody_up() {
    let settings = [("WS_SEND_TIMEOUT", "300ms"), ("WS_RATE", "100000"), ("WS_QUEUE", "8")];
    let gateway = Gateway::with(&settings).await;
    let (mut slow, mut quick) = (gateway.join(&gateway.user()).await, gateway.join(&gateway.user()).await);
    slow.subscribe("rooms/lobby").await;
    quick.subscribe("rooms/lobby").await;
    let mut publisher = gateway.join(&gateway.user()).await;
    // More than the sockets' buffers hold.
    let data = "x".repeat(30_000);
    let mut sent = 0;
    let begun = Instant::now();
    // However long that takes on a busy machine.
    while sent <= 300 || begun.elapsed() < Duration::from_millis(1_500) {
        publisher
            .send(json!({"type": "publish", "topic": "rooms/lobby", "data": data}))
            .await;
        assert_eq!(quick.next().await["data"].as_str().map(str::len), Some(30_000));
        sent += 1;
    }
    // What was on its way comes, and then the reason, if the client reads on in time.
    let mut received = 0;
    let end = loop {
        match slow.try_next().await {
            Ok(frame) if frame["type"] == "message" => received += 1,
            Ok(frame) => panic!("{frame}"),
            Err(close) => break close,
        }
    };
    assert!(received < sent, "{received} of {sent}");
    assert!(matches!(end, None | Some(4409)), "{end:?}");
    publisher
        .send(json!({"type": "publish", "topic": "rooms/lobby", "data": 1}))
        .await;
    assert_eq!(quick.next().await["data"], 1);
}

#[tokio::test]
async fn a_slow_client_that_reads_again_in_time_gets_the_reason_of_its_close() {
    let settings = [("WS_SEND_TIMEOUT", "200ms"), ("WS_RATE", "100000"), ("WS_QUEUE", "8")];
    let gateway = Gateway::with(&settings).await;
    let mut slow = gateway.join(&gateway.user()).await;
    slow.subscribe("todos").await;
    let mut published = 0;
    // Until the connection no longer reads the stream: it is being closed.
    let begun = Instant::now();
    while gateway.todos.open() > 0 && begun.elapsed() < Duration::from_secs(20) {
        for _ in 0..100 {
            gateway.todos.publish(&format!("{published}{}", "0".repeat(900)));
            published += 1;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(slow.close().await, (4409, "slow_consumer".into()));
}

#[tokio::test]
async fn connections_are_closed_when_the_gateway_stops() {
    let gateway = Gateway::start().await;
    let mut client = gateway.join(&gateway.user()).await;
    client.subscribe("todos").await;
    let Gateway {
        stop, served, todos, ..
    } = gateway;
    drop(stop);
    assert_eq!(client.close().await, (1001, "going_away".into()));
    drop(client);
    tokio::time::timeout(Duration::from_secs(5), served)
        .await
        .unwrap()
        .unwrap();
    until(|| todos.open() == 0).await;
}
