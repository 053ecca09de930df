//! The throttle on guessing: it slows whoever guesses, and never locks an owner out for good.
//!
//! Two counts are kept per name that was presented, whether it has an account or not, so that the
//! throttle reveals nothing about accounts:
//! - one per name and client address, whose delay doubles with every failure up to minutes: it
//!   stops the one who guesses;
//! - one per name over all addresses, whose delay stays at seconds: it slows those who guess from
//!   many addresses. An owner who comes from an address of theirs, or with a living session, does
//!   not feel it.
//!
//! An owner with a living session does not feel the first one either: what is tried with their
//! sessions is counted by itself.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// When failures begin to cost time, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Failures without a delay.
    pub free: u32,
    /// Delay after the first failure beyond those; it doubles with each further one.
    pub base: Duration,
    /// Delay at the most.
    pub max: Duration,
    /// Failures are forgotten after this long without another one.
    pub memory: Duration,
}

impl Policy {
    /// How long nobody may try after the failure of this number, from 1.
    pub fn delay(&self, failures: u32) -> Duration {
        if failures < self.free.max(1) {
            return Duration::ZERO;
        }
        let doublings = (failures - self.free.max(1)).min(31);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }

    /// The count after one more attempt at `now`. Every attempt counts as failed until it has
    /// succeeded, so that a thousand at once are not all the first.
    pub fn attempt(&self, before: Option<Count>, now: OffsetDateTime) -> Result<Count, Duration> {
        let remembered = before.filter(|count| now - count.attempted_at < self.memory);
        // Attempts at once read the clock in one order and come here in another: one that was
        // counted later than `now` and without a delay blocks nobody.
        if let Some(count) = remembered
            && count.blocked_until > now.max(count.attempted_at)
        {
            return Err((count.blocked_until - now).unsigned_abs());
        }
        let failures = remembered.map_or(0, |count| count.failures).saturating_add(1);
        Ok(Count {
            failures,
            attempted_at: now,
            blocked_until: now + self.delay(failures),
        })
    }
}

/// Failures of one name, from one address or from all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub failures: u32,
    /// When the last one was.
    pub attempted_at: OffsetDateTime,
    /// Until when nobody may try.
    pub blocked_until: OffsetDateTime,
}

/// Stands for all addresses of a name.
pub const ANYWHERE: &str = "*";

/// An attempt that is let through. It counts as failed until it has succeeded.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The name that it is made for.
    pub subject: Subject,
    /// The count of its address.
    pub pair: Mark,
    /// The count of all addresses together, where that one matters.
    pub name: Option<Mark>,
}

/// What an attempt changes in one count.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The address, or [`ANYWHERE`].
    pub address: String,
    /// The count as it was read; `None` when there was none.
    pub before: Option<Count>,
    /// The count with the attempt.
    pub after: Count,
}

impl Mark {
    /// Counts one more attempt from `address` at `now`.
    ///
    /// Errors: how long to wait.
    pub fn new(address: &str, policy: Policy, before: Option<Count>, now: OffsetDateTime) -> Result<Self, Duration> {
        Ok(Self {
            address: address.to_owned(),
            before,
            after: policy.attempt(before, now)?,
        })
    }

    /// Until when nobody could try before the attempt.
    pub fn blocked_before(&self) -> OffsetDateTime {
        self.before
            .map_or(self.after.attempted_at, |before| before.blocked_until)
    }
}

impl Attempt {
    /// What it changes, per address.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        std::iter::once(&self.pair).chain(&self.name)
    }
}

/// What the counts are kept under: a digest of the name as it was presented, folded to lower case.
/// Names and addresses with a mistake in them are nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject(pub [u8; 32]);

impl Subject {
    /// The subject of a name or an address.
    pub fn of(username_or_email: &str) -> Self {
        Self(Sha256::digest(username_or_email.to_lowercase()).into())
    }
}

/// What an address counts as: itself, or its network of 64 bits where one client has them all
/// (IPv6). Clients without a known address count as one.
pub fn origin(address: Option<IpAddr>) -> String {
    match address {
        None => String::new(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_of_ipv6_is_one_origin() {
        let origin = |text: &str| origin(Some(text.parse().unwrap()));
        assert_eq!(origin("2001:db8:1:2::3"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::3"), origin("2001:db8:1:3::3"));
        assert_eq!(origin("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn an_attempt_whose_clock_was_read_earlier_is_not_blocked_by_one_without_a_delay() {
        let now = time::macros::datetime!(2026-01-01 00:00 UTC);
        let first = POLICY.attempt(None, now).unwrap();
        let second = POLICY.attempt(Some(first), now - Duration::from_millis(1)).unwrap();
        assert_eq!(second.failures, 2);
    }

    const POLICY: Policy = Policy {
        free: 3,
        base: Duration::from_secs(1),
        max: Duration::from_secs(60),
        memory: Duration::from_secs(3_600),
    };

    #[test]
    fn the_delay_doubles_after_the_free_failures_up_to_its_bound() {
        let seconds: Vec<u64> = (1..=10).map(|failures| POLICY.delay(failures).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(POLICY.delay(u32::MAX), POLICY.max);
    }

    #[test]
    fn an_attempt_within_the_delay_is_refused_and_not_counted() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let count = (0..3).fold(None, |count, _| Some(POLICY.attempt(count, start).unwrap()));
        assert_eq!(POLICY.attempt(count, start), Err(Duration::from_secs(1)));
        let next = POLICY.attempt(count, start + Duration::from_secs(1)).unwrap();
        assert_eq!(next.failures, 4);
    }

    #[test]
    fn failures_are_forgotten_after_a_quiet_time() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let count = Count {
            failures: 40,
            attempted_at: start,
            blocked_until: start + POLICY.max,
        };
        let next = POLICY.attempt(Some(count), start + POLICY.memory).unwrap();
        assert_eq!(next.failures, 1);
    }
}
