//! The queries on tags.

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Context, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::dialect::{among, bind_ids, for_update};
use super::unit::{Unit, cached};
use super::{Connection, Queries};
use crate::Error;
use crate::domain::{Change, ChangeKind, Tag, TagName, name_key, numbered_name};
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
    async fn insert_tag(&self, tag: &Tag, limit: Option<i64>, cx: &Context) -> Result<(), Error> {
        let mut unit = self.begin(cx);
        // A name that is taken is refused as such in a full list, too.
        let done = sqlx::query(
            "insert into tags (id, user_id, name, created_at, updated_at, name_key)
             select $1, $2, $3, $4, $5, $7
              where $6 is null
                 or (select count(*) from tags where user_id = $2) < $6
                 or exists (select 1 from tags where user_id = $2 and name_key = $7)",
        )
        .bind(tag.id)
        .bind(tag.user_id)
        .bind(&tag.name)
        .bind(Timestamp(tag.created_at))
        .bind(Timestamp(tag.updated_at))
        .bind(limit)
        .bind(name_key(&tag.name))
        .execute(unit.statement().await?)
        .await
        .map_err(|error| name_taken(error, &tag.name))?;
        if let Some(limit) = limit.filter(|_| done.rows_affected() == 0) {
            return Err(Error::QuotaExceeded { quota: "tags", limit });
        }
        unit.outdate(cached(tag.user_id));
        unit.commit().await
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
            "select id, user_id, name, created_at, updated_at from tags where user_id = $1
                and (name_key = $2 or name_key is null and name = $3)
           order by name_key is null limit 1",
        )
        .bind(owner)
        .bind(name.key())
        .bind(name.as_str())
        .fetch_optional(&mut *self.database.read(cx.deadline).await?)
        .await?;
        Ok(row.map(Tag::from))
    }

    async fn key_names(&self, limit: i64, cx: &Context) -> Result<usize, Error> {
        let rows: Vec<TagRow> = sqlx::query_as(
            "select id, user_id, name, created_at, updated_at from tags where name_key is null
           order by created_at, id limit $1",
        )
        .bind(limit)
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        let found = rows.len();
        for row in rows {
            match self.key_name(row.into(), cx).await {
                // Somebody else has taken the name in this moment; the next round finds another one.
                Err(Error::TagNameTaken { .. }) => {}
                outcome => outcome?,
            }
        }
        Ok(found)
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
        check_seen(&mut unit, owner, id).await?;
        let row: Option<TagRow> = sqlx::query_as(
            "update tags set name = $3, updated_at = $4, name_key = $5 where id = $1 and user_id = $2
          returning id, user_id, name, created_at, updated_at",
        )
        .bind(id)
        .bind(owner)
        .bind(name.as_str())
        .bind(Timestamp(cx.now))
        .bind(name.key())
        .fetch_optional(unit.connection().await?)
        .await
        .map_err(|error| name_taken(error, name.as_str()))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let change = Change::of_tag(ChangeKind::TagRenamed, id, &row.name);
        unit.journal().record(owner, change, Counts::default());
        unit.outdate(cached(owner));
        unit.commit().await?;
        Ok(Some(Tag::from(row)))
    }

    async fn delete_tag(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, owner, id).await?;
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
        unit.outdate(cached(owner));
        unit.commit().await?;
        Ok(true)
    }
}

impl Queries {
    /// Writes the key of a name that has none.
    async fn key_name(&self, tag: Tag, cx: &Context) -> Result<(), Error> {
        let mut unit = self.begin(cx);
        let mut name = tag.name.clone();
        let mut number = 1;
        while is_taken(unit.connection().await?, &tag, &name).await? {
            number += 1;
            name = numbered_name(&tag.name, number);
        }
        let is_renamed = name != tag.name;
        let updated_at = if is_renamed { cx.now } else { tag.updated_at };
        let done =
            sqlx::query("update tags set name = $2, name_key = $3, updated_at = $4 where id = $1 and name_key is null")
                .bind(tag.id)
                .bind(&name)
                .bind(name_key(&name))
                .bind(Timestamp(updated_at))
                .execute(unit.connection().await?)
                .await
                .map_err(|error| name_taken(error, &name))?;
        if is_renamed && done.rows_affected() > 0 {
            tracing::warn!(tag_id = %tag.id, "a tag got a number: another one differs from it by case alone");
            let change = Change::of_tag(ChangeKind::TagRenamed, tag.id, &name);
            unit.journal().record(tag.user_id, change, Counts::default());
            unit.outdate(cached(tag.user_id));
        }
        unit.commit().await
    }
}

/// Whether the name is that of another tag of the owner.
async fn is_taken(connection: &mut Connection, tag: &Tag, name: &str) -> Result<bool, Error> {
    let taken = sqlx::query_scalar(
        "select exists (select 1 from tags where user_id = $1 and id <> $2 and (name_key = $3 or name = $4))",
    )
    .bind(tag.user_id)
    .bind(tag.id)
    .bind(name_key(name))
    .bind(name)
    .fetch_one(connection)
    .await?;
    Ok(taken)
}

/// Checks that the tag, which is then locked, is as the caller has seen it. Whether it is there is for
/// the statement after it to find out.
async fn check_seen(unit: &mut Unit, owner: Uuid, id: Uuid) -> Result<(), Error> {
    let Some(precondition) = unit.cx().precondition.clone() else {
        return Ok(());
    };
    let row: Option<TagRow> = sqlx::query_as(concat!(
        "select id, user_id, name, created_at, updated_at from tags where id = $1 and user_id = $2",
        for_update!()
    ))
    .bind(id)
    .bind(owner)
    .fetch_optional(unit.connection().await?)
    .await?;
    Ok(row.map_or(Ok(()), |row| precondition.check(Tag::from(row).etag()))?)
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
    let is_taken = error.violates("tags_user_name_key_idx", "tags.user_id, tags.name_key")
        || error.violates("tags_user_name_key", "tags.user_id, tags.name");
    match is_taken {
        true => Error::TagNameTaken { name: name.to_owned() },
        false => error.into(),
    }
}
