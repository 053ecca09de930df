//! Subscriptions to the streams of services.

use serde_json::json;
use tonic::Status;

use super::fixture::{Gateway, until};

#[tokio::test]
async fn the_events_of_a_topic_arrive_until_it_is_left() {
    let gateway = Gateway::start().await;
    let user = gateway.user();
    let mut client = gateway.join(&user).await;
    client.subscribe("todos").await;
    assert_eq!(gateway.todos.requests(), [(user.token.clone(), String::new())]);
    gateway.todos.publish("7");
    let event = json!({"type": "event", "topic": "todos", "id": "7", "data": {"id": "7", "kind": "KIND_CREATED"}});
    assert_eq!(client.next().await, event);

    client
        .send(json!({"type": "unsubscribe", "topic": "todos", "ref": "u"}))
        .await;
    assert_eq!(
        client.next().await,
        json!({"type": "unsubscribed", "topic": "todos", "ref": "u"})
    );
    until(|| gateway.todos.open() == 0).await;
    gateway.todos.publish("8");
    assert!(client.receives_nothing().await);
    client.subscribe("todos").await;
}

#[tokio::test]
async fn a_subscription_goes_on_where_another_connection_was() {
    let gateway = Gateway::start().await;
    let mut client = gateway.join(&gateway.user()).await;
    client
        .send(json!({"type": "subscribe", "topic": "todos", "after": "41"}))
        .await;
    assert_eq!(client.next().await["type"], "subscribed");
    assert_eq!(gateway.todos.requests()[0].1, "41");
}

#[tokio::test]
async fn a_stream_that_breaks_off_goes_on_after_the_last_event_unseen() {
    let gateway = Gateway::start().await;
    let mut client = gateway.join(&gateway.user()).await;
    client.subscribe("todos").await;
    gateway.todos.publish("7");
    client.next().await;
    gateway.todos.refuse_next(Status::unavailable("starting"));
    gateway.todos.end(&Status::unavailable("stopping"));
    until(|| gateway.todos.open() == 1).await;
    let resumed: Vec<String> = gateway.todos.requests().into_iter().map(|(_, after)| after).collect();
    assert_eq!(resumed, ["", "7", "7"]);
    gateway.todos.publish("8");
    assert_eq!(client.next().await["id"], "8");
}

#[tokio::test]
async fn a_stream_whose_token_has_expired_goes_on_with_the_next_one() {
    let gateway = Gateway::start().await;
    let user = gateway.user();
    let mut client = gateway.join(&user).await;
    client.subscribe("todos").await;
    gateway.todos.publish("7");
    client.next().await;
    gateway.clock.advance(time::Duration::seconds(1));
    let renewed = user.renewed(&gateway.clock);
    client.send(json!({"type": "auth", "token": renewed.token})).await;
    assert_eq!(client.next().await["type"], "ready");
    gateway.todos.end(&Status::unauthenticated("the token has expired"));
    until(|| gateway.todos.open() == 1).await;
    assert_eq!(gateway.todos.requests()[1], (renewed.token, "7".to_owned()));
}

#[tokio::test]
async fn a_stream_that_ends_or_fails_for_good_is_unsubscribed_and_can_be_subscribed_to_again() {
    let gateway = Gateway::start().await;
    let mut client = gateway.join(&gateway.user()).await;
    client.subscribe("todos").await;
    gateway.todos.end(&Status::ok(""));
    assert_eq!(
        client.next().await,
        json!({"type": "unsubscribed", "topic": "todos", "ref": "s"})
    );
    client.subscribe("todos").await;
    gateway.todos.end(&Status::permission_denied("no longer"));
    let frame = client.next().await;
    assert_eq!(
        (&frame["type"], &frame["problem"]["status"]),
        (&json!("unsubscribed"), &json!(403))
    );
    gateway.todos.refuse_next(Status::invalid_argument("no"));
    client.send(json!({"type": "subscribe", "topic": "todos"})).await;
    let frame = client.next().await;
    assert_eq!(
        (&frame["type"], &frame["problem"]["status"]),
        (&json!("unsubscribed"), &json!(400))
    );
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_refused_by_name() {
    let gateway = Gateway::with(&[("WS_MAX_SUBSCRIPTIONS", "2")]).await;
    let mut client = gateway.join(&gateway.user()).await;
    client.subscribe("todos").await;
    for (frame, status) in [
        (json!({"type": "subscribe", "topic": "todos"}), 400),
        (json!({"type": "subscribe", "topic": "nothing"}), 404),
        (json!({"type": "subscribe"}), 404),
        (json!({"type": "subscribe", "topic": "rooms/"}), 404),
        (json!({"type": "subscribe", "topic": "rooms/no room"}), 404),
        (json!({"type": "unsubscribe", "topic": "rooms/a"}), 400),
        (json!({"type": "publish", "topic": "todos", "data": 1}), 400),
        (json!({"type": "publish", "topic": "rooms/a"}), 400),
        (json!({"type": "dance"}), 400),
    ] {
        client.send(frame.clone()).await;
        let answer = client.next().await;
        assert_eq!(
            (&answer["type"], &answer["problem"]["status"]),
            (&json!("error"), &json!(status)),
            "{frame}"
        );
        assert_eq!(answer["topic"], frame["topic"]);
    }
    client.subscribe("rooms/a").await;
    client
        .send(json!({"type": "subscribe", "topic": "rooms/b", "ref": "x"}))
        .await;
    let answer = client.next().await;
    assert_eq!(
        (&answer["problem"]["status"], &answer["ref"]),
        (&json!(429), &json!("x"))
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_streams() {
    let gateway = Gateway::start().await;
    let mut client = gateway.join(&gateway.user()).await;
    client.subscribe("todos").await;
    assert_eq!(gateway.todos.open(), 1);
    drop(client);
    until(|| gateway.todos.open() == 0).await;
}
