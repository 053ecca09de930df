//! Attempts to sign in.

use async_trait::async_trait;
use quartet_store::{Backend, Context, Timestamp};
use sqlx::{FromRow, Row};

use super::accounts::AccountRow;
use super::{Database, Queries, statements};
use crate::Error;
use crate::domain::Device;
use crate::domain::throttle::{ANYWHERE, Attempt, Count, Subject};
use crate::store::{Attempts, Guess, Name, SignIn};

/// Reads the account, where it has signed in from, and the counts, in one row. $1 name, $2 client
/// address, $3 subject of a name without an account, $4 origin, $5 all addresses, $6 all names, $7
/// sessions, $8 device.
macro_rules! sign_in {
    ($account:literal) => {
        concat!(
            "select accounts.*,
                    exists (select 1 from sessions where account_id = accounts.id and ip_address = $2) as is_known,
                    exists (select 1 from second_factors
                             where account_id = accounts.id and confirmed_at is not null) as has_second_factor,
                    pair.failures as pair_failures, pair.attempted_at as pair_attempted_at,
                    pair.blocked_until as pair_blocked_until,
                    anywhere.failures as anywhere_failures, anywhere.attempted_at as anywhere_attempted_at,
                    anywhere.blocked_until as anywhere_blocked_until,
                    origin.failures as origin_failures, origin.attempted_at as origin_attempted_at,
                    origin.blocked_until as origin_blocked_until,
                    caller.failures as caller_failures, caller.attempted_at as caller_attempted_at,
                    caller.blocked_until as caller_blocked_until,
                    device.failures as device_failures, device.attempted_at as device_attempted_at,
                    device.blocked_until as device_blocked_until
               from (select 1 as one) as guess
          left join accounts on ",
            $account,
            " left join login_attempts as pair
                 on pair.subject = coalesce(",
            statements::subject!(),
            ", $3) and pair.address = $4
          left join login_attempts as anywhere
                 on anywhere.subject = coalesce(",
            statements::subject!(),
            ", $3) and anywhere.address = $5
          left join login_attempts as origin on origin.subject = $6 and origin.address = $4
          left join login_attempts as caller
                 on caller.subject = ",
            statements::subject!(),
            " and caller.address = $7
          left join login_attempts as device
                 on device.subject = ",
            statements::subject!(),
            " and device.address = $8"
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
            Name::ProvenEmail(key) => {
                sqlx::query(sign_in!("accounts.email_key = $1 and accounts.email_verified")).bind(key)
            }
        };
        let row = query
            .bind(guess.address.as_deref())
            .bind(guess.nobody.as_bytes())
            .bind(&guess.origin)
            .bind(ANYWHERE)
            .bind(Subject::AnyName.as_bytes())
            .bind(guess.caller)
            .bind(guess.device.as_ref().map(Device::address))
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
            has_second_factor: row.try_get("has_second_factor")?,
            pair: count("pair")?,
            anywhere: count("anywhere")?,
            origin: count("origin")?,
            caller: count("caller")?,
            device: count("device")?,
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
        statements::take_back(&mut single, attempt, true).await?;
        Ok(Database::finish(single).await?)
    }

    async fn withdraw_attempt(&self, attempt: &Attempt, cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        statements::take_back(&mut single, attempt, false).await?;
        Ok(Database::finish(single).await?)
    }
}
