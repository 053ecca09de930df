// The queries on tags, compiled once per database by `postgres.rs` and `sqlite.rs`.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use quartet_store::page::{Page, Rows};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Queries;
use super::changes::append;
use crate::Error;
use crate::domain::{Change, ChangeKind, Tag, TagName};
use crate::store::Tags;

#[derive(FromRow)]
struct TagRow {
    id: Uuid,
    user_id: Uuid,
    name: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<TagRow> for Tag {
    fn from(row: TagRow) -> Self {
        Self { id: row.id, user_id: row.user_id, name: row.name, created_at: row.created_at.into(), updated_at: row.updated_at.into() }
    }
}

#[async_trait]
impl Tags for Queries {
    async fn insert_tag(&self, tag: &Tag, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query("insert into tags (id, user_id, name, created_at, updated_at) values ($1, $2, $3, $4, $5)")
            .bind(tag.id)
            .bind(tag.user_id)
            .bind(&tag.name)
            .bind(Timestamp(tag.created_at))
            .bind(Timestamp(tag.updated_at))
            .execute(&mut *transaction)
            .await
            .map_err(|error| name_taken(error, &tag.name))?;
        transaction.commit().await?;
        Ok(())
    }

    async fn find_tag(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<Option<Tag>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let row: Option<TagRow> =
            sqlx::query_as("select id, user_id, name, created_at, updated_at from tags where id = $1 and user_id = $2")
                .bind(id)
                .bind(owner)
                .fetch_optional(&mut *connection)
                .await?;
        Ok(row.map(Tag::from))
    }

    async fn find_tag_by_name(&self, owner: Uuid, name: &TagName, deadline: Deadline) -> Result<Option<Tag>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let row: Option<TagRow> =
            sqlx::query_as("select id, user_id, name, created_at, updated_at from tags where user_id = $1 and name = $2")
                .bind(owner)
                .bind(name.as_str())
                .fetch_optional(&mut *connection)
                .await?;
        Ok(row.map(Tag::from))
    }

    async fn list_tags(&self, owner: Uuid, page: &Page<String>, deadline: Deadline) -> Result<Rows<Tag>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let total = match page.known_total() {
            Some(total) => i64::from(total),
            None => {
                sqlx::query_scalar("select count(*) from tags where user_id = $1").bind(owner).fetch_one(&mut *connection).await?
            }
        };
        let rows: Vec<TagRow> = sqlx::query_as(
            "select id, user_id, name, created_at, updated_at from tags
              where user_id = $1 and name > $2
           order by name
              limit $3 offset $4",
        )
        .bind(owner)
        // No name is empty, so every name comes after this one.
        .bind(page.after().map_or("", String::as_str))
        .bind(page.fetch())
        .bind(page.offset())
        .fetch_all(&mut *connection)
        .await?;
        Ok(page.cut(rows.into_iter().map(Tag::from).collect(), total))
    }

    async fn update_tag(&self, owner: Uuid, id: Uuid, name: &TagName, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Tag>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let row: Option<TagRow> = sqlx::query_as(
            "update tags set name = $3, updated_at = $4 where id = $1 and user_id = $2
          returning id, user_id, name, created_at, updated_at",
        )
        .bind(id)
        .bind(owner)
        .bind(name.as_str())
        .bind(Timestamp(now))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(|error| name_taken(error, name.as_str()))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let head = append(&mut transaction, owner, &[Change::of_tag(ChangeKind::TagRenamed, id, &row.name)], now).await?;
        transaction.commit().await?;
        self.heads.tell(owner, head);
        Ok(Some(Tag::from(row)))
    }

    async fn delete_tag(&self, owner: Uuid, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<bool, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let name: Option<String> = sqlx::query_scalar("delete from tags where id = $1 and user_id = $2 returning name")
            .bind(id)
            .bind(owner)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(name) = name else {
            return Ok(false);
        };
        let head = append(&mut transaction, owner, &[Change::of_tag(ChangeKind::TagDeleted, id, &name)], now).await?;
        transaction.commit().await?;
        self.heads.tell(owner, head);
        Ok(true)
    }
}

fn name_taken(error: sqlx::Error, name: &str) -> Error {
    let error = quartet_store::Error::from(error);
    match error.violates("tags_user_name_key", "tags.user_id, tags.name") {
        true => Error::TagNameTaken { name: name.to_owned() },
        false => error.into(),
    }
}
