//! Counts in this process.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Counted;
use crate::Bucket;
use crate::bucket::Standing;

/// Buckets at the most. Those that were used least recently are forgotten first, and are full again
/// then.
const MAX_BUCKETS: u64 = 200_000;

/// Counts in this process. Cheap to clone; clones share the counts.
#[derive(Clone)]
pub struct Local {
    begun: Instant,
    buckets: Cache<Box<str>, Arc<Full>>,
}

/// When a bucket is full again, in microseconds since the start.
struct Full {
    at: AtomicI64,
    period: Duration,
}

/// A bucket that nobody has used for its period is full, and can be forgotten.
struct AfterPeriod;

impl Expiry<Box<str>, Arc<Full>> for AfterPeriod {
    fn expire_after_create(&self, _: &Box<str>, full: &Arc<Full>, _: Instant) -> Option<Duration> {
        Some(full.period)
    }

    fn expire_after_read(
        &self,
        _: &Box<str>,
        full: &Arc<Full>,
        _: Instant,
        _: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        Some(full.period)
    }
}

impl Default for Local {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            buckets: Cache::builder()
                .max_capacity(MAX_BUCKETS)
                .expire_after(AfterPeriod)
                // A new bucket is kept: who floods with names of their own must not get rid of limits.
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }
    }
}

impl Local {
    /// Counts a call in all of `buckets`, or in none if one of them is used up.
    pub(super) fn take(&self, buckets: &[Bucket]) -> Counted {
        let now = self.now();
        let held: Vec<Arc<Full>> = buckets.iter().map(|bucket| self.bucket(bucket)).collect();
        let mut standings = Vec::with_capacity(buckets.len());
        for (index, (bucket, full)) in buckets.iter().zip(&held).enumerate() {
            match full.take(bucket, now) {
                Ok(standing) => standings.push(standing),
                Err(standing) => {
                    // What was counted before is given back.
                    for (bucket, full) in buckets.iter().zip(&held).take(index) {
                        full.at.fetch_sub(bucket.quota.interval(), AcqRel);
                    }
                    standings.clear();
                    standings.extend(held.iter().map(|full| full.standing(now)));
                    standings[index] = standing;
                    return (standings, false);
                }
            }
        }
        (standings, true)
    }

    /// Keeps how `buckets` stand elsewhere, to go on from there.
    pub(super) fn keep(&self, buckets: &[Bucket], standings: &[Standing]) {
        let now = self.now();
        for (bucket, standing) in buckets.iter().zip(standings) {
            // Answers come in another order than they were given: the latest one is the highest.
            self.bucket(bucket).at.fetch_max(now + standing.ahead, AcqRel);
        }
    }

    fn bucket(&self, bucket: &Bucket) -> Arc<Full> {
        if let Some(full) = self.buckets.get(bucket.key.as_str()) {
            return full;
        }
        let make = || {
            Arc::new(Full {
                at: AtomicI64::new(0),
                period: bucket.quota.period(),
            })
        };
        self.buckets.get_with(bucket.key.as_str().into(), make)
    }

    fn now(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

impl Full {
    /// How the bucket stands with the call counted, or, if it is used up, without.
    fn take(&self, bucket: &Bucket, now: i64) -> Result<Standing, Standing> {
        let (interval, capacity) = (bucket.quota.interval(), bucket.quota.capacity());
        let counted = self.at.fetch_update(AcqRel, Acquire, |at| {
            let next = at.max(now) + interval;
            (next - now <= capacity).then_some(next)
        });
        match counted {
            Ok(before) => Ok(Standing {
                ahead: before.max(now) + interval - now,
            }),
            Err(at) => Err(Standing {
                ahead: (at - now).max(0),
            }),
        }
    }

    fn standing(&self, now: i64) -> Standing {
        Standing {
            ahead: (self.at.load(Acquire) - now).max(0),
        }
    }
}
