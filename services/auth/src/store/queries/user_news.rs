// News of users.

use async_trait::async_trait;
use quartet_messaging::inbox;
use quartet_kernel::Deadline;
use time::OffsetDateTime;
use uuid::Uuid;

use super::sessions;
use crate::Error;
use crate::domain::EndedSession;
use crate::events::CONSUMER;
use crate::store::{Ending, UserNews};

#[async_trait]
impl UserNews for Queries {
    async fn user_deleted(&self, message_id: Uuid, account_id: Uuid, at: OffsetDateTime, ending: Ending, deadline: Deadline) -> Result<Vec<EndedSession>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, CONSUMER, message_id, ending.now).await? {
            return Ok(Vec::new());
        }
        let ended = sessions::end_begun_by(&mut transaction, account_id, at, ending).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    async fn user_tier_changed(&self, message_id: Uuid, account_id: Uuid, tier: Option<&str>, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, CONSUMER, message_id, now).await? {
            return Ok(());
        }
        sqlx::query("update accounts set tier = $2 where id = $1").bind(account_id).bind(tier).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}
