//! Calls that go to one instance after another.

use std::sync::Arc;

use parking_lot::Mutex;

use super::instance::Instance;
use super::pool::Tried;

/// An extension of requests: those with clones of one go to different instances, as long as there is
/// one that none of them went to. For questions that each instance answers for itself.
#[derive(Clone, Default)]
pub struct Elsewhere(Arc<Mutex<Tried>>);

impl Elsewhere {
    /// The instances that calls went to so far.
    pub(super) fn tried(&self) -> Tried {
        self.0.lock().clone()
    }

    pub(super) fn went_to(&self, instance: &Arc<Instance>) {
        self.0.lock().push(instance.clone());
    }
}
