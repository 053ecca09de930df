//! Time, ids and randomness, as one parameter that tests own.
//!
//! Code that needs the time, a new id or a random token takes a [`Clock`]; nothing else may ask the system for them
//! (`clippy.toml` says so). [`Clock::system`] is the real one, [`Clock::manual`] stands still until a test moves it.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::{Duration, OffsetDateTime};
use uuid::{ContextV7, Timestamp, Uuid};

/// Tells the time and draws ids and secrets. Cheap to clone; clones share their time.
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

    /// Now, in UTC, cut to whole microseconds: what every store can hold.
    pub fn now(&self) -> OffsetDateTime {
        let now = match &self.manual {
            Some(time) => *lock(time),
            #[expect(clippy::disallowed_methods, reason = "this is the place that provides it")]
            None => OffsetDateTime::from(SystemTime::now()),
        };
        now.replace_nanosecond(now.nanosecond() / 1_000 * 1_000).unwrap_or(now)
    }

    /// Moves a manual clock forward; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Some(time) = &self.manual {
            *lock(time) += by;
        }
    }

    /// A new UUIDv7 (RFC 9562 §5.7). Ids drawn from one clock sort in the order they were drawn.
    pub fn new_id(&self) -> Uuid {
        let now = self.now();
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(&*lock(&self.ids), seconds, now.nanosecond()))
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while the lock was held leaves a valid time or counter behind.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_drawn_within_one_instant_sort_in_drawing_order() {
        let clock = Clock::manual(OffsetDateTime::UNIX_EPOCH + Duration::days(20_000));
        let ids: Vec<Uuid> = (0..1_000).map(|_| clock.new_id()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH);
        clock.clone().advance(Duration::seconds(3));
        assert_eq!(clock.now().unix_timestamp(), 3);
    }
}
