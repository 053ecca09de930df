use quartet_kernel::{Etag, Precondition};
use quartet_store::Context;
use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::{Edit, NewTodo, TagName, Title};

use super::Fixture;

quartet_testkit::on_both_databases!(
    a_todo_that_was_made_has_the_etag_of_the_one_that_is_read,
    a_change_of_another_version_leaves_the_todo_as_it_is,
    a_tag_is_changed_in_the_version_that_was_seen,
);

impl Fixture {
    fn given(&self, etag: Etag) -> Context {
        self.cx().given(Precondition::parse(&etag.to_string()).unwrap())
    }
}

fn titled(title: &str) -> Edit {
    Edit {
        title: Some(Title::parse(title).unwrap()),
        ..Edit::default()
    }
}

async fn a_todo_that_was_made_has_the_etag_of_the_one_that_is_read(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let owner = fixture.owner;
    let mut tag_ids = Vec::new();
    // In an order that databases do not agree on.
    for name in ["b", "A", "ä", "_"] {
        tag_ids.push(fixture.insert_tag(owner, name).await);
    }
    let new = NewTodo {
        tag_ids,
        due_at: Some(fixture.clock.now() + time::Duration::microseconds(1)),
        ..fixture.new_todo("Seen")
    };
    let made = fixture
        .store
        .insert_todos(owner, &[new], None, &fixture.cx())
        .await
        .unwrap();
    let read = fixture.store.find_todo(owner, made[0].id, &fixture.cx()).await.unwrap();
    assert_eq!(read.unwrap().etag(), made[0].etag());
}

async fn a_change_of_another_version_leaves_the_todo_as_it_is(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let owner = fixture.owner;
    let id = fixture.insert(fixture.new_todo("First")).await;
    let find = async || {
        fixture
            .store
            .find_todo(owner, id, &fixture.cx())
            .await
            .unwrap()
            .unwrap()
    };
    let seen = find().await.etag();
    fixture.clock.advance(time::Duration::SECOND);
    let cx = fixture.given(seen);
    let second = fixture
        .store
        .update_todo(owner, id, &titled("Second"), &cx)
        .await
        .unwrap();
    let third = fixture.store.update_todo(owner, id, &titled("Third"), &cx).await;
    assert!(matches!(third, Err(Error::EtagMismatch(_))));
    let deleted = fixture.store.delete_todos(owner, &[id], &cx).await;
    assert!(matches!(deleted, Err(Error::EtagMismatch(_))));
    assert_eq!(find().await, second.unwrap());
    // Somebody else finds nothing to compare.
    let stranger = fixture.clock.new_id();
    let none = fixture.store.update_todo(stranger, id, &titled("Mine"), &cx).await;
    assert!(none.unwrap().is_none());
    let cx = fixture.given(find().await.etag());
    fixture.store.delete_todos(owner, &[id], &cx).await.unwrap();
    let restored = fixture.store.restore_todo(owner, id, None, &cx).await;
    assert!(
        matches!(restored, Err(Error::EtagMismatch(_))),
        "its deletion has changed it"
    );
}

async fn a_tag_is_changed_in_the_version_that_was_seen(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let owner = fixture.owner;
    let id = fixture.insert_tag(owner, "home").await;
    let seen = fixture.store.find_tag(owner, id, &fixture.cx()).await.unwrap().unwrap();
    let cx = fixture.given(seen.etag());
    let name = TagName::parse("house").unwrap();
    let renamed = fixture.store.update_tag(owner, id, &name, &cx).await.unwrap().unwrap();
    let again = fixture.store.update_tag(owner, id, &name, &cx).await;
    assert!(matches!(again, Err(Error::EtagMismatch(_))));
    let deleted = fixture.store.delete_tag(owner, id, &cx).await;
    assert!(matches!(deleted, Err(Error::EtagMismatch(_))));
    let cx = fixture.given(renamed.etag());
    assert!(fixture.store.delete_tag(owner, id, &cx).await.unwrap());
}
