//! What can go wrong, and what a caller gets of it.

use std::time::Duration;

use quartet_kernel::{DeadlineExceeded, EtagMismatch, Fault, InvalidFields};
use quartet_messaging::Failure as EffectFailure;
use quartet_proto::options::Reason;
use quartet_rpc::Failure;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::{CHALLENGE_TTL, Challenge, KeyError};

/// Every failure of the service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user name is in use.
    #[error("the user name is in use")]
    UsernameTaken,
    /// The address is in use.
    #[error("the e-mail address is in use")]
    EmailTaken,
    /// The name is unknown or the password is wrong; the caller does not learn which.
    #[error("the name or the password is wrong")]
    InvalidCredentials,
    /// A superuser has barred the account.
    #[error("the account is disabled")]
    AccountDisabled,
    /// Too many failed logins.
    #[error("too many failed attempts")]
    TooManyAttempts {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Too many passwords wait to be hashed.
    #[error("too many passwords are being checked")]
    HashingBusy,
    /// The OAuth 2.0 client is unknown, or has not proven who it is.
    #[error("the client is unknown, or its secret is wrong or missing")]
    InvalidClient,
    /// The OAuth 2.0 grant is not supported.
    #[error("the grant type is not supported")]
    UnsupportedGrantType,
    /// The refresh token is unknown or expired.
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    /// The refresh token was used before.
    #[error("the refresh token was used before; its session was ended")]
    RefreshTokenReused,
    /// No such live session of the caller.
    #[error("session {id} not found")]
    SessionNotFound {
        /// The id that was requested.
        id: Uuid,
    },
    /// The current password is wrong.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The reset token does not work.
    #[error("the reset token is not valid")]
    InvalidResetToken,
    /// The verification token does not work.
    #[error("the verification token is not valid")]
    InvalidVerificationToken,
    /// The token that undoes a change of address does not work.
    #[error("the token that undoes a change of address is not valid")]
    InvalidUndoToken,
    /// Tokens of that type cannot be revoked one by one.
    #[error("access tokens cannot be revoked; Logout ends their session")]
    UnsupportedTokenType,
    /// The password is right, and a code of the second factor is missing.
    #[error("a code of the second factor is required")]
    MfaRequired {
        /// What CompleteLogin takes beside the code.
        challenge: Challenge,
    },
    /// The challenge of a login does not work.
    #[error("the challenge is not valid")]
    InvalidChallenge,
    /// The code is wrong, or was used.
    #[error("the code is wrong, or was used")]
    WrongCode,
    /// The account has a second factor.
    #[error("the account has a second factor")]
    SecondFactorExists,
    /// The account has no second factor.
    #[error("the account has no second factor")]
    SecondFactorNotFound,
    /// The account has a second factor, which alone is a fresh proof.
    #[error("the second factor is the proof of this account")]
    SecondFactorNeeded,
    /// The address is proven.
    #[error("the e-mail address is proven already")]
    EmailAlreadyVerified,
    /// No such account.
    #[error("account {id} not found")]
    AccountNotFound {
        /// The id that was requested.
        id: Uuid,
    },
    /// The suite would be left without a superuser.
    #[error("the last superuser must stay")]
    LastSuperuser,
    /// Another process rotates the keys.
    #[error("another rotation of the keys is under way")]
    RotationUnderWay,
    /// No such key.
    #[error("there is no key `{kid}`")]
    KeyNotFound {
        /// The name that was requested.
        kid: String,
    },
    /// A key cannot be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A token cannot be signed.
    #[error("signing a token failed: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
    /// A password cannot be hashed.
    #[error("hashing a password failed: {0}")]
    Hashing(String),
    /// The request has fields that break their rules.
    #[error(transparent)]
    Invalid(#[from] InvalidFields),
    /// The suite could not do it, whatever the request was.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A reply that is made already, such as one to a caller who is no user.
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

impl From<DeadlineExceeded> for Error {
    fn from(late: DeadlineExceeded) -> Self {
        Self::Fault(late.into())
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
        let failure = |code, reason| Failure::new(code, reason, message.clone());
        let failure = match error {
            Error::UsernameTaken => failure(Code::AlreadyExists, Reason::UsernameTaken),
            Error::EmailTaken => failure(Code::AlreadyExists, Reason::EmailTaken),
            Error::InvalidCredentials => failure(Code::Unauthenticated, Reason::InvalidCredentials),
            Error::AccountDisabled => failure(Code::PermissionDenied, Reason::AccountDisabled),
            Error::TooManyAttempts { retry_after } => {
                failure(Code::ResourceExhausted, Reason::TooManyAttempts).retry_after(retry_after)
            }
            Error::HashingBusy => {
                failure(Code::ResourceExhausted, Reason::HashingBusy).retry_after(Duration::from_secs(1))
            }
            Error::InvalidClient => failure(Code::Unauthenticated, Reason::InvalidClient),
            Error::UnsupportedGrantType => failure(Code::InvalidArgument, Reason::UnsupportedGrantType),
            Error::InvalidRefreshToken => failure(Code::Unauthenticated, Reason::InvalidRefreshToken),
            Error::RefreshTokenReused => failure(Code::Unauthenticated, Reason::RefreshTokenReused),
            Error::SessionNotFound { id } => failure(Code::NotFound, Reason::SessionNotFound).with("session_id", id),
            Error::WrongPassword => failure(Code::PermissionDenied, Reason::WrongPassword),
            Error::InvalidResetToken => failure(Code::InvalidArgument, Reason::InvalidResetToken),
            Error::InvalidVerificationToken => failure(Code::InvalidArgument, Reason::InvalidVerificationToken),
            Error::InvalidUndoToken => failure(Code::InvalidArgument, Reason::InvalidUndoToken),
            Error::MfaRequired { challenge } => failure(Code::Unauthenticated, Reason::MfaRequired)
                .with("challenge", challenge.expose())
                .with("expires_in", CHALLENGE_TTL.as_secs()),
            Error::UnsupportedTokenType => failure(Code::InvalidArgument, Reason::UnsupportedTokenType),
            Error::InvalidChallenge => failure(Code::Unauthenticated, Reason::InvalidChallenge),
            Error::WrongCode => failure(Code::PermissionDenied, Reason::WrongCode),
            Error::SecondFactorExists => failure(Code::FailedPrecondition, Reason::SecondFactorExists),
            Error::SecondFactorNotFound => failure(Code::NotFound, Reason::SecondFactorNotFound),
            Error::SecondFactorNeeded => Failure::second_factor_required(),
            Error::EmailAlreadyVerified => failure(Code::FailedPrecondition, Reason::EmailAlreadyVerified),
            Error::AccountNotFound { id } => failure(Code::NotFound, Reason::AccountNotFound).with("account_id", id),
            Error::LastSuperuser => failure(Code::FailedPrecondition, Reason::LastSuperuser),
            Error::RotationUnderWay => Failure::unavailable("the key store"),
            Error::KeyNotFound { .. } | Error::Key(_) | Error::Signing(_) | Error::Hashing(_) => {
                tracing::error!(error = message, "auth failed");
                Failure::internal()
            }
            Error::Invalid(invalid) => invalid.into(),
            Error::Fault(fault) => fault.into(),
            Error::Refused(failure) => failure,
            Error::EtagMismatch(mismatch) => mismatch.into(),
            Error::Store(error) => error.into_fault().into(),
        };
        failure.into()
    }
}

impl From<Error> for EffectFailure {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            error => Self::Permanent(error.to_string()),
        }
    }
}
