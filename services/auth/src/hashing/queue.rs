//! Who is hashed next: a bounded queue for a number of cores, fair between the origins of calls.
//!
//! No origin holds more than its share of the places, and a core that is free goes to the origins in
//! turn. So one that floods the queue leaves the others their places, and each of them waits for one
//! password of the flood at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Passwords at work at once.
    pub concurrency: usize,
    /// Passwords that wait at the most.
    pub waiting: usize,
    /// Passwords of one origin, at work or waiting, at the most.
    pub share: usize,
}

/// The queue.
pub(super) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Cores at work.
    busy: usize,
    /// Places taken in all.
    taken: usize,
    origins: HashMap<String, Origin>,
    /// The origins that wait for a core, in turn.
    turns: VecDeque<String>,
}

#[derive(Default)]
struct Origin {
    taken: usize,
    waiting: VecDeque<oneshot::Sender<Core>>,
}

/// A place in the queue; it is free again when this is dropped.
pub(super) struct Place {
    queue: Arc<Queue>,
    origin: String,
}

/// A core to work on; when this is dropped it goes to whoever is next.
pub(super) struct Core {
    queue: Arc<Queue>,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds: Bounds {
                concurrency: bounds.concurrency.max(1),
                ..bounds
            },
            state: Mutex::default(),
        })
    }

    /// Takes a place; `None` when all are taken, or the share of this origin is.
    pub(super) fn enter(self: &Arc<Self>, origin: &str) -> Option<Place> {
        let Bounds {
            concurrency,
            waiting,
            share,
        } = self.bounds;
        let mut state = self.state.lock();
        let own = state.origins.get(origin).map_or(0, |origin| origin.taken);
        if state.taken >= concurrency.saturating_add(waiting) || own >= share.max(1) {
            return None;
        }
        state.taken += 1;
        state.origins.entry(origin.to_owned()).or_default().taken += 1;
        Some(Place {
            queue: self.clone(),
            origin: origin.to_owned(),
        })
    }

    /// The core that is free now goes to the next origin that waits, if there is one.
    fn pass_on(self: &Arc<Self>) {
        let next = {
            let mut state = self.state.lock();
            let next = state.next();
            if next.is_none() {
                state.busy -= 1;
            }
            next
        };
        if let Some(next) = next {
            // Whoever has gone away meanwhile drops the core, which then is passed on again.
            drop(next.send(Core { queue: self.clone() }));
        }
    }
}

impl State {
    fn next(&mut self) -> Option<oneshot::Sender<Core>> {
        while let Some(name) = self.turns.pop_front() {
            let Some(origin) = self.origins.get_mut(&name) else {
                continue;
            };
            origin.waiting.retain(|waiting| !waiting.is_closed());
            let next = origin.waiting.pop_front();
            if !origin.waiting.is_empty() {
                self.turns.push_back(name);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl Place {
    /// Waits for a core. `None` does not happen: a core always comes, or the caller stops waiting.
    pub(super) async fn core(&self) -> Option<Core> {
        let coming = {
            let mut state = self.queue.state.lock();
            if state.busy < self.queue.bounds.concurrency {
                state.busy += 1;
                return Some(Core {
                    queue: self.queue.clone(),
                });
            }
            let (sender, coming) = oneshot::channel();
            let origin = state.origins.entry(self.origin.clone()).or_default();
            // Those who have stopped waiting leave no more behind than there are places.
            origin.waiting.retain(|waiting| !waiting.is_closed());
            origin.waiting.push_back(sender);
            if !state.turns.contains(&self.origin) {
                state.turns.push_back(self.origin.clone());
            }
            coming
        };
        coming.await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.taken -= 1;
        if let Some(origin) = state.origins.get_mut(&self.origin) {
            origin.taken -= 1;
            // Nobody waits without a place.
            if origin.taken == 0 {
                state.origins.remove(&self.origin);
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.queue.pass_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(concurrency: usize, waiting: usize, share: usize) -> Arc<Queue> {
        Queue::new(Bounds {
            concurrency,
            waiting,
            share,
        })
    }

    /// Waits for a core in a task, which is in the queue when this returns.
    async fn wait(place: Place, name: &'static str, done: &Arc<Mutex<Vec<&'static str>>>) {
        let done = done.clone();
        tokio::spawn(async move {
            let core = place.core().await.unwrap();
            done.lock().push(name);
            drop((core, place));
        });
        tokio::task::yield_now().await;
    }

    #[tokio::test]
    async fn a_flood_of_one_origin_leaves_the_others_their_places() {
        let queue = queue(1, 5, 2);
        let flood: Vec<_> = (0..40).filter_map(|_| queue.enter("flood")).collect();
        assert_eq!(flood.len(), 2);
        let others = ["a", "b", "c", "d"].map(|origin| queue.enter(origin));
        assert!(others.iter().all(Option::is_some));
        assert!(queue.enter("e").is_none(), "all places are taken");
        drop(flood);
        assert!(queue.enter("flood").is_some());
        drop(others);
        assert_eq!(queue.state.lock().origins.len(), 0);
    }

    #[tokio::test]
    async fn a_core_goes_to_the_origins_in_turn() {
        let queue = queue(1, 10, 10);
        let done = Arc::default();
        let first = queue.enter("flood").unwrap();
        let core = first.core().await.unwrap();
        for name in ["flood 1", "flood 2", "flood 3"] {
            wait(queue.enter("flood").unwrap(), name, &done).await;
        }
        wait(queue.enter("ann").unwrap(), "ann", &done).await;
        wait(queue.enter("bob").unwrap(), "bob", &done).await;
        drop((core, first));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*done.lock(), ["flood 1", "ann", "bob", "flood 2", "flood 3"]);
        let state = queue.state.lock();
        assert_eq!((state.busy, state.taken, state.turns.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_core_for_somebody_who_has_gone_goes_to_the_next() {
        let queue = queue(1, 10, 10);
        let first = queue.enter("a").unwrap();
        let core = first.core().await.unwrap();
        let (gone, late) = (queue.enter("b").unwrap(), queue.enter("c").unwrap());
        let mut waiting = Box::pin(gone.core());
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        let mut next = Box::pin(late.core());
        assert!(futures::poll!(next.as_mut()).is_pending());
        // It gets the core, and goes before it has seen it.
        drop(core);
        drop(waiting);
        assert!(next.await.is_some());
        let mut after = Box::pin(first.core());
        assert!(!futures::poll!(after.as_mut()).is_pending(), "the core is free again");
    }
}
