// Signing keys.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use time::OffsetDateTime;

use crate::Error;
use crate::domain::SigningKey;
use crate::store::SigningKeys;
use crate::store::rows::KeyRow;

const INSERT: &str = "insert into signing_keys (kid, algorithm, private_key, created_at, active_at) values ($1, $2, $3, $4, $5)";
const INSERT_FIRST: &str =
    "insert into signing_keys (kid, algorithm, private_key, created_at, active_at) values ($1, $2, $3, $4, $5) on conflict do nothing";

#[async_trait]
impl SigningKeys for Queries {
    async fn list_keys(&self, deadline: Deadline) -> Result<Vec<SigningKey>, Error> {
        let rows: Vec<KeyRow> = sqlx::query_as("select * from signing_keys order by active_at, kid")
            .fetch_all(&mut *self.pool.read(deadline).await?)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn insert_first_key(&self, key: &SigningKey, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query(INSERT_FIRST)
            .bind(&key.kid)
            .bind(key.algorithm.name())
            .bind(&key.private_key)
            .bind(Timestamp(key.created_at))
            .bind(Timestamp(key.active_at))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn rotate_key(&self, key: &SigningKey, old_expires_at: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        sqlx::query("update signing_keys set retired_at = $2, expires_at = $3 where algorithm = $1 and retired_at is null")
            .bind(key.algorithm.name())
            .bind(Timestamp(key.active_at))
            .bind(Timestamp(old_expires_at))
            .execute(&mut *transaction)
            .await?;
        let inserted = sqlx::query(INSERT)
            .bind(&key.kid)
            .bind(key.algorithm.name())
            .bind(&key.private_key)
            .bind(Timestamp(key.created_at))
            .bind(Timestamp(key.active_at))
            .execute(&mut *transaction)
            .await
            .map_err(quartet_store::Error::from);
        match inserted {
            Ok(_) => {}
            Err(error) if error.violates("signing_keys_current_key", "signing_keys.algorithm") => return Err(Error::RotationUnderWay),
            Err(error) => return Err(error.into()),
        }
        transaction.commit().await?;
        Ok(())
    }
}
