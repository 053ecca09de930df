//! What follows from the events of users: the sessions of one who is deleted end, and a changed
//! tier is in the tokens that are made from then on, also while the users service is away.

use async_trait::async_trait;
use quartet_messaging::{Consumer, Failure, Message};
use quartet_store::Context;
use uuid::Uuid;

use super::unit::Unit;
use super::{Queries, accounts, sessions};
use crate::domain::{EndReason, UserEvent};
use crate::events::{self, CONSUMER};

#[async_trait]
impl Consumer for Queries {
    async fn consume(&self, messages: &[&Message], cx: &Context) -> Result<(), Failure> {
        let mut unit = self.begin(cx);
        for message in unit.first_times(CONSUMER, messages).await? {
            self.handle(&mut unit, message).await?;
        }
        Ok(unit.commit().await?)
    }
}

impl Queries {
    async fn handle(&self, unit: &mut Unit, message: &Message) -> Result<(), Failure> {
        let user: Uuid = message
            .subject
            .parse()
            .map_err(|_| Failure::Permanent(format!("`{}` is no user", message.subject)))?;
        match events::user_event(message)? {
            UserEvent::Deleted => {
                let ending = self.ending(EndReason::Account, unit.cx());
                // Those that began later belong to a user who was brought back.
                let ended = sessions::end_all(unit.connection().await?, user, Some(message.time), ending).await?;
                unit.journal().ended.extend(ended);
            }
            UserEvent::TierChanged(tier) => {
                accounts::record_tier(unit.connection().await?, user, tier.as_deref()).await?;
            }
        }
        Ok(())
    }
}
