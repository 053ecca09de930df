use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use quartet_messaging::{Broker, Message, Queue};
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::TaskStatus;
use quartet_proto::todos::v1::{TodoCreated, TodoDeleted};
use quartet_rpc::failure::reason_of;
use quartet_testkit::identity::Identity;
use sha2::Sha256;
use tonic::Code;

use crate::harness::{Harness, Names, Process, Setting, eventually};
use crate::receiver::{Receiver, answer};

/// A harness where 127.0.0.2 may be called, and `inside.example` means 127.0.0.1, `outside.example` 127.0.0.2.
async fn harness() -> Harness {
    let names = HashMap::from([
        ("inside.example", vec!["127.0.0.1".parse().unwrap()]),
        (
            "outside.example",
            vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()],
        ),
    ]);
    Harness::new(Setting {
        settings: vec![("JOBS_WEBHOOK_ALLOW", "127.0.0.2".into())],
        names: Names(names),
        ..Setting::default()
    })
    .await
}

async fn create(process: &mut Process, harness: &Harness, url: String, events: &[&str]) -> pb::Webhook {
    let request = pb::CreateWebhookRequest {
        url,
        events: events.iter().map(ToString::to_string).collect(),
    };
    process
        .webhooks
        .create_webhook(harness.user.request(request))
        .await
        .unwrap()
        .into_inner()
}

/// Publishes that a todo of the harness's user was made.
async fn todo_created(harness: &Harness) -> Message {
    let event = TodoCreated {
        todo_id: "one".into(),
        user_id: harness.user.id.to_string(),
        title: "Купить молоко".into(),
        ..Default::default()
    };
    let message = Message::of(&harness.clock, "one", &event);
    publish(harness, &message).await;
    message
}

async fn publish(harness: &Harness, message: &Message) {
    harness.broker.declare(&Queue::of_every_service()).await.unwrap();
    harness.broker.publish(std::slice::from_ref(message)).await;
}

/// The delivery, once it stands so, or is to be tried again for that reason.
async fn delivery(process: &mut Process, harness: &Harness, until: impl Fn(&pb::Task) -> bool) -> pb::Task {
    eventually("the delivery is made", async || {
        let list = pb::ListTasksRequest {
            kind: "webhook".into(),
            ..Default::default()
        };
        let list = process
            .tasks
            .list_tasks(harness.user.request(list))
            .await
            .unwrap()
            .into_inner();
        list.data.into_iter().find(&until)
    })
    .await
}

fn failed_for(reason: &str) -> impl Fn(&pb::Task) -> bool {
    move |task| task.error.as_ref().is_some_and(|error| error.reason == reason)
}

#[tokio::test]
async fn a_webhook_hears_of_a_todo_with_a_signature_that_its_secret_proves() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let receiver = Receiver::at("127.0.0.2", vec![answer("204 No Content", "")]).await;
    let webhook = create(
        &mut process,
        &harness,
        format!("http://outside.example:{}/hook?x=1", receiver.address.port()),
        &[],
    )
    .await;
    let message = todo_created(&harness).await;
    // A copy of the message makes no second delivery.
    publish(&harness, &message).await;
    let done = delivery(&mut process, &harness, |task| task.status() == TaskStatus::Succeeded).await;
    assert_eq!(
        done.result,
        Some(pb::task::Result::Delivered(pb::DeliverWebhookResult {
            status_code: 204
        }))
    );

    let got = receiver.got();
    assert_eq!(got.len(), 1);
    assert!(
        got[0].head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"),
        "{}",
        got[0].head
    );
    let host = format!("outside.example:{}", receiver.address.port());
    assert_eq!(
        (got[0].header("host"), got[0].header("content-type")),
        (host, "application/json".into())
    );
    let secret = STANDARD.decode(webhook.secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    mac.update(
        format!(
            "{}.{}.{}",
            got[0].header("webhook-id"),
            got[0].header("webhook-timestamp"),
            got[0].body
        )
        .as_bytes(),
    );
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(got[0].header("webhook-signature"), signature);
    let body: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(
        (body["type"].as_str(), body["data"]["title"].as_str()),
        (Some("todos.todo.created"), Some("Купить молоко"))
    );
    process.stop().await;
}

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_at_once() {
    let harness = harness().await;
    let mut process = harness.start().await;
    for url in [
        "http://127.0.0.1:1/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://0x7f000001/",
    ] {
        let request = pb::CreateWebhookRequest {
            url: url.into(),
            events: vec![],
        };
        let status = process
            .webhooks
            .create_webhook(harness.user.request(request))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{url}");
    }
    process.stop().await;
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_and_nobody_is_called() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let inside = Receiver::at("127.0.0.1", vec![answer("200 OK", "")]).await;
    create(
        &mut process,
        &harness,
        format!("http://inside.example:{}/", inside.address.port()),
        &[],
    )
    .await;
    todo_created(&harness).await;
    let refused = delivery(&mut process, &harness, failed_for("TARGET_REFUSED")).await;
    assert_eq!((refused.status(), refused.attempts), (TaskStatus::Failed, 1));
    assert!(inside.got().is_empty());
    process.stop().await;
}

#[tokio::test]
async fn a_redirect_that_leads_inside_is_not_followed() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let inside = Receiver::at("127.0.0.1", vec![answer("200 OK", "")]).await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", inside.address.port());
    let outside = Receiver::at("127.0.0.2", vec![answer("307 Temporary Redirect", &location)]).await;
    create(&mut process, &harness, format!("http://{}/", outside.address), &[]).await;
    todo_created(&harness).await;
    let refused = delivery(&mut process, &harness, failed_for("REDIRECTED")).await;
    assert_eq!(
        refused.status(),
        TaskStatus::Scheduled,
        "it is tried again, at the same address"
    );
    assert_eq!((outside.got().len(), inside.got().len()), (1, 0));
    process.stop().await;
}

#[tokio::test]
async fn a_delivery_that_fails_is_made_again_under_the_same_id() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let busy = answer("503 Service Unavailable", "retry-after: 0\r\n");
    let receiver = Receiver::at("127.0.0.2", vec![busy, answer("200 OK", "")]).await;
    create(&mut process, &harness, format!("http://{}/", receiver.address), &[]).await;
    todo_created(&harness).await;
    let done = delivery(&mut process, &harness, |task| task.status() == TaskStatus::Succeeded).await;
    let got = receiver.got();
    assert_eq!((done.attempts, got.len()), (2, 2));
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    process.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_switches_its_webhook_off() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let receiver = Receiver::at("127.0.0.2", vec![answer("410 Gone", "")]).await;
    let webhook = create(&mut process, &harness, format!("http://{}/", receiver.address), &[]).await;
    todo_created(&harness).await;
    delivery(&mut process, &harness, failed_for("WEBHOOK_GONE")).await;
    let get = pb::GetWebhookRequest { webhook_id: webhook.id };
    let webhook = process
        .webhooks
        .get_webhook(harness.user.request(get))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((webhook.enabled, webhook.secret.as_str()), (false, ""));
    process.stop().await;
}

#[tokio::test]
async fn a_webhook_hears_only_of_what_it_asked_for() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let receiver = Receiver::at("127.0.0.2", vec![answer("200 OK", "")]).await;
    create(
        &mut process,
        &harness,
        format!("http://{}/", receiver.address),
        &["todos.todo.deleted"],
    )
    .await;
    todo_created(&harness).await;
    let event = TodoDeleted {
        todo_id: "one".into(),
        user_id: harness.user.id.to_string(),
    };
    publish(&harness, &Message::of(&harness.clock, "one", &event)).await;
    delivery(&mut process, &harness, |task| task.status() == TaskStatus::Succeeded).await;
    let bodies: Vec<_> = receiver.got().into_iter().map(|got| got.body).collect();
    assert!(
        bodies.len() == 1 && bodies[0].contains("todos.todo.deleted"),
        "{bodies:?}"
    );
    process.stop().await;
}

#[tokio::test]
async fn another_users_webhook_is_not_found() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let webhook = create(&mut process, &harness, "https://example.com/".into(), &[]).await;
    let stranger = Identity::user(&harness.clock);
    let delete = || pb::DeleteWebhookRequest {
        webhook_id: webhook.id.clone(),
    };
    let status = process
        .webhooks
        .delete_webhook(stranger.request(delete()))
        .await
        .unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("WEBHOOK_NOT_FOUND"));
    let update = pb::UpdateWebhookRequest {
        webhook_id: webhook.id.clone(),
        webhook: Some(pb::WebhookEdit {
            enabled: false,
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["enabled".into()],
        }),
    };
    let status = process
        .webhooks
        .update_webhook(stranger.request(update.clone()))
        .await
        .unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("WEBHOOK_NOT_FOUND"));
    let updated = process
        .webhooks
        .update_webhook(harness.user.request(update))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (updated.enabled, updated.url.as_str(), updated.events.len()),
        (false, "https://example.com/", 4)
    );
    process
        .webhooks
        .delete_webhook(harness.user.request(delete()))
        .await
        .unwrap();
    process.stop().await;
}
