use quartet_store::page::{Page, Start};
use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::{DueKey, Filter, ImportedTodo, NewTodo, Order, TagName, imported_id};
use quartet_todos::store::UserNews;
use time::Duration;

use super::{Kept, soon};

quartet_testkit::on_both_databases!(
    a_row_that_is_imported_twice_is_one_todo,
    an_import_makes_the_tags_that_are_missing,
    nothing_is_imported_for_somebody_who_has_departed,
    an_import_and_a_departure_at_once_leave_no_todo_behind,
    todos_that_are_due_come_page_by_page_whoever_owns_them,
    only_what_was_deleted_long_ago_is_purged,
);

fn row(kept: &Kept, line: u32, title: &str, tags: &[&str]) -> ImportedTodo {
    let import = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
    ImportedTodo {
        todo: NewTodo {
            id: imported_id(import, line),
            ..kept.new_todo(title)
        },
        tags: tags.iter().map(|tag| TagName::parse(tag).unwrap()).collect(),
    }
}

async fn import(kept: &Kept, rows: &[ImportedTodo]) {
    let ids = || kept.clock.new_id();
    kept.store
        .import_todos(kept.owner, rows, &ids, kept.clock.now(), soon())
        .await
        .unwrap();
}

async fn titles(kept: &Kept) -> Vec<(String, Vec<String>)> {
    let page = Page {
        size: 100,
        start: Start::Number(1),
    };
    let order = Order::parse("title").unwrap();
    let rows = kept
        .store
        .list_todos(kept.owner, &Filter::default(), order, &page, soon())
        .await
        .unwrap()
        .rows;
    let names = |todo: &quartet_todos::domain::Todo| todo.tags.iter().map(|tag| tag.name.clone()).collect();
    rows.iter().map(|todo| (todo.title.clone(), names(todo))).collect()
}

async fn a_row_that_is_imported_twice_is_one_todo(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    import(&kept, &[row(&kept, 1, "one", &["home"])]).await;
    // A crash between two batches sends the first one again.
    import(&kept, &[row(&kept, 1, "one", &["home"]), row(&kept, 2, "two", &[])]).await;
    assert_eq!(
        titles(&kept).await,
        [("one".into(), vec!["home".into()]), ("two".into(), vec![])]
    );
}

async fn an_import_makes_the_tags_that_are_missing(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let home = kept.insert_tag(kept.owner, "home").await;
    import(&kept, &[row(&kept, 1, "one", &["home", "new", "home"])]).await;
    assert_eq!(titles(&kept).await, [("one".into(), vec!["home".into(), "new".into()])]);
    let name = TagName::parse("home").unwrap();
    assert_eq!(
        kept.store
            .find_tag_by_name(kept.owner, &name, soon())
            .await
            .unwrap()
            .unwrap()
            .id,
        home
    );
}

/// The owner is deleted.
async fn depart(kept: &Kept) {
    let news = UserNews {
        message_id: kept.clock.new_id(),
        user_id: kept.owner,
        at: kept.clock.now(),
    };
    kept.store.user_deleted(news, kept.clock.now(), soon()).await.unwrap();
}

async fn nothing_is_imported_for_somebody_who_has_departed(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    import(&kept, &[row(&kept, 1, "one", &[])]).await;
    depart(&kept).await;
    let ids = || kept.clock.new_id();
    let rows = [row(&kept, 2, "two", &["late"])];
    let imported = kept
        .store
        .import_todos(kept.owner, &rows, &ids, kept.clock.now(), soon())
        .await;
    assert!(matches!(imported, Err(Error::OwnerDeparted { id }) if id == kept.owner));
    assert_eq!(titles(&kept).await, []);
    let late = TagName::parse("late").unwrap();
    let tag = kept.store.find_tag_by_name(kept.owner, &late, soon()).await.unwrap();
    assert!(tag.is_none(), "all or nothing");
}

async fn an_import_and_a_departure_at_once_leave_no_todo_behind(fresh: Fresh) {
    let mut kept = Kept::new(fresh).await;
    for turn in 0..40 {
        kept.owner = kept.clock.new_id();
        let rows = [ImportedTodo {
            todo: kept.new_todo("late"),
            tags: Vec::new(),
        }];
        let ids = || kept.clock.new_id();
        let (now, pause) = (kept.clock.now(), std::time::Duration::from_millis(turn % 3));
        let import = kept.store.import_todos(kept.owner, &rows, &ids, now, soon());
        // At once, or the departure a moment later.
        let departure = async {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            depart(&kept).await;
        };
        let (_, ()) = futures::join!(import, departure);
        assert_eq!(titles(&kept).await, [], "turn {turn}");
    }
}

async fn todos_that_are_due_come_page_by_page_whoever_owns_them(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let now = kept.clock.now();
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
            kept.insert(NewTodo {
                due_at,
                completed,
                ..kept.new_todo(title)
            })
            .await,
        );
    }
    let other = kept.clock.new_id();
    let foreign = NewTodo {
        due_at: at(30),
        ..kept.new_todo("foreign")
    };
    kept.store.insert_todos(other, &[foreign], now, soon()).await.unwrap();

    let mut page: Page<DueKey> = Page {
        size: 2,
        start: Start::Number(1),
    };
    let mut seen = Vec::new();
    loop {
        let rows = kept
            .store
            .list_due(now, now + Duration::HOUR, &page, soon())
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
        page.start = Start::After { key, total: 0 };
    }
    let expected = [
        ("first", kept.owner),
        ("second", kept.owner),
        ("foreign", other),
        ("third", kept.owner),
    ];
    assert_eq!(seen, expected.map(|(title, owner)| (title.to_owned(), owner)));
}

async fn only_what_was_deleted_long_ago_is_purged(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let mut ids = Vec::new();
    for title in ["old", "older", "new", "kept"] {
        ids.push(kept.insert(kept.new_todo(title)).await);
    }
    let now = kept.clock.now();
    let day = Duration::DAY;
    kept.store
        .delete_todos(kept.owner, &ids[..2], now - day, soon())
        .await
        .unwrap();
    kept.store
        .delete_todos(kept.owner, &ids[2..3], now, soon())
        .await
        .unwrap();
    let purge = async || kept.store.purge_deleted(now - day / 2, 1, now, soon()).await.unwrap();
    assert_eq!((purge().await, purge().await, purge().await), (1, 1, 0));
    assert!(
        kept.store
            .restore_todo(kept.owner, ids[0], now, soon())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        kept.store
            .restore_todo(kept.owner, ids[2], now, soon())
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        kept.store
            .find_todo(kept.owner, ids[3], soon())
            .await
            .unwrap()
            .is_some()
    );
}
