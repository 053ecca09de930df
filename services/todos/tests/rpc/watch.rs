//! WatchTodos as a client meets it.

use std::time::Duration;

use pb::todo_change::Kind;
use quartet_testkit::database::Fresh;
use tonic::Streaming;

use super::*;

quartet_testkit::on_both_databases!(
    the_changes_of_another_client_arrive,
    the_changes_of_another_instance_arrive,
    a_client_that_comes_back_gets_what_it_missed_once,
);

/// A stream, and what it sends.
struct Watch(Streaming<pb::TodoChange>);

impl Watch {
    async fn next(&mut self) -> Result<Option<pb::TodoChange>, Status> {
        tokio::time::timeout(Duration::from_secs(10), self.0.message())
            .await
            .expect("something comes in time")
    }

    async fn change(&mut self) -> pb::TodoChange {
        self.next().await.unwrap().expect("the stream goes on")
    }

    /// The kind of the next change and the title of its todo.
    async fn next_change(&mut self) -> (Kind, String) {
        let change = self.change().await;
        (change.kind(), change.todo.map(|todo| todo.title).unwrap_or_default())
    }

    async fn end(&mut self) -> (Code, String) {
        let status = self.next().await.expect_err("the stream ends with a failure");
        (status.code(), reason_of(&status).unwrap_or_default())
    }
}

impl Todos {
    async fn watch(&mut self, token: &str) -> Watch {
        Watch(self.try_watch(token).await.unwrap())
    }

    async fn try_watch(&mut self, token: &str) -> Result<Streaming<pb::TodoChange>, Status> {
        let request = pb::WatchTodosRequest {
            resume_token: token.into(),
        };
        Ok(self.client.watch_todos(self.user.request(request)).await?.into_inner())
    }

    async fn complete(&mut self, id: &str) {
        let request = pb::CompleteTodoRequest {
            todo_id: id.into(),
            etag: String::new(),
        };
        self.client.complete_todo(self.user.request(request)).await.unwrap();
    }
}

async fn the_changes_of_another_client_arrive(fresh: Fresh) {
    let mut todos = Todos::over(fresh).await;
    todos.create(titled("before")).await.unwrap();
    let mut watch = todos.watch("").await;
    assert_eq!(watch.next_change().await, (Kind::Ready, String::new()));
    let todo = todos.create(titled("mine")).await.unwrap();
    let stranger = Identity::user(&todos.clock);
    todos
        .client
        .create_todo(stranger.request(titled("theirs")))
        .await
        .unwrap();
    todos.complete(&todo.id).await;

    let created = watch.change().await;
    assert_eq!(
        (created.kind(), created.todo_id.as_deref()),
        (Kind::Created, Some(todo.id.as_str()))
    );
    assert_eq!(created.todo, Some(todo));
    let completed = watch.change().await;
    assert_eq!(completed.kind(), Kind::Completed);
    assert!(completed.todo.unwrap().completed);
}

async fn the_changes_of_another_instance_arrive(fresh: Fresh) {
    let mut here = Todos::over(fresh).await;
    let mut watch = here.watch("").await;
    assert_eq!(watch.next_change().await.0, Kind::Ready);
    let shared = Fresh::at(here.fresh.url.clone());
    let mut there = Todos::instance(shared, here.clock.clone()).await;
    there.user = here.user.clone();
    there.create(titled("from there")).await.unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(watch.next_change().await, (Kind::Created, "from there".into()));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

async fn a_client_that_comes_back_gets_what_it_missed_once(fresh: Fresh) {
    let mut todos = Todos::over(fresh).await;
    let mut watch = todos.watch("").await;
    let ready = watch.change().await;
    todos.create(titled("seen")).await.unwrap();
    let seen = watch.change().await;
    drop(watch);
    // More than one read from the store brings.
    for batch in 0..2 {
        let batch = pb::BatchCreateTodosRequest {
            todos: (0..100)
                .map(|number| titled(&format!("missed {}", batch * 100 + number)))
                .collect(),
        };
        todos
            .client
            .batch_create_todos(todos.user.request(batch))
            .await
            .unwrap();
    }

    let mut watch = todos.watch(&seen.id).await;
    for number in 0..200 {
        assert_eq!(watch.next_change().await, (Kind::Created, format!("missed {number}")));
    }
    let again = watch.change().await;
    assert_eq!(again.kind(), Kind::Ready);
    todos.create(titled("live")).await.unwrap();
    assert_eq!(watch.next_change().await, (Kind::Created, "live".into()));

    // The token of a `KIND_READY` serves as well.
    let mut watch = todos.watch(&ready.id).await;
    assert_eq!(watch.next_change().await, (Kind::Created, "seen".into()));
    let mut watch = todos.watch(&again.id).await;
    assert_eq!(watch.next_change().await, (Kind::Created, "live".into()));
}

#[tokio::test]
async fn a_token_that_is_too_old_gets_a_reset_and_the_stream_goes_on() {
    let mut todos = Todos::new().await;
    let old = todos.watch("").await.change().await.id;
    todos.create(titled("forgotten")).await.unwrap();
    let quartet_store::Database::Sqlite(database) = todos.fresh.open().await else {
        panic!("a SQLite database");
    };
    sqlx::query("delete from changes")
        .execute(database.pool())
        .await
        .unwrap();

    let mut watch = todos.watch(&old).await;
    let reset = watch.change().await;
    assert_eq!(reset.kind(), Kind::Reset);
    assert_eq!(watch.next_change().await.0, Kind::Ready);
    todos.create(titled("new")).await.unwrap();
    assert_eq!(watch.next_change().await, (Kind::Created, "new".into()));
    // After a reset, its own id is the place to go on from.
    let mut watch = todos.watch(&reset.id).await;
    assert_eq!(watch.next_change().await, (Kind::Created, "new".into()));
}

#[tokio::test]
async fn a_token_of_another_user_gets_a_reset_and_nonsense_is_refused() {
    let mut todos = Todos::new().await;
    let token = todos.watch("").await.change().await.id;
    todos.user = Identity::user(&todos.clock);
    let mut watch = todos.watch(&token).await;
    assert_eq!(watch.next_change().await.0, Kind::Reset);
    assert_eq!(watch.next_change().await.0, Kind::Ready);
    let refused = todos.try_watch("nonsense").await.unwrap_err();
    assert_eq!(fields(&refused), ["resume_token"]);
}

#[tokio::test]
async fn a_stream_ends_within_a_second_of_its_session() {
    let mut todos = Todos::new().await;
    let mut watch = todos.watch("").await;
    assert_eq!(watch.next_change().await.0, Kind::Ready);
    let other = Identity::user(&todos.clock);
    let forget_at = todos.clock.now() + time::Duration::hours(1);
    todos.host.revocations().add([(other.session_id, forget_at)]);
    todos.create(titled("still there")).await.unwrap();
    assert_eq!(watch.next_change().await.0, Kind::Created);

    let begun = std::time::Instant::now();
    todos.host.revocations().add([(todos.user.session_id, forget_at)]);
    assert_eq!(watch.end().await, (Code::Unauthenticated, "TOKEN_REVOKED".into()));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let mut todos = Todos::new().await;
    let mut watch = todos.watch("").await;
    assert_eq!(watch.next_change().await.0, Kind::Ready);
    todos.clock.advance(time::Duration::minutes(16));
    assert_eq!(watch.end().await, (Code::Unauthenticated, "TOKEN_EXPIRED".into()));
}

#[tokio::test]
async fn a_stream_ends_when_nobody_has_told_of_ended_sessions_for_too_long() {
    let mut todos = Todos::new().await;
    let mut watch = todos.watch("").await;
    assert_eq!(watch.next_change().await.0, Kind::Ready);
    todos.host.revocations().lost();
    todos.clock.advance(time::Duration::minutes(2));
    assert_eq!(watch.end().await, (Code::Unavailable, "UNAVAILABLE".into()));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_ended_with_the_reason() {
    let mut todos = Todos::new().await;
    let mut watch = todos.watch("").await;
    assert_eq!(watch.next_change().await.0, Kind::Ready);
    let batch = pb::BatchCreateTodosRequest {
        todos: vec![titled(&"x".repeat(100)); 100],
    };
    todos
        .client
        .batch_create_todos(todos.user.request(batch))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut read = 0;
    let end = loop {
        match watch.next().await {
            Ok(Some(_)) => read += 1,
            Ok(None) => panic!("the stream ends with a failure"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason_of(&end).as_deref(), Some("SLOW_CONSUMER"));
    assert!(read < 100, "{read} changes were buffered");
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    let mut todos = Todos::new().await;
    let mut watch = todos.watch("").await;
    assert_eq!(watch.next_change().await.0, Kind::Ready);
    let Todos { stop, .. } = todos;
    drop(stop);
    assert_eq!(watch.end().await, (Code::Unavailable, "UNAVAILABLE".into()));
}
