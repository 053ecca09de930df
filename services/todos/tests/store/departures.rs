//! Users who go and come back, and what is told of todos.

use quartet_messaging::schema;
use quartet_store::Database;
use quartet_testkit::database::Fresh;
use quartet_todos::domain::{Edit, Next};
use quartet_todos::store::{MIGRATIONS, UserNews};
use time::Duration;
use uuid::Uuid;

use super::{Kept, soon};

quartet_testkit::on_both_databases!(
    the_todos_of_a_deleted_user_go_and_come_back_with_them,
    whoever_follows_the_feed_reads_anew_after_its_user_has_gone_or_come_back,
    a_message_that_comes_twice_takes_effect_once,
    what_a_purged_user_owned_is_gone,
    what_departed_users_left_goes_after_a_while,
    every_write_that_changes_something_is_told_of,
);

fn news(kept: &Kept) -> UserNews {
    kept.clock.advance(Duration::seconds(1));
    UserNews {
        message_id: kept.clock.new_id(),
        user_id: kept.owner,
        at: kept.clock.now(),
    }
}

async fn is_there(kept: &Kept, id: Uuid) -> bool {
    kept.store.find_todo(kept.owner, id, soon()).await.unwrap().is_some()
}

async fn the_todos_of_a_deleted_user_go_and_come_back_with_them(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let stays = kept.insert(kept.new_todo("stays")).await;
    let thrown_away = kept.insert(kept.new_todo("thrown away")).await;
    let now = kept.clock.now();
    kept.store
        .delete_todos(kept.owner, &[thrown_away], now, soon())
        .await
        .unwrap();

    kept.store
        .user_deleted(news(&kept), kept.clock.now(), soon())
        .await
        .unwrap();
    assert!(!is_there(&kept, stays).await);

    kept.store
        .user_restored(news(&kept), kept.clock.now(), soon())
        .await
        .unwrap();
    assert!(is_there(&kept, stays).await);
    assert!(!is_there(&kept, thrown_away).await, "the user had deleted it before");
    let forever = kept.clock.now() + Duration::days(400);
    assert_eq!(kept.store.purge_departed(forever, soon()).await.unwrap(), None);
}

async fn whoever_follows_the_feed_reads_anew_after_its_user_has_gone_or_come_back(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    kept.insert(kept.new_todo("there")).await;
    let lost = async |position: i64| {
        let stretch = kept.store.read_feed(kept.owner, position, 100, soon()).await.unwrap();
        match stretch.after(position) {
            Next::Lost(head) => head,
            other => panic!("{other:?}"),
        }
    };
    kept.store
        .user_deleted(news(&kept), kept.clock.now(), soon())
        .await
        .unwrap();
    assert_eq!(lost(1).await, 2);
    kept.store
        .user_restored(news(&kept), kept.clock.now(), soon())
        .await
        .unwrap();
    assert_eq!(lost(2).await, 3);
    kept.store
        .user_purged(news(&kept), kept.clock.now(), soon())
        .await
        .unwrap();
    assert_eq!(lost(3).await, 4);
    assert_eq!(count(&kept, "select count(*) from changes").await, 0);
}

async fn a_message_that_comes_twice_takes_effect_once(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let todo = kept.insert(kept.new_todo("stays")).await;
    let deleted = news(&kept);
    kept.store
        .user_deleted(deleted, kept.clock.now(), soon())
        .await
        .unwrap();
    kept.store
        .user_restored(news(&kept), kept.clock.now(), soon())
        .await
        .unwrap();

    kept.store
        .user_deleted(deleted, kept.clock.now(), soon())
        .await
        .unwrap();

    assert!(is_there(&kept, todo).await);
}

async fn what_a_purged_user_owned_is_gone(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let todo = kept.insert(kept.new_todo("goes")).await;
    let other = Uuid::from_u128(7);
    let mine = UserNews {
        user_id: other,
        ..news(&kept)
    };
    kept.store.user_purged(mine, kept.clock.now(), soon()).await.unwrap();
    assert!(is_there(&kept, todo).await, "somebody else went");

    kept.store
        .user_purged(news(&kept), kept.clock.now(), soon())
        .await
        .unwrap();

    assert_eq!(count(&kept, "select count(*) from todos").await, 0);
}

async fn what_departed_users_left_goes_after_a_while(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    kept.insert(kept.new_todo("goes")).await;
    let deleted = news(&kept);
    kept.store
        .user_deleted(deleted, kept.clock.now(), soon())
        .await
        .unwrap();

    assert_eq!(kept.store.purge_departed(deleted.at, soon()).await.unwrap(), None);
    assert_eq!(count(&kept, "select count(*) from todos").await, 1);

    let later = deleted.at + Duration::seconds(1);
    assert_eq!(
        kept.store.purge_departed(later, soon()).await.unwrap(),
        Some(kept.owner)
    );
    assert_eq!(count(&kept, "select count(*) from todos").await, 0);
    assert_eq!(kept.store.purge_departed(later, soon()).await.unwrap(), None);
}

async fn every_write_that_changes_something_is_told_of(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.insert(kept.new_todo("a todo")).await;
    let done = Edit {
        completed: Some(true),
        ..Edit::default()
    };
    // The second one changes nothing.
    for _ in 0..2 {
        kept.clock.advance(Duration::seconds(1));
        let now = kept.clock.now();
        kept.store
            .update_todo(kept.owner, id, &done, now, soon())
            .await
            .unwrap();
    }
    let now = kept.clock.now();
    kept.store.delete_todos(kept.owner, &[id], now, soon()).await.unwrap();
    kept.store.restore_todo(kept.owner, id, now, soon()).await.unwrap();
    assert!(kept.store.purge_todo(id, now, soon()).await.unwrap());
    // What does not happen is not told of.
    assert!(!kept.store.purge_todo(id, now, soon()).await.unwrap());
    assert!(
        kept.store
            .update_todo(kept.owner, id, &done, now, soon())
            .await
            .unwrap()
            .is_none()
    );

    let sql = "select kind, subject from outbox order by seq";
    let told: Vec<(String, String)> = match &kept.database {
        Database::Postgres(database) => sqlx::query_as(sql).fetch_all(database.pool()).await.unwrap(),
        Database::Sqlite(database) => sqlx::query_as(sql).fetch_all(database.pool()).await.unwrap(),
    };
    assert!(told.iter().all(|(_, subject)| *subject == id.to_string()));
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["created", "updated", "completed", "deleted", "updated", "deleted"]
            .map(|what| format!("todos.todo.{what}.v1"))
    );
}

async fn count(kept: &Kept, sql: &'static str) -> i64 {
    match &kept.database {
        Database::Postgres(database) => sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap(),
        Database::Sqlite(database) => sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap(),
    }
}

#[test]
fn the_tables_of_messages_are_those_of_the_crate() {
    schema::assert_copied(&MIGRATIONS);
}
