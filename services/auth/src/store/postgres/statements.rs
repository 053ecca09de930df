//! The statements that PostgreSQL has in one, as parts that all see the same snapshot.
//!
//! A part that locks a row waits for whoever has it, and then sees the row as that one left it.
//! Parts that must see more of what others have committed are a statement of their own.

use quartet_messaging::Message;
use quartet_messaging::outbox::Outbox as _;
use quartet_store::{Context, Timestamp};
use sqlx::{FromRow, Postgres as Db, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Connection;
use super::accounts::{AccountRow, taken};
use super::security_events;
use crate::Error;
use crate::domain::throttle::{Attempt, Mark};
use crate::domain::{Account, EndedSession, NewAccount, PasswordHash, Purpose, SecurityEvent, TokenHash};
use crate::store::NewSession;
use crate::store::bind_event;
use crate::store::pending::Write;
use crate::store::sessions::Ending;

/// Ends a session of an account, and records it. $1 account, $2 now, $3 reason, $4 session, $5 when to
/// forget it, $6 to $12 the rest of the event: see `bind_event!`.
pub(super) const END_ONE: &str = "with ended as (
        update sessions
           set ended_at = $2, end_reason = $3
         where id = $4 and account_id = $1 and ended_at is null and expires_at > $2
     returning id), event as (
        insert into security_events
            (id, kind, happened_at, account_id, session_id, actor, client_address, request_id, trace_id, detail)
        select $6, $7, $2, $1, $4, $8, $9, $10, $11, $12 from ended)
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

/// Sets the password $3 of the account $1 at $4, if it still has $2. An address that is yet to be proven
/// is taken back; an account whose key is no address has nothing but the one that it claims.
pub(super) const SET_PASSWORD: &str = "update accounts
    set password_hash = $3, updated_at = $4,
        pending_email = case when email_key like '%@%' then null else email end,
        pending_email_key = case when email_key like '%@%' then null else lower(email collate \"C\") end
  where id = $1 and password_hash = $2";

/// Writes what a unit of work has collected. Returns the sessions that end with it.
pub(super) async fn write(
    connection: &mut Connection,
    write: &Write,
    events: &[SecurityEvent],
    messages: &[Message],
    cx: &Context,
) -> Result<Vec<EndedSession>, Error> {
    let mut statement = QueryBuilder::<Db>::new("with ");
    let ending = match write {
        Write::Nothing if events.is_empty() => {
            connection.append_all(messages).await?;
            return Ok(Vec::new());
        }
        Write::Nothing => None,
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
    if !events.is_empty() {
        statement.push(match write {
            Write::Nothing => "event as (",
            Write::Open(..) | Write::Save(..) | Write::Purge(..) => ", event as (",
        });
        security_events::push_insert(&mut statement, events);
        statement.push(")");
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
                 created_at, updated_at, pending_email, pending_email_key)
            values (",
    );
    statement
        .separated(", ")
        .push_bind(account.id)
        .push_bind(account.username.as_str().to_owned())
        .push_bind(account.email.as_str().to_owned())
        .push_bind(account.email_key())
        .push_bind(account.email_verified)
        .push_bind(account.name.clone())
        .push_bind(account.password_hash.as_str().to_owned())
        .push_bind(account.role.name())
        .push("false")
        .push("false")
        .push_bind(Timestamp(now))
        .push_bind(Timestamp(now))
        .push_bind(account.pending_email())
        .push_bind(account.pending_email().map(|_| account.email.key()));
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

/// What the counts of an account are kept under: see
/// [`Subject::as_bytes`](crate::domain::throttle::Subject::as_bytes).
macro_rules! subject {
    () => {
        "uuid_send(accounts.id)"
    };
}
pub(super) use subject;

/// One value of every count that an attempt changes.
fn column<T>(attempt: &Attempt, of: impl Fn(&Mark) -> T) -> Vec<T> {
    attempt.marks().map(of).collect()
}

/// Counts an attempt, if the counts are still what they were before it, or below where it only adds
/// to them: all of them or none. The insertion fails where another attempt has made the row
/// meanwhile. Rows are locked and made in one order.
pub(super) async fn count_attempt(connection: &mut Connection, attempt: &Attempt) -> Result<bool, sqlx::Error> {
    let counted: i64 = sqlx::query_scalar(
        "with mark as (
            select * from unnest($1::bytea[], $2::text[], $3::int4[], $4::timestamptz[], $5::timestamptz[],
                                 $6::int4[], $7::int4[], $8::timestamptz[], $9::timestamptz[])
                as mark (subject, address, failures_before, attempted_before, blocked_before, adds_below, failures,
                         attempted_at, blocked_until)
         ), unchanged as (
            select counted.address
              from login_attempts as counted
              join mark on mark.subject = counted.subject and mark.address = counted.address
             where (counted.failures = failures_before
                    and counted.attempted_at = attempted_before
                    and counted.blocked_until = blocked_before)
                or (counted.failures < adds_below
                    and counted.blocked_until <= greatest(counted.attempted_at, mark.attempted_at))
          order by counted.subject, counted.address
               for update of counted
         ), verdict as (
            select (select count(*) from unchanged)
                 = (select count(*) from mark where failures_before is not null) as holds
         ), updated as (
            update login_attempts as counted
               set failures = case when adds_below is null then mark.failures else counted.failures + 1 end,
                   attempted_at = greatest(counted.attempted_at, mark.attempted_at),
                   blocked_until = mark.blocked_until
              from mark, verdict
             where holds and counted.subject = mark.subject and counted.address = mark.address
               and failures_before is not null
         returning counted.address
         ), inserted as (
            insert into login_attempts (subject, address, failures, attempted_at, blocked_until)
            select subject, address, failures, attempted_at, blocked_until
              from mark, verdict
             where holds and failures_before is null
          order by subject, address
         returning address)
         select (select count(*) from updated) + (select count(*) from inserted)",
    )
    .bind(column(attempt, |mark| mark.subject.as_bytes().to_vec()))
    .bind(column(attempt, |mark| mark.address.clone()))
    .bind(column(attempt, |mark| {
        mark.before.map(|before| failures(before.failures))
    }))
    .bind(column(attempt, |mark| mark.before.map(|before| before.attempted_at)))
    .bind(column(attempt, |mark| mark.before.map(|before| before.blocked_until)))
    .bind(column(attempt, |mark| mark.adds_below.map(failures)))
    .bind(column(attempt, |mark| failures(mark.after.failures)))
    .bind(column(attempt, |mark| mark.after.attempted_at))
    .bind(column(attempt, |mark| mark.after.blocked_until))
    .fetch_one(connection)
    .await?;
    Ok(counted > 0)
}

/// The parts that take an attempt back: its failure, and its delay unless a later failure has set
/// another. $1 subjects, $2 addresses, $3 its delays, $4 the delays before it, $5 which counts are
/// forgotten as a whole. The rows are locked in one order.
macro_rules! taken_back {
    () => {
        "mark as (
            select * from unnest($1::bytea[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::bool[])
                as mark (subject, address, blocked_until, blocked_before, is_forgotten)
         ), counted as (
            select mark.*
              from login_attempts
              join mark on mark.subject = login_attempts.subject and mark.address = login_attempts.address
          order by login_attempts.subject, login_attempts.address
               for update of login_attempts
         ), forgotten as (
            delete from login_attempts using counted
             where login_attempts.subject = counted.subject and login_attempts.address = counted.address
               and is_forgotten
         ), taken_back as (
            update login_attempts
               set failures = login_attempts.failures - 1,
                   blocked_until = case when login_attempts.blocked_until = counted.blocked_until
                                        then counted.blocked_before else login_attempts.blocked_until end
              from counted
             where login_attempts.subject = counted.subject and login_attempts.address = counted.address
               and not is_forgotten and login_attempts.failures > 0
         )"
    };
}

/// Binds what [`taken_back!`] takes. `is_success`: the count of the attempt's own address is
/// forgotten.
macro_rules! bind_taken_back {
    ($query:expr, $attempt:expr, $is_success:expr) => {
        $query
            .bind(column($attempt, |mark| mark.subject.as_bytes().to_vec()))
            .bind(column($attempt, |mark| mark.address.clone()))
            .bind(column($attempt, |mark| mark.after.blocked_until))
            .bind(column($attempt, Mark::blocked_before))
            .bind(
                $attempt
                    .marks()
                    .enumerate()
                    .map(|(n, _)| n == 0 && $is_success)
                    .collect::<Vec<_>>(),
            )
    };
}

/// Takes an attempt back. After a success, the failures of its own address are forgotten as well.
pub(super) async fn take_back(connection: &mut Connection, attempt: &Attempt, is_success: bool) -> Result<(), Error> {
    let query = sqlx::query(concat!("with ", taken_back!(), " select"));
    bind_taken_back!(query, attempt, is_success).execute(connection).await?;
    Ok(())
}

/// Clears a successful attempt and opens a session, if the account can sign in and its password is
/// still the one that was verified. The account is locked before the counts, as by a reset of the
/// password: PostgreSQL runs the parts that the last one reads first.
pub(super) async fn open_session(
    connection: &mut Connection,
    new: &NewSession,
    verified: &PasswordHash,
    attempt: &Attempt,
    limit: u32,
    ending: Ending,
    event: &SecurityEvent,
) -> Result<Option<(Account, Vec<EndedSession>)>, Error> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        account: AccountRow,
        ended: Option<Vec<Uuid>>,
    }
    let session = &new.session;
    let query = sqlx::query_as(concat!(
        "with ",
        taken_back!(),
        ", account as (
            select * from accounts where id = $6 and password_hash = $7 and not disabled and not closed for update
         ), session as (
            insert into sessions
                (id, account_id, secret, user_agent, ip_address, created_at, last_used_at, expires_at, assurance,
                 client_id)
            select $8, id, $9, $10, $11, $12, $13, $14, $20, $28 from account
         returning id
         ), token as (
            insert into refresh_tokens (token_hash, session_id) select $15, id from session
         ), event as (
            insert into security_events
                (id, kind, happened_at, account_id, session_id, actor, client_address, request_id, trace_id, detail)
            select $21, $22, $16, $6, $8, $23, $24, $25, $26, $27 from account
         ), ended as (
            update sessions
               set ended_at = $16, end_reason = $17
             where id in (select sessions.id
                            from sessions join account on account.id = sessions.account_id
                           where ended_at is null and expires_at > $16
                        order by last_used_at desc, sessions.id desc
                          offset $18)
         returning id
         ), revoked as (
            insert into revocations (session_id, ended_at, forget_at)
            select id, $16, $19 from ended
         returning session_id
         )
         select account.*, (select array_agg(session_id) from revoked) as ended from account"
    ));
    let query = bind_taken_back!(query, attempt, true)
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
        .bind(Timestamp(ending.now))
        .bind(ending.reason.name())
        // The new session is not among those that the statement sees.
        .bind(i64::from(limit.max(1) - 1))
        .bind(Timestamp(ending.forget_at))
        .bind(session.assurance.name());
    let query = bind_event!(query, event).bind(&session.client_id);
    let row: Option<Row> = query.fetch_optional(connection).await?;
    let Some(Row { account, ended }) = row else {
        return Ok(None);
    };
    let ended = ended.unwrap_or_default().into_iter().map(|id| ending.of(id));
    Ok(Some((account.try_into()?, ended.collect())))
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

/// Uses a token of an account, which is locked, to set its password; voids the others, forgets the
/// failed logins, and ends every session. `None` when the token does not work.
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
               set password_hash = $5, email_verified = true, pending_email = null, pending_email_key = null,
                   updated_at = $4
              from used
             where id = used.account_id
         ), forgotten as (
            delete from login_attempts using used where subject = uuid_send(used.account_id)
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
