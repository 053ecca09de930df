use std::time::Duration;

use quartet_kernel::Deadline;
use quartet_store::Context;
use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::{Description, Edit, NewTodo, Priority, Subject, Title};
use uuid::Uuid;

use super::Fixture;

quartet_testkit::on_both_databases!(
    edits_at_once_leave_the_tags_of_the_last_one,
    a_todo_is_read_back_as_it_was_written,
    another_owner_finds_nothing,
    an_edit_writes_its_fields_and_leaves_the_others,
    completing_twice_keeps_the_first_moment,
    a_batch_with_a_foreign_tag_makes_nothing,
    a_batch_with_a_missing_todo_deletes_nothing,
    a_deleted_todo_is_gone_until_it_is_restored,
    purging_takes_deleted_todos_too,
    a_passed_deadline_writes_nothing,
);

async fn a_todo_is_read_back_as_it_was_written(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let tag = fixture.insert_tag(fixture.owner, "home").await;
    let new = NewTodo {
        description: Some(Description::parse("two\nlines").unwrap()),
        completed: true,
        due_at: Some(fixture.clock.now() + time::Duration::microseconds(7)),
        priority: Priority::High,
        tag_ids: vec![tag],
        ..fixture.new_todo("Купить молоко")
    };
    let made = fixture
        .store
        .insert_todos(fixture.owner, &[new], None, &fixture.cx())
        .await
        .unwrap();
    let found = fixture
        .store
        .find_todo(fixture.owner, made[0].id, &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found, made[0]);
    assert_eq!(found.tags[0].name, "home");
    assert_eq!(found.completed_at, Some(fixture.clock.now()));
}

async fn another_owner_finds_nothing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.insert(fixture.new_todo("mine")).await;
    let other = fixture.clock.new_id();
    let edit = Edit {
        completed: Some(true),
        ..Edit::default()
    };
    let now = fixture.clock.now();
    assert!(
        fixture
            .store
            .find_todo(other, id, &fixture.cx())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        fixture
            .store
            .update_todo(other, id, &edit, &fixture.cx().at(now))
            .await
            .unwrap()
            .is_none()
    );
    assert!(matches!(
        fixture.store.delete_todos(other, &[id], &fixture.cx().at(now)).await,
        Err(Error::TodoNotFound { .. })
    ));
    assert!(
        fixture
            .store
            .find_todo(fixture.owner, id, &fixture.cx())
            .await
            .unwrap()
            .unwrap()
            .completed_at
            .is_none()
    );
}

async fn an_edit_writes_its_fields_and_leaves_the_others(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let due_at = Some(fixture.clock.now());
    let new = NewTodo {
        due_at,
        description: Some(Description::parse("old").unwrap()),
        ..fixture.new_todo("title")
    };
    let id = fixture.insert(new).await;
    let edit = Edit {
        description: Some(None),
        priority: Some(Priority::Low),
        ..Edit::default()
    };
    let todo = fixture
        .store
        .update_todo(fixture.owner, id, &edit, &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((todo.description, todo.priority), (None, Priority::Low));
    assert_eq!((todo.title.as_str(), todo.due_at), ("title", due_at));
}

async fn completing_twice_keeps_the_first_moment(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.insert(fixture.new_todo("once")).await;
    let edit = Edit {
        completed: Some(true),
        ..Edit::default()
    };
    let first = fixture
        .store
        .update_todo(fixture.owner, id, &edit, &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    fixture.clock.advance(time::Duration::hours(1));
    let second = fixture
        .store
        .update_todo(fixture.owner, id, &edit, &fixture.cx())
        .await
        .unwrap()
        .unwrap();
    assert!(first.completed_at.is_some());
    assert_eq!(second.completed_at, first.completed_at);
}

async fn a_batch_with_a_foreign_tag_makes_nothing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let foreign = fixture.insert_tag(fixture.clock.new_id(), "theirs").await;
    let batch = [
        fixture.new_todo("one"),
        NewTodo {
            tag_ids: vec![foreign],
            ..fixture.new_todo("two")
        },
    ];
    let result = fixture
        .store
        .insert_todos(fixture.owner, &batch, None, &fixture.cx())
        .await;
    assert!(matches!(result, Err(Error::TagNotFound { id }) if id == foreign));
    assert!(
        fixture
            .store
            .find_todo(fixture.owner, batch[0].id, &fixture.cx())
            .await
            .unwrap()
            .is_none()
    );
}

async fn a_batch_with_a_missing_todo_deletes_nothing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.insert(fixture.new_todo("there")).await;
    let missing = fixture.clock.new_id();
    let result = fixture
        .store
        .delete_todos(fixture.owner, &[id, missing], &fixture.cx())
        .await;
    assert!(matches!(result, Err(Error::TodoNotFound { id }) if id == missing));
    assert!(
        fixture
            .store
            .find_todo(fixture.owner, id, &fixture.cx())
            .await
            .unwrap()
            .is_some()
    );
}

async fn a_deleted_todo_is_gone_until_it_is_restored(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.insert(fixture.new_todo("back soon")).await;
    let now = fixture.clock.now();
    fixture
        .store
        .delete_todos(fixture.owner, &[id], &fixture.cx().at(now))
        .await
        .unwrap();
    assert!(
        fixture
            .store
            .find_todo(fixture.owner, id, &fixture.cx())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        fixture
            .store
            .delete_todos(fixture.owner, &[id], &fixture.cx().at(now))
            .await
            .is_err()
    );
    assert!(
        fixture
            .store
            .restore_todo(fixture.owner, id, None, &fixture.cx().at(now))
            .await
            .unwrap()
            .unwrap()
            .deleted_at
            .is_none()
    );
    assert!(
        fixture
            .store
            .restore_todo(fixture.owner, id, None, &fixture.cx().at(now))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        fixture
            .store
            .find_todo(fixture.owner, id, &fixture.cx())
            .await
            .unwrap()
            .is_some()
    );
}

async fn purging_takes_deleted_todos_too(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let id = fixture.insert(fixture.new_todo("gone")).await;
    fixture
        .store
        .delete_todos(fixture.owner, &[id], &fixture.cx())
        .await
        .unwrap();
    assert!(fixture.store.purge_todo(id, &fixture.cx()).await.unwrap());
    assert!(!fixture.store.purge_todo(id, &fixture.cx()).await.unwrap());
}

async fn a_passed_deadline_writes_nothing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let new = fixture.new_todo("too late");
    let id = new.id;
    let late = Context {
        deadline: Deadline::after(Duration::ZERO),
        ..fixture.cx()
    };
    let result = fixture.store.insert_todos(fixture.owner, &[new], None, &late).await;
    assert!(
        matches!(result, Err(Error::Store(quartet_store::Error::Deadline))),
        "{result:?}"
    );
    assert!(
        fixture
            .store
            .find_todo(fixture.owner, id, &fixture.cx())
            .await
            .unwrap()
            .is_none()
    );
}

/// The feed says in which order the edits took effect; the last one decides which tags are on the todo.
async fn edits_at_once_leave_the_tags_of_the_last_one(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (a, b) = (
        fixture.insert_tag(fixture.owner, "a").await,
        fixture.insert_tag(fixture.owner, "b").await,
    );
    let tagged = |tag_ids: &[Uuid]| Edit {
        tag_ids: Some(tag_ids.to_vec()),
        ..Edit::default()
    };
    for _ in 0..30 {
        let id = fixture.insert(fixture.new_todo("tagged")).await;
        let cx = fixture.cx();
        let (one, other, title) = (
            tagged(&[a]),
            tagged(&[b]),
            Edit {
                title: Some(Title::parse("renamed").unwrap()),
                ..Edit::default()
            },
        );
        let edits = futures::join!(
            fixture.store.update_todo(fixture.owner, id, &one, &cx),
            fixture.store.update_todo(fixture.owner, id, &other, &cx),
            fixture.store.update_todo(fixture.owner, id, &title, &cx),
        );
        for edit in [edits.0, edits.1, edits.2] {
            edit.unwrap();
        }
        let stored = fixture.store.find_todo(fixture.owner, id, &cx).await.unwrap().unwrap();
        assert_eq!(stored.tags.len(), 1, "{:?}", stored.tags);
        let feed = fixture.store.read_feed(fixture.owner, 0, 1_000, &cx).await.unwrap();
        let last = feed
            .changes
            .iter()
            .rfind(|change| change.change.subject_id == id)
            .unwrap();
        let Subject::Todo(todo) = &last.change.subject else {
            panic!("{last:?}");
        };
        assert_eq!(todo.tags, stored.tags);
    }
}
