//! Subscriptions: server-sent events and the WebSocket.

use std::time::{Duration, Instant};

use quartet_tests::events::Events;
use quartet_tests::socket::Socket;
use quartet_tests::{App, Person, on_secured_topology};
use serde_json::json;

quartet_tests::on_every_topology!(
    changes_of_other_clients_arrive_as_events_and_a_stream_resumes,
    a_logout_ends_streams_and_sockets_within_a_second,
    a_socket_receives_changes_and_resumes_where_a_stream_ended,
    members_of_a_room_receive_the_messages_of_all_members,
    a_message_to_somebody_comes_without_a_subscription,
);

on_secured_topology!(
    changes_of_other_clients_arrive_as_events_and_a_stream_resumes,
    a_socket_receives_changes_and_resumes_where_a_stream_ended,
);

/// Opens the stream of a user's todos.
async fn watch(app: &App, person: &Person, last: Option<&str>) -> Events {
    Events::open(app, person, "/api/v1/todos:watch", last).await
}

/// The kind of the next change, the title of its todo, and its id.
async fn change(events: &mut Events) -> (String, String, String) {
    let event = events.next().await.expect("the stream goes on");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    assert_eq!(event.id.as_deref(), event.data["id"].as_str());
    (
        text(&event.data["kind"]),
        text(&event.data["todo"]["title"]),
        event.id.unwrap(),
    )
}

async fn create(person: &Person, title: &str) -> String {
    let created = person.post("/api/v1/todos", json!({"title": title})).await.expect(201);
    created["id"].as_str().unwrap().to_owned()
}

async fn changes_of_other_clients_arrive_as_events_and_a_stream_resumes(app: App) {
    let anna = app.register().await;
    let mut events = watch(&app, &anna, None).await;
    assert_eq!(change(&mut events).await.0, "KIND_READY");
    let elsewhere = app.login(&anna).await;
    create(&app.register().await, "somebody else's").await;
    let milk = create(&elsewhere, "milk").await;
    let (kind, title, last) = change(&mut events).await;
    assert_eq!((kind.as_str(), title.as_str()), ("KIND_CREATED", "milk"));
    drop(events);

    elsewhere
        .post(&format!("/api/v1/todos/{milk}:complete"), json!({}))
        .await
        .expect(200);
    elsewhere.delete(&format!("/api/v1/todos/{milk}")).await.expect(204);
    let mut events = watch(&app, &anna, Some(&last)).await;
    for kind in ["KIND_COMPLETED", "KIND_DELETED", "KIND_READY"] {
        assert_eq!(change(&mut events).await.0, kind);
    }
    create(&elsewhere, "bread").await;
    assert_eq!(change(&mut events).await.1, "bread");
}

async fn a_logout_ends_streams_and_sockets_within_a_second(app: App) {
    let anna = app.register().await;
    let mut events = watch(&app, &anna, None).await;
    assert_eq!(change(&mut events).await.0, "KIND_READY");
    let mut socket = Socket::open(&app, &anna).await;
    let elsewhere = app.login(&anna).await;
    let mut other = Socket::open(&app, &elsewhere).await;

    let begun = Instant::now();
    anna.post("/api/v1/auth/logout", json!({})).await.expect(204);
    let (end, close) = tokio::join!(events.next(), socket.close());
    let took = begun.elapsed();
    let end = end.expect("a last event");
    assert_eq!(
        (end.name.as_deref(), &end.data["error_code"]),
        (Some("error"), &json!("token_revoked"))
    );
    assert!(events.next().await.is_none());
    assert_eq!(close, (4401, "token_revoked".into()));
    assert!(took < Duration::from_secs(1), "{took:?}");

    // The other session goes on.
    other.send(json!({"type": "ping"})).await;
    assert_eq!(other.next().await["type"], "pong");
}

async fn a_socket_receives_changes_and_resumes_where_a_stream_ended(app: App) {
    let anna = app.register().await;
    let mut events = watch(&app, &anna, None).await;
    let (_, _, last) = change(&mut events).await;
    drop(events);
    create(&anna, "missed").await;

    let mut socket = Socket::open(&app, &anna).await;
    socket
        .subscribe(json!({"type": "subscribe", "topic": "todos", "after": last}))
        .await;
    let event = socket.next().await;
    assert_eq!(
        (&event["type"], &event["data"]["todo"]["title"]),
        (&json!("event"), &json!("missed"))
    );
    assert_eq!(socket.next().await["data"]["kind"], "KIND_READY");
    let id = create(&anna, "live").await;
    let event = socket.next().await;
    assert_eq!(
        (&event["data"]["kind"], &event["data"]["todo_id"]),
        (&json!("KIND_CREATED"), &json!(id))
    );
}

async fn members_of_a_room_receive_the_messages_of_all_members(app: App) {
    let (anna, boris) = (app.register().await, app.register().await);
    let (mut first, mut second) = (Socket::open(&app, &anna).await, Socket::open(&app, &boris).await);
    let room = format!("rooms/{}", anna.username);
    for socket in [&mut first, &mut second] {
        socket.subscribe(json!({"type": "subscribe", "topic": room})).await;
    }
    first
        .send(json!({"type": "publish", "topic": room, "data": {"text": "hello"}}))
        .await;
    for socket in [&mut first, &mut second] {
        let message = socket.next().await;
        assert_eq!(
            (&message["type"], &message["data"]["text"]),
            (&json!("message"), &json!("hello"))
        );
        assert_eq!(message["user_id"], anna.id.as_str());
    }
}

async fn a_message_to_somebody_comes_without_a_subscription(app: App) {
    let (anna, boris, eve) = (app.register().await, app.register().await, app.register().await);
    let (mut sender, mut other) = (Socket::open(&app, &anna).await, Socket::open(&app, &eve).await);
    let (mut laptop, mut phone) = (Socket::open(&app, &boris).await, Socket::open(&app, &boris).await);
    sender
        .send(json!({"type": "publish", "to": boris.id, "data": "psst"}))
        .await;
    for socket in [&mut laptop, &mut phone] {
        let message = socket.next().await;
        assert_eq!(
            (&message["topic"], &message["data"], &message["user_id"]),
            (&json!("messages"), &json!("psst"), &json!(anna.id))
        );
    }
    // The next thing that the others receive is what they request: no message came before it.
    for socket in [&mut sender, &mut other] {
        socket.send(json!({"type": "ping"})).await;
        assert_eq!(socket.next().await["type"], "pong");
    }
}
