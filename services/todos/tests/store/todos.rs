use std::time::Duration;

use quartet_kernel::Deadline;
use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::{Description, Edit, NewTodo, Priority};

use super::{Kept, soon};

quartet_testkit::on_both_databases!(
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
    let kept = Kept::new(fresh).await;
    let tag = kept.insert_tag(kept.owner, "home").await;
    let new = NewTodo {
        description: Some(Description::parse("two\nlines").unwrap()),
        completed: true,
        due_at: Some(kept.clock.now() + time::Duration::microseconds(7)),
        priority: Priority::High,
        tag_ids: vec![tag],
        ..kept.new_todo("Купить молоко")
    };
    let made = kept
        .store
        .insert_todos(kept.owner, &[new], kept.clock.now(), soon())
        .await
        .unwrap();
    let found = kept
        .store
        .find_todo(kept.owner, made[0].id, soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found, made[0]);
    assert_eq!(found.tags[0].name, "home");
    assert_eq!(found.completed_at, Some(kept.clock.now()));
}

async fn another_owner_finds_nothing(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.insert(kept.new_todo("mine")).await;
    let other = kept.clock.new_id();
    let edit = Edit {
        completed: Some(true),
        ..Edit::default()
    };
    let now = kept.clock.now();
    assert!(kept.store.find_todo(other, id, soon()).await.unwrap().is_none());
    assert!(
        kept.store
            .update_todo(other, id, &edit, now, soon())
            .await
            .unwrap()
            .is_none()
    );
    assert!(matches!(
        kept.store.delete_todos(other, &[id], now, soon()).await,
        Err(Error::TodoNotFound { .. })
    ));
    assert!(
        kept.store
            .find_todo(kept.owner, id, soon())
            .await
            .unwrap()
            .unwrap()
            .completed_at
            .is_none()
    );
}

async fn an_edit_writes_its_fields_and_leaves_the_others(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let due_at = Some(kept.clock.now());
    let new = NewTodo {
        due_at,
        description: Some(Description::parse("old").unwrap()),
        ..kept.new_todo("title")
    };
    let id = kept.insert(new).await;
    let edit = Edit {
        description: Some(None),
        priority: Some(Priority::Low),
        ..Edit::default()
    };
    let todo = kept
        .store
        .update_todo(kept.owner, id, &edit, kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((todo.description, todo.priority), (None, Priority::Low));
    assert_eq!((todo.title.as_str(), todo.due_at), ("title", due_at));
}

async fn completing_twice_keeps_the_first_moment(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.insert(kept.new_todo("once")).await;
    let edit = Edit {
        completed: Some(true),
        ..Edit::default()
    };
    let first = kept
        .store
        .update_todo(kept.owner, id, &edit, kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    kept.clock.advance(time::Duration::hours(1));
    let second = kept
        .store
        .update_todo(kept.owner, id, &edit, kept.clock.now(), soon())
        .await
        .unwrap()
        .unwrap();
    assert!(first.completed_at.is_some());
    assert_eq!(second.completed_at, first.completed_at);
}

async fn a_batch_with_a_foreign_tag_makes_nothing(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let foreign = kept.insert_tag(kept.clock.new_id(), "theirs").await;
    let batch = [
        kept.new_todo("one"),
        NewTodo {
            tag_ids: vec![foreign],
            ..kept.new_todo("two")
        },
    ];
    let result = kept
        .store
        .insert_todos(kept.owner, &batch, kept.clock.now(), soon())
        .await;
    assert!(matches!(result, Err(Error::TagNotFound { id }) if id == foreign));
    assert!(
        kept.store
            .find_todo(kept.owner, batch[0].id, soon())
            .await
            .unwrap()
            .is_none()
    );
}

async fn a_batch_with_a_missing_todo_deletes_nothing(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.insert(kept.new_todo("there")).await;
    let missing = kept.clock.new_id();
    let result = kept
        .store
        .delete_todos(kept.owner, &[id, missing], kept.clock.now(), soon())
        .await;
    assert!(matches!(result, Err(Error::TodoNotFound { id }) if id == missing));
    assert!(kept.store.find_todo(kept.owner, id, soon()).await.unwrap().is_some());
}

async fn a_deleted_todo_is_gone_until_it_is_restored(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.insert(kept.new_todo("back soon")).await;
    let now = kept.clock.now();
    kept.store.delete_todos(kept.owner, &[id], now, soon()).await.unwrap();
    assert!(kept.store.find_todo(kept.owner, id, soon()).await.unwrap().is_none());
    assert!(kept.store.delete_todos(kept.owner, &[id], now, soon()).await.is_err());
    assert!(
        kept.store
            .restore_todo(kept.owner, id, now, soon())
            .await
            .unwrap()
            .unwrap()
            .deleted_at
            .is_none()
    );
    assert!(
        kept.store
            .restore_todo(kept.owner, id, now, soon())
            .await
            .unwrap()
            .is_none()
    );
    assert!(kept.store.find_todo(kept.owner, id, soon()).await.unwrap().is_some());
}

async fn purging_takes_deleted_todos_too(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let id = kept.insert(kept.new_todo("gone")).await;
    kept.store
        .delete_todos(kept.owner, &[id], kept.clock.now(), soon())
        .await
        .unwrap();
    assert!(kept.store.purge_todo(id, kept.clock.now(), soon()).await.unwrap());
    assert!(!kept.store.purge_todo(id, kept.clock.now(), soon()).await.unwrap());
}

async fn a_passed_deadline_writes_nothing(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let new = kept.new_todo("too late");
    let id = new.id;
    let passed = Deadline::after(Duration::ZERO);
    let result = kept
        .store
        .insert_todos(kept.owner, &[new], kept.clock.now(), passed)
        .await;
    assert!(
        matches!(result, Err(Error::Store(quartet_store::Error::Deadline))),
        "{result:?}"
    );
    assert!(kept.store.find_todo(kept.owner, id, soon()).await.unwrap().is_none());
}
