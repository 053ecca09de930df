// Webhooks. Compiled once per database.

use async_trait::async_trait;
use quartet_messaging::{Message, inbox};
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use quartet_store::page::{Page, Rows};
use sqlx::{FromRow, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::{Webhooks, unknown};
use super::{Db, Queries};
use crate::Error;
use crate::domain::{EventType, Key, NewWebhook, Webhook, WebhookEdit};

#[derive(FromRow)]
struct WebhookRow {
    id: Uuid,
    owner: Uuid,
    url: String,
    events: String,
    enabled: bool,
    secret: Vec<u8>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl WebhookRow {
    fn into_webhook(self) -> Result<Webhook, Error> {
        let event = |name: &str| EventType::from_name(name).ok_or_else(|| unknown("event", name));
        Ok(Webhook {
            id: self.id,
            owner: self.owner,
            events: self.events.split_ascii_whitespace().map(event).collect::<Result<_, _>>()?,
            url: self.url,
            enabled: self.enabled,
            secret: self.secret,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

/// The stored form of events: their names, with a space after each.
fn joined(events: &[EventType]) -> String {
    events.iter().map(|event| format!("{} ", event.name())).collect()
}

#[async_trait]
impl Webhooks for Queries {
    async fn insert_webhook(&self, webhook: &NewWebhook, limit: i64, now: OffsetDateTime, deadline: Deadline) -> Result<Webhook, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        // Two insertions by one owner take turns, so that the second one counts the first.
        let _: Vec<Uuid> = sqlx::query_scalar(concat!("select id from webhooks where owner = $1 order by id", locking!()))
            .bind(webhook.owner)
            .fetch_all(&mut *transaction)
            .await?;
        let row: WebhookRow = sqlx::query_as(
            "insert into webhooks (id, owner, url, events, enabled, secret, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)
          returning id, owner, url, events, enabled, secret, created_at, updated_at",
        )
        .bind(webhook.id)
        .bind(webhook.owner)
        .bind(webhook.target.url().as_str())
        .bind(joined(&webhook.events))
        .bind(true)
        .bind(&webhook.secret)
        .bind(Timestamp(now))
        .fetch_one(&mut *transaction)
        .await?;
        let count: i64 = sqlx::query_scalar("select count(*) from webhooks where owner = $1")
            .bind(webhook.owner)
            .fetch_one(&mut *transaction)
            .await?;
        if count > limit {
            return Err(Error::WebhookLimitReached { limit });
        }
        transaction.commit().await?;
        row.into_webhook()
    }

    async fn find_webhook(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<Option<Webhook>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let row: Option<WebhookRow> = sqlx::query_as(
            "select id, owner, url, events, enabled, secret, created_at, updated_at from webhooks where id = $1 and owner = $2",
        )
        .bind(id)
        .bind(owner)
        .fetch_optional(&mut *connection)
        .await?;
        row.map(WebhookRow::into_webhook).transpose()
    }

    async fn list_webhooks(&self, owner: Uuid, page: &Page<Key>, deadline: Deadline) -> Result<Rows<Webhook>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let total = match page.known_total() {
            Some(total) => i64::from(total),
            None => {
                sqlx::query_scalar("select count(*) from webhooks where owner = $1")
                    .bind(owner)
                    .fetch_one(&mut *connection)
                    .await?
            }
        };
        let mut select = QueryBuilder::<Db>::new(
            "select id, owner, url, events, enabled, secret, created_at, updated_at from webhooks where owner = ",
        );
        select.push_bind(owner);
        if let Some(Key(id)) = page.after() {
            select.push(" and id < ").push_bind(*id);
        }
        select.push(" order by id desc limit ").push_bind(page.fetch()).push(" offset ").push_bind(page.offset());
        let rows: Vec<WebhookRow> = select.build_query_as().fetch_all(&mut *connection).await?;
        let webhooks = rows.into_iter().map(WebhookRow::into_webhook).collect::<Result<_, _>>()?;
        Ok(page.cut(webhooks, total))
    }

    async fn update_webhook(
        &self,
        owner: Uuid,
        id: Uuid,
        edit: &WebhookEdit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Webhook>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let row: Option<WebhookRow> = sqlx::query_as(
            "update webhooks
                set url = case when $3 then $4 else url end,
                    events = case when $5 then $6 else events end,
                    enabled = case when $7 then $8 else enabled end,
                    updated_at = $9
              where id = $1 and owner = $2
          returning id, owner, url, events, enabled, secret, created_at, updated_at",
        )
        .bind(id)
        .bind(owner)
        .bind(edit.target.is_some())
        .bind(edit.target.as_ref().map(|target| target.url().as_str()))
        .bind(edit.events.is_some())
        .bind(edit.events.as_deref().map(joined))
        .bind(edit.enabled.is_some())
        .bind(edit.enabled)
        .bind(Timestamp(now))
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        row.map(WebhookRow::into_webhook).transpose()
    }

    async fn delete_webhook(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<bool, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let done = sqlx::query("delete from webhooks where id = $1 and owner = $2")
            .bind(id)
            .bind(owner)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    async fn forget_owner(
        &self,
        consumer: &str,
        message: &Message,
        owner: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, consumer, message.id, now).await? {
            return Ok(());
        }
        sqlx::query("delete from webhooks where owner = $1").bind(owner).execute(&mut *transaction).await?;
        sqlx::query("delete from jobs where owner = $1").bind(owner).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn webhooks_for(&self, owner: Uuid, event: EventType, deadline: Deadline) -> Result<Vec<Uuid>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let rows: Vec<(Uuid, String)> = sqlx::query_as("select id, events from webhooks where owner = $1 and enabled")
            .bind(owner)
            .fetch_all(&mut *connection)
            .await?;
        let hears = |events: &str| events.split_ascii_whitespace().any(|name| name == event.name());
        Ok(rows.into_iter().filter(|(_, events)| hears(events)).map(|(id, _)| id).collect())
    }
}
