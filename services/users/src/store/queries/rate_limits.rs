//! The queries on rate limits.

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Context, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::dialect::for_update;
use super::unit::{TIERS, Unit};
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

/// A row of a list, with the rows from it on in the whole list.
#[derive(FromRow)]
struct ListRow {
    #[sqlx(flatten)]
    limit: RateLimitRow,
    total: i64,
}

/// The columns of a [`RateLimitRow`].
macro_rules! limit_columns {
    () => {
        "rate_limits.id, tiers.name as tier_name, rate_limits.name, path, amount, period,
         rate_limits.created_at, rate_limits.updated_at"
    };
}

/// The columns of a [`RateLimitRow`], with what follows them.
macro_rules! select_limit {
    ($rest:literal) => {
        concat!(
            "select ",
            limit_columns!(),
            " from rate_limits join tiers on tiers.id = rate_limits.tier_id ",
            $rest
        )
    };
}

/// A page of the limits of one tier, as [`ListRow`]s. Parameters: what names the tier, the path to
/// begin after, the rows to read and those to skip.
macro_rules! select_page {
    ($tier:literal) => {
        concat!(
            "select ",
            limit_columns!(),
            ", count(*) over () as total
               from rate_limits join tiers on tiers.id = rate_limits.tier_id
              where ",
            $tier,
            " and path > $2 order by path limit $3 offset $4"
        )
    };
}

/// How many limits a tier has.
macro_rules! count_limits {
    ($tier:literal) => {
        concat!(
            "select count(*) from rate_limits join tiers on tiers.id = rate_limits.tier_id where ",
            $tier
        )
    };
}

/// The total of a list, where a token or a row has it. Only a page past the last one has neither.
fn total(page: &Page<String>, rows: &[ListRow]) -> Option<i64> {
    let known = page.known_total().map(i64::from);
    known
        .or_else(|| rows.first().map(|row| row.total))
        .or_else(|| (page.offset() == 0).then_some(0))
}

fn cut(page: &Page<String>, rows: Vec<ListRow>, total: i64) -> PageResult<RateLimit> {
    page.cut(rows.into_iter().map(|row| row.limit.into()).collect(), total)
}

#[async_trait]
impl RateLimits for Queries {
    async fn insert_rate_limit(&self, tier: &TierName, new: &NewRateLimit, cx: &Context) -> Result<RateLimit, Error> {
        let mut unit = self.begin(cx);
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
        .execute(unit.statement().await?)
        .await
        .map_err(|error| taken(error, Some(new.name.as_str()), Some(new.path.as_str())))?;
        if done.rows_affected() == 0 {
            return Err(Error::no_tier(tier));
        }
        unit.outdate(TIERS.to_owned());
        unit.commit().await?;
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

    async fn list_rate_limits(
        &self,
        tier: &TierName,
        page: &Page<String>,
        cx: &Context,
    ) -> Result<PageResult<RateLimit>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let rows: Vec<ListRow> = sqlx::query_as(select_page!("tiers.name = $1"))
            .bind(tier.as_str())
            // No path is empty, so every path comes after this one.
            .bind(page.after().map_or("", String::as_str))
            .bind(page.fetch())
            .bind(page.offset())
            .fetch_all(&mut *connection)
            .await?;
        if rows.is_empty() {
            tiers::check_exists(&mut connection, tier).await?;
        }
        let total = match total(page, &rows) {
            Some(total) => total,
            None => {
                sqlx::query_scalar(count_limits!("tiers.name = $1"))
                    .bind(tier.as_str())
                    .fetch_one(&mut *connection)
                    .await?
            }
        };
        Ok(cut(page, rows, total))
    }

    async fn list_all_rate_limits(&self, cx: &Context) -> Result<Vec<RateLimit>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let rows: Vec<RateLimitRow> = sqlx::query_as(select_limit!("order by rate_limits.id"))
            .fetch_all(&mut *connection)
            .await?;
        Ok(rows.into_iter().map(RateLimit::from).collect())
    }

    async fn list_user_rate_limits(
        &self,
        user_id: Uuid,
        page: &Page<String>,
        cx: &Context,
    ) -> Result<PageResult<RateLimit>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let rows: Vec<ListRow> = sqlx::query_as(select_page!(
            "tiers.id = (select tier_id from users where id = $1 and deleted_at is null)"
        ))
        .bind(user_id)
        .bind(page.after().map_or("", String::as_str))
        .bind(page.fetch())
        .bind(page.offset())
        .fetch_all(&mut *connection)
        .await?;
        if rows.is_empty() {
            users::check_exists(&mut connection, user_id).await?;
        }
        let total = match total(page, &rows) {
            Some(total) => total,
            None => {
                sqlx::query_scalar(count_limits!(
                    "tiers.id = (select tier_id from users where id = $1 and deleted_at is null)"
                ))
                .bind(user_id)
                .fetch_one(&mut *connection)
                .await?
            }
        };
        Ok(cut(page, rows, total))
    }

    async fn update_rate_limit(
        &self,
        tier: &TierName,
        id: Uuid,
        edit: &RateLimitEdit,
        cx: &Context,
    ) -> Result<Option<RateLimit>, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, tier, id).await?;
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
        .fetch_optional(unit.statement().await?)
        .await
        .map_err(|error| taken(error, name, path))?;
        if row.is_none() {
            tiers::check_exists(unit.statement().await?, tier).await?;
            return Ok(None);
        }
        unit.outdate(TIERS.to_owned());
        unit.commit().await?;
        Ok(row.map(RateLimit::from))
    }

    async fn delete_rate_limit(&self, tier: &TierName, id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, tier, id).await?;
        let done =
            sqlx::query("delete from rate_limits where tier_id = (select id from tiers where name = $1) and id = $2")
                .bind(tier.as_str())
                .bind(id)
                .execute(unit.statement().await?)
                .await?;
        if done.rows_affected() == 0 {
            tiers::check_exists(unit.statement().await?, tier).await?;
            return Ok(false);
        }
        unit.outdate(TIERS.to_owned());
        unit.commit().await?;
        Ok(true)
    }
}

/// Checks that the rate limit, which is then locked, is as the caller has seen it. Whether it is there
/// is for the statement after it to find out.
async fn check_seen(unit: &mut Unit, tier: &TierName, id: Uuid) -> Result<(), Error> {
    let Some(precondition) = unit.cx().precondition.clone() else {
        return Ok(());
    };
    let row: Option<RateLimitRow> = sqlx::query_as(concat!(
        select_limit!("where tiers.name = $1 and rate_limits.id = $2"),
        for_update!("rate_limits")
    ))
    .bind(tier.as_str())
    .bind(id)
    .fetch_optional(unit.connection().await?)
    .await?;
    Ok(row.map_or(Ok(()), |row| precondition.check(RateLimit::from(row).etag()))?)
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
