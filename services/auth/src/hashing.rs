//! Password hashing: off the async threads, a bounded number at once, and a bounded number waiting,
//! of which no client address has more than its share.

mod memory;
mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::Argon2;
use quartet_clock::Clock;
use quartet_kernel::{Deadline, Fault};

use crate::Error;
use crate::domain::{Hardness, HashMemory, Password, PasswordHash};

use memory::Spare;
pub use queue::Bounds;
use queue::Queue;

/// Hashes and verifies passwords. Cheap to clone; clones share their bounds.
#[derive(Clone)]
pub struct Hashing {
    clock: Clock,
    hardness: Hardness,
    hasher: Argon2<'static>,
    queue: Arc<Queue>,
    memory: Spare,
    /// Stands in for the hash of a name without an account, so that the answer takes as long.
    dummy: PasswordHash,
    dummies: Arc<AtomicU64>,
}

impl Hashing {
    /// Hashing of this hardness within these bounds.
    ///
    /// Errors: what is wrong with the hardness.
    pub fn new(clock: Clock, hardness: Hardness, bounds: Bounds) -> Result<Self, String> {
        let hasher = hardness.hasher()?;
        let nobody: String = clock.new_token::<32>();
        let dummy = Password::presented(&nobody)
            .map_err(|rule| rule.text)
            .and_then(|password| {
                PasswordHash::of(&password, clock.random(), &hasher, &mut HashMemory::default())
                    .map_err(|error| error.to_string())
            })?;
        Ok(Self {
            clock,
            hardness,
            hasher,
            queue: Queue::new(bounds),
            memory: Spare::new(hardness.memory_kib),
            dummy,
            dummies: Arc::default(),
        })
    }

    /// Hashes a new password, which comes from `origin`: see
    /// [`origin`](crate::domain::throttle::origin).
    ///
    /// Errors: [`Error::HashingBusy`] when the queue is full, or the share of the origin is.
    pub async fn hash(&self, password: Password, origin: &str, deadline: Deadline) -> Result<PasswordHash, Error> {
        let hasher = self.hasher.clone();
        let salt = self.clock.random();
        self.work(origin, deadline, move |memory| {
            PasswordHash::of(&password, salt, &hasher, memory)
        })
        .await?
        .map_err(|error| Error::Hashing(error.to_string()))
    }

    /// Whether `password`, which comes from `origin`, is the one of `hash`; without a hash, the same
    /// work and no.
    ///
    /// Errors: [`Error::HashingBusy`] when the queue is full, or the share of the origin is.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
        origin: &str,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let known = hash.is_some();
        if !known {
            self.dummies.fetch_add(1, Ordering::Relaxed);
        }
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let matches = self
            .work(origin, deadline, move |memory| hash.matches(&password, memory))
            .await?;
        Ok(matches && known)
    }

    /// How often a name without an account was given the same work.
    pub fn dummies(&self) -> u64 {
        self.dummies.load(Ordering::Relaxed)
    }

    /// Whether a hash should be made anew, now that its password is known.
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        hash.is_outdated(self.hardness)
    }

    async fn work<T: Send + 'static>(
        &self,
        origin: &str,
        deadline: Deadline,
        work: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.queue.enter(origin).ok_or(Error::HashingBusy)?;
        let core = deadline.bound(place.core()).await?.ok_or(Error::HashingBusy)?;
        // Core and place live inside the task: a caller who goes away does not free the core that
        // still works for them.
        let spare = self.memory.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut memory = spare.take();
            let done = work(&mut memory);
            spare.put(memory);
            drop((core, place));
            done
        });
        match deadline.bound(task).await? {
            Ok(done) => Ok(done),
            Err(error) => {
                tracing::error!(%error, "hashing a password failed");
                Err(Fault::Internal.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const EASY: Hardness = Hardness {
        memory_kib: 64,
        iterations: 1,
        parallelism: 1,
    };

    const NARROW: Bounds = Bounds {
        concurrency: 1,
        waiting: 0,
        share: 1,
    };

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    fn password() -> Password {
        Password::presented("zq8!vmx0").unwrap()
    }

    #[tokio::test]
    async fn a_name_without_an_account_costs_a_hash_of_the_same_hardness() {
        let hashing = Hashing::new(Clock::system(), EASY, NARROW).unwrap();
        assert!(!hashing.is_outdated(&hashing.dummy));
        assert!(!hashing.verify(password(), None, "", soon()).await.unwrap());
        assert_eq!(hashing.dummies(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_refuses_and_an_abandoned_hash_keeps_its_core() {
        let hashing = Hashing::new(Clock::system(), EASY, NARROW).unwrap();
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let (started, begun) = tokio::sync::oneshot::channel();
        let busy = hashing.clone();
        let abandoned = tokio::spawn(async move {
            busy.work("", soon(), move |_| {
                let _ = started.send(());
                gate.recv()
            })
            .await
        });
        begun.await.unwrap();
        abandoned.abort();
        let refused = hashing.hash(password(), "", soon()).await;
        assert!(matches!(refused, Err(Error::HashingBusy)));

        release.send(()).unwrap();
        let freed = async {
            while hashing.hash(password(), "", soon()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), freed).await.unwrap();
    }
}
