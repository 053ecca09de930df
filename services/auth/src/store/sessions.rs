//! Sessions, their refresh tokens, and the list of those that ended.

use std::time::Duration;

use async_trait::async_trait;
use quartet_store::Context;
use time::OffsetDateTime;
use uuid::Uuid;

use super::NewSession;
use crate::Error;
use crate::domain::throttle::Attempt;
use crate::domain::{Account, EndReason, EndedSession, PasswordHash, RefreshToken, Session};

/// The end of sessions: why, when, and until when it must be remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) reason: EndReason,
    pub(super) now: OffsetDateTime,
    /// When their last access token will have expired.
    pub(super) forget_at: OffsetDateTime,
}

impl Ending {
    pub(super) fn of(self, id: Uuid) -> EndedSession {
        EndedSession {
            id,
            forget_at: self.forget_at,
        }
    }
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
    /// Opens a session after a successful attempt, if the account can sign in and its password is
    /// still the one of `verified`. Clears the attempt either way.
    async fn open_session(
        &self,
        session: &NewSession,
        verified: &PasswordHash,
        attempt: &Attempt,
        cx: &Context,
    ) -> Result<Option<Account>, Error>;

    /// Exchanges a refresh token, once: the first call puts the successor in force, calls within
    /// `window` after it change nothing, and a later one ends the session.
    async fn rotate(&self, token: &RefreshToken, window: Duration, cx: &Context) -> Result<Rotation, Error>;

    /// The live sessions of an account, the latest used first.
    async fn list_sessions(&self, account_id: Uuid, cx: &Context) -> Result<Vec<Session>, Error>;

    /// Ends one session of an account, if it is live: its owner logs it out.
    async fn end_session(&self, account_id: Uuid, id: Uuid, cx: &Context) -> Result<Option<EndedSession>, Error>;

    /// Ends every session of an account: its owner logs them out.
    async fn end_sessions(&self, account_id: Uuid, cx: &Context) -> Result<Vec<EndedSession>, Error>;

    /// The ended sessions that still have to be remembered: all, or those that ended after `since`.
    async fn list_ended(&self, since: Option<OffsetDateTime>, cx: &Context) -> Result<Vec<EndedSession>, Error>;

    /// Deletes what has expired: sessions, remembered ends, keys, tokens of mails, and failed
    /// logins from before `attempts_before`.
    async fn prune(&self, attempts_before: OffsetDateTime, cx: &Context) -> Result<(), Error>;
}
