//! Counts in Redis, on its clock, for all processes.
//!
//! One script counts many calls: while one is on its way, the calls that come gather, and the next
//! one takes them all. A call alone is sent at once, so that nobody waits for company.

use std::sync::Arc;

use parking_lot::Mutex;
use quartet_redis::{Away, Redis};
use redis::Script;
use tokio::sync::oneshot;

use super::Counted;
use crate::Bucket;
use crate::bucket::Standing;

/// Calls of one script at the most: it keeps Redis busy for some hundred microseconds.
const BATCH: usize = 128;

/// Counts in Redis.
#[derive(Clone)]
pub(super) struct Shared(Arc<Inner>);

struct Inner {
    redis: Redis,
    take: Script,
    queue: Mutex<Queue>,
}

/// The calls that gather.
#[derive(Default)]
struct Queue {
    /// Whether a script is on its way, after which those that wait are sent.
    is_sending: bool,
    waiting: Vec<Waiting>,
}

/// A call that is yet to be counted.
struct Waiting {
    /// Its buckets, as keys of Redis with what they are counted by.
    buckets: Vec<(String, i64, i64)>,
    counted: oneshot::Sender<Result<Counted, Away>>,
}

impl Shared {
    pub(super) fn new(redis: Redis) -> Self {
        Self(Arc::new(Inner {
            redis,
            take: Script::new(include_str!("take.lua")),
            queue: Mutex::default(),
        }))
    }

    /// Counts a call in all of `buckets`, or in none if one of them is used up, within the bound on
    /// answers of Redis: from when it comes, whether it is sent at once or after others.
    pub(super) async fn take(&self, buckets: &[Bucket]) -> Result<Counted, Away> {
        let prefix = self.0.redis.prefix();
        let of_redis = |bucket: &Bucket| {
            let key = format!("{prefix}limit:{}", bucket.key);
            (key, bucket.quota.interval(), bucket.quota.capacity())
        };
        let buckets: Vec<_> = buckets.iter().map(of_redis).collect();
        let gathered = {
            let mut queue = self.0.queue.lock();
            match std::mem::replace(&mut queue.is_sending, true) {
                false => Err(buckets),
                true => {
                    let (sender, counted) = oneshot::channel();
                    queue.waiting.push(Waiting {
                        buckets,
                        counted: sender,
                    });
                    Ok(counted)
                }
            }
        };
        let buckets = match gathered {
            Ok(counted) => {
                let counted = tokio::time::timeout(self.0.redis.timeout(), counted).await;
                return counted.unwrap_or(Ok(Err(Away))).unwrap_or(Err(Away));
            }
            Err(buckets) => buckets,
        };
        let sending = Sending {
            shared: self,
            failed: false,
        };
        let counted = self.count(&[&buckets]).await;
        sending.end(counted.is_err());
        counted?.pop().ok_or(Away)
    }

    /// Counts several calls in one round trip.
    async fn count(&self, calls: &[&Vec<(String, i64, i64)>]) -> Result<Vec<Counted>, Away> {
        let mut invocation = self.0.take.prepare_invoke();
        for buckets in calls {
            invocation.arg(buckets.len());
            for (key, interval, capacity) in *buckets {
                invocation.key(key).arg(*interval).arg(*capacity);
            }
        }
        let reply: Vec<i64> = self.0.redis.script(&invocation).await?;
        let mut rest = reply.as_slice();
        let mut counted = Vec::with_capacity(calls.len());
        for buckets in calls {
            let (admitted, further) = rest.split_first().ok_or(Away)?;
            let (ahead, further) = further.split_at_checked(buckets.len()).ok_or(Away)?;
            let standings = ahead.iter().map(|&ahead| Standing { ahead }).collect();
            counted.push((standings, *admitted == 1));
            rest = further;
        }
        Ok(counted)
    }

    /// Counts those that wait, until there are none.
    async fn count_waiting(self, mut batch: Vec<Waiting>) {
        loop {
            let calls: Vec<_> = batch.iter().map(|waiting| &waiting.buckets).collect();
            let counted = self.count(&calls).await;
            let has_failed = counted.is_err();
            match counted {
                Ok(counted) => {
                    for (waiting, counted) in batch.into_iter().zip(counted) {
                        // Whoever has given up needs no answer.
                        let _ = waiting.counted.send(Ok(counted));
                    }
                }
                Err(Away) => refuse(batch),
            }
            match self.next_batch(has_failed) {
                Some(next) => batch = next,
                None => return,
            }
        }
    }

    /// Those that have come while a script was on its way; without any, the next call is sent at
    /// once. Where that script was not answered, they have waited long enough.
    fn next_batch(&self, has_failed: bool) -> Option<Vec<Waiting>> {
        let mut queue = self.0.queue.lock();
        if has_failed {
            refuse(std::mem::take(&mut queue.waiting));
        }
        // Whoever has waited too long counts elsewhere.
        queue.waiting.retain(|waiting| !waiting.counted.is_closed());
        if queue.waiting.is_empty() {
            queue.is_sending = false;
            return None;
        }
        let size = queue.waiting.len().min(BATCH);
        Some(queue.waiting.drain(..size).collect())
    }
}

fn refuse(batch: Vec<Waiting>) {
    for waiting in batch {
        let _ = waiting.counted.send(Err(Away));
    }
}

/// A call that is on its way alone. When it ends, or its caller gives it up, those that have come
/// meanwhile are sent.
struct Sending<'a> {
    shared: &'a Shared,
    failed: bool,
}

impl Sending<'_> {
    fn end(mut self, failed: bool) {
        self.failed = failed;
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if let Some(batch) = self.shared.next_batch(self.failed) {
            tokio::spawn(self.shared.clone().count_waiting(batch));
        }
    }
}
