// The queries on profiles, compiled once per database by `postgres.rs` and `sqlite.rs`.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

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
    async fn find_profile(&self, user_id: Uuid, deadline: Deadline) -> Result<Option<Profile>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let row: Option<ProfileRow> = sqlx::query_as(
            "select user_id, bio, avatar_url, profiles.created_at, profiles.updated_at
               from profiles join users on users.id = profiles.user_id
              where user_id = $1 and deleted_at is null",
        )
        .bind(user_id)
        .fetch_optional(&mut *connection)
        .await?;
        if row.is_none() {
            users::exists(&mut connection, user_id).await?;
        }
        Ok(row.map(Profile::from))
    }

    async fn write_profile(
        &self,
        user_id: Uuid,
        edit: &ProfileEdit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Profile, Error> {
        let mut transaction = self.pool.write(deadline).await?;
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
        .bind(Timestamp(now))
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        row.map(Profile::from).ok_or(Error::UserNotFound { id: user_id })
    }

    async fn delete_profile(&self, user_id: Uuid, deadline: Deadline) -> Result<bool, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        users::exists(&mut transaction, user_id).await?;
        let done = sqlx::query("delete from profiles where user_id = $1")
            .bind(user_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}
