//! Why a job is not done.

use std::time::Duration;

use quartet_kernel::Failure;
use quartet_rpc::failure_of;
use tonic::Status;

use crate::Error;
use crate::domain::Problem;

/// Why a job is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobError {
    /// The attempt failed.
    Failed {
        /// Why, and whether another attempt may succeed.
        failure: Failure<Problem>,
        /// How long the next attempt waits, in place of the pause of the kind.
        retry_after: Option<Duration>,
    },
    /// The handler was requested to end and has done so.
    Interrupted,
}

impl JobError {
    /// Another attempt may succeed.
    pub fn transient(reason: &str, message: impl ToString) -> Self {
        Failure::Transient(Problem::new(reason, message.to_string())).into()
    }

    /// Every other attempt would fail as well.
    pub fn permanent(reason: &str, message: impl ToString) -> Self {
        Failure::Permanent(Problem::new(reason, message.to_string())).into()
    }

    /// With a pause before the next attempt, in place of that of the kind.
    #[must_use]
    pub fn retry_after(self, pause: Option<Duration>) -> Self {
        match self {
            Self::Failed { failure, .. } => Self::Failed {
                failure,
                retry_after: pause,
            },
            Self::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Failure<Problem>> for JobError {
    fn from(failure: Failure<Problem>) -> Self {
        Self::Failed {
            failure,
            retry_after: None,
        }
    }
}

impl From<Failure> for JobError {
    /// The failure of something that the job needs.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Transient(message) => Self::transient("UNAVAILABLE", message),
            Failure::Permanent(message) => Self::permanent("REFUSED", message),
        }
    }
}

impl From<Status> for JobError {
    fn from(status: Status) -> Self {
        failure_of(&status).into()
    }
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        Status::from(error).into()
    }
}

impl From<std::io::Error> for JobError {
    fn from(error: std::io::Error) -> Self {
        Self::transient("FILE", error)
    }
}
