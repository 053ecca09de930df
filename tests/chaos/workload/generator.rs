//! The generator: which operation comes next, for which user, and when. The seed decides.

use std::time::Duration;

use crate::model::User;
use crate::rng::Rng;

/// An operation of the workload.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Register,
    Login,
    Refresh,
    CreateTodo,
    UpdateTodo,
    /// Reads a todo, or the list, through the other gateway.
    ReadTodo,
    CompleteTodo,
    DeleteTodo,
    Export,
    Import,
    /// Creates a task a second time, under the same unique key.
    RepeatTask,
    CancelTask,
    ReadTask,
    CreateWebhook,
    DeleteUser,
}

/// The mix of operations, by weight.
const MIX: [(Operation, usize); 15] = [
    (Operation::Register, 10),
    (Operation::Login, 5),
    (Operation::Refresh, 6),
    (Operation::CreateTodo, 40),
    (Operation::UpdateTodo, 13),
    (Operation::ReadTodo, 20),
    (Operation::CompleteTodo, 6),
    (Operation::DeleteTodo, 7),
    (Operation::Export, 8),
    (Operation::Import, 5),
    (Operation::RepeatTask, 5),
    (Operation::CancelTask, 2),
    (Operation::ReadTask, 4),
    (Operation::CreateWebhook, 4),
    (Operation::DeleteUser, 3),
];

/// A generator of operations.
pub(super) struct Generator {
    rng: Rng,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed) }
    }

    /// The next operation, and the index of its user; a registration has none.
    pub(super) fn next(&mut self, users: &[User]) -> (Operation, Option<usize>) {
        let operation = self.rng.weighted(&MIX);
        let active: Vec<usize> = (0..users.len()).filter(|&index| users[index].is_active()).collect();
        if active.is_empty() || matches!(operation, Operation::Register) {
            return (Operation::Register, None);
        }
        let user = active[self.rng.below(active.len())];
        (operation, Some(user))
    }

    /// The pause after an operation; longer while the cluster does not answer.
    pub(super) fn pause(&mut self, last_was_info: bool) -> Duration {
        self.rng.duration(20, 90) * if last_was_info { 5 } else { 1 }
    }

    /// A number below `bound`, for the choices within an operation.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound)
    }

    /// True with a probability of `percent` in a hundred, for the choices within an operation.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.rng.percent(percent)
    }
}
