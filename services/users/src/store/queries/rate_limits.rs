//! The queries on rate limits.

use async_trait::async_trait;
use quartet_store::{Backend as _, Context, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Database, Queries, tiers, users};
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
    async fn insert_rate_limit(&self, tier: &TierName, new: &NewRateLimit, cx: &Context) -> Result<RateLimit, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let done = sqlx::query(
            "insert into rate_limits (id, tier_id, name, path, amount, period, created_at, updated_at)
             select $1, id, $3, $4, $5, $6, $7, $7 from tiers where tiers.name = $2",
        )
        .bind(new.id)
        .bind(tier.as_str())
        .bind(new.name.as_str())
        .bind(new.path.as_str())
        .bind(new.amount.get())
        .bind(new.period.seconds())
        .bind(Timestamp(cx.now))
        .execute(&mut *single)
        .await
        .map_err(|error| taken(error, Some(new.name.as_str()), Some(new.path.as_str())))?;
        if done.rows_affected() == 0 {
            return Err(Error::no_tier(tier));
        }
        Database::finish(single).await?;
        Ok(RateLimit {
            id: new.id,
            tier_name: tier.as_str().to_owned(),
            name: new.name.as_str().to_owned(),
            path: new.path.as_str().to_owned(),
            amount: new.amount.get(),
            period: new.period.seconds(),
            created_at: cx.now,
            updated_at: cx.now,
        })
    }

    async fn find_rate_limit(&self, tier: &TierName, id: Uuid, cx: &Context) -> Result<Option<RateLimit>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let row: Option<RateLimitRow> = sqlx::query_as(select_limit!("where tiers.name = $1 and rate_limits.id = $2"))
            .bind(tier.as_str())
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        if row.is_none() {
            tiers::check_exists(&mut connection, tier).await?;
        }
        Ok(row.map(RateLimit::from))
    }

    async fn list_rate_limits(&self, tier: &TierName, cx: &Context) -> Result<Vec<RateLimit>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let rows: Vec<RateLimitRow> = sqlx::query_as(select_limit!("where tiers.name = $1 order by path"))
            .bind(tier.as_str())
            .fetch_all(&mut *connection)
            .await?;
        if rows.is_empty() {
            tiers::check_exists(&mut connection, tier).await?;
        }
        Ok(rows.into_iter().map(RateLimit::from).collect())
    }

    async fn list_user_rate_limits(&self, user_id: Uuid, cx: &Context) -> Result<Vec<RateLimit>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let rows: Vec<RateLimitRow> = sqlx::query_as(select_limit!(
            "where tiers.id = (select tier_id from users where id = $1 and deleted_at is null) order by path"
        ))
        .bind(user_id)
        .fetch_all(&mut *connection)
        .await?;
        if rows.is_empty() {
            users::check_exists(&mut connection, user_id).await?;
        }
        Ok(rows.into_iter().map(RateLimit::from).collect())
    }

    async fn update_rate_limit(
        &self,
        tier: &TierName,
        id: Uuid,
        edit: &RateLimitEdit,
        cx: &Context,
    ) -> Result<Option<RateLimit>, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let name = edit.name.as_ref().map(|name| name.as_str());
        let path = edit.path.as_ref().map(|path| path.as_str());
        // No column of these can be null, so null is free to mean "unchanged".
        let row: Option<RateLimitRow> = sqlx::query_as(
            "update rate_limits
                set name = coalesce($3, name),
                    path = coalesce($4, path),
                    amount = coalesce($5, amount),
                    period = coalesce($6, period),
                    updated_at = $7
              where tier_id = (select id from tiers where name = $1) and id = $2
          returning id, (select name from tiers where tiers.id = tier_id) as tier_name, name, path, amount, period,
                    created_at, updated_at",
        )
        .bind(tier.as_str())
        .bind(id)
        .bind(name)
        .bind(path)
        .bind(edit.amount.map(|amount| amount.get()))
        .bind(edit.period.map(|period| period.seconds()))
        .bind(Timestamp(cx.now))
        .fetch_optional(&mut *single)
        .await
        .map_err(|error| taken(error, name, path))?;
        if row.is_none() {
            tiers::check_exists(&mut single, tier).await?;
            return Ok(None);
        }
        Database::finish(single).await?;
        Ok(row.map(RateLimit::from))
    }

    async fn delete_rate_limit(&self, tier: &TierName, id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let done =
            sqlx::query("delete from rate_limits where tier_id = (select id from tiers where name = $1) and id = $2")
                .bind(tier.as_str())
                .bind(id)
                .execute(&mut *single)
                .await?;
        if done.rows_affected() == 0 {
            tiers::check_exists(&mut single, tier).await?;
            return Ok(false);
        }
        Database::finish(single).await?;
        Ok(true)
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
