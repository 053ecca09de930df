//! Signing keys.

use async_trait::async_trait;
use quartet_store::{Backend, Context, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;

use super::{Connection, Database, Queries};
use crate::Error;
use crate::domain::{EventKind, SigningKey};
use crate::store::{SigningKeys, unreadable};

macro_rules! insert {
    () => {
        "insert into signing_keys (kid, algorithm, private_key, created_at, active_at) values ($1, $2, $3, $4, $5)"
    };
}

#[derive(FromRow)]
struct KeyRow {
    kid: String,
    algorithm: String,
    private_key: Vec<u8>,
    created_at: Timestamp,
    active_at: Timestamp,
    retired_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl TryFrom<KeyRow> for SigningKey {
    type Error = Error;

    fn try_from(row: KeyRow) -> Result<Self, Error> {
        Ok(Self {
            kid: row.kid,
            algorithm: row
                .algorithm
                .parse()
                .map_err(|_| unreadable("signing_keys.algorithm"))?,
            private_key: row.private_key,
            created_at: row.created_at.into(),
            active_at: row.active_at.into(),
            retired_at: row.retired_at.map(Into::into),
            expires_at: row.expires_at.map(Into::into),
        })
    }
}

#[async_trait]
impl SigningKeys for Queries {
    async fn list_keys(&self, cx: &Context) -> Result<Vec<SigningKey>, Error> {
        let rows: Vec<KeyRow> = sqlx::query_as("select * from signing_keys order by active_at, kid")
            .fetch_all(&mut *self.database.read(cx.deadline).await?)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn insert_first_key(&self, key: &SigningKey, cx: &Context) -> Result<(), Error> {
        let mut single = self.database.single(cx.deadline).await?;
        sqlx::query(concat!(insert!(), " on conflict do nothing"))
            .bind(&key.kid)
            .bind(key.algorithm.name())
            .bind(&key.private_key)
            .bind(Timestamp(key.created_at))
            .bind(Timestamp(key.active_at))
            .execute(&mut *single)
            .await?;
        Ok(Database::finish(single).await?)
    }

    async fn rotate_key(&self, key: &SigningKey, old_expires_at: OffsetDateTime, cx: &Context) -> Result<(), Error> {
        let mut unit = self.begin(cx);
        sqlx::query(
            "update signing_keys set retired_at = $2, expires_at = $3 where algorithm = $1 and retired_at is null",
        )
        .bind(key.algorithm.name())
        .bind(Timestamp(key.active_at))
        .bind(Timestamp(old_expires_at))
        .execute(unit.connection().await?)
        .await?;
        insert_current(key, unit.connection().await?).await?;
        let event = self.event(EventKind::KeyRotation, None, key.algorithm.name(), cx);
        unit.journal().events.push(event);
        unit.commit().await
    }

    async fn revoke_key(&self, kid: &str, replacement: Option<&SigningKey>, cx: &Context) -> Result<(), Error> {
        let mut unit = self.begin(cx);
        sqlx::query(
            "update signing_keys
             set expires_at = $2, retired_at = case when retired_at < $2 then retired_at else $2 end
             where kid = $1 and (expires_at is null or expires_at > $2)",
        )
        .bind(kid)
        .bind(Timestamp(cx.now))
        .execute(unit.connection().await?)
        .await?;
        if let Some(key) = replacement {
            insert_current(key, unit.connection().await?).await?;
        }
        let event = self.event(EventKind::KeyRevocation, None, kid, cx);
        unit.journal().events.push(event);
        unit.commit().await
    }
}

/// Adds a key to an algorithm whose current one has just been retired.
async fn insert_current(key: &SigningKey, connection: &mut Connection) -> Result<(), Error> {
    let inserted = sqlx::query(insert!())
        .bind(&key.kid)
        .bind(key.algorithm.name())
        .bind(&key.private_key)
        .bind(Timestamp(key.created_at))
        .bind(Timestamp(key.active_at))
        .execute(connection)
        .await
        .map_err(quartet_store::Error::from);
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if error.violates("signing_keys_current_key", "signing_keys.algorithm") => {
            Err(Error::RotationUnderWay)
        }
        Err(error) => Err(error.into()),
    }
}
