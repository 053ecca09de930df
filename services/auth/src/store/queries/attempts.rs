//! Attempts to sign in.

use async_trait::async_trait;
use quartet_store::{Backend, Context, Timestamp};
use sqlx::{FromRow, Row};

use super::accounts::AccountRow;
use super::dialect::for_update;
use super::{Database, Queries, statements};
use crate::Error;
use crate::domain::throttle::{ANYWHERE, Attempt, Count};
use crate::store::{Attempts, Guess, Name, SignIn};

/// Reads the account, where it has signed in from, and the counts, in one row.
macro_rules! sign_in {
    ($account:literal) => {
        concat!(
            "select accounts.*,
                    exists (select 1 from sessions where account_id = accounts.id and ip_address = $2) as is_known,
                    pair.failures as pair_failures, pair.attempted_at as pair_attempted_at,
                    pair.blocked_until as pair_blocked_until,
                    anywhere.failures as anywhere_failures, anywhere.attempted_at as anywhere_attempted_at,
                    anywhere.blocked_until as anywhere_blocked_until,
                    caller.failures as caller_failures, caller.attempted_at as caller_attempted_at,
                    caller.blocked_until as caller_blocked_until
               from (select 1 as one) as guess
          left join accounts on ",
            $account,
            " left join login_attempts as pair on pair.subject = $3 and pair.address = $4
          left join login_attempts as anywhere on anywhere.subject = $3 and anywhere.address = $5
          left join login_attempts as caller on caller.subject = $6 and caller.address = $7"
        )
    };
}

#[async_trait]
impl Attempts for Queries {
    async fn find_sign_in(&self, guess: &Guess, cx: &Context) -> Result<SignIn, Error> {
        let query = match &guess.name {
            Name::Id(id) => sqlx::query(sign_in!("accounts.id = $1")).bind(*id),
            Name::Username(name) => sqlx::query(sign_in!("accounts.username = $1")).bind(name),
            Name::Email(key) => sqlx::query(sign_in!("accounts.email_key = $1")).bind(key),
        };
        let row = query
            .bind(guess.address.as_deref())
            .bind(guess.subject.0.as_slice())
            .bind(&guess.origin)
            .bind(ANYWHERE)
            .bind(guess.caller.as_ref().map(|(subject, _)| subject.0.as_slice()))
            .bind(guess.caller.as_ref().map(|(_, origin)| *origin))
            .fetch_one(&mut *self.database.read(cx.deadline).await?)
            .await?;
        let id: Option<uuid::Uuid> = row.try_get("id")?;
        let account = id.map(|_| AccountRow::from_row(&row)).transpose()?;
        let count = |of: &str| -> Result<Option<Count>, sqlx::Error> {
            let failures: Option<i32> = row.try_get(format!("{of}_failures").as_str())?;
            let attempted_at: Option<Timestamp> = row.try_get(format!("{of}_attempted_at").as_str())?;
            let blocked_until: Option<Timestamp> = row.try_get(format!("{of}_blocked_until").as_str())?;
            let (Some(failures), Some(attempted_at), Some(blocked_until)) = (failures, attempted_at, blocked_until)
            else {
                return Ok(None);
            };
            Ok(Some(Count {
                failures: failures.unsigned_abs(),
                attempted_at: attempted_at.into(),
                blocked_until: blocked_until.into(),
            }))
        };
        Ok(SignIn {
            is_known_address: row.try_get("is_known")?,
            pair: count("pair")?,
            anywhere: count("anywhere")?,
            caller: count("caller")?,
            account: account.map(TryInto::try_into).transpose()?,
        })
    }

    async fn count_attempt(&self, attempt: &Attempt, cx: &Context) -> Result<bool, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        match statements::count_attempt(&mut single, attempt).await {
            Ok(true) => {
                Database::finish(single).await?;
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => match quartet_store::Error::from(error) {
                // The first attempt of a name, and another one was the first as well.
                quartet_store::Error::Unique { .. } => Ok(false),
                error => Err(error.into()),
            },
        }
    }

    async fn clear_attempt(&self, attempt: &Attempt, cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        statements::clear_attempt(&mut single, attempt).await?;
        Ok(Database::finish(single).await?)
    }

    async fn withdraw_attempt(&self, attempt: &Attempt, cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let (pair, name) = (&attempt.pair, attempt.name.as_ref());
        // A failure is taken back, and its delay unless a later failure has set another.
        sqlx::query(concat!(
            "with counted as (
                select subject, address
                  from login_attempts
                 where subject = $1 and (address = $2 or (address = $5 and $6 is not null)) and failures > 0
              order by address",
            for_update!("login_attempts"),
            ")
             update login_attempts
                set failures = failures - 1,
                    blocked_until = case
                        when address = $2 and blocked_until = $3 then $4
                        when address = $5 and blocked_until = $6 then $7
                        else blocked_until end
              where (subject, address) in (select subject, address from counted) and failures > 0"
        ))
        .bind(attempt.subject.0.as_slice())
        .bind(&pair.address)
        .bind(Timestamp(pair.after.blocked_until))
        .bind(Timestamp(pair.blocked_before()))
        .bind(ANYWHERE)
        .bind(name.map(|name| Timestamp(name.after.blocked_until)))
        .bind(name.map(|name| Timestamp(name.blocked_before())))
        .execute(&mut *single)
        .await?;
        Ok(Database::finish(single).await?)
    }
}
