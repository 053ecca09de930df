//! The queries on tags.

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Backend as _, Context, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::dialect::{among, bind_ids};
use super::{Connection, Database, Queries};
use crate::Error;
use crate::domain::{Change, ChangeKind, Tag, TagName};
use crate::store::Tags;
use crate::store::entries::Counts;
use crate::store::tagged::Named;

#[derive(FromRow)]
struct TagRow {
    id: Uuid,
    user_id: Uuid,
    name: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A row of a list, with the list's total where it is counted.
#[derive(FromRow)]
struct ListRow {
    #[sqlx(flatten)]
    tag: TagRow,
    total: i64,
}

impl From<TagRow> for Tag {
    fn from(row: TagRow) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

#[async_trait]
impl Tags for Queries {
    async fn insert_tag(&self, tag: &Tag, cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        sqlx::query("insert into tags (id, user_id, name, created_at, updated_at) values ($1, $2, $3, $4, $5)")
            .bind(tag.id)
            .bind(tag.user_id)
            .bind(&tag.name)
            .bind(Timestamp(tag.created_at))
            .bind(Timestamp(tag.updated_at))
            .execute(&mut *single)
            .await
            .map_err(|error| name_taken(error, &tag.name))?;
        Ok(Database::finish(single).await?)
    }

    async fn find_tag(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Tag>, Error> {
        let row: Option<TagRow> =
            sqlx::query_as("select id, user_id, name, created_at, updated_at from tags where id = $1 and user_id = $2")
                .bind(id)
                .bind(owner)
                .fetch_optional(&mut *self.database.read(cx.deadline).await?)
                .await?;
        Ok(row.map(Tag::from))
    }

    async fn find_tag_by_name(&self, owner: Uuid, name: &TagName, cx: &Context) -> Result<Option<Tag>, Error> {
        let row: Option<TagRow> = sqlx::query_as(
            "select id, user_id, name, created_at, updated_at from tags where user_id = $1 and name = $2",
        )
        .bind(owner)
        .bind(name.as_str())
        .fetch_optional(&mut *self.database.read(cx.deadline).await?)
        .await?;
        Ok(row.map(Tag::from))
    }

    async fn list_tags(&self, owner: Uuid, page: &Page<String>, cx: &Context) -> Result<PageResult<Tag>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let rows: Vec<ListRow> = sqlx::query_as(
            "select id, user_id, name, created_at, updated_at,
                    coalesce($5, (select count(*) from tags where user_id = $1)) as total
               from tags
              where user_id = $1 and name > $2
           order by name
              limit $3 offset $4",
        )
        .bind(owner)
        // No name is empty, so every name comes after this one.
        .bind(page.after().map_or("", String::as_str))
        .bind(page.fetch())
        .bind(page.offset())
        .bind(page.known_total().map(i64::from))
        .fetch_all(&mut *connection)
        .await?;
        let total = match rows.first() {
            Some(row) => row.total,
            // A page past the last one has no row to carry the total.
            None if page.offset() > 0 => {
                sqlx::query_scalar("select count(*) from tags where user_id = $1")
                    .bind(owner)
                    .fetch_one(&mut *connection)
                    .await?
            }
            None => page.known_total().unwrap_or_default().into(),
        };
        Ok(page.cut(rows.into_iter().map(|row| row.tag.into()).collect(), total))
    }

    async fn update_tag(&self, owner: Uuid, id: Uuid, name: &TagName, cx: &Context) -> Result<Option<Tag>, Error> {
        let mut unit = self.begin(cx);
        let row: Option<TagRow> = sqlx::query_as(
            "update tags set name = $3, updated_at = $4 where id = $1 and user_id = $2
          returning id, user_id, name, created_at, updated_at",
        )
        .bind(id)
        .bind(owner)
        .bind(name.as_str())
        .bind(Timestamp(cx.now))
        .fetch_optional(unit.connection().await?)
        .await
        .map_err(|error| name_taken(error, name.as_str()))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let change = Change::of_tag(ChangeKind::TagRenamed, id, &row.name);
        unit.journal().record(owner, change, Counts::default());
        unit.commit().await?;
        Ok(Some(Tag::from(row)))
    }

    async fn delete_tag(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        let name: Option<String> = sqlx::query_scalar("delete from tags where id = $1 and user_id = $2 returning name")
            .bind(id)
            .bind(owner)
            .fetch_optional(unit.connection().await?)
            .await?;
        let Some(name) = name else {
            return Ok(false);
        };
        let change = Change::of_tag(ChangeKind::TagDeleted, id, &name);
        unit.journal().record(owner, change, Counts::default());
        unit.commit().await?;
        Ok(true)
    }
}

/// Those of these tags that are the owner's, by name.
pub(super) async fn find_named(connection: &mut Connection, owner: Uuid, ids: &[Uuid]) -> Result<Vec<Named>, Error> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(concat!(
        "select id, name from tags where user_id = $1 and id",
        among!("$2"),
        " order by name"
    ))
    .bind(owner)
    .bind(bind_ids(ids))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(id, name)| Named(id, name)).collect())
}

fn name_taken(error: sqlx::Error, name: &str) -> Error {
    let error = quartet_store::Error::from(error);
    match error.violates("tags_user_name_key", "tags.user_id, tags.name") {
        true => Error::TagNameTaken { name: name.to_owned() },
        false => error.into(),
    }
}
