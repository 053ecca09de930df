//! Sessions, their refresh tokens, and the list of those that ended.

use std::time::Duration;

use async_trait::async_trait;
use quartet_kernel::Deadline;
use time::OffsetDateTime;
use uuid::Uuid;

use super::NewSession;
use crate::Error;
use crate::domain::{Account, EndReason, EndedSession, PasswordHash, RefreshToken, Session};

/// The end of sessions: why, when, and until when it must be remembered.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// Why they end.
    pub reason: EndReason,
    /// When they end.
    pub now: OffsetDateTime,
    /// When their last access token will have expired.
    pub forget_at: OffsetDateTime,
}

/// What became of a refresh token that was presented.
#[derive(Debug, Clone)]
pub enum Rotation {
    /// It was exchanged, just now or within the window before: its successor is in force.
    Exchanged(Box<(Session, Account)>),
    /// It was used before; its session has ended just now.
    Reused(EndedSession),
    /// Its session was ended by a replay before.
    EndedByReuse,
    /// It is unknown, or its session is over.
    Invalid,
}

/// Sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session, if the account can sign in and its password is still the one of `verified`.
    async fn insert_session(
        &self,
        session: &NewSession,
        verified: &PasswordHash,
        deadline: Deadline,
    ) -> Result<Option<Account>, Error>;

    /// Exchanges a refresh token, once: the first call puts the successor in force, calls within `window` after it change nothing, and a
    /// later one ends the session.
    async fn rotate(
        &self,
        token: &RefreshToken,
        window: Duration,
        ending: Ending,
        deadline: Deadline,
    ) -> Result<Rotation, Error>;

    /// The live sessions of an account, the latest used first.
    async fn list_sessions(
        &self,
        account_id: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Vec<Session>, Error>;

    /// Ends one session of an account, if it is live.
    async fn end_session(
        &self,
        account_id: Uuid,
        id: Uuid,
        ending: Ending,
        deadline: Deadline,
    ) -> Result<Option<EndedSession>, Error>;

    /// Ends every session of an account.
    async fn end_sessions(
        &self,
        account_id: Uuid,
        ending: Ending,
        deadline: Deadline,
    ) -> Result<Vec<EndedSession>, Error>;

    /// Whether a session of the account began at this address.
    async fn is_known_address(&self, account_id: Uuid, address: &str, deadline: Deadline) -> Result<bool, Error>;

    /// The ended sessions that still have to be remembered at `now`: all, or those that ended after `since`.
    async fn list_ended(
        &self,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Vec<EndedSession>, Error>;

    /// Deletes what has expired by `now`: sessions, remembered ends, keys, tokens of mails, and failed logins from before `attempts_before`.
    async fn prune(
        &self,
        now: OffsetDateTime,
        attempts_before: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error>;
}
