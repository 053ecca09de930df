//! Publishes what is committed to an outbox.
//!
//! A row is claimed for the length of a lease, published, and marked sent once the broker has
//! confirmed it. A relay that dies leaves rows whose lease runs out, and another one, or itself
//! after a restart, sends them again. Rows are claimed by their state, never by the last number
//! seen, since transactions commit in another order than they number their rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use quartet_cache::Cache;
use quartet_clock::Clock;
use quartet_store::{Database, Error};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::Published;
use crate::failpoint::pass;
use crate::outdated::Outdated;
use crate::store::{Row, Rows};
use crate::{Broker, Config, Message, Stats};

/// Batches in flight at once.
const LANES: usize = 3;
/// Claims are so far apart while there is no backlog, so that what is committed meanwhile is sent together:
/// a claim and its end cost the database as much for one message as for ten.
const GATHERING: Duration = Duration::from_millis(4);
/// How often the lag is measured and old rows are deleted.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);
/// Rows that one statement prunes; locks are held briefly.
const PRUNE_BATCH: i64 = 1_000;
/// The first pause after a failure, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long work that has no queue waits: somebody has to make the queue first.
const UNROUTABLE_PAUSE: Duration = Duration::from_secs(5);

/// Publishes the rows of one outbox to a broker. Several may work on one outbox.
pub struct Relay {
    rows: Rows,
    broker: Arc<dyn Broker>,
    clock: Clock,
    settings: Config,
    wake: Wake,
    stats: Stats,
    outdated: Outdated,
    /// The time from which a lane may claim; held by the lane that waits for it.
    next_claim: Mutex<Instant>,
    /// The last claim has left rows behind.
    is_behind: AtomicBool,
}

/// Wakes a relay after a commit. To be called after the commit; a call that is lost costs the poll
/// interval.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Has the relay claim what is committed now.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

impl Relay {
    /// A relay from the outbox in `database` to `broker`.
    pub fn new(database: Database, broker: Arc<dyn Broker>, clock: Clock, settings: Config) -> Self {
        Self {
            // One connection for each lane and one for the maintenance.
            rows: Rows::of(&database, LANES + 1),
            broker,
            clock,
            settings,
            wake: Wake::default(),
            stats: Stats::default(),
            outdated: Outdated::new(Cache::none()),
            next_claim: Mutex::new(Instant::now()),
            is_behind: AtomicBool::new(false),
        }
    }

    /// The same, which forgets cached replies that events make outdated.
    #[must_use]
    pub(crate) fn outdating(self, outdated: Outdated) -> Self {
        Self { outdated, ..self }
    }

    /// As [`Relay::new`], woken by `wake` and counting in `stats`.
    #[must_use]
    pub fn with(self, wake: Wake, stats: Stats) -> Self {
        Self { wake, stats, ..self }
    }

    /// Wakes this relay.
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// The counts of this relay.
    pub fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// Works until `stop`. A batch in flight is finished first.
    pub async fn run(self, stop: CancellationToken) {
        let relay = Arc::new(self);
        // While the broker confirms one batch, another one is claimed and a third one recorded.
        let mut tasks = JoinSet::new();
        for _ in 0..LANES {
            let (relay, stop) = (relay.clone(), stop.clone());
            tasks.spawn(async move { relay.send(&stop).await });
        }
        tasks.spawn(async move { relay.maintain(&stop).await });
        while let Some(ended) = tasks.join_next().await {
            // Only a failpoint panics here: this relay is as good as dead.
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }

    async fn send(&self, stop: &CancellationToken) {
        let full = i64::from(self.settings.relay_batch.max(1));
        let mut limit = full;
        let mut pause = PAUSES.0;
        while !stop.is_cancelled() {
            let batch = self.send_batch(limit).await;
            if let Err(error) = &batch {
                tracing::warn!(%error, "the outbox cannot be worked on for now");
            }
            let failing = !matches!(batch, Ok(Batch::Sent { .. } | Batch::Empty));
            let wait = match batch {
                Ok(Batch::Sent { more }) => {
                    (limit, pause) = ((limit * 2).min(full), PAUSES.0);
                    if more {
                        continue;
                    }
                    self.settings.relay_poll_interval.0
                }
                Ok(Batch::Empty) => self.settings.relay_poll_interval.0,
                Ok(Batch::Failed) | Err(_) => {
                    // One row that the broker does not accept can fail a whole batch; one by one,
                    // it fails alone.
                    let wait = pause;
                    (limit, pause) = (1, (pause * 2).min(PAUSES.1));
                    wait
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
                // A write does not show that the broker is back, so it does not shorten the pause
                // after a failure.
                () = self.wake.0.notified(), if !failing => {}
            }
        }
    }

    /// Waits until it is time for another claim. `false` where another lane waits already: its claim is yet
    /// to come, and sees what this one would have seen.
    async fn gather(&self) -> bool {
        if self.is_behind.load(Relaxed) {
            return true;
        }
        let Ok(mut next) = self.next_claim.try_lock() else {
            return false;
        };
        tokio::time::sleep_until(*next).await;
        *next = Instant::now() + GATHERING;
        true
    }

    async fn send_batch(&self, limit: i64) -> Result<Batch, Error> {
        if !self.gather().await {
            return Ok(Batch::Empty);
        }
        let now = self.clock.now();
        let claimed = self.rows.claim(now, now + self.settings.relay_lease.0, limit).await?;
        let is_full = claimed.len() as i64 == limit;
        // Ordered rows make room for the next of their subject.
        let more = is_full || claimed.iter().any(|(_, message)| message.ordered);
        self.is_behind.store(more, Relaxed);
        if claimed.is_empty() {
            return Ok(Batch::Empty);
        }
        if is_full {
            // There may be more than one lane carries.
            self.wake.wake();
        }
        pass!("relay-claimed");
        let (rows, messages): (Vec<Row>, Vec<Message>) = claimed.into_iter().unzip();
        let outcomes = self.broker.publish(&messages).await;
        self.outdated.published(&messages).await;
        pass!("relay-published");
        let failed = self.record(&rows, &outcomes).await?;
        pass!("relay-recorded");
        match failed {
            true => Ok(Batch::Failed),
            false => Ok(Batch::Sent { more }),
        }
    }

    /// Writes what became of the rows; whether the broker failed any.
    async fn record(&self, claimed: &[Row], outcomes: &[Published]) -> Result<bool, Error> {
        let now = self.clock.now();
        let confirmed = claimed
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| **outcome == Published::Confirmed);
        let sent: Vec<i64> = confirmed.map(|(row, _)| row.seq).collect();
        if !sent.is_empty() {
            self.rows.mark_sent(&sent, now).await?;
            self.stats.add_sent(sent.len() as u64);
        }
        let mut failed = false;
        let mut releases: BTreeMap<&str, (Vec<i64>, Duration)> = BTreeMap::new();
        for (row, outcome) in claimed.iter().zip(outcomes) {
            let (reason, wait) = match outcome {
                Published::Confirmed => continue,
                Published::Unroutable => {
                    self.stats.add_unroutable();
                    ("there is no queue for it", UNROUTABLE_PAUSE)
                }
                Published::Failed { reason } => {
                    failed = true;
                    self.stats.add_failed();
                    (reason.as_str(), backoff(row.failures))
                }
            };
            let (seqs, longest) = releases.entry(reason).or_default();
            seqs.push(row.seq);
            *longest = wait.max(*longest);
        }
        for (reason, (seqs, wait)) in releases {
            tracing::warn!(messages = seqs.len(), reason, "messages could not be sent; they wait");
            self.rows.release(&seqs, now + wait, reason).await?;
        }
        Ok(failed)
    }

    async fn maintain(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.maintain_once().await {
                tracing::warn!(%error, "the outbox cannot be maintained for now");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(MAINTENANCE_INTERVAL) => {}
            }
        }
    }

    /// Measures the lag, and deletes what is past its window.
    async fn maintain_once(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let lag = self.rows.lag().await?;
        let oldest = lag.oldest.map(|oldest| now - oldest).unwrap_or_default();
        self.stats.set_lag(lag.unsent, oldest.try_into().unwrap_or_default());
        loop {
            let outbox = self
                .rows
                .prune_outbox(now - self.settings.outbox_retention.0, PRUNE_BATCH)
                .await?;
            let inbox = self
                .rows
                .prune_inbox(now - self.settings.inbox_retention.0, PRUNE_BATCH)
                .await?;
            self.stats.add_pruned(outbox + inbox);
            if outbox + inbox == 0 {
                return Ok(());
            }
        }
    }
}

/// What became of a batch.
enum Batch {
    /// There was nothing to send.
    Empty,
    /// It was sent, and more may be there that nobody wakes this relay for.
    Sent { more: bool },
    /// The broker failed some of it.
    Failed,
}

/// How long a row waits after this many failures before.
fn backoff(failures: i32) -> Duration {
    let doublings = u32::try_from(failures).unwrap_or_default().min(10);
    (PAUSES.0 * 2u32.pow(doublings)).min(PAUSES.1)
}

#[cfg(test)]
mod tests {
    use quartet_config::Source;
    use quartet_store::database::DatabaseUrl;

    use super::*;
    use crate::Local;

    #[tokio::test]
    async fn claims_are_apart_unless_there_is_a_backlog_and_one_lane_waits_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::default();
        let config = quartet_store::Config::read(&source).unwrap();
        let file = |name: &str| folder.path().join(name);
        let broker = Local::open(&file("broker.db"), &config, Clock::system()).await.unwrap();
        let url = DatabaseUrl::Sqlite(file("store.db").display().to_string());
        let database = Database::open(&url, &config).await.unwrap();
        let settings = Config::read(&source).unwrap();
        let relay = Relay::new(database, Arc::new(broker), Clock::system(), settings);

        assert!(relay.gather().await);
        let first = Instant::now();
        // The second lane waits, and leaves its rows to no third one.
        let (second, third) = tokio::join!(relay.gather(), relay.gather());
        assert_eq!((second, third), (true, false));
        assert!(first.elapsed() + Duration::from_millis(1) >= GATHERING);

        // With a backlog nobody waits, nor for one who does.
        let _waiting = relay.next_claim.lock().await;
        assert!(!relay.gather().await);
        relay.is_behind.store(true, Relaxed);
        assert!(relay.gather().await);
    }
}
