use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use quartet_messaging::{Broker, Message, Queue};
use quartet_proto::auth::v1::PasswordReset;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::TaskStatus;
use quartet_proto::todos::v1::{TodoCreated, TodoDeleted};
use quartet_rpc::failure::reason_of;
use quartet_testkit::identity::Identity;
use sha2::Sha256;
use tokio::net::TcpListener;
use tonic::Code;

use crate::harness::{Harness, Names, Process, Setting, eventually, export};
use crate::receiver::{Receiver, answer};

/// A harness where 127.0.0.2 may be called, and `inside.example` means 127.0.0.1, `outside.example`
/// 127.0.0.2.
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

/// A webhook whose target counts as proven.
async fn create(process: &mut Process, harness: &Harness, url: String, events: &[&str]) -> pb::Webhook {
    let made = create_pending(process, harness, url, events).await;
    let (store, owner, cx) = (harness.store(), harness.user.id, harness.cx());
    let proven = store.prove_webhook(owner, made.id.parse().unwrap(), &made.url, &cx);
    assert!(proven.await.unwrap());
    made
}

/// A webhook as it is made.
async fn create_pending(process: &mut Process, harness: &Harness, url: String, events: &[&str]) -> pb::Webhook {
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

/// The webhook, once it stands so.
async fn until(process: &mut Process, harness: &Harness, id: &str, status: pb::WebhookStatus) -> pb::Webhook {
    eventually("the webhook stands so", async || {
        let get = pb::GetWebhookRequest { webhook_id: id.into() };
        let webhook = process.webhooks.get_webhook(harness.user.request(get)).await;
        let webhook = webhook.unwrap().into_inner();
        (webhook.status() == status).then_some(webhook)
    })
    .await
}

fn is_challenge(task: &pb::Task) -> bool {
    let Some(pb::task::Payload::Webhook(payload)) = &task.payload else {
        return false;
    };
    payload.event_type == "webhook.challenge"
}

/// The delivery of an event, once it stands so, or is to be tried again for that reason.
async fn delivery(process: &mut Process, harness: &Harness, until: impl Fn(&pb::Task) -> bool) -> pb::Task {
    task(process, harness, |task| !is_challenge(task) && until(task)).await
}

/// The delivery or the challenge that is so.
async fn task(process: &mut Process, harness: &Harness, until: impl Fn(&pb::Task) -> bool) -> pb::Task {
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
async fn a_target_that_does_not_answer_the_challenge_receives_nothing_else() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let silent = Receiver::at("127.0.0.2", vec![answer("200 OK", "")]).await;
    silent.agrees(false);
    let hook = format!("http://{}/", silent.address);
    let made = create_pending(&mut process, &harness, hook, &[]).await;
    assert_eq!(made.status(), pb::WebhookStatus::Pending);
    task(&mut process, &harness, failed_for("CHALLENGE_UNANSWERED")).await;
    // Another one agrees, and receives what happens.
    let agreeing = Receiver::at("127.0.0.2", vec![answer("200 OK", "")]).await;
    let other = create_pending(&mut process, &harness, format!("http://{}/", agreeing.address), &[]).await;
    until(&mut process, &harness, &other.id, pb::WebhookStatus::Active).await;
    todo_created(&harness).await;
    delivery(&mut process, &harness, |task| task.status() == TaskStatus::Succeeded).await;
    assert_eq!(agreeing.got().len(), 1);
    let got = silent.got();
    assert_eq!(got.len(), 1, "the challenge alone, once");
    assert!(got[0].challenge().is_some() && got[0].header("webhook-signature").starts_with("v1,"));

    // It agrees at the next challenge, and receives what happens from then on.
    silent.agrees(true);
    let verify = || pb::VerifyWebhookRequest {
        webhook_id: made.id.clone(),
    };
    process
        .webhooks
        .verify_webhook(harness.user.request(verify()))
        .await
        .unwrap();
    until(&mut process, &harness, &made.id, pb::WebhookStatus::Active).await;
    todo_created(&harness).await;
    eventually("both receive it", async || {
        (silent.got().len() == 2 && agreeing.got().len() == 2).then_some(())
    })
    .await;
    let stranger = Identity::user(&harness.clock);
    let refused = process.webhooks.verify_webhook(stranger.request(verify())).await;
    assert_eq!(reason_of(&refused.unwrap_err()).as_deref(), Some("WEBHOOK_NOT_FOUND"));

    // Another URL has to agree anew.
    silent.agrees(false);
    let update = pb::UpdateWebhookRequest {
        webhook_id: made.id.clone(),
        webhook: Some(pb::WebhookEdit {
            url: format!("http://{}/other", silent.address),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["url".into()],
        }),
        etag: String::new(),
    };
    let updated = process.webhooks.update_webhook(harness.user.request(update)).await;
    assert_eq!(updated.unwrap().into_inner().status(), pb::WebhookStatus::Pending);
    process.stop().await;
}

#[tokio::test]
async fn many_todos_and_webhooks_reach_a_host_no_faster_than_its_rate() {
    let harness = Harness::new(Setting {
        settings: vec![
            ("JOBS_WEBHOOK_ALLOW", "127.0.0.2".into()),
            ("JOBS_WEBHOOK_HOST_RATE", "100".into()),
        ],
        ..Setting::default()
    })
    .await;
    let mut process = harness.start().await;
    let receiver = Receiver::at("127.0.0.2", vec![answer("204 No Content", "")]).await;
    for number in 0..20 {
        let url = format!("http://{}/{number}", receiver.address);
        create(&mut process, &harness, url, &[]).await;
    }
    for _ in 0..25 {
        todo_created(&harness).await;
    }
    eventually("one of each hook has arrived", async || {
        (receiver.got().len() >= 200).then_some(())
    })
    .await;
    let at: Vec<Instant> = receiver.got().iter().map(|got| got.at).collect();
    // A second holds a hundred of them, and those that have waited for the two places at its start.
    let most = (0..at.len()).map(|first| {
        let end = at[first] + Duration::from_secs(1);
        at[first..].iter().filter(|at| **at < end).count()
    });
    let most = most.max().unwrap_or_default();
    assert!(most <= 100 + 10, "{most} in a second");
    process.stop().await;
}

#[tokio::test]
async fn a_reset_of_the_password_switches_webhooks_off_and_informs_their_owner() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let receiver = Receiver::at("127.0.0.2", vec![answer("204 No Content", "")]).await;
    let webhook = create(&mut process, &harness, format!("http://{}/", receiver.address), &[]).await;
    let event = PasswordReset {
        account_id: harness.user.id.to_string(),
        email: "ann@example.com".into(),
        language: "en".into(),
    };
    publish(&harness, &Message::of(&harness.clock, &event.account_id, &event)).await;
    until(&mut process, &harness, &webhook.id, pb::WebhookStatus::Disabled).await;
    let mails = harness.folder.path().join("mail");
    let subject = "Subject: Your webhooks are switched off";
    eventually("the owner receives a mail", async || {
        let mut files = std::fs::read_dir(&mails).ok()?.filter_map(Result::ok);
        files.find(|file| std::fs::read_to_string(file.path()).is_ok_and(|mail| mail.contains(subject)))
    })
    .await;
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
    let refused = delivery(&mut process, &harness, failed_for("UNREACHABLE")).await;
    let message = refused.error.unwrap_or_default().message;
    assert_eq!(message, "inside.example leads to no public address");
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
        etag: String::new(),
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
        etag: String::new(),
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

#[tokio::test]
async fn a_target_that_does_not_answer_holds_up_itself_alone() {
    let harness = harness().await;
    let mut process = harness.start().await;
    let silent = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let receiver = Receiver::at("127.0.0.2", vec![answer("204 No Content", "")]).await;
    let slow = format!("http://{}/slow", silent.local_addr().unwrap());
    create(&mut process, &harness, slow, &[]).await;
    let fast = format!("http://outside.example:{}/fast", receiver.address.port());
    create(&mut process, &harness, fast, &[]).await;
    for _ in 0..10 {
        todo_created(&harness).await;
    }
    // The deliveries to the other host, and an export, end long before the silent one is given up.
    eventually("the other host has all of them", async || {
        (receiver.got().len() == 10).then_some(())
    })
    .await;
    let export = process.create(&harness, export()).await;
    eventually("the export has ended", async || {
        let task = process.get(&harness.user, &export.id).await.unwrap();
        task.finished_at
    })
    .await;
    let list = pb::ListTasksRequest {
        kind: "webhook".into(),
        status: Some(TaskStatus::Running.into()),
        ..Default::default()
    };
    let running = process.tasks.list_tasks(harness.user.request(list)).await.unwrap();
    assert_eq!(
        running.into_inner().total_count,
        2,
        "two of the silent host are tried at once"
    );
    process.stop().await;
}

#[tokio::test]
async fn a_host_receives_so_many_deliveries_per_second() {
    let harness = Harness::new(Setting {
        settings: vec![
            ("JOBS_WEBHOOK_ALLOW", "127.0.0.2".into()),
            ("JOBS_WEBHOOK_HOST_RATE", "5".into()),
        ],
        ..Setting::default()
    })
    .await;
    let mut process = harness.start().await;
    let receiver = Receiver::at("127.0.0.2", vec![answer("204 No Content", "")]).await;
    create(&mut process, &harness, format!("http://{}/", receiver.address), &[]).await;
    let begun = Instant::now();
    for _ in 0..6 {
        todo_created(&harness).await;
    }
    eventually("all have arrived", async || (receiver.got().len() == 6).then_some(())).await;
    // The first one at once, and each other a fifth of a second after the one before.
    assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
    process.stop().await;
}
