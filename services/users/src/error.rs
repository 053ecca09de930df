//! What can go wrong, and what a caller learns of it.

use quartet_kernel::{DeadlineExceeded, EtagMismatch, InvalidFields};
use quartet_proto::options::Reason;
use quartet_rpc::Failure;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::TierName;

/// Every failure of the service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user.
    #[error("user {id} not found")]
    UserNotFound {
        /// The requested id.
        id: Uuid,
    },
    /// No user of that name.
    #[error("user `{username}` not found")]
    UsernameNotFound {
        /// The requested user name.
        username: String,
    },
    /// The user is somebody else, and the caller no superuser.
    #[error("user {id} is somebody else")]
    NotYourUser {
        /// The requested id.
        id: Uuid,
    },
    /// Deleted users, and filters by name and address, are for superusers.
    #[error("only superusers may list deleted users, or filter by name or address")]
    NotForUsers,
    /// The auth service has given the user name to another account.
    #[error("the user name is taken")]
    UsernameTaken,
    /// The auth service has given the address to another account.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The auth service keeps the last superuser.
    #[error("the last superuser has to stay")]
    LastSuperuser,
    /// The user has no profile.
    #[error("user {id} has no profile")]
    ProfileNotFound {
        /// The requested user.
        id: Uuid,
    },
    /// No tier of that name.
    #[error("tier `{name}` not found")]
    TierNotFound {
        /// The requested name.
        name: String,
    },
    /// The user has no tier.
    #[error("user {id} has no tier")]
    NoTier {
        /// The requested user.
        id: Uuid,
    },
    /// A tier has that name.
    #[error("a tier named `{name}` exists")]
    TierNameTaken {
        /// The requested name.
        name: String,
    },
    /// No such rate limit of the tier.
    #[error("rate limit {id} not found")]
    RateLimitNotFound {
        /// The requested id.
        id: Uuid,
    },
    /// The tier has a limit for that path.
    #[error("the tier has a rate limit for `{path}`")]
    RateLimitExists {
        /// The requested path.
        path: String,
    },
    /// The tier has a limit of that name.
    #[error("the tier has a rate limit named `{name}`")]
    RateLimitNameTaken {
        /// The requested name.
        name: String,
    },
    /// A failure that is ready to be sent: invalid fields, a passed deadline, another service that
    /// is away.
    #[error("{0:?}")]
    Refused(Failure),
    /// The resource is not as the caller has seen it.
    #[error(transparent)]
    EtagMismatch(#[from] EtagMismatch),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] quartet_store::Error),
}

impl Error {
    /// No tier of that name.
    pub fn no_tier(name: &TierName) -> Self {
        Self::TierNotFound {
            name: name.as_str().to_owned(),
        }
    }
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
        let failure = |code, reason| Failure::new(code, reason, message);
        let failure = match error {
            Error::UserNotFound { id } => failure(Code::NotFound, Reason::UserNotFound).with("user_id", id),
            Error::UsernameNotFound { username } => {
                failure(Code::NotFound, Reason::UserNotFound).with("username", username)
            }
            Error::NotYourUser { id } => failure(Code::PermissionDenied, Reason::NotYourUser).with("user_id", id),
            Error::NotForUsers => failure(Code::PermissionDenied, Reason::PermissionDenied),
            Error::UsernameTaken => failure(Code::AlreadyExists, Reason::UsernameTaken),
            Error::EmailTaken => failure(Code::AlreadyExists, Reason::EmailTaken),
            Error::LastSuperuser => failure(Code::FailedPrecondition, Reason::LastSuperuser),
            Error::ProfileNotFound { id } => failure(Code::NotFound, Reason::ProfileNotFound).with("user_id", id),
            Error::TierNotFound { name } => failure(Code::NotFound, Reason::TierNotFound).with("name", name),
            Error::NoTier { id } => failure(Code::NotFound, Reason::TierNotFound).with("user_id", id),
            Error::TierNameTaken { name } => failure(Code::AlreadyExists, Reason::TierNameTaken).with("name", name),
            Error::RateLimitNotFound { id } => {
                failure(Code::NotFound, Reason::RateLimitNotFound).with("rate_limit_id", id)
            }
            Error::RateLimitExists { path } => failure(Code::AlreadyExists, Reason::RateLimitExists).with("path", path),
            Error::RateLimitNameTaken { name } => {
                failure(Code::AlreadyExists, Reason::RateLimitNameTaken).with("name", name)
            }
            Error::Refused(failure) => failure,
            Error::EtagMismatch(mismatch) => mismatch.into(),
            Error::Store(error) => error.into_fault().into(),
        };
        failure.into()
    }
}
