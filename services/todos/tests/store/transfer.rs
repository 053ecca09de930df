use quartet_proto::users::v1 as users;
use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::{DueKey, Filter, ImportedTodo, Limits, NewTodo, Order, TagName, imported_id};
use time::Duration;

use super::Fixture;

quartet_testkit::on_both_databases!(
    a_row_that_is_imported_twice_is_one_todo,
    names_of_tags_that_differ_by_case_are_one_tag,
    an_import_makes_the_tags_that_are_missing,
    nothing_is_imported_for_somebody_who_is_deleted,
    an_import_and_a_deletion_at_once_leave_no_todo_behind,
    todos_that_are_due_come_page_by_page_whoever_owns_them,
    only_what_was_deleted_long_ago_is_purged,
);

fn row(fixture: &Fixture, line: u32, title: &str, tags: &[&str]) -> ImportedTodo {
    let import = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
    ImportedTodo {
        todo: NewTodo {
            id: imported_id(import, line),
            ..fixture.new_todo(title)
        },
        tags: tags.iter().map(|tag| TagName::parse(tag).unwrap()).collect(),
    }
}

async fn import(fixture: &Fixture, rows: &[ImportedTodo]) {
    fixture
        .store
        .import_todos(fixture.owner, rows, Limits::default(), &fixture.cx())
        .await
        .unwrap();
}

async fn titles(fixture: &Fixture) -> Vec<(String, Vec<String>)> {
    let page = Page {
        size: 100,
        start: Start::Number(1),
    };
    let order = Order::parse("title").unwrap();
    let rows = fixture
        .store
        .list_todos(fixture.owner, &Filter::default(), order, &page, &fixture.cx())
        .await
        .unwrap()
        .rows;
    let names = |todo: &quartet_todos::domain::Todo| todo.tags.iter().map(|tag| tag.name.clone()).collect();
    rows.iter().map(|todo| (todo.title.clone(), names(todo))).collect()
}

async fn names_of_tags_that_differ_by_case_are_one_tag(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    fixture.insert_tag(fixture.owner, "Home").await;
    let rows = [
        row(&fixture, 1, "one", &["home", "Work"]),
        row(&fixture, 2, "two", &["HOME", "WORK", "work"]),
    ];
    import(&fixture, &rows).await;
    let tags = vec!["Home".to_owned(), "Work".to_owned()];
    assert_eq!(
        titles(&fixture).await,
        [("one".into(), tags.clone()), ("two".into(), tags)]
    );
}

async fn a_row_that_is_imported_twice_is_one_todo(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    import(&fixture, &[row(&fixture, 1, "one", &["home"])]).await;
    // A crash between two batches sends the first one again.
    import(
        &fixture,
        &[row(&fixture, 1, "one", &["home"]), row(&fixture, 2, "two", &[])],
    )
    .await;
    assert_eq!(
        titles(&fixture).await,
        [("one".into(), vec!["home".into()]), ("two".into(), vec![])]
    );
}

async fn tag_named(fixture: &Fixture, name: &str) -> Option<uuid::Uuid> {
    let page = Page {
        size: 100,
        start: Start::Number(1),
    };
    let tags = fixture
        .store
        .list_tags(fixture.owner, &page, &fixture.cx())
        .await
        .unwrap();
    tags.rows.into_iter().find(|tag| tag.name == name).map(|tag| tag.id)
}

async fn an_import_makes_the_tags_that_are_missing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let home = fixture.insert_tag(fixture.owner, "home").await;
    import(&fixture, &[row(&fixture, 1, "one", &["home", "new", "home"])]).await;
    assert_eq!(
        titles(&fixture).await,
        [("one".into(), vec!["home".into(), "new".into()])]
    );
    assert_eq!(tag_named(&fixture, "home").await, Some(home));
}

async fn nothing_is_imported_for_somebody_who_is_deleted(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    import(&fixture, &[row(&fixture, 1, "one", &[])]).await;
    fixture.consume(&users::UserDeleted::default()).await;
    let rows = [row(&fixture, 2, "two", &["late"])];
    let imported = fixture
        .store
        .import_todos(fixture.owner, &rows, Limits::default(), &fixture.cx())
        .await;
    assert!(matches!(imported, Err(Error::OwnerDeleted { id }) if id == fixture.owner));
    assert_eq!(titles(&fixture).await, []);
    let tag = tag_named(&fixture, "late").await;
    assert!(tag.is_none(), "all or nothing");
}

async fn an_import_and_a_deletion_at_once_leave_no_todo_behind(fresh: Fresh) {
    let mut fixture = Fixture::new(fresh).await;
    for turn in 0..40 {
        fixture.owner = fixture.clock.new_id();
        let rows = [ImportedTodo {
            todo: fixture.new_todo("late"),
            tags: Vec::new(),
        }];
        let pause = std::time::Duration::from_millis(turn % 3);
        let cx = fixture.cx();
        let import = fixture.store.import_todos(fixture.owner, &rows, Limits::default(), &cx);
        // At once, or the deletion a moment later.
        let deletion = async {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            fixture.consume(&users::UserDeleted::default()).await;
        };
        let (_, ()) = futures::join!(import, deletion);
        assert_eq!(titles(&fixture).await, [], "turn {turn}");
    }
}

async fn todos_that_are_due_come_page_by_page_whoever_owns_them(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let now = fixture.clock.now();
    let at = |minutes| Some(now + Duration::minutes(minutes));
    let mut due = Vec::new();
    for (title, due_at, completed) in [
        ("now", at(0), false),
        ("first", at(1), false),
        ("done", at(1), true),
        ("second", at(1), false),
        ("third", at(59), false),
        ("too late", at(60), false),
        ("never", None, false),
    ] {
        due.push(
            fixture
                .insert(NewTodo {
                    due_at,
                    completed,
                    ..fixture.new_todo(title)
                })
                .await,
        );
    }
    let other = fixture.clock.new_id();
    let foreign = NewTodo {
        due_at: at(30),
        ..fixture.new_todo("foreign")
    };
    fixture
        .store
        .insert_todos(other, &[foreign], None, &fixture.cx().at(now))
        .await
        .unwrap();

    let mut page: Page<DueKey> = Page {
        size: 2,
        start: Start::Number(1),
    };
    let mut seen = Vec::new();
    loop {
        let rows = fixture
            .store
            .list_due(now, now + Duration::HOUR, &page, &fixture.cx())
            .await
            .unwrap();
        seen.extend(rows.rows.iter().map(|todo| (todo.title.clone(), todo.user_id)));
        let Some(last) = rows.rows.last().filter(|_| rows.has_more) else {
            break;
        };
        let key = DueKey {
            due_at: quartet_store::Timestamp(last.due_at).micros(),
            id: last.id,
        };
        page.start = Start::After {
            key,
            total: 0,
            total_is_exact: true,
        };
    }
    let expected = [
        ("first", fixture.owner),
        ("second", fixture.owner),
        ("foreign", other),
        ("third", fixture.owner),
    ];
    assert_eq!(seen, expected.map(|(title, owner)| (title.to_owned(), owner)));
}

async fn only_what_was_deleted_long_ago_is_purged(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let mut ids = Vec::new();
    for title in ["old", "older", "new", "fixture"] {
        ids.push(fixture.insert(fixture.new_todo(title)).await);
    }
    let now = fixture.clock.now();
    let day = Duration::DAY;
    fixture
        .store
        .delete_todos(fixture.owner, &ids[..2], &fixture.cx().at(now - day))
        .await
        .unwrap();
    fixture
        .store
        .delete_todos(fixture.owner, &ids[2..3], &fixture.cx().at(now))
        .await
        .unwrap();
    let purge = async || {
        fixture
            .store
            .purge_deleted(now - day / 2, 1, &fixture.cx().at(now))
            .await
            .unwrap()
    };
    assert_eq!((purge().await, purge().await, purge().await), (1, 1, 0));
    assert!(
        fixture
            .store
            .restore_todo(fixture.owner, ids[0], None, &fixture.cx().at(now))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        fixture
            .store
            .restore_todo(fixture.owner, ids[2], None, &fixture.cx().at(now))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        fixture
            .store
            .find_todo(fixture.owner, ids[3], &fixture.cx())
            .await
            .unwrap()
            .is_some()
    );
}
