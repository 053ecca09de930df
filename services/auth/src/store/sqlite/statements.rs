//! The statements that PostgreSQL has in one: here one after the other, while nobody else writes.

use quartet_messaging::{Message, outbox};
use quartet_store::{Context, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Connection;
use super::accounts::{AccountRow, taken};
use super::sessions;
use crate::Error;
use crate::domain::throttle::{ANYWHERE, Attempt};
use crate::domain::{Account, EndedSession, NewAccount, PasswordHash, Purpose, Status, TokenHash};
use crate::store::NewSession;
use crate::store::pending::Write;
use crate::store::sessions::Ending;

/// Ends a session of an account. $1 account, $2 now, $3 reason, $4 session, $5 when to forget it.
pub(super) const END_ONE: &str = "insert into revocations (session_id, ended_at, forget_at)
    select id, $2, $5
      from sessions
     where id = $4 and account_id = $1 and ended_at is null and expires_at > $2;
    update sessions
       set ended_at = $2, end_reason = $3
     where id = $4 and account_id = $1 and ended_at is null and expires_at > $2
 returning id";

/// The sessions of an account that end. $1 account, $2 now, $3 reason, $4 when they began at the
/// latest, $5 the one that stays.
macro_rules! end {
    () => {
        "insert into revocations (session_id, ended_at, forget_at)
         select id, $2, $6
           from sessions
          where account_id = $1 and ended_at is null and expires_at > $2
            and ($4 is null or created_at <= $4) and ($5 is null or id <> $5);
         update sessions
            set ended_at = $2, end_reason = $3
          where account_id = $1 and ended_at is null and expires_at > $2
            and ($4 is null or created_at <= $4) and ($5 is null or id <> $5)
      returning id"
    };
}

/// Ends the sessions of an account. $6 is when to forget them.
pub(super) const END_ALL: &str = end!();

/// Voids the tokens of an account that are for the purpose $7, and ends its sessions.
pub(super) const VOID_AND_END: &str = concat!(
    "update mail_tokens set used_at = $2 where account_id = $1 and purpose = $7 and used_at is null;",
    end!()
);

/// Writes what a unit of work has collected. Returns the sessions that end with it.
pub(super) async fn write(
    connection: &mut Connection,
    write: &Write,
    messages: &[Message],
    cx: &Context,
) -> Result<Vec<EndedSession>, Error> {
    let ended = match write {
        Write::Nothing => Vec::new(),
        Write::Open(account, session) => {
            open(connection, account, cx.now).await?;
            if let Some(session) = session {
                insert_session(connection, session).await?;
            }
            Vec::new()
        }
        Write::Save(account, ending) => {
            save(connection, account, cx.now).await?;
            match ending {
                Some(ending) => sessions::end_all(connection, account.id, None, *ending).await?,
                None => Vec::new(),
            }
        }
        Write::Purge(id, ending) => {
            let ended = sessions::end_all(connection, *id, None, *ending).await?;
            sqlx::query("delete from accounts where id = $1")
                .bind(*id)
                .execute(&mut *connection)
                .await?;
            ended
        }
    };
    outbox::append_all(connection, messages).await?;
    Ok(ended)
}

async fn open(connection: &mut Connection, account: &NewAccount, now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "insert into accounts
            (id, username, email, email_key, email_verified, name, password_hash, role, disabled, closed,
             created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, false, false, $9, $9)",
    )
    .bind(account.id)
    .bind(account.username.as_str())
    .bind(account.email.as_str())
    .bind(account.email.key())
    .bind(account.email_verified)
    .bind(&account.name)
    .bind(account.password_hash.as_str())
    .bind(account.role.name())
    .bind(Timestamp(now))
    .execute(connection)
    .await
    .map_err(taken)?;
    Ok(())
}

async fn save(connection: &mut Connection, account: &Account, now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "update accounts
            set username = $2, email = $3, pending_email = $4, pending_email_key = $5, role = $6, disabled = $7,
                closed = $8, updated_at = $9
          where id = $1",
    )
    .bind(account.id)
    .bind(&account.username)
    .bind(&account.email)
    .bind(&account.pending_email)
    .bind(account.pending_email.as_deref().map(str::to_lowercase))
    .bind(account.role.name())
    .bind(account.disabled)
    .bind(account.closed)
    .bind(Timestamp(now))
    .execute(connection)
    .await
    .map_err(taken)?;
    Ok(())
}

async fn insert_session(connection: &mut Connection, new: &NewSession) -> Result<(), Error> {
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

async fn insert_token(connection: &mut Connection, session_id: Uuid, token: TokenHash) -> Result<(), Error> {
    sqlx::query("insert into refresh_tokens (token_hash, session_id) values ($1, $2)")
        .bind(token.0.as_slice())
        .bind(session_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Counts an attempt, if the counts are still what they were before it. Where they are not, some
/// may be written: the caller does not commit.
pub(super) async fn count_attempt(connection: &mut Connection, attempt: &Attempt) -> Result<bool, sqlx::Error> {
    for mark in attempt.marks() {
        let counted = match mark.before {
            Some(before) => sqlx::query(
                "update login_attempts
                    set failures = $3, attempted_at = $4, blocked_until = $5
                  where subject = $1 and address = $2 and failures = $6 and attempted_at = $7
                    and blocked_until = $8",
            )
            .bind(attempt.subject.0.as_slice())
            .bind(&mark.address)
            .bind(failures(mark.after.failures))
            .bind(Timestamp(mark.after.attempted_at))
            .bind(Timestamp(mark.after.blocked_until))
            .bind(failures(before.failures))
            .bind(Timestamp(before.attempted_at))
            .bind(Timestamp(before.blocked_until)),
            None => sqlx::query(
                "insert into login_attempts (subject, address, failures, attempted_at, blocked_until)
                 values ($1, $2, $3, $4, $5)",
            )
            .bind(attempt.subject.0.as_slice())
            .bind(&mark.address)
            .bind(failures(mark.after.failures))
            .bind(Timestamp(mark.after.attempted_at))
            .bind(Timestamp(mark.after.blocked_until)),
        };
        if counted.execute(&mut *connection).await?.rows_affected() == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Clears a successful attempt: forgets the failures of its address, and takes its own back over
/// all addresses.
pub(super) async fn clear_attempt(connection: &mut Connection, attempt: &Attempt) -> Result<(), Error> {
    let name = attempt.name.as_ref();
    sqlx::query(
        "delete from login_attempts where subject = $1 and address = $2;
         update login_attempts
            set failures = failures - 1,
                blocked_until = case when blocked_until = $4 then $5 else blocked_until end
          where subject = $1 and address = $3 and $4 is not null and failures > 0",
    )
    .bind(attempt.subject.0.as_slice())
    .bind(&attempt.pair.address)
    .bind(ANYWHERE)
    .bind(name.map(|name| Timestamp(name.after.blocked_until)))
    .bind(name.map(|name| Timestamp(name.blocked_before())))
    .execute(connection)
    .await?;
    Ok(())
}

/// Clears a successful attempt and opens a session, if the account can sign in and its password is
/// still the one that was verified.
pub(super) async fn open_session(
    connection: &mut Connection,
    session: &NewSession,
    verified: &PasswordHash,
    attempt: &Attempt,
) -> Result<Option<Account>, Error> {
    clear_attempt(connection, attempt).await?;
    let row: Option<AccountRow> = sqlx::query_as("select * from accounts where id = $1")
        .bind(session.session.account_id)
        .fetch_optional(&mut *connection)
        .await?;
    let account: Option<Account> = row.map(TryInto::try_into).transpose()?;
    let is_same = |account: &Account| account.password_hash == *verified && account.status() == Status::Active;
    let Some(account) = account.filter(is_same) else {
        return Ok(None);
    };
    insert_session(connection, session).await?;
    Ok(Some(account))
}

/// Uses a refresh token and puts its successor in force, if it is unused and its session lives.
pub(super) async fn exchange(
    connection: &mut Connection,
    token: TokenHash,
    session_id: Uuid,
    successor: TokenHash,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let used = sqlx::query(
        "update refresh_tokens
            set used_at = $3
          where token_hash = $1 and used_at is null
            and session_id in (select id from sessions where id = $2 and ended_at is null and expires_at > $3)",
    )
    .bind(token.0.as_slice())
    .bind(session_id)
    .bind(Timestamp(now))
    .execute(&mut *connection)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(false);
    }
    insert_token(connection, session_id, successor).await?;
    sqlx::query("update sessions set last_used_at = $2 where id = $1")
        .bind(session_id)
        .bind(Timestamp(now))
        .execute(connection)
        .await?;
    Ok(true)
}

/// Uses a token of an account to set its password; voids the others and ends every session. `None`
/// when the token does not work.
pub(super) async fn reset_password(
    connection: &mut Connection,
    token: TokenHash,
    account_id: Uuid,
    new: &PasswordHash,
    ending: Ending,
) -> Result<Option<Vec<EndedSession>>, Error> {
    if !use_token(connection, token, account_id, Purpose::PasswordReset, ending.now).await? {
        return Ok(None);
    }
    sqlx::query(
        "update accounts
            set password_hash = $2, pending_email = null, pending_email_key = null, updated_at = $3
          where id = $1",
    )
    .bind(account_id)
    .bind(new.as_str())
    .bind(Timestamp(ending.now))
    .execute(&mut *connection)
    .await?;
    let ended =
        super::mail_requests::void_and_end(connection, account_id, Purpose::PasswordReset, None, ending).await?;
    Ok(Some(ended))
}

/// Uses a token of an account to prove its address; one that moved takes the place of its own. No
/// when the token does not work.
pub(super) async fn verify_email(
    connection: &mut Connection,
    token: TokenHash,
    account_id: Uuid,
    moved: bool,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let (purpose, update) = if moved {
        let update = "update accounts
            set email = pending_email, email_key = pending_email_key, pending_email = null,
                pending_email_key = null, email_verified = true, updated_at = $2
          where id = $1";
        (Purpose::EmailChange, update)
    } else {
        let update = "update accounts set email_verified = true, updated_at = $2 where id = $1";
        (Purpose::EmailVerification, update)
    };
    if !use_token(connection, token, account_id, purpose, now).await? {
        return Ok(false);
    }
    sqlx::query(update)
        .bind(account_id)
        .bind(Timestamp(now))
        .execute(connection)
        .await
        .map_err(taken)?;
    Ok(true)
}

/// Uses up a token, if it works and its account still has the address that it was sent to, or still
/// requests it.
async fn use_token(
    connection: &mut Connection,
    token: TokenHash,
    account_id: Uuid,
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let used = sqlx::query(
        "update mail_tokens
            set used_at = $4
          where token_hash = $1 and account_id = $2 and purpose = $3 and used_at is null and expires_at > $4
            and exists (
                select 1 from accounts
                 where id = mail_tokens.account_id and not closed
                   and case when $5 then pending_email_key else accounts.email_key end = mail_tokens.email_key)",
    )
    .bind(token.0.as_slice())
    .bind(account_id)
    .bind(purpose.name())
    .bind(Timestamp(now))
    .bind(purpose == Purpose::EmailChange)
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}

fn failures(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
