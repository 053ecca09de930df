//! The queries on profiles.

use async_trait::async_trait;
use quartet_kernel::EtagMismatch;
use quartet_store::{Context, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::dialect::for_update;
use super::unit::{Unit, cached};
use super::{Queries, users};
use crate::Error;
use crate::domain::{Profile, ProfileEdit};
use crate::store::Profiles;

#[derive(FromRow)]
struct ProfileRow {
    user_id: Uuid,
    bio: Option<String>,
    avatar_url: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<ProfileRow> for Profile {
    fn from(row: ProfileRow) -> Self {
        Self {
            user_id: row.user_id,
            bio: row.bio,
            avatar_url: row.avatar_url,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

#[async_trait]
impl Profiles for Queries {
    async fn find_profile(&self, user_id: Uuid, cx: &Context) -> Result<Option<Profile>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let row: Option<ProfileRow> = sqlx::query_as(
            "select user_id, bio, avatar_url, profiles.created_at, profiles.updated_at
               from profiles join users on users.id = profiles.user_id
              where user_id = $1 and deleted_at is null",
        )
        .bind(user_id)
        .fetch_optional(&mut *connection)
        .await?;
        if row.is_none() {
            users::check_exists(&mut connection, user_id).await?;
        }
        Ok(row.map(Profile::from))
    }

    async fn write_profile(&self, user_id: Uuid, edit: &ProfileEdit, cx: &Context) -> Result<Profile, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, user_id).await?;
        let bio = edit.bio.as_ref().map(|bio| bio.as_ref().map(|bio| bio.as_str()));
        let avatar_url = edit.avatar_url.as_ref().map(|url| url.as_ref().map(|url| url.as_str()));
        let row: Option<ProfileRow> = sqlx::query_as(
            "insert into profiles (user_id, bio, avatar_url, created_at, updated_at)
             select id, $3, $5, $6, $6 from users where id = $1 and deleted_at is null
        on conflict (user_id) do update
                set bio = case when $2 then excluded.bio else profiles.bio end,
                    avatar_url = case when $4 then excluded.avatar_url else profiles.avatar_url end,
                    updated_at = excluded.updated_at
          returning user_id, bio, avatar_url, created_at, updated_at",
        )
        .bind(user_id)
        .bind(bio.is_some())
        .bind(bio.flatten())
        .bind(avatar_url.is_some())
        .bind(avatar_url.flatten())
        .bind(Timestamp(cx.now))
        .fetch_optional(unit.statement().await?)
        .await?;
        unit.outdate(cached(user_id));
        unit.commit().await?;
        row.map(Profile::from).ok_or(Error::UserNotFound { id: user_id })
    }

    async fn delete_profile(&self, user_id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, user_id).await?;
        let done = sqlx::query(
            "delete from profiles
              where user_id = $1 and exists (select 1 from users where id = $1 and deleted_at is null)",
        )
        .bind(user_id)
        .execute(unit.statement().await?)
        .await?;
        if done.rows_affected() == 0 {
            users::check_exists(unit.statement().await?, user_id).await?;
            return Ok(false);
        }
        unit.outdate(cached(user_id));
        unit.commit().await?;
        Ok(true)
    }
}

/// Checks that the profile, which is then locked, is as the caller has seen it. One that is not there
/// nobody has seen.
async fn check_seen(unit: &mut Unit, user_id: Uuid) -> Result<(), Error> {
    let Some(precondition) = unit.cx().precondition.clone() else {
        return Ok(());
    };
    let connection = unit.connection().await?;
    let row: Option<ProfileRow> = sqlx::query_as(concat!(
        "select user_id, bio, avatar_url, created_at, updated_at from profiles where user_id = $1",
        for_update!()
    ))
    .bind(user_id)
    .fetch_optional(&mut *connection)
    .await?;
    users::check_exists(connection, user_id).await?;
    let profile = row.map(Profile::from).ok_or(EtagMismatch)?;
    Ok(precondition.check(profile.etag())?)
}
