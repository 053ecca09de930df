use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::{ImportedTodo, Limits, NewTodo, Tag, TagName};
use uuid::Uuid;

use super::Fixture;

quartet_testkit::on_both_databases!(
    an_owner_has_so_many_todos,
    of_many_creations_at_once_as_many_succeed_as_there_is_room_for,
    a_refused_creation_leaves_nothing,
    a_todo_with_tags_counts_like_others,
    a_restored_todo_counts,
    an_import_is_refused_as_a_whole,
    an_owner_has_so_many_tags,
);

fn is_refused<T>(result: &Result<T, Error>, of: &str, most: i64) -> bool {
    matches!(result, Err(Error::QuotaExceeded { quota, limit }) if *quota == of && *limit == most)
}

impl Fixture {
    async fn insert_up_to(&self, limit: i64, todos: &[NewTodo]) -> Result<Vec<Uuid>, Error> {
        let made = self
            .store
            .insert_todos(self.owner, todos, Some(limit), &self.cx())
            .await?;
        Ok(made.into_iter().map(|todo| todo.id).collect())
    }
}

async fn an_owner_has_so_many_todos(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let one = || [fixture.new_todo("one")];
    let first = fixture.insert_up_to(2, &one()).await.unwrap()[0];
    fixture.insert_up_to(2, &one()).await.unwrap();
    assert!(is_refused(&fixture.insert_up_to(2, &one()).await, "todos", 2));
    let batch = [fixture.new_todo("two"), fixture.new_todo("three")];
    assert!(is_refused(&fixture.insert_up_to(3, &batch).await, "todos", 3));
    // A deleted one does not count, and neither do another owner's.
    fixture
        .store
        .delete_todos(fixture.owner, &[first], &fixture.cx())
        .await
        .unwrap();
    fixture.insert_up_to(2, &one()).await.unwrap();
    let other = fixture.clock.new_id();
    fixture
        .store
        .insert_todos(other, &one(), Some(1), &fixture.cx())
        .await
        .unwrap();
    assert!(is_refused(
        &fixture
            .store
            .insert_todos(fixture.clock.new_id(), &one(), Some(0), &fixture.cx())
            .await,
        "todos",
        0
    ));
}

async fn of_many_creations_at_once_as_many_succeed_as_there_is_room_for(fresh: Fresh) {
    let fixture = std::sync::Arc::new(Fixture::new(fresh).await);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let fixture = fixture.clone();
            tokio::spawn(async move { fixture.insert_up_to(5, &[fixture.new_todo("one")]).await })
        })
        .collect();
    let (mut made, mut refused) = (0, 0);
    for task in tasks {
        let result = task.await.unwrap();
        refused += i32::from(is_refused(&result, "todos", 5));
        made += i32::from(result.is_ok());
    }
    assert_eq!((made, refused), (5, 15));
}

async fn a_refused_creation_leaves_nothing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    fixture.insert_up_to(1, &[fixture.new_todo("one")]).await.unwrap();
    let written = async || fixture.rows().await;
    let before = written().await;
    let refused = fixture.insert_up_to(1, &[fixture.new_todo("two")]).await;
    assert!(is_refused(&refused, "todos", 1));
    assert_eq!(written().await, before);
}

async fn a_todo_with_tags_counts_like_others(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let tag = fixture.insert_tag(fixture.owner, "home").await;
    let tagged = || NewTodo {
        tag_ids: vec![tag],
        ..fixture.new_todo("one")
    };
    fixture.insert_up_to(1, &[tagged()]).await.unwrap();
    assert!(is_refused(&fixture.insert_up_to(1, &[tagged()]).await, "todos", 1));
}

async fn a_restored_todo_counts(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let first = fixture.insert_up_to(1, &[fixture.new_todo("one")]).await.unwrap()[0];
    fixture
        .store
        .delete_todos(fixture.owner, &[first], &fixture.cx())
        .await
        .unwrap();
    let second = fixture.insert_up_to(1, &[fixture.new_todo("two")]).await.unwrap()[0];
    let restore = async || {
        fixture
            .store
            .restore_todo(fixture.owner, first, Some(1), &fixture.cx())
            .await
    };
    assert!(is_refused(&restore().await, "todos", 1));
    let found = fixture
        .store
        .find_todo(fixture.owner, first, &fixture.cx())
        .await
        .unwrap();
    assert_eq!(found, None, "it stays deleted");
    fixture
        .store
        .delete_todos(fixture.owner, &[second], &fixture.cx())
        .await
        .unwrap();
    assert!(restore().await.unwrap().is_some());
}

async fn an_import_is_refused_as_a_whole(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let row = |title: &str, tag: &str| ImportedTodo {
        todo: fixture.new_todo(title),
        tags: vec![TagName::parse(tag).unwrap()],
    };
    let rows = [row("one", "home"), row("two", "work")];
    let before = fixture.rows().await;
    let import = async |todos, tags| {
        let limits = Limits {
            todos: Some(todos),
            tags: Some(tags),
        };
        fixture
            .store
            .import_todos(fixture.owner, &rows, limits, &fixture.cx())
            .await
    };
    assert!(is_refused(&import(1, 2).await, "todos", 1));
    assert!(is_refused(&import(2, 1).await, "tags", 1));
    assert_eq!(fixture.rows().await, before);
    import(2, 2).await.unwrap();
    // Rows that are there already take no more room.
    import(2, 2).await.unwrap();
}

async fn an_owner_has_so_many_tags(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let insert = async |name: &str, limit| {
        let tag = Tag {
            id: fixture.clock.new_id(),
            user_id: fixture.owner,
            name: name.into(),
            created_at: fixture.clock.now(),
            updated_at: fixture.clock.now(),
        };
        fixture.store.insert_tag(&tag, Some(limit), &fixture.cx()).await
    };
    insert("home", 1).await.unwrap();
    assert!(is_refused(&insert("work", 1).await, "tags", 1));
    let taken = insert("home", 1).await;
    assert!(matches!(taken, Err(Error::TagNameTaken { .. })), "{taken:?}");
    insert("work", 2).await.unwrap();
}
