//! The throttle on guessing: it slows whoever guesses, and never locks an owner out for good.
//!
//! Every name that is presented is counted, whether it has an account or not, so that the throttle
//! reveals nothing about accounts. The user name and the address of one account share their counts.
//! There are three:
//! - one per name and client address, whose delay doubles with every failure up to minutes: it
//!   stops the one who guesses;
//! - one per name over all addresses, whose delay stays at seconds: it slows those who guess from
//!   many addresses. An owner who comes from an address of theirs does not feel it;
//! - one per client address over all names: it slows those who try a few passwords with many names.
//!   A failure is forgiven after a time, since many people may share an address.
//!
//! An owner with a living session, or on a device that has signed in before, feels none of them:
//! what is tried with their sessions, or from that device, is counted by itself.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

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
    /// One failure is forgiven every so often, even while others follow.
    pub forgiven_every: Option<Duration>,
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
        let (before, since) = remembered.map_or((0, now), |count| self.unforgiven(count, now));
        let failures = before.saturating_add(1);
        let delay = self.delay(failures);
        Ok(Count {
            failures,
            attempted_at: since,
            blocked_until: if delay.is_zero() { since } else { now + delay },
        })
    }

    /// What is left of the failures at `now`, and the time up to which they have been forgiven.
    fn unforgiven(&self, count: Count, now: OffsetDateTime) -> (u32, OffsetDateTime) {
        let Some(every) = self.forgiven_every.filter(|every| !every.is_zero()) else {
            return (count.failures, now);
        };
        let elapsed = Duration::try_from(now - count.attempted_at).unwrap_or_default();
        let forgiven = u32::try_from(elapsed.as_nanos() / every.as_nanos()).unwrap_or(u32::MAX);
        if forgiven >= count.failures {
            return (0, now);
        }
        (
            count.failures - forgiven,
            count.attempted_at + every.saturating_mul(forgiven),
        )
    }
}

/// Failures of one name, from one address or from all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub failures: u32,
    /// When the last one was; where failures are forgiven, up to when they have been.
    pub attempted_at: OffsetDateTime,
    /// Until when nobody may try.
    pub blocked_until: OffsetDateTime,
}

/// Stands for all addresses from which the password is tried with a session of the account. A stolen
/// access token must not serve to guess it, from whatever address: changes of the password and logins
/// with the token count as one.
pub const WITH_SESSION: &str = "password:change";

/// Stands for all addresses from which codes of the second factor are tried, whether to sign in or with
/// a session.
pub const WITH_CODE: &str = "second-factor";

/// Stands for all addresses of a name.
pub const ANYWHERE: &str = "*";

/// An attempt that is let through. It counts as failed until it has succeeded.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The count that a success clears: that of the name and the address, or of the session or the
    /// device that the attempt is made with.
    pub pair: Mark,
    /// The count of all addresses together, where that one matters.
    pub name: Option<Mark>,
    /// The count of all names together, where that one matters.
    pub origin: Option<Mark>,
}

/// What an attempt changes in one count.
#[derive(Debug, Clone)]
pub struct Mark {
    /// What is counted.
    pub subject: Subject,
    /// From where: an address, [`ANYWHERE`], or what stands for sessions or a device.
    pub address: String,
    /// The count as it was read; `None` when there was none.
    pub before: Option<Count>,
    /// The count with the attempt.
    pub after: Count,
    /// The attempt adds one to fewer failures than this, whatever their number has become
    /// meanwhile: none of them costs a delay, so their order does not matter, and attempts at once
    /// do not have to be repeated.
    pub adds_below: Option<u32>,
}

impl Mark {
    /// Counts one more attempt on `subject` from `address` at `now`.
    ///
    /// Errors: how long to wait.
    pub fn new(
        subject: Subject,
        address: &str,
        policy: Policy,
        before: Option<Count>,
        now: OffsetDateTime,
    ) -> Result<Self, Duration> {
        let after = policy.attempt(before, now)?;
        let adds = before.is_some_and(|before| after.failures == before.failures.saturating_add(1))
            && policy.delay(after.failures).is_zero();
        Ok(Self {
            subject,
            address: address.to_owned(),
            before,
            after,
            adds_below: adds.then(|| policy.free.max(1) - 1),
        })
    }

    /// Until when nobody could try before the attempt.
    pub fn blocked_before(&self) -> OffsetDateTime {
        self.before
            .map_or(self.after.attempted_at, |before| before.blocked_until)
    }
}

impl Attempt {
    /// What it changes, per count.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        std::iter::once(&self.pair).chain(&self.name).chain(&self.origin)
    }
}

/// What failures are counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An account, by whichever of its names.
    Account(Uuid),
    /// A name without an account: a digest of it as it was presented, folded to lower case. Names
    /// and addresses with a mistake in them are nobody's business.
    Name([u8; 32]),
    /// All names together.
    AnyName,
}

impl Subject {
    /// The subject of a name or an address, as long as no account has it.
    pub fn of(username_or_email: &str) -> Self {
        Self::Name(Sha256::digest(username_or_email.to_lowercase()).into())
    }

    /// What the store has it as. No two kinds are of one length.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Account(id) => id.as_bytes(),
            Self::Name(digest) => digest,
            Self::AnyName => b"*",
        }
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
        forgiven_every: None,
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

    #[test]
    fn failures_of_many_are_forgiven_one_by_one_while_others_follow() {
        let policy = Policy {
            forgiven_every: Some(Duration::from_secs(60)),
            ..POLICY
        };
        let spaced = |policy: Policy, seconds: u64| {
            let at = |n: u32| OffsetDateTime::UNIX_EPOCH + n * Duration::from_secs(seconds);
            (0..200).try_fold(None, |count, n| policy.attempt(count, at(n)).map(Some))
        };
        let failures = |policy| spaced(policy, 70).unwrap().unwrap().failures;
        assert_eq!((failures(POLICY), failures(policy)), (200, 1));
        assert!(spaced(policy, 1).is_err(), "one a second is too many all the same");
    }

    #[test]
    fn an_attempt_adds_to_what_is_there_only_where_that_costs_no_delay() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mark = |before| Mark::new(Subject::AnyName, "", POLICY, before, now).unwrap();
        let count = |failures, attempted_at| Count {
            failures,
            attempted_at,
            blocked_until: attempted_at,
        };
        assert_eq!(mark(None).adds_below, None);
        assert_eq!(mark(Some(count(1, now))).adds_below, Some(2));
        assert_eq!(mark(Some(count(2, now))).adds_below, None, "the third costs a delay");
        assert_eq!(
            mark(Some(count(1, now - POLICY.memory))).adds_below,
            None,
            "it is forgotten"
        );
    }
}
