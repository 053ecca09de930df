//! What a worker's claim costs by the length of the queue: jobs of one owner wait, one is claimed and
//! ended after the other. The end gives the place to the next one, so that the queue stays as long as
//! it is.
//!
//! ```sh
//! scripts/with-servers.sh cargo run --release -p quartet-tests --example claim-cost
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::time::{Duration, Instant};

use quartet_clock::Clock;
use quartet_jobs::domain::{Ending, Kind, LaneBounds, NewJob, Queue};
use quartet_jobs::notifier::JobNotifier;
use quartet_jobs::store::{MIGRATIONS, over};
use quartet_kernel::Deadline;
use quartet_messaging::Publisher;
use quartet_store::{Context, Database};
use quartet_testkit::database;
use time::Duration as Span;

/// Claims per length.
const CLAIMS: usize = 500;

#[tokio::main]
async fn main() {
    println!(
        "{:>9} {:>14} {:>12} {:>12} {:>12}",
        "waiting", "claim, median", "p99", "end, median", "p99"
    );
    for waiting in [10, 10_000, 100_000] {
        measure(waiting).await;
    }
}

async fn measure(waiting: i32) {
    let fresh = database::postgres().await;
    let database = fresh.open().await;
    MIGRATIONS.up(&database).await.unwrap();
    let Database::Postgres(postgres) = &database else {
        unreachable!()
    };
    let clock = Clock::system();
    let cx = || Context::new(&clock, Deadline::after(Duration::from_secs(60)));
    let store = over(database.clone(), Publisher::detached(clock.clone()), JobNotifier::new());
    let owner = clock.new_id();
    let bounds = LaneBounds {
        per_owner: 4,
        limit: None,
        per_host: 2,
    };
    let job =
        || NewJob::new(clock.new_id(), owner, Kind::ExportTodos, vec![], clock.now()).in_lane(bounds.of_owner(owner));
    for _ in 0..4 + CLAIMS / 50 {
        store.insert_job(&job(), &cx()).await.unwrap();
    }
    // The rest by one statement, which is faster.
    for fill in [
        "insert into jobs (id, owner, kind, payload, queue, status, max_attempts, run_at, result_ttl, created_at,
                           updated_at, lane)
         select gen_random_uuid(), owner, kind, payload, queue, 'queued', 5, now(), 86400, now(), now(), lane
           from (select * from jobs limit 1) as job, generate_series(1, $1)",
        "update lanes set pending = pending + $1, waiting = waiting + $1",
    ] {
        sqlx::query(fill).bind(waiting).execute(postgres.pool()).await.unwrap();
    }
    sqlx::raw_sql("vacuum analyze").execute(postgres.pool()).await.unwrap();
    let (mut claims, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..CLAIMS {
        let begun = Instant::now();
        let until = clock.now() + Span::MINUTE;
        let claimed = store.claim(Queue::Default, clock.new_id(), until, &cx()).await.unwrap();
        claims.push(begun.elapsed());
        let (lease, claimed) = claimed.unwrap();
        let begun = Instant::now();
        store
            .finish(lease, &claimed, &Ending::Succeeded(vec![]), &cx())
            .await
            .unwrap();
        ends.push(begun.elapsed());
        // As many wait as before.
        store.insert_job(&job(), &cx()).await.unwrap();
    }
    claims.sort();
    ends.sort();
    println!(
        "{waiting:>9} {:>14.0?} {:>12.0?} {:>12.0?} {:>12.0?}",
        claims[CLAIMS / 2],
        claims[CLAIMS * 99 / 100],
        ends[CLAIMS / 2],
        ends[CLAIMS * 99 / 100],
    );
}
