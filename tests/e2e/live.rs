//! What happens, as it happens: server-sent events and the WebSocket.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use quartet_tests::{App, Person};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

quartet_tests::on_both_topologies!(
    the_changes_of_other_clients_come_as_events_and_are_taken_up_again,
    a_logout_ends_streams_and_sockets_within_a_second,
    a_socket_hears_of_todos_and_takes_up_from_where_a_stream_was,
    people_in_a_room_hear_one_another,
);

/// Time that anything may take that should come at once; generous for machines with much to do.
const BOUND: Duration = Duration::from_secs(20);

/// An event stream, as a browser reads it.
struct Events {
    lines: Lines<BufReader<OwnedReadHalf>>,
    _open: OwnedWriteHalf,
}

/// An event: its id, its name and its data.
#[derive(Debug)]
struct Event {
    id: Option<String>,
    name: Option<String>,
    data: Value,
}

impl Events {
    async fn of(app: &App, person: &Person, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(&app.suite().http).await.unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        // HTTP/1.0 has no chunks, so that what comes is the stream itself.
        let request = format!(
            "GET /api/v1/todos:watch HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n{last}Authorization: Bearer {}\r\n\r\n",
            person.access_token
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let (read, write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        assert!(lines.next_line().await.unwrap().unwrap().ends_with("200 OK"));
        while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
        Self { lines, _open: write }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(BOUND, self.read())
            .await
            .expect("something comes in time")
    }

    async fn read(&mut self) -> Option<Event> {
        let (mut id, mut name) = (None, None);
        loop {
            let line = self.lines.next_line().await.ok()??;
            match line.split_once(": ") {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("event", value)) => name = Some(value.to_owned()),
                Some(("data", value)) => {
                    let data = serde_json::from_str(value).unwrap();
                    return Some(Event { id, name, data });
                }
                // Comments, the time to come back after, and blank lines.
                _ => {}
            }
        }
    }

    /// The kind of the next change, the title of its todo, and its id.
    async fn change(&mut self) -> (String, String, String) {
        let event = self.next().await.expect("the stream goes on");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(event.id.as_deref(), event.data["id"].as_str());
        (
            text(&event.data["kind"]),
            text(&event.data["todo"]["title"]),
            event.id.unwrap(),
        )
    }
}

async fn create(person: &Person, title: &str) -> String {
    let made = person.post("/api/v1/todos", json!({"title": title})).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn the_changes_of_other_clients_come_as_events_and_are_taken_up_again(app: App) {
    let anna = app.register().await;
    let mut events = Events::of(&app, &anna, None).await;
    assert_eq!(events.change().await.0, "KIND_READY");
    let elsewhere = app.login(&anna).await;
    create(&app.register().await, "somebody else's").await;
    let milk = create(&elsewhere, "milk").await;
    let (kind, title, last) = events.change().await;
    assert_eq!((kind.as_str(), title.as_str()), ("KIND_CREATED", "milk"));
    drop(events);

    elsewhere
        .post(&format!("/api/v1/todos/{milk}:complete"), json!({}))
        .await
        .expect(200);
    elsewhere.delete(&format!("/api/v1/todos/{milk}")).await.expect(204);
    let mut events = Events::of(&app, &anna, Some(&last)).await;
    for kind in ["KIND_COMPLETED", "KIND_DELETED", "KIND_READY"] {
        assert_eq!(events.change().await.0, kind);
    }
    create(&elsewhere, "bread").await;
    assert_eq!(events.change().await.1, "bread");
}

async fn a_logout_ends_streams_and_sockets_within_a_second(app: App) {
    let anna = app.register().await;
    let mut events = Events::of(&app, &anna, None).await;
    assert_eq!(events.change().await.0, "KIND_READY");
    let mut socket = Socket::of(&app, &anna).await;
    let elsewhere = app.login(&anna).await;
    let mut other = Socket::of(&app, &elsewhere).await;

    let begun = Instant::now();
    anna.post("/api/v1/auth/logout", json!({})).await.expect(204);
    let (end, close) = futures::join!(events.next(), socket.close());
    let took = begun.elapsed();
    let end = end.expect("a last word");
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

/// A WebSocket.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn of(app: &App, person: &Person) -> Self {
        let address = &app.suite().http;
        let mut request = format!("ws://{address}/api/v1/ws").into_client_request().unwrap();
        let protocols = format!("quartet.v1, bearer.{}", person.access_token);
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocols.parse().unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        let mut socket = Self(socket);
        assert_eq!(socket.next().await["user_id"], person.id.as_str());
        socket
    }

    async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(BOUND, self.0.next())
                .await
                .expect("something comes in time");
            let message = next.expect("the connection goes on").unwrap();
            if !message.is_ping() && !message.is_pong() {
                return message;
            }
        }
    }

    async fn next(&mut self) -> Value {
        serde_json::from_str(self.message().await.to_text().unwrap()).unwrap()
    }

    async fn close(&mut self) -> (u16, String) {
        match self.message().await {
            Message::Close(Some(close)) => (close.code.into(), close.reason.to_string()),
            other => panic!("{other:?}"),
        }
    }

    async fn subscribe(&mut self, frame: Value) {
        self.send(frame).await;
        let answer = self.next().await;
        assert_eq!(answer["type"], "subscribed", "{answer}");
    }
}

async fn a_socket_hears_of_todos_and_takes_up_from_where_a_stream_was(app: App) {
    let anna = app.register().await;
    let mut events = Events::of(&app, &anna, None).await;
    let (_, _, last) = events.change().await;
    drop(events);
    create(&anna, "missed").await;

    let mut socket = Socket::of(&app, &anna).await;
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

async fn people_in_a_room_hear_one_another(app: App) {
    let (anna, boris) = (app.register().await, app.register().await);
    let (mut first, mut second) = (Socket::of(&app, &anna).await, Socket::of(&app, &boris).await);
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
