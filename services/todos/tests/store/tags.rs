use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::{NewTodo, Tag, TagName};

use super::Fixture;

quartet_testkit::on_both_databases!(
    a_name_is_unique_per_owner,
    renaming_to_a_taken_name_is_refused,
    deleting_a_tag_takes_it_off_todos,
    tags_page_by_name,
);

async fn a_name_is_unique_per_owner(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    fixture.insert_tag(fixture.owner, "home").await;
    fixture.insert_tag(fixture.clock.new_id(), "home").await;
    let now = fixture.clock.now();
    let again = Tag {
        id: fixture.clock.new_id(),
        user_id: fixture.owner,
        name: "home".into(),
        created_at: now,
        updated_at: now,
    };
    assert!(matches!(
        fixture.store.insert_tag(&again, &fixture.cx()).await,
        Err(Error::TagNameTaken { name }) if name == "home"
    ));
}

async fn renaming_to_a_taken_name_is_refused(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    fixture.insert_tag(fixture.owner, "home").await;
    let work = fixture.insert_tag(fixture.owner, "work").await;
    let name = TagName::parse("home").unwrap();
    let result = fixture
        .store
        .update_tag(fixture.owner, work, &name, &fixture.cx())
        .await;
    assert!(matches!(result, Err(Error::TagNameTaken { .. })));
    assert_eq!(
        fixture
            .store
            .find_tag(fixture.owner, work, &fixture.cx())
            .await
            .unwrap()
            .unwrap()
            .name,
        "work"
    );
}

async fn deleting_a_tag_takes_it_off_todos(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let tag = fixture.insert_tag(fixture.owner, "home").await;
    let todo = fixture
        .insert(NewTodo {
            tag_ids: vec![tag],
            ..fixture.new_todo("tagged")
        })
        .await;
    assert!(
        !fixture
            .store
            .delete_tag(fixture.clock.new_id(), tag, &fixture.cx())
            .await
            .unwrap()
    );
    assert!(
        fixture
            .store
            .delete_tag(fixture.owner, tag, &fixture.cx())
            .await
            .unwrap()
    );
    assert!(
        fixture
            .store
            .find_todo(fixture.owner, todo, &fixture.cx())
            .await
            .unwrap()
            .unwrap()
            .tags
            .is_empty()
    );
}

async fn tags_page_by_name(fresh: Fresh) {
    use quartet_store::page::{Page, Start};
    let fixture = Fixture::new(fresh).await;
    for name in ["c", "a", "b"] {
        fixture.insert_tag(fixture.owner, name).await;
    }
    let first = Page {
        size: 2,
        start: Start::Number(1),
    };
    let rows = fixture
        .store
        .list_tags(fixture.owner, &first, &fixture.cx())
        .await
        .unwrap();
    assert_eq!((rows.rows[0].name.as_str(), rows.total, rows.has_more), ("a", 3, true));
    let second = Page {
        size: 2,
        start: Start::After {
            key: rows.rows[1].name.clone(),
            total: rows.total,
            total_is_exact: true,
        },
    };
    let rows = fixture
        .store
        .list_tags(fixture.owner, &second, &fixture.cx())
        .await
        .unwrap();
    assert_eq!(
        (rows.rows[0].name.as_str(), rows.rows.len(), rows.has_more),
        ("c", 1, false)
    );
}
