use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::{NewTodo, Tag, TagName};

use super::{Kept, soon};

quartet_testkit::on_both_databases!(
    a_name_is_unique_per_owner,
    renaming_to_a_taken_name_is_refused,
    deleting_a_tag_takes_it_off_todos,
    tags_page_by_name,
);

async fn a_name_is_unique_per_owner(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    kept.insert_tag(kept.owner, "home").await;
    kept.insert_tag(kept.clock.new_id(), "home").await;
    let now = kept.clock.now();
    let again = Tag {
        id: kept.clock.new_id(),
        user_id: kept.owner,
        name: "home".into(),
        created_at: now,
        updated_at: now,
    };
    assert!(matches!(kept.store.insert_tag(&again, soon()).await, Err(Error::TagNameTaken { name }) if name == "home"));
}

async fn renaming_to_a_taken_name_is_refused(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    kept.insert_tag(kept.owner, "home").await;
    let work = kept.insert_tag(kept.owner, "work").await;
    let name = TagName::parse("home").unwrap();
    let result = kept
        .store
        .update_tag(kept.owner, work, &name, kept.clock.now(), soon())
        .await;
    assert!(matches!(result, Err(Error::TagNameTaken { .. })));
    assert_eq!(
        kept.store
            .find_tag(kept.owner, work, soon())
            .await
            .unwrap()
            .unwrap()
            .name,
        "work"
    );
}

async fn deleting_a_tag_takes_it_off_todos(fresh: Fresh) {
    let kept = Kept::new(fresh).await;
    let tag = kept.insert_tag(kept.owner, "home").await;
    let todo = kept
        .insert(NewTodo {
            tag_ids: vec![tag],
            ..kept.new_todo("tagged")
        })
        .await;
    assert!(
        !kept
            .store
            .delete_tag(kept.clock.new_id(), tag, kept.clock.now(), soon())
            .await
            .unwrap()
    );
    assert!(
        kept.store
            .delete_tag(kept.owner, tag, kept.clock.now(), soon())
            .await
            .unwrap()
    );
    assert!(
        kept.store
            .find_todo(kept.owner, todo, soon())
            .await
            .unwrap()
            .unwrap()
            .tags
            .is_empty()
    );
}

async fn tags_page_by_name(fresh: Fresh) {
    use quartet_store::page::{Page, Start};
    let kept = Kept::new(fresh).await;
    for name in ["c", "a", "b"] {
        kept.insert_tag(kept.owner, name).await;
    }
    let first = Page {
        size: 2,
        start: Start::Number(1),
    };
    let rows = kept.store.list_tags(kept.owner, &first, soon()).await.unwrap();
    assert_eq!((rows.rows[0].name.as_str(), rows.total, rows.has_more), ("a", 3, true));
    let second = Page {
        size: 2,
        start: Start::After {
            key: rows.rows[1].name.clone(),
            total: rows.total,
        },
    };
    let rows = kept.store.list_tags(kept.owner, &second, soon()).await.unwrap();
    assert_eq!(
        (rows.rows[0].name.as_str(), rows.rows.len(), rows.has_more),
        ("c", 1, false)
    );
}
