//! Whose calls are counted together, and what a count says.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crate::Quota;

/// Calls that are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The limit's name, as it is shown.
    pub name: Arc<str>,
    /// Whose calls they are, such as `user:0199…`; unique together with the name.
    pub key: String,
    /// How many may come.
    pub quota: Quota,
}

/// How a bucket stands after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Microseconds until it is full again.
    pub(crate) ahead: i64,
}

/// What the counts say of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    counted: Vec<(Bucket, Standing)>,
    admitted: bool,
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The limit's name.
    pub limit: Arc<str>,
    /// When the call would be admitted.
    pub retry_after: Duration,
}

impl Verdict {
    /// Of these buckets; `admitted` if the call was counted in all of them.
    pub(crate) fn new(counted: Vec<(Bucket, Standing)>, admitted: bool) -> Self {
        Self { counted, admitted }
    }

    /// Of no bucket.
    pub fn unlimited() -> Self {
        Self::new(Vec::new(), true)
    }

    /// Whether the call may go on; else the limit that takes longest to admit it.
    pub fn admitted(&self) -> Result<(), Refused> {
        if self.admitted {
            return Ok(());
        }
        let waits = self.counted.iter().map(|(bucket, standing)| {
            let wait = standing.ahead + bucket.quota.interval() - bucket.quota.capacity();
            (wait, bucket)
        });
        match waits.max_by_key(|(wait, _)| *wait) {
            Some((wait, bucket)) => Err(Refused {
                limit: bucket.name.clone(),
                retry_after: micros(wait.max(1)),
            }),
            None => Ok(()),
        }
    }

    /// The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10): the quotas that
    /// apply; `None` where none does.
    pub fn policy_header(&self) -> Option<String> {
        self.header(|header, bucket, _| {
            let seconds = bucket.quota.period().as_secs().max(1);
            write!(header, "q={};w={seconds}", bucket.quota.calls())
        })
    }

    /// The value of `RateLimit` (same draft): what is left of each quota, and the seconds until all of
    /// it has come back.
    pub fn header_value(&self) -> Option<String> {
        self.header(|header, bucket, standing| {
            let (interval, capacity) = (bucket.quota.interval(), bucket.quota.capacity());
            let left = ((capacity - standing.ahead) / interval).max(0);
            let until_full = (standing.ahead.max(0) + 999_999) / 1_000_000;
            write!(header, "r={left};t={until_full}")
        })
    }

    /// A list of the buckets' names, each with what `parameters` writes after it.
    fn header(&self, parameters: impl Fn(&mut String, &Bucket, &Standing) -> fmt::Result) -> Option<String> {
        let mut header = String::with_capacity(self.counted.len() * 48);
        for (index, (bucket, standing)) in self.counted.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(header, "{comma}\"{}\";", bucket.name).ok()?;
            parameters(&mut header, bucket, standing).ok()?;
        }
        (!header.is_empty()).then_some(header)
    }
}

fn micros(number: i64) -> Duration {
    Duration::from_micros(u64::try_from(number).unwrap_or_default())
}
