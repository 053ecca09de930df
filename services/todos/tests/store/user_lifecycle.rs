//! Users who are deleted, restored and purged, and the events that todos have.

use quartet_messaging::schema;
use quartet_proto::users::v1 as users;
use quartet_store::Database;
use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use quartet_todos::domain::{Edit, Filter, NewTodo, Next, Order};
use quartet_todos::store::MIGRATIONS;
use time::Duration;
use uuid::Uuid;

use super::Fixture;

quartet_testkit::on_both_databases!(
    the_total_follows_every_write,
    the_todos_of_a_deleted_user_are_deleted_and_restored_with_them,
    whoever_follows_the_feed_reads_anew_after_its_user_was_deleted_or_restored,
    a_message_that_comes_twice_takes_effect_once,
    what_a_purged_user_owned_is_gone,
    what_deleted_users_left_is_purged_after_a_while,
    every_write_that_changes_something_has_its_event,
);

async fn is_there(fixture: &Fixture, id: Uuid) -> bool {
    fixture
        .store
        .find_todo(fixture.owner, id, &fixture.cx())
        .await
        .unwrap()
        .is_some()
}

async fn the_todos_of_a_deleted_user_are_deleted_and_restored_with_them(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let stays = fixture.insert(fixture.new_todo("stays")).await;
    let thrown_away = fixture.insert(fixture.new_todo("thrown away")).await;
    let now = fixture.clock.now();
    fixture
        .store
        .delete_todos(fixture.owner, &[thrown_away], &fixture.cx().at(now))
        .await
        .unwrap();

    fixture.consume(&users::UserDeleted::default()).await;
    assert!(!is_there(&fixture, stays).await);

    fixture.consume(&users::UserRestored::default()).await;
    assert!(is_there(&fixture, stays).await);
    assert!(!is_there(&fixture, thrown_away).await, "the user had deleted it before");
    let forever = fixture.clock.now() + Duration::days(400);
    assert_eq!(
        fixture.store.purge_deleted_user(forever, &fixture.cx()).await.unwrap(),
        None
    );
}

async fn whoever_follows_the_feed_reads_anew_after_its_user_was_deleted_or_restored(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    fixture.insert(fixture.new_todo("there")).await;
    let lost = async |position: i64| {
        let page = fixture
            .store
            .read_feed(fixture.owner, position, 100, &fixture.cx())
            .await
            .unwrap();
        match page.after(position) {
            Next::Lost(head) => head,
            other => panic!("{other:?}"),
        }
    };
    fixture.consume(&users::UserDeleted::default()).await;
    assert_eq!(lost(1).await, 2);
    fixture.consume(&users::UserRestored::default()).await;
    assert_eq!(lost(2).await, 3);
    fixture.consume(&users::UserPurged::default()).await;
    assert_eq!(lost(3).await, 4);
    assert_eq!(count(&fixture, "select count(*) from changes").await, 0);
}

async fn a_message_that_comes_twice_takes_effect_once(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let todo = fixture.insert(fixture.new_todo("stays")).await;
    let deleted = fixture.message(fixture.owner, &users::UserDeleted::default());
    fixture.store.consume(&[&deleted], &fixture.cx()).await.unwrap();
    fixture.consume(&users::UserRestored::default()).await;

    fixture
        .store
        .consume(&[&deleted, &deleted], &fixture.cx())
        .await
        .unwrap();

    assert!(is_there(&fixture, todo).await);
}

async fn what_a_purged_user_owned_is_gone(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let todo = fixture.insert(fixture.new_todo("goes")).await;
    let other = Uuid::from_u128(7);
    let purged = fixture.message(other, &users::UserPurged::default());
    fixture.store.consume(&[&purged], &fixture.cx()).await.unwrap();
    assert!(is_there(&fixture, todo).await, "somebody else went");

    fixture.consume(&users::UserPurged::default()).await;

    assert_eq!(count(&fixture, "select count(*) from todos").await, 0);
}

async fn what_deleted_users_left_is_purged_after_a_while(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    fixture.insert(fixture.new_todo("goes")).await;
    let deleted = fixture.message(fixture.owner, &users::UserDeleted::default());
    fixture.store.consume(&[&deleted], &fixture.cx()).await.unwrap();

    assert_eq!(
        fixture
            .store
            .purge_deleted_user(deleted.time, &fixture.cx())
            .await
            .unwrap(),
        None
    );
    assert_eq!(count(&fixture, "select count(*) from todos").await, 1);

    let later = deleted.time + Duration::seconds(1);
    assert_eq!(
        fixture.store.purge_deleted_user(later, &fixture.cx()).await.unwrap(),
        Some(fixture.owner)
    );
    assert_eq!(count(&fixture, "select count(*) from todos").await, 0);
    assert_eq!(
        fixture.store.purge_deleted_user(later, &fixture.cx()).await.unwrap(),
        None
    );
}

async fn every_write_that_changes_something_has_its_event(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.insert(fixture.new_todo("a todo")).await;
    let done = Edit {
        completed: Some(true),
        ..Edit::default()
    };
    // The second one changes nothing.
    for _ in 0..2 {
        fixture.clock.advance(Duration::seconds(1));
        let now = fixture.clock.now();
        fixture
            .store
            .update_todo(fixture.owner, id, &done, &fixture.cx().at(now))
            .await
            .unwrap();
    }
    let now = fixture.clock.now();
    fixture
        .store
        .delete_todos(fixture.owner, &[id], &fixture.cx().at(now))
        .await
        .unwrap();
    fixture
        .store
        .restore_todo(fixture.owner, id, None, &fixture.cx().at(now))
        .await
        .unwrap();
    assert!(fixture.store.purge_todo(id, &fixture.cx().at(now)).await.unwrap());
    // What does not happen has no event.
    assert!(!fixture.store.purge_todo(id, &fixture.cx().at(now)).await.unwrap());
    assert!(
        fixture
            .store
            .update_todo(fixture.owner, id, &done, &fixture.cx().at(now))
            .await
            .unwrap()
            .is_none()
    );

    let sql = "select kind, subject from outbox order by seq";
    let published: Vec<(String, String)> = match &fixture.database {
        Database::Postgres(database) => sqlx::query_as(sql).fetch_all(database.pool()).await.unwrap(),
        Database::Sqlite(database) => sqlx::query_as(sql).fetch_all(database.pool()).await.unwrap(),
    };
    assert!(published.iter().all(|(_, subject)| *subject == id.to_string()));
    let kinds: Vec<&str> = published.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["created", "updated", "completed", "deleted", "updated", "deleted"]
            .map(|what| format!("todos.todo.{what}.v1"))
    );
}

/// What lists show as totals: all, open and done.
async fn totals(fixture: &Fixture) -> [i32; 3] {
    let mut totals = [0; 3];
    for (total, completed) in totals.iter_mut().zip([None, Some(false), Some(true)]) {
        let filter = Filter {
            completed,
            ..Filter::default()
        };
        let page = Page {
            size: 2,
            start: Start::Number(1),
        };
        let order = Order::parse("").unwrap();
        let listed = fixture
            .store
            .list_todos(fixture.owner, &filter, order, &page, &fixture.cx())
            .await
            .unwrap();
        assert!(listed.total_is_exact);
        *total = listed.total;
    }
    totals
}

async fn the_total_follows_every_write(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let edit = |completed| Edit {
        completed: Some(completed),
        ..Edit::default()
    };
    assert_eq!(totals(&fixture).await, [0, 0, 0]);
    let one = fixture.insert(fixture.new_todo("one")).await;
    let two = fixture
        .insert(NewTodo {
            completed: true,
            ..fixture.new_todo("two")
        })
        .await;
    let three = fixture.insert(fixture.new_todo("three")).await;
    assert_eq!(totals(&fixture).await, [3, 2, 1]);

    let update = async |id, completed| {
        fixture.clock.advance(Duration::seconds(1));
        let edit = edit(completed);
        fixture
            .store
            .update_todo(fixture.owner, id, &edit, &fixture.cx())
            .await
            .unwrap()
            .unwrap();
    };
    update(one, true).await;
    update(one, true).await;
    assert_eq!(totals(&fixture).await, [3, 1, 2]);
    update(one, false).await;
    assert_eq!(totals(&fixture).await, [3, 2, 1]);

    fixture
        .store
        .delete_todos(fixture.owner, &[one, two], &fixture.cx())
        .await
        .unwrap();
    assert_eq!(totals(&fixture).await, [1, 1, 0]);
    fixture
        .store
        .restore_todo(fixture.owner, two, None, &fixture.cx())
        .await
        .unwrap();
    assert_eq!(totals(&fixture).await, [2, 1, 1]);
    assert!(fixture.store.purge_todo(two, &fixture.cx()).await.unwrap());
    assert!(fixture.store.purge_todo(one, &fixture.cx()).await.unwrap());
    assert_eq!(totals(&fixture).await, [1, 1, 0]);

    fixture.consume(&users::UserDeleted::default()).await;
    assert_eq!(totals(&fixture).await, [0, 0, 0]);
    fixture.consume(&users::UserRestored::default()).await;
    assert_eq!(totals(&fixture).await, [1, 1, 0]);
    update(three, true).await;
    assert_eq!(totals(&fixture).await, [1, 0, 1]);
    fixture.consume(&users::UserPurged::default()).await;
    assert_eq!(totals(&fixture).await, [0, 0, 0]);
}

async fn count(fixture: &Fixture, sql: &'static str) -> i64 {
    match &fixture.database {
        Database::Postgres(database) => sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap(),
        Database::Sqlite(database) => sqlx::query_scalar(sql).fetch_one(database.pool()).await.unwrap(),
    }
}

#[test]
fn the_tables_of_messages_are_those_of_the_crate() {
    schema::assert_copied(&MIGRATIONS);
}
