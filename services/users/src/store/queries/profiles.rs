//! The queries on profiles.

use async_trait::async_trait;
use quartet_store::{Backend as _, Context, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Database, Queries, users};
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
        let mut single = self.database.single(cx.deadline).await?;
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
        .fetch_optional(&mut *single)
        .await?;
        Database::finish(single).await?;
        row.map(Profile::from).ok_or(Error::UserNotFound { id: user_id })
    }

    async fn delete_profile(&self, user_id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let done = sqlx::query(
            "delete from profiles
              where user_id = $1 and exists (select 1 from users where id = $1 and deleted_at is null)",
        )
        .bind(user_id)
        .execute(&mut *single)
        .await?;
        if done.rows_affected() == 0 {
            users::check_exists(&mut single, user_id).await?;
            return Ok(false);
        }
        Database::finish(single).await?;
        Ok(true)
    }
}
