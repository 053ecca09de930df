//! An effect that shares its transaction with others.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::future::BoxFuture;
use quartet_messaging::{Consumer, Effects, Failure, Handler, Message, Publisher, Unit};
use quartet_store::{Context, Database};

use crate::harness::Harness;

type Verdict = Box<dyn Fn(&Message) -> Result<(), Failure> + Send + Sync>;
type After = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Writes an effect, and then decides whether it was one.
pub(crate) struct Writing {
    database: Database,
    publisher: Publisher,
    consumer: String,
    verdict: Verdict,
}

#[async_trait]
impl Consumer for Writing {
    async fn consume(&self, messages: &[&Message], cx: &Context) -> Result<(), Failure> {
        let sql = "insert into effects (consumer, subject, kind, payload) values ($1, $2, $3, $4)";
        macro_rules! consume {
            ($database:expr) => {{
                let mut unit = Unit::new($database, cx, &self.publisher);
                for message in unit.first_times(&self.consumer, messages).await? {
                    sqlx::query(sql)
                        .bind(&self.consumer)
                        .bind(&message.subject)
                        .bind(&message.kind)
                        .bind(message.decode::<String>().unwrap())
                        .execute(unit.connection().await?)
                        .await
                        .map_err(quartet_store::Error::from)?;
                    (self.verdict)(message)?;
                }
                Ok(unit.commit().await?)
            }};
        }
        match &self.database {
            Database::Postgres(database) => consume!(database),
            Database::Sqlite(database) => consume!(database),
        }
    }
}

/// A handler of such effects, which records how many messages it was given at once.
pub(crate) struct Batched {
    effects: Effects<Writing>,
    sizes: Arc<Mutex<Vec<usize>>>,
    after: After,
}

impl Batched {
    pub(crate) fn new(
        harness: &Harness,
        consumer: &str,
        verdict: impl Fn(&Message) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        let effect = Writing {
            database: harness.database.clone(),
            publisher: Publisher::detached(harness.clock.clone()),
            consumer: consumer.to_owned(),
            verdict: Box::new(verdict),
        };
        Self {
            effects: Effects::new(effect, harness.clock.clone()),
            sizes: Arc::default(),
            after: Box::new(|| Box::pin(async {})),
        }
    }

    /// How many messages each call was given.
    pub(crate) fn sizes(&self) -> Arc<Mutex<Vec<usize>>> {
        self.sizes.clone()
    }

    /// Does this after the commit, before the messages are settled.
    pub(crate) fn then(self, after: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self {
            after: Box::new(after),
            ..self
        }
    }
}

#[async_trait]
impl Handler for Batched {
    async fn handle(&self, message: &Message) -> Result<(), Failure> {
        self.sizes.lock().unwrap().push(1);
        let outcome = self.effects.handle(message).await;
        (self.after)().await;
        outcome
    }

    fn batch_size(&self) -> usize {
        self.effects.batch_size()
    }

    async fn handle_all(&self, messages: &[&Message]) -> Vec<Result<(), Failure>> {
        self.sizes.lock().unwrap().push(messages.len());
        let outcomes = self.effects.handle_all(messages).await;
        (self.after)().await;
        outcomes
    }
}
