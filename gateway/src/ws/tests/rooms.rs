//! Messages in rooms.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use quartet_clock::Clock;
use quartet_config::Source;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::fixture::Gateway;
use crate::ws::rooms::{Rooms, Transport};

#[tokio::test]
async fn a_message_reaches_everyone_in_its_room_and_nobody_else() {
    let gateway = Gateway::start().await;
    let (anna, boris) = (gateway.user(), gateway.user());
    let (mut first, mut second) = (gateway.join(&anna).await, gateway.join(&boris).await);
    let mut elsewhere = gateway.join(&gateway.user()).await;
    first.subscribe("rooms/lobby").await;
    second.subscribe("rooms/lobby").await;
    elsewhere.subscribe("rooms/kitchen").await;
    let data = json!({"text": "привет", "n": [1, {"x": null}]});
    first
        .send(json!({"type": "publish", "topic": "rooms/lobby", "data": data, "ref": "p"}))
        .await;

    let received = second.next().await;
    assert_eq!(received["type"], "message");
    assert_eq!((&received["topic"], &received["data"]), (&json!("rooms/lobby"), &data));
    assert_eq!(
        (&received["user_id"], &received["at"]),
        (&json!(anna.id), &json!("2026-01-01T00:00:00Z"))
    );
    // The sender receives its own message, and the confirmation, in either order.
    let mut own = [first.next().await, first.next().await];
    own.sort_by_key(|frame| frame["type"].to_string());
    assert_eq!(own[0], received);
    assert_eq!(
        own[1],
        json!({"type": "published", "topic": "rooms/lobby", "id": received["id"], "ref": "p"})
    );
    assert!(elsewhere.receives_nothing().await);

    second
        .send(json!({"type": "unsubscribe", "topic": "rooms/lobby"}))
        .await;
    assert_eq!(second.next().await["type"], "unsubscribed");
    first
        .send(json!({"type": "publish", "topic": "rooms/lobby", "data": 1}))
        .await;
    assert_eq!(first.next().await["data"], 1);
    assert!(second.receives_nothing().await);
}

/// A message that is published on either side arrives once at both.
async fn reach_across(one: Gateway, two: Gateway) {
    let (mut first, mut second) = (one.join(&one.user()).await, two.join(&two.user()).await);
    first.subscribe("rooms/lobby").await;
    second.subscribe("rooms/lobby").await;
    // An instance that has just started may not be connected to the others yet, and rooms store
    // nothing for it.
    let call = json!({"type": "publish", "topic": "rooms/lobby", "data": "anybody there?"});
    let begun = Instant::now();
    while second.receives_nothing().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing comes across");
        first.send(call.clone()).await;
        assert_eq!(first.next().await["data"], "anybody there?");
    }
    second
        .send(json!({"type": "publish", "topic": "rooms/lobby", "data": "yes"}))
        .await;
    assert_eq!(first.next().await["data"], "yes");
    while second.next().await["data"] != "yes" {}
    first
        .send(json!({"type": "publish", "topic": "rooms/lobby", "data": {"n": 1}}))
        .await;
    assert_eq!(second.next().await["data"], json!({"n": 1}));
    assert_eq!(first.next().await["data"], json!({"n": 1}));
    assert!(first.receives_nothing().await && second.receives_nothing().await);

    // As does what is sent to one user.
    let anna = one.user();
    let (mut here, mut there) = (one.join(&anna).await, two.join(&anna).await);
    first
        .send(json!({"type": "publish", "to": anna.id, "data": "psst"}))
        .await;
    assert_eq!(here.next().await["data"], "psst");
    assert_eq!(there.next().await["data"], "psst");
}

#[tokio::test]
async fn a_room_reaches_across_instances() {
    /// Delivers the messages of one instance straight to the other.
    #[derive(Default)]
    struct Wire(OnceLock<Rooms>);
    #[async_trait]
    impl Transport for Wire {
        fn send(&self, room: &str, message: Bytes) {
            self.0.get().unwrap().deliver(room, message);
        }

        async fn receive(&self, _: &Rooms, stop: CancellationToken) {
            stop.cancelled().await;
        }
    }
    let (there, back) = (Arc::new(Wire::default()), Arc::new(Wire::default()));
    let one = Gateway::in_rooms(&[], Rooms::over(there.clone())).await;
    let two = Gateway::in_rooms(&[], Rooms::over(back.clone())).await;
    assert!(there.0.set(two.rooms.clone()).is_ok() && back.0.set(one.rooms.clone()).is_ok());
    reach_across(one, two).await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: make test"]
async fn a_room_reaches_across_instances_through_rabbitmq() {
    let url = quartet_testkit::rabbitmq::vhost().expect("`make test` starts a server");
    let source = Source::of([("RABBITMQ_URL", url.as_str())]);
    let settings = quartet_messaging::Config::read(&source).unwrap();
    let rooms = || Rooms::connect(&settings, "gateway", &Clock::system()).unwrap();
    let one = Gateway::in_rooms(&[], rooms()).await;
    let two = Gateway::in_rooms(&[], rooms()).await;
    reach_across(one, two).await;
}

/// What is sent to a user reaches all of their connections, whether they subscribe to it or not, and
/// nobody else's.
#[tokio::test]
async fn a_message_to_a_user_reaches_all_of_their_connections() {
    let gateway = Gateway::start().await;
    let (anna, boris) = (gateway.user(), gateway.user());
    let (mut laptop, mut phone) = (gateway.join(&boris).await, gateway.join(&boris).await);
    let (mut sender, mut silent) = (gateway.join(&anna).await, gateway.join(&boris).await);
    sender.subscribe("messages").await;
    phone.subscribe("messages").await;
    phone.send(json!({"type": "subscribe", "topic": "messages"})).await;
    assert_eq!(phone.next().await["type"], "error", "a second time");
    let end = json!({"type": "unsubscribe", "topic": "messages"});
    silent.send(end.clone()).await;
    assert_eq!(silent.next().await["type"], "unsubscribed");
    let publish = json!({"type": "publish", "to": boris.id, "data": {"text": "psst"}, "ref": "1"});
    sender.send(publish).await;
    let answer = sender.next().await;
    assert_eq!(
        answer,
        json!({"type": "published", "to": boris.id, "id": answer["id"], "ref": "1"})
    );
    for socket in [&mut laptop, &mut phone] {
        let message = socket.next().await;
        assert_eq!(
            (
                &message["type"],
                &message["topic"],
                &message["user_id"],
                &message["data"]
            ),
            (
                &json!("message"),
                &json!("messages"),
                &json!(anna.id),
                &json!({"text": "psst"})
            )
        );
        assert_eq!(message["id"], answer["id"]);
    }
    assert!(silent.receives_nothing().await && sender.receives_nothing().await);

    // Nobody enters or writes to the room of somebody else under its name.
    let room = format!("rooms/@{}", boris.id);
    sender.send(json!({"type": "subscribe", "topic": room})).await;
    assert_eq!(sender.next().await["type"], "error");
    for wrong in [
        json!({"type": "publish", "to": "boris", "data": 1}),
        json!({"type": "publish", "to": boris.id, "topic": "rooms/lobby", "data": 1}),
        json!({"type": "publish", "topic": "messages", "data": 1}),
        json!({"type": "publish", "to": boris.id}),
    ] {
        sender.send(wrong).await;
        assert_eq!(sender.next().await["problem"]["error_code"], "bad_request");
    }
    assert!(laptop.receives_nothing().await);
}
