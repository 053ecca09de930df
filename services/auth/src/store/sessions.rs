//! Sessions, their refresh tokens, and the list of those that ended.

use std::time::Duration;

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Context, Timestamp};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::NewSession;
use crate::Error;
use crate::domain::throttle::Attempt;
use crate::domain::{Account, Assurance, EndReason, EndedSession, PasswordHash, RefreshToken, Session};

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

/// Where a session stands in the list, the latest used first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKey {
    /// When it was last used, in microseconds since the epoch.
    pub last_used_at: i64,
    /// Decides ties.
    pub id: Uuid,
}

impl SessionKey {
    /// Where `session` stands.
    pub fn of(session: &Session) -> Self {
        Self {
            last_used_at: Timestamp(session.last_used_at).micros(),
            id: session.id,
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
    /// still the one of `verified`. Clears the attempt either way. Of the account's live sessions
    /// `limit` stay: those that were used least recently end.
    async fn open_session(
        &self,
        session: &NewSession,
        verified: &PasswordHash,
        attempt: &Attempt,
        limit: u32,
        cx: &Context,
    ) -> Result<Option<Account>, Error>;

    /// Exchanges a refresh token, once: the first call puts the successor in force, calls within
    /// `window` after it change nothing, and a later one ends the session. A session that was not used
    /// for `idle` is over; that of an OAuth 2.0 client counts for nobody else.
    async fn rotate(
        &self,
        token: &RefreshToken,
        client: Option<&str>,
        window: Duration,
        idle: Option<Duration>,
        cx: &Context,
    ) -> Result<Rotation, Error>;

    /// Ends the session of a refresh token, used or not, if it is live: a client gives the token up.
    ///
    /// Errors: [`Error::InvalidRefreshToken`] for the token of another client.
    async fn revoke(
        &self,
        token: &RefreshToken,
        client: Option<&str>,
        cx: &Context,
    ) -> Result<Option<EndedSession>, Error>;

    /// The owner of a live session has proven who they are once more, as well as `assurance` says, or as
    /// well as before; returns the session after it.
    async fn prove_session(
        &self,
        account_id: Uuid,
        id: Uuid,
        assurance: Option<Assurance>,
        cx: &Context,
    ) -> Result<Option<Session>, Error>;

    /// A page of the live sessions of an account, the latest used first.
    async fn list_sessions(
        &self,
        account_id: Uuid,
        page: &Page<SessionKey>,
        cx: &Context,
    ) -> Result<PageResult<Session>, Error>;

    /// Ends one session of an account, if it is live: its owner logs it out.
    async fn end_session(&self, account_id: Uuid, id: Uuid, cx: &Context) -> Result<Option<EndedSession>, Error>;

    /// Ends every session of an account: its owner logs them out, or a superuser does. `None` when there
    /// is no such account.
    async fn end_sessions(&self, account_id: Uuid, cx: &Context) -> Result<Option<Vec<EndedSession>>, Error>;

    /// The ended sessions that still have to be remembered: all, or those that ended after `since`.
    async fn list_ended(&self, since: Option<OffsetDateTime>, cx: &Context) -> Result<Vec<EndedSession>, Error>;

    /// Deletes what has expired: sessions, remembered ends, keys, tokens of mails, failed logins from
    /// before `attempts_before`, and security events from before `events_before`.
    async fn prune(
        &self,
        attempts_before: OffsetDateTime,
        events_before: OffsetDateTime,
        cx: &Context,
    ) -> Result<(), Error>;
}
