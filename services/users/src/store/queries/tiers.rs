// The queries on tiers, compiled once per database by `postgres.rs` and `sqlite.rs`.

use async_trait::async_trait;
use quartet_messaging::outbox;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use quartet_store::page::{Page, Rows};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Connection, Queries, users};
use crate::events;
use crate::Error;
use crate::domain::{Tier, TierName};
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
    async fn insert_tier(&self, tier: &Tier, deadline: Deadline) -> Result<bool, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let done = sqlx::query(
            "insert into tiers (id, name, created_at, updated_at) values ($1, $2, $3, $4) on conflict (name) do nothing",
        )
        .bind(tier.id)
        .bind(&tier.name)
        .bind(Timestamp(tier.created_at))
        .bind(Timestamp(tier.updated_at))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    async fn find_tier(&self, name: &TierName, deadline: Deadline) -> Result<Option<Tier>, Error> {
        let row: Option<TierRow> = sqlx::query_as("select id, name, created_at, updated_at from tiers where name = $1")
            .bind(name.as_str())
            .fetch_optional(&mut *self.pool.read(deadline).await?)
            .await?;
        Ok(row.map(Tier::from))
    }

    async fn find_user_tier(&self, user_id: Uuid, deadline: Deadline) -> Result<Option<Tier>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        users::exists(&mut connection, user_id).await?;
        let row: Option<TierRow> = sqlx::query_as(
            "select id, name, created_at, updated_at from tiers
              where id = (select tier_id from users where users.id = $1 and deleted_at is null)",
        )
        .bind(user_id)
        .fetch_optional(&mut *connection)
        .await?;
        Ok(row.map(Tier::from))
    }

    async fn list_tiers(&self, page: &Page<String>, deadline: Deadline) -> Result<Rows<Tier>, Error> {
        let mut connection = self.pool.read(deadline).await?;
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

    async fn rename_tier(
        &self,
        name: &TierName,
        new_name: &TierName,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Tier>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let row: Option<TierRow> = sqlx::query_as(
            "update tiers set name = $2, updated_at = $3 where name = $1 returning id, name, created_at, updated_at",
        )
        .bind(name.as_str())
        .bind(new_name.as_str())
        .bind(Timestamp(now))
        .fetch_optional(&mut *transaction)
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
            self.tell_of_tier(&mut transaction, tier.id, Some(&tier.name), now).await?;
        }
        transaction.commit().await?;
        self.outgoing.said();
        Ok(row.map(Tier::from))
    }

    async fn delete_tier(&self, name: &TierName, deadline: Deadline) -> Result<bool, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let id: Option<Uuid> = sqlx::query_scalar("select id from tiers where name = $1")
            .bind(name.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(id) = id else {
            return Ok(false);
        };
        self.tell_of_tier(&mut transaction, id, None, self.outgoing.now()).await?;
        let done = sqlx::query("delete from tiers where id = $1").bind(id).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.outgoing.said();
        Ok(done.rows_affected() > 0)
    }
}

impl Queries {
    /// Tells of every user of the tier that it has another name, or that they have none any more.
    async fn tell_of_tier(
        &self,
        connection: &mut Connection,
        id: Uuid,
        name: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let users: Vec<Uuid> = sqlx::query_scalar("select id from users where tier_id = $1")
            .bind(id)
            .fetch_all(&mut *connection)
            .await?;
        let news = users.iter().map(|user| self.outgoing.news(now, user, &events::tier_changed(*user, name)));
        let news: Vec<_> = news.collect();
        outbox::append_all(connection, &news).await?;
        Ok(())
    }
}

/// The id of the tier of that name.
pub(super) async fn id_of(connection: &mut Connection, name: &TierName) -> Result<Uuid, Error> {
    let id: Option<Uuid> = sqlx::query_scalar("select id from tiers where name = $1")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    id.ok_or_else(|| Error::no_tier(name))
}
