// The queries on rate limits, compiled once per database by `postgres.rs` and `sqlite.rs`.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Queries, tiers, users};
use crate::Error;
use crate::domain::{NewRateLimit, RateLimit, RateLimitEdit, TierName};
use crate::store::RateLimits;

#[derive(FromRow)]
struct RateLimitRow {
    id: Uuid,
    tier_name: String,
    name: String,
    path: String,
    amount: i32,
    period: i32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<RateLimitRow> for RateLimit {
    fn from(row: RateLimitRow) -> Self {
        Self {
            id: row.id,
            tier_name: row.tier_name,
            name: row.name,
            path: row.path,
            amount: row.amount,
            period: row.period,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

/// The columns of a [`RateLimitRow`], with what follows them.
macro_rules! select_limit {
    ($rest:literal) => {
        concat!(
            "select rate_limits.id, tiers.name as tier_name, rate_limits.name, path, amount, period,
                    rate_limits.created_at, rate_limits.updated_at
               from rate_limits join tiers on tiers.id = rate_limits.tier_id ",
            $rest
        )
    };
}

#[async_trait]
impl RateLimits for Queries {
    async fn insert_rate_limit(
        &self,
        tier: &TierName,
        new: &NewRateLimit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<RateLimit, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let tier_id = tiers::id_of(&mut transaction, tier).await?;
        sqlx::query(
            "insert into rate_limits (id, tier_id, name, path, amount, period, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)",
        )
        .bind(new.id)
        .bind(tier_id)
        .bind(new.name.as_str())
        .bind(new.path.as_str())
        .bind(new.amount.get())
        .bind(new.period.seconds())
        .bind(Timestamp(now))
        .execute(&mut *transaction)
        .await
        .map_err(|error| taken(error, Some(new.name.as_str()), Some(new.path.as_str())))?;
        transaction.commit().await?;
        Ok(RateLimit {
            id: new.id,
            tier_name: tier.as_str().to_owned(),
            name: new.name.as_str().to_owned(),
            path: new.path.as_str().to_owned(),
            amount: new.amount.get(),
            period: new.period.seconds(),
            created_at: now,
            updated_at: now,
        })
    }

    async fn find_rate_limit(&self, tier: &TierName, id: Uuid, deadline: Deadline) -> Result<Option<RateLimit>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let row: Option<RateLimitRow> = sqlx::query_as(select_limit!("where tiers.name = $1 and rate_limits.id = $2"))
            .bind(tier.as_str())
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        if row.is_none() {
            tiers::id_of(&mut connection, tier).await?;
        }
        Ok(row.map(RateLimit::from))
    }

    async fn list_rate_limits(&self, tier: &TierName, deadline: Deadline) -> Result<Vec<RateLimit>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let tier_id = tiers::id_of(&mut connection, tier).await?;
        let rows: Vec<RateLimitRow> = sqlx::query_as(select_limit!("where tiers.id = $1 order by path"))
            .bind(tier_id)
            .fetch_all(&mut *connection)
            .await?;
        Ok(rows.into_iter().map(RateLimit::from).collect())
    }

    async fn list_user_rate_limits(&self, user_id: Uuid, deadline: Deadline) -> Result<Vec<RateLimit>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        users::exists(&mut connection, user_id).await?;
        let rows: Vec<RateLimitRow> = sqlx::query_as(select_limit!(
            "where tiers.id = (select tier_id from users where id = $1 and deleted_at is null) order by path"
        ))
        .bind(user_id)
        .fetch_all(&mut *connection)
        .await?;
        Ok(rows.into_iter().map(RateLimit::from).collect())
    }

    async fn update_rate_limit(
        &self,
        tier: &TierName,
        id: Uuid,
        edit: &RateLimitEdit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<RateLimit>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let tier_id = tiers::id_of(&mut transaction, tier).await?;
        let name = edit.name.as_ref().map(|name| name.as_str());
        let path = edit.path.as_ref().map(|path| path.as_str());
        // No column of these can be null, so null is free to mean "as it is".
        sqlx::query(
            "update rate_limits
                set name = coalesce($3, name),
                    path = coalesce($4, path),
                    amount = coalesce($5, amount),
                    period = coalesce($6, period),
                    updated_at = $7
              where tier_id = $1 and id = $2",
        )
        .bind(tier_id)
        .bind(id)
        .bind(name)
        .bind(path)
        .bind(edit.amount.map(|amount| amount.get()))
        .bind(edit.period.map(|period| period.seconds()))
        .bind(Timestamp(now))
        .execute(&mut *transaction)
        .await
        .map_err(|error| taken(error, name, path))?;
        let row: Option<RateLimitRow> = sqlx::query_as(select_limit!("where tiers.id = $1 and rate_limits.id = $2"))
            .bind(tier_id)
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(row.map(RateLimit::from))
    }

    async fn delete_rate_limit(&self, tier: &TierName, id: Uuid, deadline: Deadline) -> Result<bool, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let tier_id = tiers::id_of(&mut transaction, tier).await?;
        let done = sqlx::query("delete from rate_limits where tier_id = $1 and id = $2")
            .bind(tier_id)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}

/// A constraint can refuse only a field that was written.
fn taken(error: sqlx::Error, name: Option<&str>, path: Option<&str>) -> Error {
    let error = quartet_store::Error::from(error);
    let by_path = error.violates("rate_limits_tier_path_key", "rate_limits.tier_id, rate_limits.path");
    let by_name = error.violates("rate_limits_tier_name_key", "rate_limits.tier_id, rate_limits.name");
    match (path, name) {
        (Some(path), _) if by_path => Error::RateLimitExists { path: path.to_owned() },
        (_, Some(name)) if by_name => Error::RateLimitNameTaken { name: name.to_owned() },
        _ => error.into(),
    }
}
