//! The audit trail.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{EventKind, SecurityEvent};

/// Which events are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Those of this account.
    pub account_id: Option<Uuid>,
    /// Those of this kind.
    pub kind: Option<String>,
    /// Those from this time on.
    pub since: Option<OffsetDateTime>,
    /// Those of this client address.
    pub client_address: Option<String>,
}

/// The audit trail. Whatever changes an account writes its event in the same transaction.
#[async_trait]
pub trait SecurityEvents: Send + Sync {
    /// Records events that have no other effect, such as a failed login, in one statement.
    async fn record_events(
        &self,
        account_id: Option<Uuid>,
        events: &[(EventKind, &str)],
        cx: &Context,
    ) -> Result<(), Error>;

    /// A page of the events, the latest first. The key of a page is the id of an event.
    async fn list_events(
        &self,
        filter: &EventFilter,
        page: &Page<String>,
        cx: &Context,
    ) -> Result<PageResult<SecurityEvent>, Error>;
}
