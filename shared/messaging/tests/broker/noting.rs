//! An effect that shares its transaction with others.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::future::BoxFuture;
use quartet_messaging::effects::{Effect, Effects, Failure, On};
use quartet_messaging::{Handler, Message, Outcome};

use crate::stage::Stage;

type Verdict = Box<dyn Fn(&Message) -> Result<(), Failure> + Send + Sync>;
type After = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Notes an effect, and then says whether it was one.
pub(crate) struct Noting {
    consumer: String,
    verdict: Verdict,
}

#[async_trait]
impl Effect for Noting {
    async fn apply(&self, on: On<'_>, message: &Message) -> Result<(), Failure> {
        let sql = "insert into effects (consumer, subject, kind, payload) values ($1, $2, $3, $4)";
        macro_rules! insert {
            ($connection:expr) => {
                sqlx::query(sql)
                    .bind(&self.consumer)
                    .bind(&message.subject)
                    .bind(&message.kind)
                    .bind(message.decode::<String>().unwrap())
                    .execute($connection)
                    .await
                    .map(drop)
                    .map_err(quartet_store::Error::from)?
            };
        }
        match on {
            On::Postgres(connection) => insert!(connection),
            On::Sqlite(connection) => insert!(connection),
        }
        (self.verdict)(message)
    }
}

/// A handler of such effects, which notes how many messages it was given at once.
pub(crate) struct Together {
    effects: Effects<Noting>,
    sizes: Arc<Mutex<Vec<usize>>>,
    after: After,
}

impl Together {
    pub(crate) fn new(
        stage: &Stage,
        consumer: &str,
        verdict: impl Fn(&Message) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        let effect = Noting {
            consumer: consumer.to_owned(),
            verdict: Box::new(verdict),
        };
        Self {
            effects: Effects::new(consumer, stage.database.clone(), stage.clock.clone(), effect),
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
impl Handler for Together {
    async fn handle(&self, message: &Message) -> Outcome {
        self.sizes.lock().unwrap().push(1);
        let outcome = self.effects.handle(message).await;
        (self.after)().await;
        outcome
    }

    fn together(&self) -> usize {
        self.effects.together()
    }

    async fn handle_all(&self, messages: &[&Message]) -> Vec<Outcome> {
        self.sizes.lock().unwrap().push(messages.len());
        let outcomes = self.effects.handle_all(messages).await;
        (self.after)().await;
        outcomes
    }
}
