use quartet_jobs::Error;
use quartet_jobs::domain::{EgressPolicy, EventType, Key, NewWebhook, Target, Webhook, WebhookEdit};
use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;

use super::{Kept, first_page, soon};

quartet_testkit::on_both_databases!(
    a_webhook_is_read_back_as_it_was_written,
    another_owner_finds_nothing,
    an_edit_writes_its_fields_and_leaves_the_others,
    webhooks_hear_of_the_events_they_asked_for,
    an_owner_has_so_many_at_the_most,
    lists_go_page_by_page,
);

fn target(url: &str) -> Target {
    Target::parse(url, &EgressPolicy::default()).unwrap()
}

async fn insert(kept: &Kept, events: &[EventType], limit: i64) -> Result<Webhook, Error> {
    let new = NewWebhook {
        id: kept.clock.new_id(),
        owner: kept.owner,
        target: target("https://example.com/hook"),
        events: events.to_vec(),
        secret: vec![1; 24],
    };
    kept.store.insert_webhook(&new, limit, kept.clock.now(), soon()).await
}

async fn a_webhook_is_read_back_as_it_was_written(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let made = insert(&kept, &EventType::ALL, 5).await.unwrap();
    assert_eq!(
        kept.store.find_webhook(kept.owner, made.id, soon()).await.unwrap(),
        Some(made.clone())
    );
    assert_eq!(
        (made.events.as_slice(), made.enabled, made.url.as_str()),
        (&EventType::ALL[..], true, "https://example.com/hook")
    );
}

async fn another_owner_finds_nothing(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let made = insert(&kept, &EventType::ALL, 5).await.unwrap();
    let (other, now) = (kept.clock.new_id(), kept.clock.now());
    let edit = WebhookEdit {
        enabled: Some(false),
        ..WebhookEdit::default()
    };
    assert!(kept.store.find_webhook(other, made.id, soon()).await.unwrap().is_none());
    assert!(
        kept.store
            .update_webhook(other, made.id, &edit, now, soon())
            .await
            .unwrap()
            .is_none()
    );
    assert!(!kept.store.delete_webhook(other, made.id, soon()).await.unwrap());
    assert!(
        kept.store
            .webhooks_for(other, EventType::TodoCreated, soon())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(kept.store.delete_webhook(kept.owner, made.id, soon()).await.unwrap());
}

async fn an_edit_writes_its_fields_and_leaves_the_others(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let made = insert(&kept, &EventType::ALL, 5).await.unwrap();
    let now = kept.clock.now();
    let edit = WebhookEdit {
        events: Some(vec![EventType::TodoDeleted]),
        ..WebhookEdit::default()
    };
    let edited = kept
        .store
        .update_webhook(kept.owner, made.id, &edit, now, soon())
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
        target: Some(target("http://example.org/")),
        enabled: Some(false),
        events: None,
    };
    let edited = kept
        .store
        .update_webhook(kept.owner, edited.id, &edit, now, soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (edited.url.as_str(), edited.enabled, edited.events.len()),
        ("http://example.org/", false, 1)
    );
}

async fn webhooks_hear_of_the_events_they_asked_for(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let all = insert(&kept, &EventType::ALL, 5).await.unwrap();
    let some = insert(&kept, &[EventType::TodoCreated], 5).await.unwrap();
    let off = insert(&kept, &EventType::ALL, 5).await.unwrap();
    let edit = WebhookEdit {
        enabled: Some(false),
        ..WebhookEdit::default()
    };
    kept.store
        .update_webhook(kept.owner, off.id, &edit, kept.clock.now(), soon())
        .await
        .unwrap();
    let mut created = kept
        .store
        .webhooks_for(kept.owner, EventType::TodoCreated, soon())
        .await
        .unwrap();
    created.sort();
    assert_eq!(created, [all.id, some.id]);
    assert_eq!(
        kept.store
            .webhooks_for(kept.owner, EventType::TodoDeleted, soon())
            .await
            .unwrap(),
        [all.id]
    );
}

async fn an_owner_has_so_many_at_the_most(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    insert(&kept, &[], 2).await.unwrap();
    insert(&kept, &[], 2).await.unwrap();
    let refused = insert(&kept, &[], 2).await;
    assert!(
        matches!(refused, Err(Error::WebhookLimitReached { limit: 2 })),
        "{refused:?}"
    );
    let page = kept
        .store
        .list_webhooks(kept.owner, &first_page(10), soon())
        .await
        .unwrap();
    assert_eq!((page.rows.len(), page.total), (2, 2));
}

async fn lists_go_page_by_page(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(insert(&kept, &[], 5).await.unwrap().id);
    }
    let first = kept
        .store
        .list_webhooks(kept.owner, &first_page(2), soon())
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
        },
    };
    let second = kept.store.list_webhooks(kept.owner, &next, soon()).await.unwrap();
    assert_eq!(
        (second.rows.len(), second.rows[0].id, second.has_more),
        (1, ids[0], false)
    );
}
