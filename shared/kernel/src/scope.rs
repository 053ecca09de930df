//! A transaction around several units of work.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// A transaction that outlives the units of work in it: what they commit is suspended here, and
/// lasts once whoever made the scope commits it. A scope that is dropped rolls it back.
///
/// Units of one scope follow one another. Cheap to clone; clones are one scope.
#[derive(Clone, Default)]
pub struct Scope(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The transaction, between two units. Its type is the database's.
    transaction: Option<Box<dyn Any + Send>>,
    /// Whether a unit has resumed it.
    is_resumed: bool,
    after: Vec<Act>,
}

/// What follows from the commit of a scope.
pub type Act = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What a scope holds at its end.
pub struct Ended<T> {
    /// The transaction, if anything was written.
    pub transaction: Option<T>,
    /// What follows from the commit, in this order.
    pub after: Vec<Act>,
}

/// A unit has taken the transaction along when it failed: what was written before it is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part of the work was rolled back")]
pub struct Broken;

impl Scope {
    /// Whether something was written that is yet to be committed.
    pub fn is_suspended(&self) -> bool {
        self.state(|state| state.transaction.is_some())
    }

    /// The transaction, for a unit that goes on with it; `None` if it is yet to be begun.
    pub fn resume<T: Send + 'static>(&self) -> Option<T> {
        self.state(|state| {
            let transaction = state.transaction.take()?.downcast().ok();
            state.is_resumed |= transaction.is_some();
            transaction.map(|transaction| *transaction)
        })
    }

    /// Takes the transaction of a unit that has ended well.
    pub fn suspend<T: Send + 'static>(&self, transaction: T) {
        self.state(|state| {
            state.transaction = Some(Box::new(transaction));
            state.is_resumed = false;
        });
    }

    /// Has `act` run once the transaction is committed.
    pub fn after_commit<F>(&self, act: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.state(|state| state.after.push(Box::new(move || Box::pin(act()))));
    }

    /// Ends the scope, to commit it.
    ///
    /// # Errors
    /// [`Broken`] when nothing of it may be committed.
    pub fn end<T: Send + 'static>(&self) -> Result<Ended<T>, Broken> {
        let ended = self.state(std::mem::take);
        if ended.is_resumed {
            return Err(Broken);
        }
        let transaction = ended
            .transaction
            .map(|transaction| transaction.downcast().map_err(|_| Broken));
        Ok(Ended {
            transaction: transaction.transpose()?.map(|transaction| *transaction),
            after: ended.after,
        })
    }

    /// Rolls it back.
    pub fn roll_back(&self) {
        self.state(std::mem::take);
    }

    fn state<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        // What panics under the lock leaves the state whole.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("is_suspended", &self.is_suspended())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_fails_takes_along_what_was_written_before_it() {
        let scope = Scope::default();
        assert!(scope.resume::<u8>().is_none());
        scope.suspend(1_u8);
        assert_eq!(scope.resume::<u8>(), Some(1));
        assert_eq!(scope.end::<u8>().err(), Some(Broken));
    }

    #[test]
    fn what_is_suspended_last_is_committed() {
        let scope = Scope::default();
        scope.suspend(1_u8);
        assert_eq!(scope.resume::<u8>(), Some(1));
        scope.suspend(2_u8);
        scope.after_commit(|| async {});
        let ended = scope.end::<u8>().unwrap();
        assert_eq!((ended.transaction, ended.after.len()), (Some(2), 1));
    }
}
