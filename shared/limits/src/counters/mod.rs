//! Where calls are counted: in Redis for all processes, else in this one.

mod local;
mod redis;

use quartet_redis::Redis;

use crate::bucket::Standing;
use crate::{Bucket, Verdict};

pub use local::Local;

/// Counts calls. Cheap to clone; clones share the counts.
#[derive(Clone)]
pub struct Counters {
    shared: Option<redis::Shared>,
    /// Counts where Redis is away, from where Redis was.
    local: Local,
}

/// How buckets stand, and whether the call was counted.
type Counted = (Vec<Standing>, bool);

impl Counters {
    /// Counts in this process alone.
    pub fn local() -> Self {
        Self {
            shared: None,
            local: Local::default(),
        }
    }

    /// Counts in Redis, and in this process while Redis is away.
    pub fn shared(redis: Redis) -> Self {
        Self {
            shared: Some(redis::Shared::new(redis)),
            local: Local::default(),
        }
    }

    /// Counts a call in all of `buckets`, or in none if one of them is used up.
    pub async fn take(&self, buckets: Vec<Bucket>) -> Verdict {
        if buckets.is_empty() {
            return Verdict::unlimited();
        }
        let (standings, admitted) = match &self.shared {
            None => self.local.take(&buckets),
            Some(shared) => match shared.take(&buckets).await {
                Ok(counted) => {
                    self.local.keep(&buckets, &counted.0);
                    counted
                }
                Err(quartet_redis::Away) => self.local.take(&buckets),
            },
        };
        Verdict::new(buckets.into_iter().zip(standings).collect(), admitted)
    }
}
