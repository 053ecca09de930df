//! The statements that PostgreSQL has in one, as parts that all see the same snapshot.
//!
//! A part that locks a row waits for whoever has it, and then sees the row as that one left it.
//! Parts that must see more of what others have committed are a statement of their own.

use quartet_messaging::Message;
use quartet_messaging::outbox::Outbox as _;
use quartet_store::{Context, Timestamp};
use sqlx::{Postgres as Db, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Connection;
use super::accounts::{AccountRow, taken};
use crate::Error;
use crate::domain::throttle::{ANYWHERE, Attempt, Mark};
use crate::domain::{Account, EndedSession, NewAccount, PasswordHash, Purpose, TokenHash};
use crate::store::NewSession;
use crate::store::pending::Write;
use crate::store::sessions::Ending;

/// Ends a session of an account. $1 account, $2 now, $3 reason, $4 session, $5 when to forget it.
pub(super) const END_ONE: &str = "with ended as (
        update sessions
           set ended_at = $2, end_reason = $3
         where id = $4 and account_id = $1 and ended_at is null and expires_at > $2
     returning id)
    insert into revocations (session_id, ended_at, forget_at)
    select id, $2, $5 from ended
 returning session_id";

/// The part that ends the sessions of an account. $1 account, $2 now, $3 reason, $4 when they began
/// at the latest, $5 the one that stays.
macro_rules! ended {
    () => {
        "ended as (
            update sessions
               set ended_at = $2, end_reason = $3
             where account_id = $1 and ended_at is null and expires_at > $2
               and ($4 is null or created_at <= $4) and ($5 is null or id <> $5)
         returning id)
        insert into revocations (session_id, ended_at, forget_at)
        select id, $2, $6 from ended
     returning session_id"
    };
}

/// Ends the sessions of an account. $6 is when to forget them.
pub(super) const END_ALL: &str = concat!("with ", ended!());

/// Voids the tokens of an account that are for the purpose $7, and ends its sessions.
pub(super) const VOID_AND_END: &str = concat!(
    "with voided as (
        update mail_tokens set used_at = $2 where account_id = $1 and purpose = $7 and used_at is null
     ), ",
    ended!()
);

/// Writes what a unit of work has collected. Returns the sessions that end with it.
pub(super) async fn write(
    connection: &mut Connection,
    write: &Write,
    messages: &[Message],
    cx: &Context,
) -> Result<Vec<EndedSession>, Error> {
    let mut statement = QueryBuilder::<Db>::new("with ");
    let ending = match write {
        Write::Nothing => {
            connection.append_all(messages).await?;
            return Ok(Vec::new());
        }
        Write::Open(account, session) => {
            push_open(&mut statement, account, session.as_deref(), cx.now);
            None
        }
        Write::Save(account, ending) => {
            push_save(&mut statement, account, cx.now);
            ending.as_ref().map(|ending| (account.id, ending))
        }
        Write::Purge(id, ending) => {
            statement
                .push("gone as (delete from accounts where id = ")
                .push_bind(*id)
                .push(")");
            Some((*id, ending))
        }
    };
    if let Some((id, ending)) = ending {
        let is_purge = matches!(write, Write::Purge(..));
        push_end(&mut statement, id, ending, is_purge);
    }
    if !messages.is_empty() {
        statement.push(", message as (");
        Connection::push_insert(&mut statement, messages, "");
        statement.push(")");
    }
    statement.push(match ending {
        Some(_) => " select session_id from revoked",
        None => " select session_id from revocations where false",
    });
    let ids: Vec<Uuid> = statement
        .build_query_scalar()
        .fetch_all(connection)
        .await
        .map_err(taken)?;
    Ok(match ending {
        Some((_, ending)) => ids.into_iter().map(|id| ending.of(id)).collect(),
        None => Vec::new(),
    })
}

fn push_open(
    statement: &mut QueryBuilder<Db>,
    account: &NewAccount,
    session: Option<&NewSession>,
    now: OffsetDateTime,
) {
    statement.push(
        "opened as (
            insert into accounts
                (id, username, email, email_key, email_verified, name, password_hash, role, disabled, closed,
                 created_at, updated_at)
            values (",
    );
    statement
        .separated(", ")
        .push_bind(account.id)
        .push_bind(account.username.as_str().to_owned())
        .push_bind(account.email.as_str().to_owned())
        .push_bind(account.email.key())
        .push_bind(account.email_verified)
        .push_bind(account.name.clone())
        .push_bind(account.password_hash.as_str().to_owned())
        .push_bind(account.role.name())
        .push("false")
        .push("false")
        .push_bind(Timestamp(now))
        .push_bind(Timestamp(now));
    statement.push("))");
    let Some(NewSession { session, token_hash }) = session else {
        return;
    };
    statement.push(
        ", session as (
            insert into sessions
                (id, account_id, secret, user_agent, ip_address, created_at, last_used_at, expires_at)
            values (",
    );
    statement
        .separated(", ")
        .push_bind(session.id)
        .push_bind(session.account_id)
        .push_bind(session.secret.to_vec())
        .push_bind(session.user_agent.clone())
        .push_bind(session.ip_address.clone())
        .push_bind(Timestamp(session.created_at))
        .push_bind(Timestamp(session.last_used_at))
        .push_bind(Timestamp(session.expires_at));
    statement
        .push(")), token as (insert into refresh_tokens (token_hash, session_id) values (")
        .push_bind(token_hash.0.to_vec())
        .push(", ")
        .push_bind(session.id)
        .push("))");
}

fn push_save(statement: &mut QueryBuilder<Db>, account: &Account, now: OffsetDateTime) {
    statement.push("saved as (update accounts set ");
    statement
        .separated(", ")
        .push("username = ")
        .push_bind_unseparated(account.username.clone())
        .push("email = ")
        .push_bind_unseparated(account.email.clone())
        .push("pending_email = ")
        .push_bind_unseparated(account.pending_email.clone())
        .push("pending_email_key = ")
        .push_bind_unseparated(account.pending_email.as_deref().map(str::to_lowercase))
        .push("role = ")
        .push_bind_unseparated(account.role.name())
        .push("disabled = ")
        .push_bind_unseparated(account.disabled)
        .push("closed = ")
        .push_bind_unseparated(account.closed)
        .push("updated_at = ")
        .push_bind_unseparated(Timestamp(now));
    statement.push(" where id = ").push_bind(account.id).push(")");
}

/// Ends the sessions of an account. Those of one that is deleted go with it, and are only
/// remembered.
fn push_end(statement: &mut QueryBuilder<Db>, id: Uuid, ending: &Ending, is_purge: bool) {
    if is_purge {
        statement.push(", ended as (select id from sessions");
    } else {
        statement
            .push(", ended as (update sessions set ended_at = ")
            .push_bind(Timestamp(ending.now))
            .push(", end_reason = ")
            .push_bind(ending.reason.name());
    }
    statement
        .push(" where account_id = ")
        .push_bind(id)
        .push(" and ended_at is null and expires_at > ")
        .push_bind(Timestamp(ending.now));
    // A session that ends meanwhile is waited for, and then none of those that end here.
    statement.push(if is_purge { " for update" } else { " returning id" });
    statement
        .push("), revoked as (insert into revocations (session_id, ended_at, forget_at) select id, ")
        .push_bind(Timestamp(ending.now))
        .push(", ")
        .push_bind(Timestamp(ending.forget_at))
        .push(" from ended returning session_id)");
}

/// Counts an attempt, if the counts are still what they were before it: all of them or none. The
/// insertion fails where another attempt has made the row meanwhile.
pub(super) async fn count_attempt(connection: &mut Connection, attempt: &Attempt) -> Result<bool, sqlx::Error> {
    fn column<T>(attempt: &Attempt, of: impl Fn(&Mark) -> T) -> Vec<T> {
        attempt.marks().map(of).collect()
    }
    let counted: i64 = sqlx::query_scalar(
        "with mark as (
            select * from unnest($2::text[], $3::int4[], $4::timestamptz[], $5::timestamptz[], $6::int4[],
                                 $7::timestamptz[], $8::timestamptz[])
                as mark (address, failures_before, attempted_before, blocked_before, failures, attempted_at,
                         blocked_until)
         ), unchanged as (
            select counted.address
              from login_attempts as counted join mark on mark.address = counted.address
             where counted.subject = $1
               and counted.failures = failures_before
               and counted.attempted_at = attempted_before
               and counted.blocked_until = blocked_before
          order by counted.address
               for update of counted
         ), verdict as (
            select (select count(*) from unchanged)
                 = (select count(*) from mark where failures_before is not null) as holds
         ), updated as (
            update login_attempts as counted
               set failures = mark.failures, attempted_at = mark.attempted_at, blocked_until = mark.blocked_until
              from mark, verdict
             where holds and counted.subject = $1 and counted.address = mark.address
               and failures_before is not null
         returning counted.address
         ), inserted as (
            insert into login_attempts (subject, address, failures, attempted_at, blocked_until)
            select $1, address, failures, attempted_at, blocked_until
              from mark, verdict
             where holds and failures_before is null
         returning address)
         select (select count(*) from updated) + (select count(*) from inserted)",
    )
    .bind(attempt.subject.0.as_slice())
    .bind(column(attempt, |mark| mark.address.clone()))
    .bind(column(attempt, |mark| {
        mark.before.map(|before| failures(before.failures))
    }))
    .bind(column(attempt, |mark| mark.before.map(|before| before.attempted_at)))
    .bind(column(attempt, |mark| mark.before.map(|before| before.blocked_until)))
    .bind(column(attempt, |mark| failures(mark.after.failures)))
    .bind(column(attempt, |mark| mark.after.attempted_at))
    .bind(column(attempt, |mark| mark.after.blocked_until))
    .fetch_one(connection)
    .await?;
    Ok(counted > 0)
}

/// The parts that forget the failures of an attempt's address and take its own back over all
/// addresses. $1 subject, $2 address, $3 all addresses; $4 and $5 are its delay over all addresses
/// and the one before it, null where that count does not matter. The rows are locked in one order.
macro_rules! cleared {
    () => {
        "counted as (
            select address
              from login_attempts
             where subject = $1 and (address = $2 or (address = $3 and $4 is not null))
          order by address
               for update
         ), forgotten as (
            delete from login_attempts using counted
             where login_attempts.subject = $1 and login_attempts.address = counted.address
               and counted.address <> $3
         ), taken_back as (
            update login_attempts
               set failures = failures - 1,
                   blocked_until = case when blocked_until = $4 then $5 else blocked_until end
              from counted
             where login_attempts.subject = $1 and login_attempts.address = counted.address
               and counted.address = $3 and failures > 0
         )"
    };
}

/// Clears a successful attempt.
pub(super) async fn clear_attempt(connection: &mut Connection, attempt: &Attempt) -> Result<(), Error> {
    let name = attempt.name.as_ref();
    sqlx::query(concat!("with ", cleared!(), " select"))
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
    new: &NewSession,
    verified: &PasswordHash,
    attempt: &Attempt,
) -> Result<Option<Account>, Error> {
    let (session, name) = (&new.session, attempt.name.as_ref());
    let row: Option<AccountRow> = sqlx::query_as(concat!(
        "with ",
        cleared!(),
        ", account as (
            select * from accounts where id = $6 and password_hash = $7 and not disabled and not closed for update
         ), session as (
            insert into sessions (id, account_id, secret, user_agent, ip_address, created_at, last_used_at, expires_at)
            select $8, id, $9, $10, $11, $12, $13, $14 from account
         returning id
         ), token as (
            insert into refresh_tokens (token_hash, session_id) select $15, id from session
         )
         select * from account"
    ))
    .bind(attempt.subject.0.as_slice())
    .bind(&attempt.pair.address)
    .bind(ANYWHERE)
    .bind(name.map(|name| Timestamp(name.after.blocked_until)))
    .bind(name.map(|name| Timestamp(name.blocked_before())))
    .bind(session.account_id)
    .bind(verified.as_str())
    .bind(session.id)
    .bind(session.secret.as_slice())
    .bind(&session.user_agent)
    .bind(&session.ip_address)
    .bind(Timestamp(session.created_at))
    .bind(Timestamp(session.last_used_at))
    .bind(Timestamp(session.expires_at))
    .bind(new.token_hash.0.as_slice())
    .fetch_optional(connection)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// Uses a refresh token and puts its successor in force, if it is unused and its session lives.
pub(super) async fn exchange(
    connection: &mut Connection,
    token: TokenHash,
    session_id: Uuid,
    successor: TokenHash,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    // Calls with tokens of one session queue up at its row.
    let done = sqlx::query(
        "with live as (
            select id from sessions where id = $2 and ended_at is null and expires_at > $3 for update
         ), used as (
            update refresh_tokens
               set used_at = $3
              from live
             where token_hash = $1 and session_id = live.id and used_at is null
         returning session_id
         ), successor as (
            insert into refresh_tokens (token_hash, session_id) select $4, session_id from used
         )
         update sessions set last_used_at = $3 from used where id = used.session_id",
    )
    .bind(token.0.as_slice())
    .bind(session_id)
    .bind(Timestamp(now))
    .bind(successor.0.as_slice())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Uses a token of an account, which is locked, to set its password; voids the others and ends
/// every session. `None` when the token does not work.
pub(super) async fn reset_password(
    connection: &mut Connection,
    token: TokenHash,
    account_id: Uuid,
    new: &PasswordHash,
    ending: Ending,
) -> Result<Option<Vec<EndedSession>>, Error> {
    let rows: Vec<(Option<Uuid>,)> = sqlx::query_as(
        "with account as (
            select id, email_key from accounts where id = $2 and not closed
         ), used as (
            update mail_tokens
               set used_at = $4
              from account
             where token_hash = $1 and account_id = account.id and mail_tokens.email_key = account.email_key
               and purpose = $3 and used_at is null and expires_at > $4
         returning account_id
         ), voided as (
            update mail_tokens
               set used_at = $4
              from used
             where mail_tokens.account_id = used.account_id and purpose = $3 and used_at is null
               and token_hash <> $1
         ), changed as (
            update accounts
               set password_hash = $5, pending_email = null, pending_email_key = null, updated_at = $4
              from used
             where id = used.account_id
         ), ended as (
            update sessions
               set ended_at = $4, end_reason = $6
              from used
             where sessions.account_id = used.account_id and ended_at is null and expires_at > $4
         returning id
         ), revoked as (
            insert into revocations (session_id, ended_at, forget_at) select id, $4, $7 from ended
         returning session_id
         )
         select revoked.session_id from used left join revoked on true",
    )
    .bind(token.0.as_slice())
    .bind(account_id)
    .bind(Purpose::PasswordReset.name())
    .bind(Timestamp(ending.now))
    .bind(new.as_str())
    .bind(ending.reason.name())
    .bind(Timestamp(ending.forget_at))
    .fetch_all(connection)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        rows.into_iter()
            .filter_map(|(id,)| id)
            .map(|id| ending.of(id))
            .collect(),
    ))
}

/// Uses a token of an account, which is locked, to prove its address; one that moved takes the
/// place of its own. No when the token does not work.
pub(super) async fn verify_email(
    connection: &mut Connection,
    token: TokenHash,
    account_id: Uuid,
    moved: bool,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let purpose = if moved {
        Purpose::EmailChange
    } else {
        Purpose::EmailVerification
    };
    let proven = sqlx::query(
        "with account as (
            select id, case when $5 then pending_email_key else email_key end as email_key
              from accounts
             where id = $2 and not closed
         ), used as (
            update mail_tokens
               set used_at = $4
              from account
             where token_hash = $1 and account_id = account.id and mail_tokens.email_key = account.email_key
               and purpose = $3 and used_at is null and expires_at > $4
         returning account_id
         )
         update accounts
            set email = case when $5 then pending_email else email end,
                email_key = case when $5 then pending_email_key else email_key end,
                pending_email = case when $5 then null else pending_email end,
                pending_email_key = case when $5 then null else pending_email_key end,
                email_verified = true, updated_at = $4
           from used
          where id = used.account_id",
    )
    .bind(token.0.as_slice())
    .bind(account_id)
    .bind(purpose.name())
    .bind(Timestamp(now))
    .bind(moved)
    .execute(connection)
    .await
    .map_err(taken)?;
    Ok(proven.rows_affected() == 1)
}

fn failures(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
