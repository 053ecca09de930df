//! Time, ids and randomness, as one parameter that tests own.
//!
//! Code that needs the time, a new id or a random token takes a [`Clock`]; nothing else may get
//! them from the system (`clippy.toml` forbids it). [`Clock::system`] is the real one;
//! [`Clock::manual`] stands still until a test advances it.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use time::{Duration, OffsetDateTime};
use uuid::{ContextV7, Timestamp, Uuid};

/// The time, ids and secrets. Cheap to clone; clones share their time.
#[derive(Clone)]
pub struct Clock {
    manual: Option<Arc<Mutex<OffsetDateTime>>>,
    ids: Arc<Mutex<ContextV7>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self {
            manual: None,
            ids: Arc::new(Mutex::new(ContextV7::new())),
        }
    }

    /// A clock that shows `start` until [`Clock::advance`] moves it. For tests.
    pub fn manual(start: OffsetDateTime) -> Self {
        Self {
            manual: Some(Arc::new(Mutex::new(start))),
            ids: Arc::new(Mutex::new(ContextV7::new())),
        }
    }

    /// Now, in UTC, truncated to whole microseconds: the precision of every store.
    pub fn now(&self) -> OffsetDateTime {
        let now = match &self.manual {
            Some(time) => *time.lock(),
            #[expect(clippy::disallowed_methods, reason = "this is the one place that provides the time")]
            None => OffsetDateTime::from(SystemTime::now()),
        };
        now.replace_nanosecond(now.nanosecond() / 1_000 * 1_000).unwrap_or(now)
    }

    /// Moves a manual clock forward; has no effect on the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Some(time) = &self.manual {
            *time.lock() += by;
        }
    }

    /// A new UUIDv7 (RFC 9562 §5.7). Ids from one clock sort in the order of creation.
    pub fn new_id(&self) -> Uuid {
        let now = self.now();
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(&*self.ids.lock(), seconds, now.nanosecond()))
    }

    /// `BYTES` random bytes as unpadded base64url: an unguessable token.
    pub fn new_token<const BYTES: usize>(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.random::<BYTES>())
    }

    /// `BYTES` random bytes from the thread's cryptographic generator.
    pub fn random<const BYTES: usize>(&self) -> [u8; BYTES] {
        rand::random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_created_within_one_instant_sort_in_the_order_of_creation() {
        let clock = Clock::manual(OffsetDateTime::UNIX_EPOCH + Duration::days(20_000));
        let ids: Vec<Uuid> = (0..1_000).map(|_| clock.new_id()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_manual_clock_moves_only_when_it_is_advanced() {
        let clock = Clock::manual(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH);
        clock.clone().advance(Duration::seconds(3));
        assert_eq!(clock.now().unix_timestamp(), 3);
    }
}
