use prost::Message as _;
use quartet_jobs::Error;
use quartet_jobs::domain::Delivery;
use quartet_jobs::domain::{
    EgressPolicy, EventType, Filter, Key, Kind, NewJob, NewWebhook, Target, Webhook, WebhookEdit,
};
use quartet_jobs::store::Reaction;
use quartet_messaging::Message;
use quartet_proto::jobs::v1 as pb;
use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;

use uuid::Uuid;

use super::{Harness, first_page};

quartet_testkit::on_both_databases!(
    a_webhook_is_read_back_as_it_was_written,
    a_webhook_is_pending_until_its_target_is_proven,
    a_reset_of_the_password_switches_all_webhooks_off,
    another_owner_finds_nothing,
    an_edit_writes_its_fields_and_leaves_the_others,
    webhooks_receive_the_events_that_they_are_subscribed_to,
    an_owner_has_so_many_at_the_most,
    lists_go_page_by_page,
    what_a_deleted_user_had_is_deleted,
);

fn target(url: &str) -> Target {
    Target::parse(url, &EgressPolicy::default()).unwrap()
}

async fn insert(harness: &Harness, events: &[EventType], limit: i64) -> Result<Webhook, Error> {
    let new = NewWebhook {
        id: harness.clock.new_id(),
        owner: harness.owner,
        target: target("https://example.com/hook"),
        events: events.to_vec(),
        secret: vec![1; 24],
        challenge: harness.new_job(),
    };
    harness.store.insert_webhook(&new, limit, &harness.cx()).await
}

/// A webhook whose target has answered the challenge.
async fn insert_proven(harness: &Harness, events: &[EventType]) -> Webhook {
    let made = insert(harness, events, 5).await.unwrap();
    assert!(prove(harness, &made).await);
    find(harness, &made).await
}

async fn prove(harness: &Harness, webhook: &Webhook) -> bool {
    let (owner, id, cx) = (webhook.owner, webhook.id, harness.cx());
    harness.store.prove_webhook(owner, id, &webhook.url, &cx).await.unwrap()
}

async fn find(harness: &Harness, webhook: &Webhook) -> Webhook {
    let (owner, cx) = (webhook.owner, harness.cx());
    harness
        .store
        .find_webhook(owner, webhook.id, &cx)
        .await
        .unwrap()
        .unwrap()
}

/// The jobs of this kind that the owner has.
async fn jobs(harness: &Harness, owner: Uuid, kind: Kind) -> usize {
    let filter = Filter {
        owner: Some(owner),
        kind: Some(kind),
        ..Filter::default()
    };
    let (page, cx) = (first_page(100), harness.cx());
    harness.store.list_jobs(&filter, &page, &cx).await.unwrap().rows.len()
}

async fn a_webhook_is_pending_until_its_target_is_proven(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let made = insert(&harness, &EventType::ALL, 5).await.unwrap();
    assert_eq!(made.proven_at, None);
    assert_eq!(
        jobs(&harness, harness.owner, Kind::ExportTodos).await,
        1,
        "its challenge"
    );
    assert!(
        receivers(&harness, harness.owner, EventType::TodoCreated)
            .await
            .is_empty()
    );

    let elsewhere = Webhook {
        url: "https://example.com/other".into(),
        ..made.clone()
    };
    assert!(!prove(&harness, &elsewhere).await, "that is not its target");
    assert!(prove(&harness, &made).await);
    assert!(find(&harness, &made).await.proven_at.is_some());
    assert_eq!(
        receivers(&harness, harness.owner, EventType::TodoCreated).await,
        [made.id]
    );

    // The same target needs no other proof; another one does.
    for (url, is_proven) in [("https://example.com/hook", true), ("https://example.com/moved", false)] {
        let edit = WebhookEdit {
            target: Some((target(url), harness.new_job())),
            ..WebhookEdit::default()
        };
        let (owner, cx) = (harness.owner, harness.cx());
        let edited = harness.store.update_webhook(owner, made.id, &edit, &cx).await;
        assert_eq!(edited.unwrap().unwrap().proven_at.is_some(), is_proven, "{url}");
    }
    assert_eq!(jobs(&harness, harness.owner, Kind::ExportTodos).await, 2);
    assert!(
        receivers(&harness, harness.owner, EventType::TodoDeleted)
            .await
            .is_empty()
    );
}

async fn a_reset_of_the_password_switches_all_webhooks_off(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let (one, two) = (
        insert_proven(&harness, &EventType::ALL).await,
        insert(&harness, &EventType::ALL, 5).await.unwrap(),
    );
    let stranger = harness.clock.new_id();
    let before = jobs(&harness, harness.owner, Kind::ExportTodos).await;
    for (owner, notices) in [(stranger, 0), (harness.owner, 1), (harness.owner, 1)] {
        let message = Message::event(&harness.clock, "/auth", "auth.account.password_reset.v1", "x", &());
        let reactions = [(&message, Reaction::PauseWebhooks(owner, harness.new_job()))];
        harness.store.react("test", &reactions, &harness.cx()).await.unwrap();
        let jobs = jobs(&harness, harness.owner, Kind::ExportTodos).await;
        assert_eq!(jobs - before, notices, "one notice, to whoever has webhooks");
    }
    for webhook in [one, two] {
        assert!(!find(&harness, &webhook).await.enabled);
    }
    assert!(
        receivers(&harness, harness.owner, EventType::TodoCreated)
            .await
            .is_empty()
    );
}

async fn a_webhook_is_read_back_as_it_was_written(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let made = insert(&harness, &EventType::ALL, 5).await.unwrap();
    assert_eq!(
        harness
            .store
            .find_webhook(harness.owner, made.id, &harness.cx())
            .await
            .unwrap(),
        Some(made.clone())
    );
    assert_eq!(
        (made.events.as_slice(), made.enabled, made.url.as_str()),
        (&EventType::ALL[..], true, "https://example.com/hook")
    );
}

async fn another_owner_finds_nothing(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let made = insert(&harness, &EventType::ALL, 5).await.unwrap();
    let other = harness.clock.new_id();
    let edit = WebhookEdit {
        enabled: Some(false),
        ..WebhookEdit::default()
    };
    assert!(
        harness
            .store
            .find_webhook(other, made.id, &harness.cx())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        harness
            .store
            .update_webhook(other, made.id, &edit, &harness.cx())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        !harness
            .store
            .delete_webhook(other, made.id, &harness.cx())
            .await
            .unwrap()
    );
    assert!(receivers(&harness, other, EventType::TodoCreated).await.is_empty());
    assert!(
        harness
            .store
            .delete_webhook(harness.owner, made.id, &harness.cx())
            .await
            .unwrap()
    );
}

async fn an_edit_writes_its_fields_and_leaves_the_others(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let made = insert(&harness, &EventType::ALL, 5).await.unwrap();
    let edit = WebhookEdit {
        events: Some(vec![EventType::TodoDeleted]),
        ..WebhookEdit::default()
    };
    let edited = harness
        .store
        .update_webhook(harness.owner, made.id, &edit, &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        edited,
        Webhook {
            events: vec![EventType::TodoDeleted],
            ..made
        }
    );
    let edit = WebhookEdit {
        target: Some((target("http://example.org/"), harness.new_job())),
        enabled: Some(false),
        events: None,
    };
    let edited = harness
        .store
        .update_webhook(harness.owner, edited.id, &edit, &harness.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (edited.url.as_str(), edited.enabled, edited.events.len()),
        ("http://example.org/", false, 1)
    );
}

async fn webhooks_receive_the_events_that_they_are_subscribed_to(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let all = insert_proven(&harness, &EventType::ALL).await;
    let some = insert_proven(&harness, &[EventType::TodoCreated]).await;
    let off = insert_proven(&harness, &EventType::ALL).await;
    let edit = WebhookEdit {
        enabled: Some(false),
        ..WebhookEdit::default()
    };
    harness
        .store
        .update_webhook(harness.owner, off.id, &edit, &harness.cx())
        .await
        .unwrap();
    let mut created = receivers(&harness, harness.owner, EventType::TodoCreated).await;
    created.sort();
    assert_eq!(created, [all.id, some.id]);
    assert_eq!(
        receivers(&harness, harness.owner, EventType::TodoDeleted).await,
        [all.id]
    );
}

/// The webhooks that deliveries of a new event are made for; handling it twice makes none anew.
async fn receivers(harness: &Harness, owner: Uuid, event: EventType) -> Vec<Uuid> {
    let message = Message::event(&harness.clock, "/todos", "todos.todo.v1", "x", &());
    let delivery = Delivery {
        owner,
        event,
        body: "{}".into(),
        per_host: 2,
    };
    for _ in 0..2 {
        let reactions = [(&message, Reaction::Deliver(delivery.clone()))];
        harness.store.react("test", &reactions, &harness.cx()).await.unwrap();
    }
    let filter = Filter {
        owner: Some(owner),
        kind: Some(Kind::Webhook),
        ..Filter::default()
    };
    let jobs = harness
        .store
        .list_jobs(&filter, &first_page(100), &harness.cx())
        .await
        .unwrap();
    let payloads = jobs
        .rows
        .iter()
        .map(|job| pb::DeliverWebhook::decode(job.payload.as_slice()).unwrap());
    let event_id = format!("msg_{}", message.id.simple());
    payloads
        .filter(|payload| payload.event_id == event_id)
        .map(|payload| payload.webhook_id.parse().unwrap())
        .collect()
}

async fn what_a_deleted_user_had_is_deleted(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let webhook = insert(&harness, &EventType::ALL, 5).await.unwrap();
    let job = harness.insert(harness.new_job()).await;
    let other = harness.insert(NewJob {
        owner: harness.clock.new_id(),
        ..harness.new_job()
    });
    let other = other.await;
    let message = Message::event(&harness.clock, "/users", "users.user.purged.v1", "x", &());
    let reactions = [(&message, Reaction::DeleteAll(harness.owner))];
    harness.store.react("test", &reactions, &harness.cx()).await.unwrap();
    let found = harness
        .store
        .find_webhook(harness.owner, webhook.id, &harness.cx())
        .await;
    assert_eq!(found.unwrap(), None);
    assert_eq!(harness.store.find_any_job(job.id, &harness.cx()).await.unwrap(), None);
    assert_eq!(harness.find(other.id).await, other);
}

async fn an_owner_has_so_many_at_the_most(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    insert(&harness, &[], 2).await.unwrap();
    insert(&harness, &[], 2).await.unwrap();
    let refused = insert(&harness, &[], 2).await;
    assert!(
        matches!(refused, Err(Error::WebhookLimitReached { limit: 2 })),
        "{refused:?}"
    );
    let page = harness
        .store
        .list_webhooks(harness.owner, &first_page(10), &harness.cx())
        .await
        .unwrap();
    assert_eq!((page.rows.len(), page.total), (2, 2));
}

async fn lists_go_page_by_page(fresh: Fresh) {
    let harness = Harness::new(fresh).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(insert(&harness, &[], 5).await.unwrap().id);
    }
    let first = harness
        .store
        .list_webhooks(harness.owner, &first_page(2), &harness.cx())
        .await
        .unwrap();
    assert_eq!(
        (first.rows[0].id, first.rows[1].id, first.has_more),
        (ids[2], ids[1], true)
    );
    let next = Page {
        size: 2,
        start: Start::After {
            key: Key(ids[1]),
            total: 3,
            total_is_exact: true,
        },
    };
    let second = harness
        .store
        .list_webhooks(harness.owner, &next, &harness.cx())
        .await
        .unwrap();
    assert_eq!(
        (second.rows.len(), second.rows[0].id, second.has_more),
        (1, ids[0], false)
    );
}
