//! What can go wrong, and what a caller learns of it.

use quartet_kernel::{DeadlineExceeded, EtagMismatch, InvalidFields};
use quartet_proto::options::Reason;
use quartet_rpc::{Failure, failure_of};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::Kind;

/// Every failure of the service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such job of the caller.
    #[error("task {id} not found")]
    TaskNotFound {
        /// The requested id.
        id: Uuid,
    },
    /// There is nothing to cancel.
    #[error("task {id} has ended")]
    TaskEnded {
        /// The job.
        id: Uuid,
    },
    /// There is nothing to start again.
    #[error("task {id} has not failed")]
    TaskNotRetryable {
        /// The job.
        id: Uuid,
    },
    /// The key belongs to a job of another kind or payload.
    #[error("the key belongs to another task, {id}")]
    TaskKeyReused {
        /// The job that has it.
        id: Uuid,
    },
    /// Only superusers start jobs of that kind.
    #[error("only superusers start tasks of the kind {}", kind.name())]
    TaskKindNotAllowed {
        /// The kind.
        kind: Kind,
    },
    /// The link is forged or has expired.
    #[error("the link does not count, or no longer")]
    DownloadLinkInvalid,
    /// The job has made no file, or its file is gone.
    #[error("task {id} has no file")]
    ResultNotFound {
        /// The job.
        id: Uuid,
    },
    /// The uploaded file is larger than the limit.
    #[error("the file is larger than {limit} bytes")]
    UploadTooLarge {
        /// Bytes that it may have.
        limit: usize,
    },
    /// No such webhook of the caller.
    #[error("webhook {id} not found")]
    WebhookNotFound {
        /// The requested id.
        id: Uuid,
    },
    /// The caller has as many webhooks as there may be.
    #[error("there may be {limit} webhooks")]
    WebhookLimitReached {
        /// How many there may be.
        limit: i64,
    },
    /// The caller has as many of them as there may be.
    #[error("there may be {limit} {quota} at once")]
    QuotaExceeded {
        /// Of what, such as `tasks`.
        quota: &'static str,
        /// How many there may be.
        limit: i32,
    },
    /// An answer that is made already: invalid fields, a passed deadline.
    #[error("{0:?}")]
    Refused(Failure),
    /// A file cannot be read or written.
    #[error("a file cannot be read or written: {0}")]
    File(#[from] std::io::Error),
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

impl From<Error> for quartet_kernel::Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            error => failure_of(&error.into()),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let failure = |code, reason| Failure::new(code, reason, message);
        let failure = match error {
            Error::TaskNotFound { id } => failure(Code::NotFound, Reason::TaskNotFound).with("task_id", id),
            Error::TaskEnded { id } => failure(Code::FailedPrecondition, Reason::TaskEnded).with("task_id", id),
            Error::TaskNotRetryable { id } => {
                failure(Code::FailedPrecondition, Reason::TaskNotRetryable).with("task_id", id)
            }
            Error::TaskKeyReused { id } => failure(Code::AlreadyExists, Reason::TaskKeyReused).with("task_id", id),
            Error::TaskKindNotAllowed { kind } => {
                failure(Code::PermissionDenied, Reason::TaskKindNotAllowed).with("kind", kind.name())
            }
            Error::DownloadLinkInvalid => failure(Code::PermissionDenied, Reason::DownloadLinkInvalid),
            Error::ResultNotFound { id } => failure(Code::NotFound, Reason::ResultNotFound).with("task_id", id),
            Error::UploadTooLarge { limit } => {
                failure(Code::FailedPrecondition, Reason::UploadTooLarge).with("limit", limit)
            }
            Error::WebhookNotFound { id } => failure(Code::NotFound, Reason::WebhookNotFound).with("webhook_id", id),
            Error::WebhookLimitReached { limit } => {
                failure(Code::FailedPrecondition, Reason::WebhookLimitReached).with("limit", limit)
            }
            Error::QuotaExceeded { quota, limit } => failure(Code::ResourceExhausted, Reason::QuotaExceeded)
                .with("quota", quota)
                .with("limit", limit),
            Error::Refused(failure) => failure,
            Error::File(error) => {
                tracing::error!(%error, "a file cannot be read or written");
                Failure::internal()
            }
            Error::EtagMismatch(mismatch) => mismatch.into(),
            Error::Store(error) => error.into_fault().into(),
        };
        failure.into()
    }
}
