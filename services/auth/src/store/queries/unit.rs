//! Units of work on accounts.

use async_trait::async_trait;
use quartet_messaging::{Journal, Message};
use quartet_store::Context;

use super::{Connection, Database, Queries};
use crate::Error;
use crate::domain::EndReason;
use crate::store::pending::Pending;
use crate::store::sessions::Ending;

/// A unit of work on accounts.
pub(super) type Unit = quartet_messaging::Unit<Database, Pending>;

impl Queries {
    /// Begins a unit of work.
    pub(super) fn begin(&self, cx: &Context) -> Unit {
        Unit::with(&self.database, cx, &self.publisher, Pending::new(&self.ended))
    }

    /// The end of sessions, now.
    pub(super) fn ending(&self, reason: EndReason, cx: &Context) -> Ending {
        Ending {
            reason,
            now: cx.now,
            forget_at: self.ended.forget_at(cx.now),
        }
    }
}

#[async_trait]
impl Journal<Database> for Pending {
    type Error = Error;

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }

    async fn write(&mut self, connection: &mut Connection, messages: &[Message], cx: &Context) -> Result<(), Error> {
        let write = std::mem::take(&mut self.write);
        let events = std::mem::take(&mut self.events);
        let ended = super::statements::write(connection, &write, &events, messages, cx).await?;
        self.recorded.extend(events);
        self.ended.extend(ended);
        Ok(())
    }

    fn committed(self) {
        self.notify();
    }
}
