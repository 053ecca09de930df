//! One suite of the store's behaviour, over both databases.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "store/etags.rs"]
mod etags;
#[path = "store/feed.rs"]
mod feed;
#[path = "store/idempotency.rs"]
mod idempotency;
#[path = "store/lists.rs"]
mod lists;
#[path = "store/quotas.rs"]
mod quotas;
#[path = "store/tags.rs"]
mod tags;
#[path = "store/todos.rs"]
mod todos;
#[path = "store/transfer.rs"]
mod transfer;
#[path = "store/user_lifecycle.rs"]
mod user_lifecycle;

use std::time::Duration;

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_messaging::{Message, Publisher};
use quartet_proto::events::Event;
use quartet_store::{Context, Database, Timestamp};
use quartet_testkit::database::Fresh;
use quartet_todos::domain::{NewTodo, Priority, Tag, Title};
use quartet_todos::store::{MIGRATIONS, Store, over};
use uuid::Uuid;

/// A migrated store with one owner.
struct Fixture {
    store: Box<dyn Store>,
    database: Database,
    clock: Clock,
    owner: Uuid,
    _fresh: Fresh,
}

impl Fixture {
    async fn new(fresh: Fresh) -> Self {
        let database = fresh.open().await;
        MIGRATIONS.up(&database).await.unwrap();
        let clock = Clock::manual(time::macros::datetime!(2026-01-01 00:00 UTC));
        Self {
            store: over(database.clone(), Publisher::detached(clock.clone())),
            database,
            owner: clock.new_id(),
            clock,
            _fresh: fresh,
        }
    }

    /// Work that begins now.
    fn cx(&self) -> Context {
        Context::new(&self.clock, Deadline::after(Duration::from_secs(20)))
    }

    /// An event about `subject`, a second after what was before.
    fn message<E: Event>(&self, subject: Uuid, event: &E) -> Message {
        self.clock.advance(time::Duration::seconds(1));
        Message::of(&self.clock, subject, event)
    }

    /// An event about the owner takes effect.
    async fn consume<E: Event>(&self, event: &E) {
        let message = self.message(self.owner, event);
        self.store.consume(&[&message], &self.cx()).await.unwrap();
    }

    fn new_todo(&self, title: &str) -> NewTodo {
        NewTodo {
            id: self.clock.new_id(),
            title: Title::parse(title).unwrap(),
            description: None,
            completed: false,
            due_at: None,
            priority: Priority::Unspecified,
            tag_ids: Vec::new(),
        }
    }

    /// Makes a todo, a second after the one before.
    async fn insert(&self, todo: NewTodo) -> Uuid {
        self.clock.advance(time::Duration::seconds(1));
        let id = todo.id;
        self.store
            .insert_todos(self.owner, &[todo], None, &self.cx())
            .await
            .unwrap();
        id
    }

    /// How many rows of each thing there are, and where the feeds are.
    async fn rows(&self) -> Vec<i64> {
        let mut rows = Vec::new();
        for sql in [
            "select count(*) from todos",
            "select count(*) from tags",
            "select count(*) from changes",
            "select count(*) from outbox",
            "select cast(coalesce(sum(head + live), 0) as bigint) from feeds",
        ] {
            rows.push(match &self.database {
                Database::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool.pool()).await.unwrap(),
                Database::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool.pool()).await.unwrap(),
            });
        }
        rows
    }

    /// Makes a tag as the version before did, whose tables know no keys of names.
    async fn insert_unkeyed(&self, name: &str) -> Uuid {
        let id = self.clock.new_id();
        let sql = "insert into tags (id, user_id, name, created_at, updated_at) values ($1, $2, $3, $4, $4)";
        let now = Timestamp(self.clock.now());
        let deadline = self.cx().deadline;
        match &self.database {
            Database::Postgres(database) => {
                let mut connection = database.read(deadline).await.unwrap();
                let query = sqlx::query(sql).bind(id).bind(self.owner).bind(name).bind(now);
                query.execute(&mut *connection).await.unwrap();
            }
            Database::Sqlite(database) => {
                let mut connection = database.pool().acquire().await.unwrap();
                let query = sqlx::query(sql).bind(id).bind(self.owner).bind(name).bind(now);
                query.execute(&mut *connection).await.unwrap();
            }
        }
        id
    }

    async fn insert_tag(&self, owner: Uuid, name: &str) -> Uuid {
        let now = self.clock.now();
        let tag = Tag {
            id: self.clock.new_id(),
            user_id: owner,
            name: name.into(),
            created_at: now,
            updated_at: now,
        };
        self.store.insert_tag(&tag, None, &self.cx()).await.unwrap();
        tag.id
    }
}
