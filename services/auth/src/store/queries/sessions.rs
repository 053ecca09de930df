// Sessions.

use std::time::Duration;

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::accounts;
use crate::Error;
use crate::domain::{Account, EndReason, EndedSession, PasswordHash, RefreshToken, Session, Status, TokenHash};
use crate::store::rows::SessionRow;
use crate::store::{Ending, NewSession, Rotation, Sessions};

#[async_trait]
impl Sessions for Queries {
    async fn insert_session(&self, session: &NewSession, verified: &PasswordHash, deadline: Deadline) -> Result<Option<Account>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let account = accounts::find_for_update(&mut transaction, session.session.account_id).await?;
        // The account may have changed while its password was being verified.
        let Some(account) = account.filter(|account| account.password_hash == *verified && account.status() == Status::Active) else {
            return Ok(None);
        };
        insert(&mut transaction, session).await?;
        transaction.commit().await?;
        Ok(Some(account))
    }

    async fn rotate(&self, token: &RefreshToken, window: Duration, ending: Ending, deadline: Deadline) -> Result<Rotation, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let hash = token.hash();
        // Calls with tokens of one session queue up here.
        let row: Option<SessionRow> = sqlx::query_as(concat!(
            "select * from sessions where id = (select session_id from refresh_tokens where token_hash = $1)",
            for_update!("sessions")
        ))
        .bind(hash.0.as_slice())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(session) = row.map(Session::try_from).transpose()? else {
            return Ok(Rotation::Invalid);
        };
        match session.ended {
            Some(EndReason::Reuse) => return Ok(Rotation::EndedByReuse),
            Some(EndReason::Logout | EndReason::Password | EndReason::Account) => return Ok(Rotation::Invalid),
            None if session.expires_at <= ending.now => return Ok(Rotation::Invalid),
            None => {}
        }
        let account = accounts::find(&mut transaction, session.account_id).await?;
        let Some(account) = account.filter(|account| account.status() == Status::Active) else {
            return Ok(Rotation::Invalid);
        };
        let used = sqlx::query("update refresh_tokens set used_at = $2 where token_hash = $1 and used_at is null")
            .bind(hash.0.as_slice())
            .bind(Timestamp(ending.now))
            .execute(&mut *transaction)
            .await?;
        if used.rows_affected() == 1 {
            insert_token(&mut transaction, session.id, token.successor(&session.secret).hash()).await?;
            sqlx::query("update sessions set last_used_at = $2 where id = $1")
                .bind(session.id)
                .bind(Timestamp(ending.now))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            return Ok(Rotation::Exchanged(Box::new((session, account))));
        }
        let used_at: Option<Timestamp> = sqlx::query_scalar("select used_at from refresh_tokens where token_hash = $1")
            .bind(hash.0.as_slice())
            .fetch_one(&mut *transaction)
            .await?;
        if used_at.is_some_and(|used_at| ending.now - used_at.0 <= window) {
            return Ok(Rotation::Exchanged(Box::new((session, account))));
        }
        let ended = end(&mut transaction, session.account_id, session.id, ending).await?;
        transaction.commit().await?;
        Ok(ended.map_or(Rotation::EndedByReuse, Rotation::Reused))
    }

    async fn list_sessions(&self, account_id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<Vec<Session>, Error> {
        let rows: Vec<SessionRow> = sqlx::query_as(
            "select * from sessions where account_id = $1 and ended_at is null and expires_at > $2 order by last_used_at desc, id desc",
        )
        .bind(account_id)
        .bind(Timestamp(now))
        .fetch_all(&mut *self.pool.read(deadline).await?)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn end_session(&self, account_id: Uuid, id: Uuid, ending: Ending, deadline: Deadline) -> Result<Option<EndedSession>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let ended = end(&mut transaction, account_id, id, ending).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    async fn end_sessions(&self, account_id: Uuid, ending: Ending, deadline: Deadline) -> Result<Vec<EndedSession>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        // A login under way waits, and its session then opens after this end, by an owner who had the password.
        accounts::find_for_update(&mut transaction, account_id).await?;
        let ended = end_all(&mut transaction, account_id, None, ending).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    async fn is_known_address(&self, account_id: Uuid, address: &str, deadline: Deadline) -> Result<bool, Error> {
        let known: Option<i32> = sqlx::query_scalar("select 1 from sessions where account_id = $1 and ip_address = $2 limit 1")
            .bind(account_id)
            .bind(address)
            .fetch_optional(&mut *self.pool.read(deadline).await?)
            .await?;
        Ok(known.is_some())
    }

    async fn list_ended(&self, since: Option<OffsetDateTime>, now: OffsetDateTime, deadline: Deadline) -> Result<Vec<EndedSession>, Error> {
        let rows: Vec<(Uuid, Timestamp)> =
            sqlx::query_as("select session_id, forget_at from revocations where ended_at > $1 and forget_at > $2 order by ended_at")
                .bind(Timestamp(since.unwrap_or(OffsetDateTime::UNIX_EPOCH)))
                .bind(Timestamp(now))
                .fetch_all(&mut *self.pool.read(deadline).await?)
                .await?;
        Ok(rows.into_iter().map(|(id, forget_at)| EndedSession { id, forget_at: forget_at.into() }).collect())
    }

    async fn prune(&self, now: OffsetDateTime, attempts_before: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        for (statement, before) in [
            ("delete from sessions where expires_at <= $1", now),
            ("delete from revocations where forget_at <= $1", now),
            ("delete from mail_tokens where expires_at <= $1", now),
            ("delete from signing_keys where expires_at <= $1", now),
            ("delete from login_attempts where attempted_at <= $1", attempts_before),
        ] {
            // Each on its own, so that no lock is held for long.
            let mut transaction = self.pool.write(deadline).await?;
            sqlx::query(statement).bind(Timestamp(before)).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

/// Adds a session and its first refresh token.
pub(super) async fn insert(connection: &mut Connection, new: &NewSession) -> Result<(), Error> {
    let session = &new.session;
    sqlx::query(
        "insert into sessions (id, account_id, secret, user_agent, ip_address, created_at, last_used_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(session.id)
    .bind(session.account_id)
    .bind(session.secret.as_slice())
    .bind(&session.user_agent)
    .bind(&session.ip_address)
    .bind(Timestamp(session.created_at))
    .bind(Timestamp(session.last_used_at))
    .bind(Timestamp(session.expires_at))
    .execute(&mut *connection)
    .await?;
    insert_token(connection, session.id, new.token_hash).await
}

async fn insert_token(connection: &mut Connection, session_id: Uuid, hash: TokenHash) -> Result<(), Error> {
    sqlx::query("insert into refresh_tokens (token_hash, session_id) values ($1, $2)")
        .bind(hash.0.as_slice())
        .bind(session_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends one session, if it is live.
async fn end(connection: &mut Connection, account_id: Uuid, id: Uuid, ending: Ending) -> Result<Option<EndedSession>, Error> {
    let ended = sqlx::query(
        "update sessions set ended_at = $3, end_reason = $4 where id = $1 and account_id = $2 and ended_at is null and expires_at > $3",
    )
    .bind(id)
    .bind(account_id)
    .bind(Timestamp(ending.now))
    .bind(ending.reason.name())
    .execute(&mut *connection)
    .await?;
    if ended.rows_affected() == 0 {
        return Ok(None);
    }
    remember(connection, id, ending).await.map(Some)
}

/// Ends the sessions of an account that began by `by`.
pub(super) async fn end_begun_by(connection: &mut Connection, account_id: Uuid, by: OffsetDateTime, ending: Ending) -> Result<Vec<EndedSession>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "update sessions
            set ended_at = $2, end_reason = $3
          where account_id = $1 and ended_at is null and expires_at > $2 and created_at <= $4
      returning id",
    )
    .bind(account_id)
    .bind(Timestamp(ending.now))
    .bind(ending.reason.name())
    .bind(Timestamp(by))
    .fetch_all(&mut *connection)
    .await?;
    let mut ended = Vec::with_capacity(ids.len());
    for id in ids {
        ended.push(remember(connection, id, ending).await?);
    }
    Ok(ended)
}

/// Ends every session of an account but `keep`.
pub(super) async fn end_all(connection: &mut Connection, account_id: Uuid, keep: Option<Uuid>, ending: Ending) -> Result<Vec<EndedSession>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "update sessions
            set ended_at = $2, end_reason = $3
          where account_id = $1 and ended_at is null and expires_at > $2 and ($4 is null or id <> $4)
      returning id",
    )
    .bind(account_id)
    .bind(Timestamp(ending.now))
    .bind(ending.reason.name())
    .bind(keep)
    .fetch_all(&mut *connection)
    .await?;
    let mut ended = Vec::with_capacity(ids.len());
    for id in ids {
        ended.push(remember(connection, id, ending).await?);
    }
    Ok(ended)
}

/// Puts an ended session on the list that every process learns.
async fn remember(connection: &mut Connection, id: Uuid, ending: Ending) -> Result<EndedSession, Error> {
    sqlx::query("insert into revocations (session_id, ended_at, forget_at) values ($1, $2, $3)")
        .bind(id)
        .bind(Timestamp(ending.now))
        .bind(Timestamp(ending.forget_at))
        .execute(connection)
        .await?;
    Ok(EndedSession { id, forget_at: ending.forget_at })
}
