//! What can go wrong, and the status for it.

use quartet_kernel::{DeadlineExceeded, EtagMismatch, InvalidFields};
use quartet_proto::options::Reason;
use quartet_rpc::Failure;
use tonic::{Code, Status};
use uuid::Uuid;

/// Every failure of the service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such todo of the caller.
    #[error("todo {id} not found")]
    TodoNotFound {
        /// The requested id.
        id: Uuid,
    },
    /// No such tag of the caller.
    #[error("tag {id} not found")]
    TagNotFound {
        /// The requested id.
        id: Uuid,
    },
    /// The caller has a tag of that name.
    #[error("a tag named `{name}` exists")]
    TagNameTaken {
        /// The requested name.
        name: String,
    },
    /// A tag was renamed or deleted while todos with it were made, again and again.
    #[error("the tags of the todos change too often")]
    TagsChanged,
    /// Todos were to be made for somebody who is deleted.
    #[error("user {id} is deleted")]
    OwnerDeleted {
        /// The user.
        id: Uuid,
    },
    /// The caller has as many of them as there may be.
    #[error("there may be {limit} {quota}")]
    QuotaExceeded {
        /// Of what, such as `todos`.
        quota: &'static str,
        /// How many there may be.
        limit: i64,
    },
    /// An answer that is made already: invalid fields, a passed deadline.
    #[error("{0:?}")]
    Refused(Failure),
    /// The resource is not as the caller has seen it.
    #[error(transparent)]
    EtagMismatch(#[from] EtagMismatch),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] quartet_store::Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<InvalidFields> for Error {
    fn from(invalid: InvalidFields) -> Self {
        Self::Refused(invalid.into())
    }
}

impl From<DeadlineExceeded> for Error {
    fn from(late: DeadlineExceeded) -> Self {
        Self::Refused(late.into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let failure = match error {
            Error::TodoNotFound { id } => {
                Failure::new(Code::NotFound, Reason::TodoNotFound, message).with("todo_id", id)
            }
            Error::TagNotFound { id } => Failure::new(Code::NotFound, Reason::TagNotFound, message).with("tag_id", id),
            Error::TagNameTaken { name } => {
                Failure::new(Code::AlreadyExists, Reason::TagNameTaken, message).with("name", name)
            }
            Error::TagsChanged => Failure::unavailable("the tags"),
            Error::OwnerDeleted { id } => {
                Failure::new(Code::NotFound, Reason::UserNotFound, message).with("user_id", id)
            }
            Error::QuotaExceeded { quota, limit } => {
                Failure::new(Code::ResourceExhausted, Reason::QuotaExceeded, message)
                    .with("quota", quota)
                    .with("limit", limit)
            }
            Error::Refused(failure) => failure,
            Error::EtagMismatch(mismatch) => mismatch.into(),
            Error::Store(error) => error.into_fault().into(),
        };
        failure.into()
    }
}

impl From<Error> for quartet_messaging::Failure {
    /// Every error of an effect is transient: the store comes back.
    fn from(error: Error) -> Self {
        Self::Transient(error.to_string())
    }
}
