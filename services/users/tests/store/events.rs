//! The events that are published, and the effects of events of accounts.

use std::time::Duration;

use quartet_kernel::{Role, Username};
use quartet_messaging::{Failure, Message, schema};
use quartet_proto::auth::v1 as auth;
use quartet_proto::events::Event;
use quartet_store::Database;
use quartet_testkit::database::Fresh;
use quartet_users::domain::{Account, TierName, UserEdit};
use quartet_users::store::MIGRATIONS;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Fixture;

quartet_testkit::on_both_databases!(
    a_registered_account_gets_its_user_once,
    a_late_registration_does_not_bring_back_a_purged_user,
    a_user_that_a_call_has_made_is_left_alone,
    a_deleted_account_has_its_user_purged,
    a_deletion_that_was_broken_off_is_finished_and_a_later_restoration_stays,
    a_changed_role_is_copied,
    events_together_take_effect_together_or_not_at_all,
    what_is_no_event_of_an_account_never_takes_effect,
    every_write_is_published,
    a_change_that_is_rolled_back_is_not_published,
    a_tier_that_is_deleted_is_published_for_each_of_its_users,
    a_tier_that_is_renamed_is_published_for_each_of_its_users,
);

impl Fixture {
    fn message<E: Event>(&self, id: Uuid, event: &E) -> Message {
        Message::of(&self.clock, id, event)
    }

    fn registered(&self, account: &Account) -> Message {
        let event = auth::AccountRegistered {
            account_id: account.id.to_string(),
            username: account.username.as_str().into(),
            email: account.email.as_str().into(),
            role: account.role.name().into(),
            ..Default::default()
        };
        self.message(account.id, &event)
    }

    fn status_changed(&self, id: Uuid, closed: bool, time: OffsetDateTime) -> Message {
        let event = auth::AccountStatusChanged {
            account_id: id.to_string(),
            closed,
            ..Default::default()
        };
        Message {
            time,
            ..self.message(id, &event)
        }
    }

    fn account_deleted(&self, id: Uuid) -> Message {
        let account_id = id.to_string();
        self.message(id, &auth::AccountDeleted { account_id })
    }

    async fn consume(&self, message: &Message) {
        self.store.consume(&[message], &self.cx()).await.unwrap();
    }

    async fn purge(&self, id: Uuid) {
        let purge = self.store.begin_purge(id, &self.cx()).await.unwrap();
        purge.unwrap().commit().await.unwrap();
    }
}

async fn a_registered_account_gets_its_user_once(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let account = fixture.account("ada");
    let registered = fixture.registered(&account);
    fixture.consume(&registered).await;
    assert_eq!(fixture.find(account.id).await.unwrap().username, "ada");

    fixture.purge(account.id).await;
    fixture.consume(&registered).await;

    assert!(fixture.find(account.id).await.is_none(), "it was done before");
}

async fn a_late_registration_does_not_bring_back_a_purged_user(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let account = fixture.account("ada");
    fixture.ensure(&account).await;
    let purge = fixture.store.begin_purge(account.id, &fixture.cx()).await.unwrap();

    // The event comes while the purge is not committed yet.
    let registered = fixture.registered(&account);
    let consumed = fixture.consume(&registered);
    let purged = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        purge.unwrap().commit().await
    };
    let ((), purged) = tokio::join!(consumed, purged);
    purged.unwrap();

    assert!(fixture.find(account.id).await.is_none());
    fixture.consume(&fixture.account_deleted(account.id)).await;
    assert!(fixture.find(account.id).await.is_none());
}

async fn a_user_that_a_call_has_made_is_left_alone(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let mut account = fixture.account("ada");
    account.username = Username::parse("lovelace").unwrap();
    fixture.ensure(&account).await;
    account.username = Username::parse("ada").unwrap();

    fixture.consume(&fixture.registered(&account)).await;

    assert_eq!(fixture.find(account.id).await.unwrap().username, "lovelace");
}

async fn a_deleted_account_has_its_user_purged(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (ada, bob) = (fixture.user("ada").await, fixture.user("bob").await);

    fixture.consume(&fixture.account_deleted(ada)).await;

    assert!(fixture.find(ada).await.is_none());
    assert!(fixture.find(bob).await.is_some());
    assert!(
        published(&fixture, ada)
            .await
            .ends_with(&["users.user.purged.v1".into()])
    );
}

async fn a_deletion_that_was_broken_off_is_finished_and_a_later_restoration_stays(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.user("ada").await;
    let is_there = async || fixture.find(ada).await.is_some();
    let consume = async |closed: bool, at: OffsetDateTime| {
        fixture.consume(&fixture.status_changed(ada, closed, at)).await;
    };
    let closed_at = fixture.clock.now() + Duration::from_secs(1);
    fixture.clock.advance(time::Duration::seconds(2));
    consume(true, closed_at).await;
    assert!(!is_there().await);
    let after_the_deletion = fixture.clock.now();
    fixture.clock.advance(time::Duration::seconds(1));
    consume(true, closed_at).await;
    consume(false, after_the_deletion + Duration::from_millis(500)).await;
    assert!(is_there().await, "the account is open again");
    // An event from before that comes late, once more.
    consume(true, closed_at).await;
    assert!(is_there().await);
}

async fn a_changed_role_is_copied(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.user("ada").await;
    let event = auth::AccountRoleChanged {
        account_id: ada.to_string(),
        role: Role::Superuser.name().into(),
    };
    fixture.consume(&fixture.message(ada, &event)).await;
    assert_eq!(fixture.find(ada).await.unwrap().role, Role::Superuser);
}

async fn events_together_take_effect_together_or_not_at_all(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (ada, bob) = (fixture.account("ada"), fixture.account("bob"));
    let (first, second) = (fixture.registered(&ada), fixture.registered(&bob));
    let broken = Message {
        payload: vec![255].into(),
        ..fixture.registered(&fixture.account("eve"))
    };
    let all = fixture.store.consume(&[&first, &second, &broken], &fixture.cx()).await;
    assert!(matches!(all, Err(Failure::Permanent(_))), "{all:?}");
    assert_eq!((fixture.find(ada.id).await, fixture.find(bob.id).await), (None, None));

    fixture
        .store
        .consume(&[&first, &second, &first], &fixture.cx())
        .await
        .unwrap();
    assert!(fixture.find(ada.id).await.is_some() && fixture.find(bob.id).await.is_some());
}

async fn what_is_no_event_of_an_account_never_takes_effect(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.account("ada");
    let other_kind = Message {
        kind: "todos.todo.created.v1".into(),
        ..fixture.registered(&ada)
    };
    let other_subject = Message {
        subject: "ada".into(),
        ..fixture.registered(&ada)
    };
    for message in [other_kind, other_subject] {
        let consumed = fixture.store.consume(&[&message], &fixture.cx()).await;
        assert!(matches!(consumed, Err(Failure::Permanent(_))), "{message:?}");
    }
}

async fn every_write_is_published(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.user("ada").await;
    let (store, cx) = (&fixture.store, fixture.cx());
    store
        .update_user(ada, &UserEdit::default(), &cx)
        .await
        .unwrap()
        .unwrap();
    store.set_tier(ada, None, &cx).await.unwrap().unwrap();
    fixture.delete(ada).await;
    let (_, restoration) = store.begin_restore(ada, &cx).await.unwrap().unwrap();
    restoration.commit().await.unwrap();
    fixture.purge(ada).await;

    assert_eq!(
        published(&fixture, ada).await,
        ["updated", "updated", "tier_changed", "deleted", "restored", "purged"]
            .map(|what| format!("users.user.{what}.v1"))
    );
}

async fn a_change_that_is_rolled_back_is_not_published(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let ada = fixture.user("ada").await;
    let before = published(&fixture, ada).await;
    drop(fixture.store.begin_delete(ada, &fixture.cx()).await.unwrap().unwrap());
    assert_eq!(published(&fixture, ada).await, before);
}

async fn a_tier_that_is_deleted_is_published_for_each_of_its_users(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (ada, bob) = (fixture.user("ada").await, fixture.user("bob").await);
    let gold = fixture.tier("gold").await;
    fixture
        .store
        .set_tier(ada, Some(&gold), &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    let (adas, bobs) = (
        published(&fixture, ada).await.len(),
        published(&fixture, bob).await.len(),
    );

    assert!(fixture.store.delete_tier(&gold, &fixture.cx()).await.unwrap());

    assert_eq!(published(&fixture, ada).await[adas..], ["users.user.tier_changed.v1"]);
    assert_eq!(published(&fixture, bob).await.len(), bobs);
}

async fn a_tier_that_is_renamed_is_published_for_each_of_its_users(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (ada, bob) = (fixture.user("ada").await, fixture.user("bob").await);
    let (gold, platinum) = (fixture.tier("gold").await, TierName::parse("platinum").unwrap());
    fixture
        .store
        .set_tier(ada, Some(&gold), &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    let (adas, bobs) = (
        published(&fixture, ada).await.len(),
        published(&fixture, bob).await.len(),
    );

    fixture
        .store
        .rename_tier(&gold, &platinum, &fixture.cx())
        .await
        .unwrap()
        .unwrap();

    assert_eq!(published(&fixture, ada).await[adas..], ["users.user.tier_changed.v1"]);
    assert_eq!(published(&fixture, bob).await.len(), bobs);
}

/// The kinds of the events about a user, in order.
async fn published(fixture: &Fixture, id: Uuid) -> Vec<String> {
    let sql = "select kind from outbox where subject = $1 order by seq";
    match &fixture.database {
        Database::Postgres(database) => sqlx::query_scalar(sql)
            .bind(id.to_string())
            .fetch_all(database.pool())
            .await
            .unwrap(),
        Database::Sqlite(database) => sqlx::query_scalar(sql)
            .bind(id.to_string())
            .fetch_all(database.pool())
            .await
            .unwrap(),
    }
}

#[test]
fn the_tables_of_messages_are_those_of_the_crate() {
    schema::assert_copied(&MIGRATIONS);
}
