//! Sessions.

use std::time::Duration;

use async_trait::async_trait;
use quartet_store::{Backend, Context, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::accounts::{self, AccountRow};
use super::{Connection, Database, Queries, statements};
use crate::Error;
use crate::domain::throttle::Attempt;
use crate::domain::{Account, EndReason, EndedSession, PasswordHash, RefreshToken, Session, Status};
use crate::store::sessions::Ending;
use crate::store::{NewSession, Rotation, Sessions, unreadable};

/// How long tokens of mails are kept after they have expired, so that a request that is handled
/// late does not get a second one.
const TOKENS_KEPT: Duration = Duration::from_secs(3 * 86_400);

#[derive(FromRow)]
struct SessionRow {
    id: Uuid,
    account_id: Uuid,
    secret: Vec<u8>,
    user_agent: String,
    ip_address: String,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    end_reason: Option<String>,
}

impl TryFrom<SessionRow> for Session {
    type Error = Error;

    fn try_from(row: SessionRow) -> Result<Self, Error> {
        let ended = row
            .end_reason
            .map(|name| EndReason::from_name(&name).ok_or_else(|| unreadable("sessions.end_reason")));
        Ok(Self {
            id: row.id,
            account_id: row.account_id,
            secret: row.secret.try_into().map_err(|_| unreadable("sessions.secret"))?,
            user_agent: row.user_agent,
            ip_address: row.ip_address,
            created_at: row.created_at.into(),
            last_used_at: row.last_used_at.into(),
            expires_at: row.expires_at.into(),
            ended: ended.transpose()?,
        })
    }
}

/// A refresh token with its session and their account.
#[derive(FromRow)]
struct PresentedRow {
    #[sqlx(flatten)]
    session: SessionRow,
    used_at: Option<Timestamp>,
    username: String,
    email: String,
    email_verified: bool,
    pending_email: Option<String>,
    name: String,
    password_hash: String,
    role: String,
    disabled: bool,
    closed: bool,
    tier: Option<String>,
    account_created_at: Timestamp,
    account_updated_at: Timestamp,
}

impl PresentedRow {
    fn parts(self) -> Result<(Session, Account, Option<OffsetDateTime>), Error> {
        let account = AccountRow {
            id: self.session.account_id,
            username: self.username,
            email: self.email,
            email_verified: self.email_verified,
            pending_email: self.pending_email,
            name: self.name,
            password_hash: self.password_hash,
            role: self.role,
            disabled: self.disabled,
            closed: self.closed,
            tier: self.tier,
            created_at: self.account_created_at,
            updated_at: self.account_updated_at,
        };
        Ok((
            self.session.try_into()?,
            account.try_into()?,
            self.used_at.map(Into::into),
        ))
    }
}

#[async_trait]
impl Sessions for Queries {
    async fn open_session(
        &self,
        session: &NewSession,
        verified: &PasswordHash,
        attempt: &Attempt,
        cx: &Context,
    ) -> Result<Option<Account>, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let account = statements::open_session(&mut single, session, verified, attempt).await?;
        Database::finish(single).await?;
        Ok(account)
    }

    async fn rotate(&self, token: &RefreshToken, window: Duration, cx: &Context) -> Result<Rotation, Error> {
        loop {
            let Some((session, account, used_at)) = self.find_presented(token, cx).await? else {
                return Ok(Rotation::Invalid);
            };
            match session.ended {
                Some(EndReason::Reuse) => return Ok(Rotation::EndedByReuse),
                Some(EndReason::Logout | EndReason::Password | EndReason::Account) => return Ok(Rotation::Invalid),
                None if session.expires_at <= cx.now => return Ok(Rotation::Invalid),
                None => {}
            }
            if account.status() != Status::Active {
                return Ok(Rotation::Invalid);
            }
            let exchanged = match used_at {
                Some(used_at) if cx.now - used_at <= window => true,
                Some(_) => {
                    let ended = self.end(session.account_id, session.id, EndReason::Reuse, cx).await?;
                    return Ok(ended.map_or(Rotation::EndedByReuse, Rotation::Reused));
                }
                None => self.exchange(token, &session, cx).await?,
            };
            if exchanged {
                return Ok(Rotation::Exchanged(Box::new((session, account))));
            }
            // Another call has used the token meanwhile, or the session has ended: it is read
            // again.
        }
    }

    async fn list_sessions(&self, account_id: Uuid, cx: &Context) -> Result<Vec<Session>, Error> {
        let rows: Vec<SessionRow> = sqlx::query_as(
            "select * from sessions
              where account_id = $1 and ended_at is null and expires_at > $2
           order by last_used_at desc, id desc",
        )
        .bind(account_id)
        .bind(Timestamp(cx.now))
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn end_session(&self, account_id: Uuid, id: Uuid, cx: &Context) -> Result<Option<EndedSession>, Error> {
        self.end(account_id, id, EndReason::Logout, cx).await
    }

    async fn end_sessions(&self, account_id: Uuid, cx: &Context) -> Result<Vec<EndedSession>, Error> {
        let mut unit = self.begin(cx);
        // A login under way waits, and its session then opens after this end, by an owner who had
        // the password.
        accounts::lock(unit.connection().await?, account_id).await?;
        let ending = self.ending(EndReason::Logout, cx);
        let ended = end_all(unit.connection().await?, account_id, None, ending).await?;
        unit.journal().ended.extend(&ended);
        unit.commit().await?;
        Ok(ended)
    }

    async fn list_ended(&self, since: Option<OffsetDateTime>, cx: &Context) -> Result<Vec<EndedSession>, Error> {
        let rows: Vec<(Uuid, Timestamp)> = sqlx::query_as(
            "select session_id, forget_at from revocations where ended_at > $1 and forget_at > $2 order by ended_at",
        )
        .bind(Timestamp(since.unwrap_or(OffsetDateTime::UNIX_EPOCH)))
        .bind(Timestamp(cx.now))
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        let ended = rows.into_iter().map(|(id, forget_at)| EndedSession {
            id,
            forget_at: forget_at.into(),
        });
        Ok(ended.collect())
    }

    async fn prune(&self, attempts_before: OffsetDateTime, cx: &Context) -> Result<(), Error> {
        let now = cx.now;
        for (statement, before) in [
            ("delete from sessions where expires_at <= $1", now),
            ("delete from revocations where forget_at <= $1", now),
            ("delete from mail_tokens where expires_at <= $1", now - TOKENS_KEPT),
            ("delete from signing_keys where expires_at <= $1", now),
            ("delete from login_attempts where attempted_at <= $1", attempts_before),
        ] {
            // Each on its own, so that no lock is held for long.
            let mut single = self.database.single(cx.deadline).await?;
            sqlx::query(statement)
                .bind(Timestamp(before))
                .execute(&mut *single)
                .await?;
            Database::finish(single).await?;
        }
        Ok(())
    }
}

impl Queries {
    /// The session of a refresh token, its account, and when the token was used.
    async fn find_presented(
        &self,
        token: &RefreshToken,
        cx: &Context,
    ) -> Result<Option<(Session, Account, Option<OffsetDateTime>)>, Error> {
        let row: Option<PresentedRow> = sqlx::query_as(
            "select sessions.*, refresh_tokens.used_at,
                    username, email, email_verified, pending_email, name, password_hash, role, disabled, closed, tier,
                    accounts.created_at as account_created_at, accounts.updated_at as account_updated_at
               from refresh_tokens
               join sessions on sessions.id = refresh_tokens.session_id
               join accounts on accounts.id = sessions.account_id
              where token_hash = $1",
        )
        .bind(token.hash().0.as_slice())
        .fetch_optional(&mut *self.database.read(cx.deadline).await?)
        .await?;
        row.map(PresentedRow::parts).transpose()
    }

    /// Puts the successor of an unused token in force, unless another call has, or the session has
    /// ended.
    async fn exchange(&self, token: &RefreshToken, session: &Session, cx: &Context) -> Result<bool, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let successor = token.successor(&session.secret).hash();
        let done = statements::exchange(&mut single, token.hash(), session.id, successor, cx.now).await?;
        Database::finish(single).await?;
        Ok(done)
    }

    /// Ends one session of an account, if it is live.
    async fn end(
        &self,
        account_id: Uuid,
        id: Uuid,
        reason: EndReason,
        cx: &Context,
    ) -> Result<Option<EndedSession>, Error> {
        let ending = self.ending(reason, cx);
        let mut single = self.database.single(cx.deadline).await?;
        let ended: Option<Uuid> = sqlx::query_scalar(statements::END_ONE)
            .bind(account_id)
            .bind(Timestamp(ending.now))
            .bind(ending.reason.name())
            .bind(id)
            .bind(Timestamp(ending.forget_at))
            .fetch_all(&mut *single)
            .await?
            .pop();
        Database::finish(single).await?;
        let ended = ended.map(|id| ending.of(id));
        self.ended.publish(ended.into_iter().collect());
        Ok(ended)
    }
}

/// Ends the sessions of an account: all, or those that began by `by`.
pub(super) async fn end_all(
    connection: &mut Connection,
    account_id: Uuid,
    by: Option<OffsetDateTime>,
    ending: Ending,
) -> Result<Vec<EndedSession>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(statements::END_ALL)
        .bind(account_id)
        .bind(Timestamp(ending.now))
        .bind(ending.reason.name())
        .bind(by.map(Timestamp))
        .bind(None::<Uuid>)
        .bind(Timestamp(ending.forget_at))
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(|id| ending.of(id)).collect())
}
