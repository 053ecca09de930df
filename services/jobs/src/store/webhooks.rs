//! Webhooks.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use uuid::Uuid;

use crate::Error;
use crate::domain::{Key, NewWebhook, Webhook, WebhookEdit};

/// Webhooks. Every function with an `owner` sees only what that owner owns.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Makes a webhook that is pending, and the job that challenges its target, unless the owner has `limit` of them.
    ///
    /// Errors: [`Error::WebhookLimitReached`].
    async fn insert_webhook(&self, webhook: &NewWebhook, limit: i64, cx: &Context) -> Result<Webhook, Error>;

    /// The webhook.
    async fn find_webhook(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Webhook>, Error>;

    /// A page of the webhooks, the newest first.
    async fn list_webhooks(&self, owner: Uuid, page: &Page<Key>, cx: &Context) -> Result<PageResult<Webhook>, Error>;

    /// Writes the fields of `edit`.
    async fn update_webhook(
        &self,
        owner: Uuid,
        id: Uuid,
        edit: &WebhookEdit,
        cx: &Context,
    ) -> Result<Option<Webhook>, Error>;

    /// Records that the target at `url` has answered its challenge, if that is still the target; whether
    /// it is.
    async fn prove_webhook(&self, owner: Uuid, id: Uuid, url: &str, cx: &Context) -> Result<bool, Error>;

    /// Deletes a webhook; whether there was one.
    async fn delete_webhook(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<bool, Error>;
}
