//! The queries on tiers.

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Context, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::dialect::for_update;
use super::statements::DELETE_TIER;
use super::unit::{TIERS, Unit};
use super::{Connection, Queries, users};
use crate::Error;
use crate::domain::{Tier, TierName};
use crate::events;
use crate::store::Tiers;

#[derive(FromRow)]
struct TierRow {
    id: Uuid,
    name: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<TierRow> for Tier {
    fn from(row: TierRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

#[async_trait]
impl Tiers for Queries {
    async fn insert_tier(&self, tier: &Tier, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        let done = sqlx::query(
            "insert into tiers (id, name, created_at, updated_at) values ($1, $2, $3, $4)
        on conflict (name) do nothing",
        )
        .bind(tier.id)
        .bind(&tier.name)
        .bind(Timestamp(tier.created_at))
        .bind(Timestamp(tier.updated_at))
        .execute(unit.statement().await?)
        .await?;
        unit.outdate(TIERS.to_owned());
        unit.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    async fn find_tier(&self, name: &TierName, cx: &Context) -> Result<Option<Tier>, Error> {
        let row: Option<TierRow> = sqlx::query_as("select id, name, created_at, updated_at from tiers where name = $1")
            .bind(name.as_str())
            .fetch_optional(&mut *self.database.read(cx.deadline).await?)
            .await?;
        Ok(row.map(Tier::from))
    }

    async fn find_user_tier(&self, user_id: Uuid, cx: &Context) -> Result<Option<Tier>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let row: Option<TierRow> = sqlx::query_as(
            "select id, name, created_at, updated_at from tiers
              where id = (select tier_id from users where users.id = $1 and deleted_at is null)",
        )
        .bind(user_id)
        .fetch_optional(&mut *connection)
        .await?;
        if row.is_none() {
            users::check_exists(&mut connection, user_id).await?;
        }
        Ok(row.map(Tier::from))
    }

    async fn list_tiers(&self, page: &Page<String>, cx: &Context) -> Result<PageResult<Tier>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let total = match page.known_total() {
            Some(total) => i64::from(total),
            None => {
                sqlx::query_scalar("select count(*) from tiers")
                    .fetch_one(&mut *connection)
                    .await?
            }
        };
        let rows: Vec<TierRow> = sqlx::query_as(
            "select id, name, created_at, updated_at from tiers where name > $1 order by name limit $2 offset $3",
        )
        // No name is empty, so every name comes after this one.
        .bind(page.after().map_or("", String::as_str))
        .bind(page.fetch())
        .bind(page.offset())
        .fetch_all(&mut *connection)
        .await?;
        Ok(page.cut(rows.into_iter().map(Tier::from).collect(), total))
    }

    async fn rename_tier(&self, name: &TierName, new_name: &TierName, cx: &Context) -> Result<Option<Tier>, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, name).await?;
        let row: Option<TierRow> = sqlx::query_as(
            "update tiers set name = $2, updated_at = $3 where name = $1
          returning id, name, created_at, updated_at",
        )
        .bind(name.as_str())
        .bind(new_name.as_str())
        .bind(Timestamp(cx.now))
        .fetch_optional(unit.connection().await?)
        .await
        .map_err(|error| {
            let error = quartet_store::Error::from(error);
            match error.violates("tiers_name_key", "tiers.name") {
                true => Error::TierNameTaken {
                    name: new_name.as_str().to_owned(),
                },
                false => error.into(),
            }
        })?;
        if let Some(tier) = &row {
            // A statement of its own: whoever was given the tier meanwhile held its row, and the
            // update has waited for them, but cannot see them.
            let users: Vec<Uuid> = sqlx::query_scalar("select id from users where tier_id = $1")
                .bind(tier.id)
                .fetch_all(unit.connection().await?)
                .await?;
            for user in users {
                unit.publish(user, &events::tier_changed(user, Some(&tier.name)));
            }
        }
        unit.outdate(TIERS.to_owned());
        unit.commit().await?;
        Ok(row.map(Tier::from))
    }

    async fn delete_tier(&self, name: &TierName, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, name).await?;
        let users: Vec<Option<Uuid>> = sqlx::query_scalar(DELETE_TIER)
            .bind(name.as_str())
            .fetch_all(unit.connection().await?)
            .await?;
        for user in users.iter().flatten() {
            unit.publish(user, &events::tier_changed(*user, None));
        }
        unit.outdate(TIERS.to_owned());
        unit.commit().await?;
        Ok(!users.is_empty())
    }
}

/// Checks that the tier, which is then locked, is as the caller has seen it. Whether it is there is for
/// the statement after it to find out.
async fn check_seen(unit: &mut Unit, name: &TierName) -> Result<(), Error> {
    let Some(precondition) = unit.cx().precondition.clone() else {
        return Ok(());
    };
    let row: Option<TierRow> = sqlx::query_as(concat!(
        "select id, name, created_at, updated_at from tiers where name = $1",
        for_update!()
    ))
    .bind(name.as_str())
    .fetch_optional(unit.connection().await?)
    .await?;
    Ok(row.map_or(Ok(()), |row| precondition.check(Tier::from(row).etag()))?)
}

/// Fails with [`Error::TierNotFound`] unless the tier is there.
pub(super) async fn check_exists(connection: &mut Connection, name: &TierName) -> Result<(), Error> {
    let found: Option<Uuid> = sqlx::query_scalar("select id from tiers where name = $1")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    found.map(|_| ()).ok_or_else(|| Error::no_tier(name))
}
