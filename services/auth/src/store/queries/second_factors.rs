//! Second factors of accounts.

use async_trait::async_trait;
use quartet_store::{Context, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::Queries;
use super::sessions;
use crate::Error;
use crate::domain::{Assurance, EndReason, EventKind, SecondFactor, Session, TokenHash};
use crate::store::{SecondFactors, unreadable};

#[derive(FromRow)]
struct FactorRow {
    account_id: Uuid,
    secret: Vec<u8>,
    recovery_codes: Vec<u8>,
    confirmed_at: Option<Timestamp>,
    last_step: i64,
}

impl TryFrom<FactorRow> for SecondFactor {
    type Error = Error;

    fn try_from(row: FactorRow) -> Result<Self, Error> {
        let (codes, rest) = row.recovery_codes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(unreadable("second_factors.recovery_codes"));
        }
        Ok(Self {
            account_id: row.account_id,
            sealed: row.secret,
            recovery_codes: codes.iter().map(|hash| TokenHash(*hash)).collect(),
            confirmed_at: row.confirmed_at.map(Into::into),
            last_step: row.last_step,
        })
    }
}

/// Codes as one column holds them.
fn joined(codes: &[TokenHash]) -> Vec<u8> {
    codes.iter().flat_map(|hash| hash.0).collect()
}

#[async_trait]
impl SecondFactors for Queries {
    async fn find_second_factor(&self, account_id: Uuid, cx: &Context) -> Result<Option<SecondFactor>, Error> {
        let row: Option<FactorRow> = sqlx::query_as(
            "select account_id, secret, recovery_codes, confirmed_at, last_step
               from second_factors
              where account_id = $1",
        )
        .bind(account_id)
        .fetch_optional(&mut *self.database.read(cx.deadline).await?)
        .await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn enrol_second_factor(&self, account_id: Uuid, sealed: &[u8], cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        let done = sqlx::query(
            "insert into second_factors (account_id, secret, recovery_codes, created_at, last_step)
             values ($1, $2, $3, $4, 0)
             on conflict (account_id) do update
                set secret = excluded.secret, created_at = excluded.created_at
              where second_factors.confirmed_at is null",
        )
        .bind(account_id)
        .bind(sealed)
        .bind(Vec::<u8>::new())
        .bind(Timestamp(cx.now))
        .execute(unit.statement().await?)
        .await?;
        unit.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    async fn confirm_second_factor(
        &self,
        factor: &SecondFactor,
        session_id: Uuid,
        step: i64,
        recovery_codes: &[TokenHash],
        cx: &Context,
    ) -> Result<Option<Session>, Error> {
        let mut unit = self.begin(cx);
        let confirmed = sqlx::query(
            "update second_factors
                set confirmed_at = $3, last_step = $4, recovery_codes = $5
              where account_id = $1 and secret = $2 and confirmed_at is null",
        )
        .bind(factor.account_id)
        .bind(&factor.sealed)
        .bind(Timestamp(cx.now))
        .bind(step)
        .bind(joined(recovery_codes))
        .execute(unit.connection().await?)
        .await?;
        if confirmed.rows_affected() == 0 {
            return Ok(None);
        }
        let connection = unit.connection().await?;
        let proven = Some(Assurance::TwoFactors);
        let Some(session) = sessions::prove(connection, factor.account_id, session_id, proven, cx).await? else {
            return Ok(None);
        };
        let mut event = self.event(EventKind::SecondFactorChange, Some(factor.account_id), "enrolled", cx);
        event.session_id = Some(session.id);
        unit.journal().events.push(event);
        unit.commit().await?;
        Ok(Some(session))
    }

    async fn use_code(&self, account_id: Uuid, step: i64, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        let used = sqlx::query(
            "update second_factors
                set last_step = $2
              where account_id = $1 and last_step < $2 and confirmed_at is not null",
        )
        .bind(account_id)
        .bind(step)
        .execute(unit.statement().await?)
        .await?;
        unit.commit().await?;
        Ok(used.rows_affected() == 1)
    }

    async fn use_recovery_code(&self, factor: &SecondFactor, code: TokenHash, cx: &Context) -> Result<bool, Error> {
        let left: Vec<TokenHash> = factor
            .recovery_codes
            .iter()
            .copied()
            .filter(|hash| *hash != code)
            .collect();
        if left.len() == factor.recovery_codes.len() {
            return Ok(false);
        }
        let mut unit = self.begin(cx);
        // Of two uses at once, one finds the codes that it has read.
        let used = sqlx::query(
            "update second_factors
                set recovery_codes = $3
              where account_id = $1 and recovery_codes = $2 and confirmed_at is not null",
        )
        .bind(factor.account_id)
        .bind(joined(&factor.recovery_codes))
        .bind(joined(&left))
        .execute(unit.statement().await?)
        .await?;
        unit.commit().await?;
        Ok(used.rows_affected() == 1)
    }

    async fn renew_recovery_codes(&self, account_id: Uuid, codes: &[TokenHash], cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        let renewed = sqlx::query(
            "update second_factors set recovery_codes = $2 where account_id = $1 and confirmed_at is not null",
        )
        .bind(account_id)
        .bind(joined(codes))
        .execute(unit.connection().await?)
        .await?;
        if renewed.rows_affected() == 0 {
            return Ok(false);
        }
        let event = self.event(
            EventKind::SecondFactorChange,
            Some(account_id),
            "recovery codes renewed",
            cx,
        );
        unit.journal().events.push(event);
        unit.commit().await?;
        Ok(true)
    }

    async fn remove_second_factor(&self, account_id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        let removed = sqlx::query("delete from second_factors where account_id = $1")
            .bind(account_id)
            .execute(unit.connection().await?)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        let event = self.event(EventKind::SecondFactorRemove, Some(account_id), "", cx);
        unit.journal().events.push(event);
        unit.commit().await?;
        Ok(true)
    }

    async fn reset_second_factor(&self, account_id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        let removed = sqlx::query("delete from second_factors where account_id = $1")
            .bind(account_id)
            .execute(unit.connection().await?)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        let ending = self.ending(EndReason::Account, cx);
        let ended = sessions::end_all(unit.connection().await?, account_id, None, ending).await?;
        unit.journal().ended.extend(&ended);
        let event = self.event(EventKind::AuthzAdmin, Some(account_id), "second factor reset", cx);
        unit.journal().events.push(event);
        unit.commit().await?;
        Ok(true)
    }
}
