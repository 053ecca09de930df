use std::sync::Arc;

use quartet_kernel::idempotency::Keeping;
use quartet_kernel::{Deadline, Fault, IdempotencyKey, KeptReplies as _, KeyedRequest, Scope};
use quartet_messaging::Replies;
use quartet_store::Context;
use quartet_testkit::database::Fresh;
use quartet_todos::Error;
use quartet_todos::domain::TagName;
use uuid::Uuid;

use super::Fixture;

quartet_testkit::on_both_databases!(
    the_effect_and_the_reply_are_committed_together,
    of_two_requests_with_one_key_the_second_leaves_nothing,
    several_units_of_a_request_are_one_transaction,
    a_unit_that_fails_takes_the_request_along,
    a_reply_without_an_effect_is_kept,
    replies_are_pruned,
);

impl Fixture {
    fn replies(&self) -> Replies {
        Replies::new(self.database.clone(), self.clock.clone())
    }

    fn keyed(&self, owner: Uuid) -> KeyedRequest {
        KeyedRequest {
            owner,
            key: IdempotencyKey::parse("k1").unwrap(),
            method: Arc::from("quartet.todos.v1.TodoService/CreateTodo"),
            fingerprint: [7; 32],
        }
    }

    /// Work in a new scope.
    fn scoped(&self) -> (Scope, Context) {
        let scope = Scope::default();
        let cx = Context {
            scope: Some(scope.clone()),
            ..self.cx()
        };
        (scope, cx)
    }

    async fn keep(&self, scope: &Scope, reply: &[u8]) -> Result<Keeping, Fault> {
        let deadline = Deadline::after(std::time::Duration::from_secs(10));
        let request = self.keyed(self.owner);
        self.replies().keep(&request, reply, scope, deadline).await
    }

    async fn kept(&self, owner: Uuid) -> Option<Vec<u8>> {
        let deadline = Deadline::after(std::time::Duration::from_secs(10));
        let kept = self.replies().find(&self.keyed(owner), deadline).await.unwrap()?;
        assert_eq!(kept.fingerprint, [7; 32]);
        Some(kept.reply)
    }

    async fn is_there(&self, id: Uuid) -> bool {
        let found = self.store.find_todo(self.owner, id, &self.cx()).await.unwrap();
        found.is_some()
    }
}

async fn the_effect_and_the_reply_are_committed_together(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (scope, cx) = fixture.scoped();
    let new = fixture.new_todo("Once");
    let id = new.id;
    let mut follower = fixture.store.notifier().follow(fixture.owner);
    fixture
        .store
        .insert_todos(fixture.owner, &[new], None, &cx)
        .await
        .unwrap();
    assert!(!fixture.is_there(id).await, "nothing is committed yet");
    assert_eq!(fixture.kept(fixture.owner).await, None);

    assert_eq!(fixture.keep(&scope, b"reply").await, Ok(Keeping::Committed));
    assert!(fixture.is_there(id).await);
    assert_eq!(fixture.kept(fixture.owner).await.as_deref(), Some(b"reply".as_slice()));
    assert_eq!(
        fixture.kept(fixture.clock.new_id()).await,
        None,
        "the key of somebody else"
    );
    // Who follows the feed is notified by the commit of the scope.
    follower.past(0).await;
}

async fn of_two_requests_with_one_key_the_second_leaves_nothing(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    for (title, outcome) in [("First", Keeping::Committed), ("Second", Keeping::Taken)] {
        let (scope, cx) = fixture.scoped();
        let new = fixture.new_todo(title);
        let id = new.id;
        fixture
            .store
            .insert_todos(fixture.owner, &[new], None, &cx)
            .await
            .unwrap();
        assert_eq!(fixture.keep(&scope, title.as_bytes()).await, Ok(outcome));
        assert_eq!(fixture.is_there(id).await, outcome == Keeping::Committed);
    }
    assert_eq!(fixture.kept(fixture.owner).await.as_deref(), Some(b"First".as_slice()));
}

async fn several_units_of_a_request_are_one_transaction(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let tag = fixture.insert_tag(fixture.owner, "home").await;
    let (scope, cx) = fixture.scoped();
    let new = fixture.new_todo("Once");
    let id = new.id;
    fixture
        .store
        .insert_todos(fixture.owner, &[new], None, &cx)
        .await
        .unwrap();
    let name = TagName::parse("house").unwrap();
    let renamed = fixture.store.update_tag(fixture.owner, tag, &name, &cx).await.unwrap();
    assert_eq!(renamed.unwrap().name, "house");
    scope.roll_back();
    assert!(!fixture.is_there(id).await);
    let found = fixture.store.find_tag(fixture.owner, tag, &fixture.cx()).await.unwrap();
    assert_eq!(found.unwrap().name, "home");
}

async fn a_unit_that_fails_takes_the_request_along(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (scope, cx) = fixture.scoped();
    let new = fixture.new_todo("Once");
    let id = new.id;
    fixture
        .store
        .insert_todos(fixture.owner, &[new], None, &cx)
        .await
        .unwrap();
    let missing = fixture.clock.new_id();
    let failed = fixture.store.delete_todos(fixture.owner, &[missing], &cx).await;
    assert!(matches!(failed, Err(Error::TodoNotFound { .. })));
    assert_eq!(fixture.keep(&scope, b"reply").await, Err(Fault::Internal));
    assert!(!fixture.is_there(id).await);
    assert_eq!(fixture.kept(fixture.owner).await, None);
}

async fn a_reply_without_an_effect_is_kept(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    let (scope, _) = fixture.scoped();
    assert_eq!(fixture.keep(&scope, b"").await, Ok(Keeping::Committed));
    assert_eq!(fixture.kept(fixture.owner).await.as_deref(), Some(b"".as_slice()));
}

async fn replies_are_pruned(fresh: Fresh) {
    let fixture = Fixture::new(fresh).await;
    fixture.keep(&fixture.scoped().0, b"old").await.unwrap();
    let replies = fixture.replies();
    let now = fixture.clock.now();
    assert_eq!(replies.prune_once(now).await.unwrap(), 0);
    assert_eq!(replies.prune_once(now + time::Duration::SECOND).await.unwrap(), 1);
    assert_eq!(fixture.kept(fixture.owner).await, None);
    assert_eq!(fixture.keep(&fixture.scoped().0, b"new").await, Ok(Keeping::Committed));
}
