//! What is told of users, and what is heard of accounts.

use std::time::Duration;

use quartet_kernel::{Role, Username};
use quartet_messaging::schema;
use quartet_store::Database;
use quartet_testkit::database::Fresh;
use quartet_users::domain::{TierName, UserEdit};
use quartet_users::store::MIGRATIONS;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Kept, soon};

quartet_testkit::on_both_databases!(
    a_registered_account_gets_its_user_once,
    news_that_come_late_do_not_bring_back_a_purged_user,
    a_user_that_a_call_has_made_is_left_alone,
    a_deleted_account_takes_its_user_along_for_good,
    a_deletion_that_was_broken_off_is_finished_and_a_later_restoration_stays,
    a_changed_role_is_copied,
    every_write_is_told_of,
    a_change_that_is_taken_back_is_not_told_of,
    a_tier_that_goes_is_told_to_each_of_its_users,
);

async fn a_registered_account_gets_its_user_once(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let account = kept.account("ada");
    let (message, now) = (kept.clock.new_id(), kept.clock.now());
    kept.store
        .account_registered(message, &account, now, soon())
        .await
        .unwrap();
    assert_eq!(
        kept.store
            .find_user(account.id, soon())
            .await
            .unwrap()
            .unwrap()
            .username,
        "ada"
    );

    kept.store
        .open_purge(account.id, soon())
        .await
        .unwrap()
        .unwrap()
        .commit()
        .await
        .unwrap();
    kept.store
        .account_registered(message, &account, now, soon())
        .await
        .unwrap();

    assert!(
        kept.store.find_user(account.id, soon()).await.unwrap().is_none(),
        "it was done before"
    );
}

async fn news_that_come_late_do_not_bring_back_a_purged_user(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let account = kept.account("ada");
    kept.tell(&account).await;
    let open = kept.store.open_purge(account.id, soon()).await.unwrap().unwrap();
    let now = kept.clock.now();
    let (registered, deleted) = (kept.clock.new_id(), kept.clock.new_id());

    // The news comes while the purge is not committed yet.
    let news = kept.store.account_registered(registered, &account, now, soon());
    let purge = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        open.commit().await
    };
    let (news, purge) = tokio::join!(news, purge);
    news.unwrap();
    purge.unwrap();

    assert!(kept.store.find_user(account.id, soon()).await.unwrap().is_none());
    kept.store
        .account_deleted(deleted, account.id, now, soon())
        .await
        .unwrap();
    assert!(kept.store.find_user(account.id, soon()).await.unwrap().is_none());
}

async fn a_user_that_a_call_has_made_is_left_alone(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let mut account = kept.account("ada");
    account.username = Username::parse("lovelace").unwrap();
    kept.tell(&account).await;
    account.username = Username::parse("ada").unwrap();

    let (message, now) = (kept.clock.new_id(), kept.clock.now());
    kept.store
        .account_registered(message, &account, now, soon())
        .await
        .unwrap();

    assert_eq!(
        kept.store
            .find_user(account.id, soon())
            .await
            .unwrap()
            .unwrap()
            .username,
        "lovelace"
    );
}

async fn a_deleted_account_takes_its_user_along_for_good(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let (ada, bob) = (kept.user("ada").await, kept.user("bob").await);
    let (message, now) = (kept.clock.new_id(), kept.clock.now());

    kept.store.account_deleted(message, ada, now, soon()).await.unwrap();

    assert!(kept.store.find_user(ada, soon()).await.unwrap().is_none());
    assert!(kept.store.find_user(bob, soon()).await.unwrap().is_some());
    assert!(told(&kept, ada).await.ends_with(&["users.user.purged.v1".into()]));
}

async fn a_deletion_that_was_broken_off_is_finished_and_a_later_restoration_stays(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.user("ada").await;
    let is_there = async || kept.store.find_user(ada, soon()).await.unwrap().is_some();
    let tell = async |closed: bool, at: OffsetDateTime| {
        let (message, now) = (kept.clock.new_id(), kept.clock.now());
        kept.store
            .account_status_changed(message, ada, closed, at, now, soon())
            .await
            .unwrap();
    };
    let closed_at = kept.clock.now() + Duration::from_secs(1);
    kept.clock.advance(time::Duration::seconds(2));
    tell(true, closed_at).await;
    assert!(!is_there().await);
    let after_the_deletion = kept.clock.now();
    kept.clock.advance(time::Duration::seconds(1));
    tell(true, closed_at).await;
    tell(false, after_the_deletion + Duration::from_millis(500)).await;
    assert!(is_there().await, "the account is open again");
    // News from before that come late, once more.
    tell(true, closed_at).await;
    assert!(is_there().await);
}

async fn a_changed_role_is_copied(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.user("ada").await;
    let (message, now) = (kept.clock.new_id(), kept.clock.now());
    let role = Role::Superuser;
    kept.store
        .account_role_changed(message, ada, role, now, soon())
        .await
        .unwrap();
    assert_eq!(kept.store.find_user(ada, soon()).await.unwrap().unwrap().role, role);
}

async fn every_write_is_told_of(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.user("ada").await;
    let now = kept.clock.now();
    kept.store
        .update_user(ada, &UserEdit::default(), now, soon())
        .await
        .unwrap()
        .unwrap();
    kept.store.set_tier(ada, None, now, soon()).await.unwrap().unwrap();
    kept.store
        .open_delete(ada, now, soon())
        .await
        .unwrap()
        .unwrap()
        .commit()
        .await
        .unwrap();
    kept.store
        .open_restore(ada, now, soon())
        .await
        .unwrap()
        .unwrap()
        .1
        .commit()
        .await
        .unwrap();
    kept.store
        .open_purge(ada, soon())
        .await
        .unwrap()
        .unwrap()
        .commit()
        .await
        .unwrap();

    assert_eq!(
        told(&kept, ada).await,
        ["updated", "updated", "tier_changed", "deleted", "restored", "purged"]
            .map(|what| format!("users.user.{what}.v1"))
    );
}

async fn a_change_that_is_taken_back_is_not_told_of(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let ada = kept.user("ada").await;
    let before = told(&kept, ada).await;
    drop(
        kept.store
            .open_delete(ada, kept.clock.now(), soon())
            .await
            .unwrap()
            .unwrap(),
    );
    assert_eq!(told(&kept, ada).await, before);
}

async fn a_tier_that_goes_is_told_to_each_of_its_users(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let (ada, bob) = (kept.user("ada").await, kept.user("bob").await);
    kept.tier("gold").await;
    let gold = TierName::parse("gold").unwrap();
    let now = kept.clock.now();
    kept.store
        .set_tier(ada, Some(&gold), now, soon())
        .await
        .unwrap()
        .unwrap();
    let (adas, bobs) = (told(&kept, ada).await.len(), told(&kept, bob).await.len());

    assert!(kept.store.delete_tier(&gold, soon()).await.unwrap());

    assert_eq!(told(&kept, ada).await[adas..], ["users.user.tier_changed.v1"]);
    assert_eq!(told(&kept, bob).await.len(), bobs);
}

/// The kinds of what is told of a user, in order.
async fn told(kept: &Kept, id: Uuid) -> Vec<String> {
    let sql = "select kind from outbox where subject = $1 order by seq";
    match &kept.database {
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
