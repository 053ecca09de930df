//! The statements that PostgreSQL has in one: here one after the other, while nobody else writes.

use quartet_messaging::{Message, outbox};
use quartet_store::{Context, Timestamp};
use sqlx::QueryBuilder;
use time::OffsetDateTime;
use uuid::Uuid;

use super::accounts::{AccountRow, taken};
use super::{Connection, Db};
use super::{security_events, sessions};
use crate::Error;
use crate::domain::throttle::{Attempt, Mark};
use crate::domain::{Account, EndedSession, NewAccount, PasswordHash, Purpose, SecurityEvent, Status, TokenHash};
use crate::store::NewSession;
use crate::store::pending::Write;
use crate::store::sessions::Ending;

/// Ends a session of an account, and records it. $1 account, $2 now, $3 reason, $4 session, $5 when to
/// forget it, $6 to $12 the rest of the event: see `bind_event!`.
pub(super) const END_ONE: &str = "insert into revocations (session_id, ended_at, forget_at)
    select id, $2, $5
      from sessions
     where id = $4 and account_id = $1 and ended_at is null and expires_at > $2;
    insert into security_events
        (id, kind, happened_at, account_id, session_id, actor, client_address, request_id, trace_id, detail)
    select $6, $7, $2, $1, $4, $8, $9, $10, $11, $12
      from sessions
     where id = $4 and account_id = $1 and ended_at is null and expires_at > $2;
    update sessions
       set ended_at = $2, end_reason = $3
     where id = $4 and account_id = $1 and ended_at is null and expires_at > $2
 returning id";

/// The sessions of an account but the $4 that were used last.
macro_rules! least_recently_used {
    () => {
        "(select id from sessions
           where account_id = $1 and ended_at is null and expires_at > $2
        order by last_used_at desc, id desc
           limit -1 offset $4)"
    };
}

/// Ends the sessions of an account but the $4 that were used last. $1 account, $2 now, $3 reason, $5
/// when to forget them.
const END_LEAST_RECENTLY_USED: &str = concat!(
    "insert into revocations (session_id, ended_at, forget_at)
     select id, $2, $5 from ",
    least_recently_used!(),
    ";
     update sessions set ended_at = $2, end_reason = $3 where id in ",
    least_recently_used!(),
    " returning id"
);

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

/// Sets the password $3 of the account $1 at $4, if it still has $2. An address that is yet to be proven
/// is taken back; an account whose key is no address has nothing but the one that it claims.
pub(super) const SET_PASSWORD: &str = "update accounts
    set password_hash = $3, updated_at = $4,
        pending_email = case when email_key like '%@%' then null else email end,
        pending_email_key = case when email_key like '%@%' then null else lower(email) end
  where id = $1 and password_hash = $2";

/// Writes what a unit of work has collected. Returns the sessions that end with it.
pub(super) async fn write(
    connection: &mut Connection,
    write: &Write,
    events: &[SecurityEvent],
    messages: &[Message],
    cx: &Context,
) -> Result<Vec<EndedSession>, Error> {
    let ended = match write {
        Write::Nothing => Vec::new(),
        Write::Open(account, session) => {
            open(connection, account, cx.now).await?;
            if let Some(session) = session {
                sessions::insert(connection, &session.session, session.token_hash).await?;
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
    insert_events(connection, events).await?;
    outbox::append_all(connection, messages).await?;
    Ok(ended)
}

async fn open(connection: &mut Connection, account: &NewAccount, now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "insert into accounts
            (id, username, email, email_key, email_verified, name, password_hash, role, disabled, closed,
             created_at, updated_at, pending_email, pending_email_key)
         values ($1, $2, $3, $4, $5, $6, $7, $8, false, false, $9, $9, $10, $11)",
    )
    .bind(account.id)
    .bind(account.username.as_str())
    .bind(account.email.as_str())
    .bind(account.email_key())
    .bind(account.email_verified)
    .bind(&account.name)
    .bind(account.password_hash.as_str())
    .bind(account.role.name())
    .bind(Timestamp(now))
    .bind(account.pending_email())
    .bind(account.pending_email().map(|_| account.email.key()))
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

/// Inserts events in one statement; none, if there are none.
async fn insert_events(connection: &mut Connection, events: &[SecurityEvent]) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    let mut statement = QueryBuilder::<Db>::new("");
    security_events::push_insert(&mut statement, events);
    statement.build().execute(connection).await?;
    Ok(())
}

/// What the counts of an account are kept under: see
/// [`Subject::as_bytes`](crate::domain::throttle::Subject::as_bytes).
macro_rules! subject {
    () => {
        "accounts.id"
    };
}
pub(super) use subject;

/// The counts that an attempt may change, present or not.
fn slots(attempt: &Attempt) -> [Option<&Mark>; 3] {
    [Some(&attempt.pair), attempt.name.as_ref(), attempt.origin.as_ref()]
}

/// Counts an attempt, if the counts are still what they were before it, or below where it only adds
/// to them. Where they are not, some may be written: the caller does not commit.
pub(super) async fn count_attempt(connection: &mut Connection, attempt: &Attempt) -> Result<bool, sqlx::Error> {
    let mut query = sqlx::query(
        "with mark (subject, address, failures_before, attempted_before, blocked_before, adds_below, failures,
                    attempted_at, blocked_until) as (
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9), ($10, $11, $12, $13, $14, $15, $16, $17, $18),
                   ($19, $20, $21, $22, $23, $24, $25, $26, $27))
         insert into login_attempts (subject, address, failures, attempted_at, blocked_until)
         select mark.subject, mark.address,
                case when adds_below is null then mark.failures else counted.failures + 1 end,
                max(mark.attempted_at, coalesce(counted.attempted_at, mark.attempted_at)), mark.blocked_until
           from mark
      left join login_attempts as counted on counted.subject = mark.subject and counted.address = mark.address
          where mark.subject is not null
            and case when failures_before is null then counted.failures is null
                     else (counted.failures = failures_before
                           and counted.attempted_at = attempted_before
                           and counted.blocked_until = blocked_before)
                       or (counted.failures < adds_below
                           and counted.blocked_until <= max(counted.attempted_at, mark.attempted_at)) end
             on conflict (subject, address) do update
            set failures = excluded.failures, attempted_at = excluded.attempted_at,
                blocked_until = excluded.blocked_until",
    );
    for mark in slots(attempt) {
        let before = mark.and_then(|mark| mark.before);
        query = query
            .bind(mark.map(|mark| mark.subject.as_bytes()))
            .bind(mark.map(|mark| &mark.address))
            .bind(before.map(|before| failures(before.failures)))
            .bind(before.map(|before| Timestamp(before.attempted_at)))
            .bind(before.map(|before| Timestamp(before.blocked_until)))
            .bind(mark.and_then(|mark| mark.adds_below).map(failures))
            .bind(mark.map(|mark| failures(mark.after.failures)))
            .bind(mark.map(|mark| Timestamp(mark.after.attempted_at)))
            .bind(mark.map(|mark| Timestamp(mark.after.blocked_until)));
    }
    let counted = query.execute(connection).await?.rows_affected();
    Ok(usize::try_from(counted) == Ok(attempt.marks().count()))
}

/// Takes an attempt back: its failure, and its delay unless a later failure has set another. After a
/// success, the failures of its own address are forgotten as well.
pub(super) async fn take_back(connection: &mut Connection, attempt: &Attempt, is_success: bool) -> Result<(), Error> {
    let mut query = sqlx::query(
        "delete from login_attempts where subject = $1 and address = $2 and $13;
         update login_attempts
            set failures = failures - 1,
                blocked_until = case
                    when subject = $1 and address = $2 and blocked_until = $3 then $4
                    when subject = $5 and address = $6 and blocked_until = $7 then $8
                    when subject = $9 and address = $10 and blocked_until = $11 then $12
                    else blocked_until end
          where failures > 0
            and ((subject = $1 and address = $2) or (subject = $5 and address = $6)
                 or (subject = $9 and address = $10))",
    );
    for mark in slots(attempt) {
        query = query
            .bind(mark.map(|mark| mark.subject.as_bytes()))
            .bind(mark.map(|mark| &mark.address))
            .bind(mark.map(|mark| Timestamp(mark.after.blocked_until)))
            .bind(mark.map(|mark| Timestamp(mark.blocked_before())));
    }
    query.bind(is_success).execute(connection).await?;
    Ok(())
}

/// Clears a successful attempt and opens a session, if the account can sign in and its password is
/// still the one that was verified.
pub(super) async fn open_session(
    connection: &mut Connection,
    session: &NewSession,
    verified: &PasswordHash,
    attempt: &Attempt,
    limit: u32,
    ending: Ending,
    event: &SecurityEvent,
) -> Result<Option<(Account, Vec<EndedSession>)>, Error> {
    take_back(connection, attempt, true).await?;
    let row: Option<AccountRow> = sqlx::query_as("select * from accounts where id = $1")
        .bind(session.session.account_id)
        .fetch_optional(&mut *connection)
        .await?;
    let account: Option<Account> = row.map(TryInto::try_into).transpose()?;
    let is_same = |account: &Account| account.password_hash == *verified && account.status() == Status::Active;
    let Some(account) = account.filter(is_same) else {
        return Ok(None);
    };
    let ended: Vec<Uuid> = sqlx::query_scalar(END_LEAST_RECENTLY_USED)
        .bind(account.id)
        .bind(Timestamp(ending.now))
        .bind(ending.reason.name())
        .bind(i64::from(limit.max(1) - 1))
        .bind(Timestamp(ending.forget_at))
        .fetch_all(&mut *connection)
        .await?;
    sessions::insert(connection, &session.session, session.token_hash).await?;
    insert_events(connection, std::slice::from_ref(event)).await?;
    Ok(Some((account, ended.into_iter().map(|id| ending.of(id)).collect())))
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
    sessions::insert_token(connection, session_id, successor).await?;
    sqlx::query("update sessions set last_used_at = $2 where id = $1")
        .bind(session_id)
        .bind(Timestamp(now))
        .execute(connection)
        .await?;
    Ok(true)
}

/// Uses a token of an account to set its password; voids the others, forgets the failed logins, and
/// ends every session. `None` when the token does not work.
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
            set password_hash = $2, email_verified = true, pending_email = null, pending_email_key = null,
                updated_at = $3
          where id = $1;
         delete from login_attempts where subject = $1",
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
