//! Counts of the load, shared by its clients.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// What became of the requests.
#[derive(Default)]
pub struct Tally(Mutex<Counts>);

/// The counts.
#[derive(Clone, Default)]
pub struct Counts {
    /// Requests that were made.
    pub requests: usize,
    /// Those that were answered with 2xx.
    pub acknowledged: usize,
    /// Those without an answer, or with 5xx: what became of them is unknown.
    pub unanswered: usize,
    /// Those that were answered with 4xx, by act, status and code.
    pub refused: BTreeMap<String, usize>,
    /// What was answered and must not be.
    pub wrong: Vec<String>,
}

impl Tally {
    /// Changes the counts.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock());
    }

    /// The counts now.
    pub fn now(&self) -> Counts {
        self.0.lock().clone()
    }
}
