use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::{NewTodo, Tag, TagName};
use quartet_todos::store::MIGRATIONS;

use super::Fixture;

quartet_testkit::on_both_databases!(
    a_name_is_unique_per_owner,
    names_are_compared_without_regard_to_case,
    tags_from_before_are_told_apart_by_a_number,
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
        fixture.store.insert_tag(&again, None, &fixture.cx()).await,
        Err(Error::TagNameTaken { name }) if name == "home"
    ));
}

async fn names_are_compared_without_regard_to_case(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let now = fixture.clock.now();
    let id = fixture.insert_tag(fixture.owner, "Работа").await;
    let again = Tag {
        id: fixture.clock.new_id(),
        user_id: fixture.owner,
        name: "работа".into(),
        created_at: now,
        updated_at: now,
    };
    for limit in [None, Some(1)] {
        assert!(matches!(
            fixture.store.insert_tag(&again, limit, &fixture.cx()).await,
            Err(Error::TagNameTaken { .. })
        ));
    }
    let name = TagName::parse("РАБОТА").unwrap();
    let found = fixture
        .store
        .find_tag_by_name(fixture.owner, &name, &fixture.cx())
        .await;
    assert_eq!(found.unwrap().unwrap().id, id);
    // A tag may change the case of its own name.
    let renamed = fixture.store.update_tag(fixture.owner, id, &name, &fixture.cx()).await;
    assert_eq!(renamed.unwrap().unwrap().name, "РАБОТА");
    let other = fixture.insert_tag(fixture.owner, "other").await;
    let name = TagName::parse("работа").unwrap();
    let taken = fixture
        .store
        .update_tag(fixture.owner, other, &name, &fixture.cx())
        .await;
    assert!(matches!(taken, Err(Error::TagNameTaken { .. })));
}

async fn tags_from_before_are_told_apart_by_a_number(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let long = "A name of just thirty letters.";
    let names = ["Дом", "дом", "ДОМ", "дом 2", long, &long.to_lowercase(), "other"];
    MIGRATIONS.down(&fixture.database).await.unwrap();
    let mut ids = Vec::new();
    for name in names {
        fixture.clock.advance(time::Duration::seconds(1));
        ids.push(fixture.insert_unkeyed(name).await);
    }
    MIGRATIONS.up(&fixture.database).await.unwrap();
    while fixture.store.key_names(2, &fixture.cx()).await.unwrap() > 0 {}
    let mut now = Vec::new();
    for id in ids {
        let tag = fixture.store.find_tag(fixture.owner, id, &fixture.cx()).await.unwrap();
        now.push(tag.unwrap().name);
    }
    let cut = "a name of just thirty letter 2";
    assert_eq!(now, ["Дом", "дом 3", "ДОМ 2", "дом 2 2", long, cut, "other"]);
    let name = TagName::parse("ДоМ 2").unwrap();
    let found = fixture
        .store
        .find_tag_by_name(fixture.owner, &name, &fixture.cx())
        .await;
    assert_eq!(found.unwrap().unwrap().name, "ДОМ 2");
    // Whoever follows the feed learns of the new names.
    let rows = fixture.rows().await;
    assert_eq!((rows[1], rows[2]), (7, 4));
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
