//! The queries over PostgreSQL.

use quartet_store::dialect::postgres as dialect;
use quartet_store::{Postgres as Store, PostgresConnections};
use sqlx::{PgConnection as Connection, Postgres as Db, QueryBuilder};

use super::route_columns;
use crate::Message;

/// SQL that is true of a number among those that a query returns. As an array, they are looked up
/// one by one whatever the plan expects.
macro_rules! these {
    ($query:literal) => {
        concat!(" = any(array(", $query, "))")
    };
}

#[path = "rows.rs"]
#[expect(clippy::duplicate_mod, reason = "the same queries are compiled once per database")]
mod rows;

pub(crate) use rows::*;

/// The connections of a relay: its own, since they are set up as those of calls must not be.
pub(super) fn relaying(store: &Store, connections: usize) -> PostgresConnections {
    let options = [
        // What a relay writes may be lost in a crash of the server: the message is then sent once
        // more, and the inbox absorbs it.
        ("synchronous_commit", "off"),
        // There is one good plan, along the index of unsent rows up to the limit. The statistics of
        // a table whose rows are nearly all sent suggest to read and sort what is unsent, which in
        // a backlog is everything, for every batch.
        ("enable_sort", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
    ];
    let size = u32::try_from(connections).unwrap_or(u32::MAX);
    store.separately(size, |given| given.options(options))
}

pub(crate) async fn append(connection: &mut Connection, messages: &[Message]) -> Result<(), sqlx::Error> {
    let mut statement = QueryBuilder::new("");
    push_insert(&mut statement, messages, "");
    statement.build().execute(connection).await?;
    Ok(())
}

/// One bound array per column: the text, and so the plan, is the same for any number of messages.
pub(crate) fn push_insert(statement: &mut QueryBuilder<Db>, messages: &[Message], condition: &str) {
    fn column<T>(messages: &[Message], of: impl Fn(&Message) -> T) -> Vec<T> {
        messages.iter().map(of).collect()
    }
    let (queues, priorities): (Vec<_>, Vec<_>) = messages.iter().map(|message| route_columns(&message.route)).unzip();
    statement
        .push(
            "insert into outbox
                (id, kind, source, subject, ordered, time, content_type, payload, traceparent, tracestate,
                 queue, priority, due_at)
             select id, kind, source, subject, ordered, time, content_type, payload, traceparent, tracestate,
                    queue, priority, time
               from unnest(",
        )
        .push_bind(column(messages, |message| message.id))
        .push("::uuid[], ")
        .push_bind(column(messages, |message| message.kind.clone()))
        .push("::text[], ")
        .push_bind(column(messages, |message| message.source.clone()))
        .push("::text[], ")
        .push_bind(column(messages, |message| message.subject.clone()))
        .push("::text[], ")
        .push_bind(column(messages, |message| message.ordered))
        .push("::bool[], ")
        .push_bind(column(messages, |message| message.time))
        .push("::timestamptz[], ")
        .push_bind(column(messages, |message| message.content_type.clone()))
        .push("::text[], ")
        .push_bind(column(messages, |message| message.payload.to_vec()))
        .push("::bytea[], ")
        .push_bind(column(messages, |message| message.traceparent.clone()))
        .push("::text[], ")
        .push_bind(column(messages, |message| message.tracestate.clone()))
        .push("::text[], ")
        .push_bind(queues)
        .push("::text[], ")
        .push_bind(priorities)
        .push(
            "::text[])
                 as message (id, kind, source, subject, ordered, time, content_type, payload, traceparent,
                             tracestate, queue, priority) ",
        )
        .push(condition);
}

#[cfg(test)]
mod tests {
    use quartet_clock::Clock;
    use quartet_store::Database;
    use quartet_store::Timestamp;
    use quartet_testkit::database;

    use super::*;
    use crate::schema;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: make test"]
    async fn a_backlog_is_claimed_along_the_index_whatever_the_statistics_say() {
        let insert =
            "insert into outbox (id, kind, source, subject, ordered, time, content_type, payload, due_at, sent_at)
             select gen_random_uuid(), 'a.b.v1', '/test', number::text, true, now(), '', '', now(), ";
        let all_sent = format!("{insert} now() from generate_series(1, 5000) as number; analyze outbox");
        let unsent = format!("{insert} null from generate_series(1, 40000) as number");
        // Statistics of a table whose rows are all sent, and none at all, which suggest a sort.
        for history in [all_sent.as_str(), "select"] {
            let plan = plan(&[schema::OUTBOX.postgres.0, history, &unsent]).await;
            assert!(!plan.contains("Sort"), "{plan}");
            assert!(!plan.contains("rows=40000"), "{plan}");
            assert!(plan.contains("Index Scan using outbox_unsent_idx"), "{plan}");
        }
    }

    /// How a relay claims from a database after these statements.
    async fn plan(statements: &[&str]) -> String {
        let fresh = database::postgres().await;
        let Database::Postgres(store) = fresh.open().await else {
            unreachable!()
        };
        for sql in statements {
            let run = sqlx::raw_sql(sqlx::AssertSqlSafe((*sql).to_owned()));
            run.execute(store.pool()).await.unwrap();
        }
        let relaying = relaying(&store, 1);
        let now = Clock::system().now();
        let explain = format!("explain analyze {CLAIM}");
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
            .bind(Timestamp(now))
            .bind(Timestamp(now))
            .bind(100i64)
            .fetch_all(&mut *relaying.acquire().await.unwrap())
            .await
            .unwrap();
        plan.join("\n")
    }
}
