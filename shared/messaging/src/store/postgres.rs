//! The queries over PostgreSQL.

use quartet_store::Postgres as Store;
use sqlx::{PgConnection as Connection, PgPool, Postgres as Db};

use crate::relay::LANES;

/// The connections of a relay: its own, since they are set up as those of calls must not be.
pub(super) fn relaying(store: &Store) -> PgPool {
    let options = (*store.pool().connect_options()).clone().options([
        // What a relay writes may be lost in a crash of the server: the message is then sent once more, and the inbox absorbs it.
        ("synchronous_commit", "off"),
        // There is one good plan, along the index of unsent rows up to the limit. The statistics of a table whose rows are nearly all sent
        // suggest to read and sort what is unsent, which in a backlog is everything, for every batch.
        ("enable_sort", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
    ]);
    // One for each lane and one to tend.
    let connections = u32::try_from(LANES + 1).unwrap_or(u32::MAX);
    let pool = store
        .pool()
        .options()
        .clone()
        .min_connections(0)
        .max_connections(connections);
    pool.connect_lazy_with(options)
}

/// SQL that tells whether a number is among those bound at `$parameter`.
macro_rules! among {
    ($parameter:literal) => {
        concat!(" = any(", $parameter, ")")
    };
}

/// SQL that tells whether a number is among those that a query gives. As an array, they are looked up one by one whatever the plan expects.
macro_rules! these {
    ($query:literal) => {
        concat!(" = any(array(", $query, "))")
    };
}

/// SQL that locks the selected rows, and passes over those that another relay has locked.
macro_rules! lock {
    () => {
        " for update skip locked"
    };
}

/// Numbers as one bound value.
fn bind_numbers(numbers: &[i64]) -> Vec<i64> {
    numbers.to_vec()
}

include!("queries.rs");

#[cfg(test)]
mod tests {
    use quartet_clock::Clock;
    use quartet_store::Database;
    use quartet_testkit::database;

    use super::*;
    use crate::schema;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: make test"]
    async fn a_backlog_is_claimed_along_the_index_whatever_the_statistics_say() {
        let said =
            "insert into outbox (id, kind, source, subject, ordered, time, content_type, payload, due_at, sent_at)
             select gen_random_uuid(), 'a.b.v1', '/test', number::text, true, now(), '', '', now(), ";
        let all_sent = format!("{said} now() from generate_series(1, 5000) as number; analyze outbox");
        let unsent = format!("{said} null from generate_series(1, 40000) as number");
        // Statistics of a table whose rows are all sent, and none at all, which suggest a sort.
        for history in [all_sent.as_str(), "select"] {
            let plan = plan(&[schema::POSTGRES_UP, history, &unsent]).await;
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
        let relaying = relaying(&store);
        let now = Clock::system().now();
        let explain = format!("explain analyze {CLAIM}");
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
            .bind(Timestamp(now))
            .bind(Timestamp(now))
            .bind(100i64)
            .fetch_all(&relaying)
            .await
            .unwrap();
        plan.join("\n")
    }
}
