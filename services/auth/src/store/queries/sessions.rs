//! Sessions.

use std::time::Duration;

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Backend, Context, Timestamp};
use sqlx::{FromRow, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::accounts::{self, AccountRow};
use super::{Connection, Database, Db, Queries, statements};
use crate::Error;
use crate::domain::throttle::Attempt;
use crate::domain::{
    Account, Assurance, EndReason, EndedSession, EventKind, PasswordHash, RefreshToken, Session, Status, TokenHash,
    UNDO,
};
use crate::store::sessions::Ending;
use crate::store::{NewSession, Rotation, SessionKey, Sessions, bind_event, unreadable};

/// How long tokens of mails are kept after they have expired, so that a request that is handled
/// late does not get a second one.
const TOKENS_KEPT: Duration = Duration::from_secs(3 * 86_400);
/// How long keys are kept after they have expired, so that they are published as revoked.
const KEYS_KEPT: Duration = Duration::from_secs(3 * 86_400);

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
    authenticated_at: Option<Timestamp>,
    assurance: String,
    client_id: Option<String>,
    end_reason: Option<String>,
}

/// A row of a list, with the rows from it on in the whole list.
#[derive(FromRow)]
struct ListRow {
    #[sqlx(flatten)]
    session: SessionRow,
    total: i64,
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
            authenticated_at: row.authenticated_at.unwrap_or(row.created_at).into(),
            assurance: Assurance::from_name(&row.assurance).ok_or_else(|| unreadable("sessions.assurance"))?,
            client_id: row.client_id,
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
    email_key: String,
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
            email_key: self.email_key,
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
        limit: u32,
        cx: &Context,
    ) -> Result<Option<Account>, Error> {
        let ending = self.ending(EndReason::Limit, cx);
        let mut single = self.database.single(cx.deadline).await?;
        let mut event = self.event(
            EventKind::LoginSuccess,
            Some(session.session.account_id),
            session.session.assurance.name(),
            cx,
        );
        event.session_id = Some(session.session.id);
        let opened = statements::open_session(&mut single, session, verified, attempt, limit, ending, &event).await?;
        Database::finish(single).await?;
        let Some((account, ended)) = opened else {
            return Ok(None);
        };
        event.log();
        self.ended.publish(ended);
        Ok(Some(account))
    }

    async fn rotate(
        &self,
        token: &RefreshToken,
        client: Option<&str>,
        window: Duration,
        idle: Option<Duration>,
        cx: &Context,
    ) -> Result<Rotation, Error> {
        loop {
            let Some((session, account, used_at)) = self.find_presented(token, cx).await? else {
                return Ok(Rotation::Invalid);
            };
            if session.client_id.as_deref() != client {
                return Ok(Rotation::Invalid);
            }
            match session.ended {
                Some(EndReason::Reuse) => return Ok(Rotation::EndedByReuse),
                Some(EndReason::Logout | EndReason::Password | EndReason::Account | EndReason::Limit) => {
                    return Ok(Rotation::Invalid);
                }
                None if session.expires_at <= cx.now => return Ok(Rotation::Invalid),
                None if idle.is_some_and(|idle| cx.now - session.last_used_at > idle) => return Ok(Rotation::Invalid),
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

    async fn revoke(
        &self,
        token: &RefreshToken,
        client: Option<&str>,
        cx: &Context,
    ) -> Result<Option<EndedSession>, Error> {
        match self.find_presented(token, cx).await? {
            Some((session, _, _)) if session.client_id.as_deref() != client => Err(Error::InvalidRefreshToken),
            Some((session, _, _)) => self.end(session.account_id, session.id, EndReason::Logout, cx).await,
            None => Ok(None),
        }
    }

    async fn prove_session(
        &self,
        account_id: Uuid,
        id: Uuid,
        assurance: Option<Assurance>,
        cx: &Context,
    ) -> Result<Option<Session>, Error> {
        let mut unit = self.begin(cx);
        let session = prove(unit.connection().await?, account_id, id, assurance, cx).await?;
        if let Some(session) = &session {
            let event = self.event(
                EventKind::Reauthenticated,
                Some(account_id),
                session.assurance.name(),
                cx,
            );
            unit.journal().events.push(event);
        }
        unit.commit().await?;
        Ok(session)
    }

    async fn list_sessions(
        &self,
        account_id: Uuid,
        page: &Page<SessionKey>,
        cx: &Context,
    ) -> Result<PageResult<Session>, Error> {
        let live = |select: &mut QueryBuilder<Db>| {
            select.push(" from sessions where ended_at is null and account_id = ");
            select.push_bind(account_id).push(" and expires_at > ");
            select.push_bind(Timestamp(cx.now));
        };
        // An account has few of them, so they are counted with every page.
        let mut select = QueryBuilder::<Db>::new("select *, count(*) over () as total");
        live(&mut select);
        if let Some(key) = page.after() {
            // A number that is no timestamp is in no token of this list.
            let used = Timestamp::from_micros(key.last_used_at).unwrap_or(Timestamp(OffsetDateTime::UNIX_EPOCH));
            select.push(" and (last_used_at, id) < (").push_bind(used);
            select.push(", ").push_bind(key.id).push(")");
        }
        select.push(" order by last_used_at desc, id desc");
        page.push_bounds(&mut select);
        let mut connection = self.database.read(cx.deadline).await?;
        let rows: Vec<ListRow> = select.build_query_as().fetch_all(&mut *connection).await?;
        let total = match (page.known_total(), rows.first()) {
            (Some(total), _) => i64::from(total),
            (None, Some(row)) => row.total,
            (None, None) if page.offset() == 0 => 0,
            // A page past the last one has no row to carry the total.
            (None, None) => {
                let mut count = QueryBuilder::<Db>::new("select count(*)");
                live(&mut count);
                count.build_query_scalar().fetch_one(&mut *connection).await?
            }
        };
        let sessions: Result<_, Error> = rows.into_iter().map(|row| row.session.try_into()).collect();
        Ok(page.cut(sessions?, total))
    }

    async fn end_session(&self, account_id: Uuid, id: Uuid, cx: &Context) -> Result<Option<EndedSession>, Error> {
        self.end(account_id, id, EndReason::Logout, cx).await
    }

    async fn end_sessions(&self, account_id: Uuid, cx: &Context) -> Result<Option<Vec<EndedSession>>, Error> {
        let mut unit = self.begin(cx);
        // A login under way waits, and its session then opens after this end, by an owner who had
        // the password.
        if accounts::lock(unit.connection().await?, account_id).await?.is_none() {
            return Ok(None);
        }
        let ending = self.ending(EndReason::Logout, cx);
        let ended = end_all(unit.connection().await?, account_id, None, ending).await?;
        unit.journal().ended.extend(&ended);
        let event = self.event(EventKind::TokenRevoked, Some(account_id), "all sessions", cx);
        unit.journal().events.push(event);
        unit.commit().await?;
        Ok(Some(ended))
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

    async fn prune(
        &self,
        attempts_before: OffsetDateTime,
        events_before: OffsetDateTime,
        cx: &Context,
    ) -> Result<(), Error> {
        let now = cx.now;
        for (statement, before) in [
            ("delete from sessions where expires_at <= $1", now),
            ("delete from revocations where forget_at <= $1", now),
            ("delete from mail_tokens where expires_at <= $1", now - TOKENS_KEPT),
            ("delete from signing_keys where expires_at <= $1", now - KEYS_KEPT),
            (
                "delete from email_changes where changed_at <= $1",
                now - UNDO - TOKENS_KEPT,
            ),
            ("delete from security_events where happened_at <= $1", events_before),
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
                    username, email, email_key, email_verified, pending_email, name, password_hash, role,
                    disabled, closed, tier,
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
        let mut unit = self.begin(cx);
        let (kind, detail) = match reason {
            EndReason::Reuse => (EventKind::TokenReuse, "refresh token"),
            EndReason::Logout | EndReason::Password | EndReason::Account | EndReason::Limit => {
                (EventKind::TokenRevoked, "session")
            }
        };
        let mut event = self.event(kind, Some(account_id), detail, cx);
        event.session_id = Some(id);
        let query = sqlx::query_scalar(statements::END_ONE)
            .bind(account_id)
            .bind(Timestamp(ending.now))
            .bind(ending.reason.name())
            .bind(id)
            .bind(Timestamp(ending.forget_at));
        let ended: Option<Uuid> = bind_event!(query, event)
            .fetch_all(unit.statement().await?)
            .await?
            .pop();
        let ended = ended.map(|id| ending.of(id));
        unit.journal().ended.extend(&ended);
        if ended.is_some() {
            unit.journal().recorded.push(event);
        }
        unit.commit().await?;
        Ok(ended)
    }
}

/// The owner of a live session has proven who they are once more, as well as `assurance` says, or as well
/// as before.
pub(super) async fn prove(
    connection: &mut Connection,
    account_id: Uuid,
    id: Uuid,
    assurance: Option<Assurance>,
    cx: &Context,
) -> Result<Option<Session>, Error> {
    let rows: Vec<SessionRow> = sqlx::query_as(
        "update sessions
            set authenticated_at = $3, assurance = coalesce($4, assurance)
          where id = $2 and account_id = $1 and ended_at is null and expires_at > $3
      returning *",
    )
    .bind(account_id)
    .bind(id)
    .bind(Timestamp(cx.now))
    .bind(assurance.map(Assurance::name))
    .fetch_all(connection)
    .await?;
    rows.into_iter().next().map(TryInto::try_into).transpose()
}

/// A live session of an account.
pub(super) async fn find_live(
    connection: &mut Connection,
    account_id: Uuid,
    id: Uuid,
    cx: &Context,
) -> Result<Option<Session>, Error> {
    let row: Option<SessionRow> = sqlx::query_as(
        "select * from sessions where id = $2 and account_id = $1 and ended_at is null and expires_at > $3",
    )
    .bind(account_id)
    .bind(id)
    .bind(Timestamp(cx.now))
    .fetch_optional(connection)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// Inserts a session whose owner may have proven who they are before it began, with its first refresh
/// token.
pub(super) async fn insert(connection: &mut Connection, session: &Session, token: TokenHash) -> Result<(), Error> {
    sqlx::query(
        "insert into sessions
            (id, account_id, secret, user_agent, ip_address, created_at, last_used_at, expires_at, assurance,
             authenticated_at, client_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(session.id)
    .bind(session.account_id)
    .bind(session.secret.as_slice())
    .bind(&session.user_agent)
    .bind(&session.ip_address)
    .bind(Timestamp(session.created_at))
    .bind(Timestamp(session.last_used_at))
    .bind(Timestamp(session.expires_at))
    .bind(session.assurance.name())
    .bind(Timestamp(session.authenticated_at))
    .bind(&session.client_id)
    .execute(&mut *connection)
    .await?;
    insert_token(connection, session.id, token).await
}

/// Inserts a refresh token of a session.
pub(super) async fn insert_token(connection: &mut Connection, session_id: Uuid, token: TokenHash) -> Result<(), Error> {
    sqlx::query("insert into refresh_tokens (token_hash, session_id) values ($1, $2)")
        .bind(token.0.as_slice())
        .bind(session_id)
        .execute(connection)
        .await?;
    Ok(())
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
