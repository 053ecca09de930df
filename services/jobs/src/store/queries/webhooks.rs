//! The queries on webhooks.

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Backend, Context, Timestamp};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::dialect::for_update;
use super::{Database, Db, Queries};
use crate::Error;
use crate::domain::{EventType, Key, NewWebhook, Webhook, WebhookEdit};
use crate::store::{Webhooks, unknown};

/// The columns of a webhook.
macro_rules! webhook_columns {
    () => {
        "id, owner, url, events, enabled, secret, created_at, updated_at"
    };
}

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

/// A row of a list, with the list's total where it is counted.
#[derive(FromRow)]
struct ListRow {
    #[sqlx(flatten)]
    webhook: WebhookRow,
    total: Option<i64>,
}

impl WebhookRow {
    fn into_webhook(self) -> Result<Webhook, Error> {
        let event = |name: &str| EventType::from_name(name).ok_or_else(|| unknown("event", name));
        Ok(Webhook {
            id: self.id,
            owner: self.owner,
            events: self
                .events
                .split_ascii_whitespace()
                .map(event)
                .collect::<Result<_, _>>()?,
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
    async fn insert_webhook(&self, webhook: &NewWebhook, limit: i64, cx: &Context) -> Result<Webhook, Error> {
        let mut transaction = self.database.begin(cx.deadline, &[]).await?;
        // Two insertions by one owner take turns, so that the second one counts the first.
        let _: Vec<Uuid> = sqlx::query_scalar(concat!(
            "select id from webhooks where owner = $1 order by id",
            for_update!()
        ))
        .bind(webhook.owner)
        .fetch_all(&mut *transaction)
        .await?;
        let row: Option<WebhookRow> = sqlx::query_as(concat!(
            "insert into webhooks (id, owner, url, events, enabled, secret, created_at, updated_at)
             select $1, $2, $3, $4, $5, $6, $7, $7
              where (select count(*) from webhooks where owner = $2) < $8
          returning ",
            webhook_columns!()
        ))
        .bind(webhook.id)
        .bind(webhook.owner)
        .bind(webhook.target.url().as_str())
        .bind(joined(&webhook.events))
        .bind(true)
        .bind(&webhook.secret)
        .bind(Timestamp(cx.now))
        .bind(limit)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else {
            return Err(Error::WebhookLimitReached { limit });
        };
        Database::commit(transaction).await?;
        row.into_webhook()
    }

    async fn find_webhook(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Webhook>, Error> {
        let row: Option<WebhookRow> = sqlx::query_as(concat!(
            "select ",
            webhook_columns!(),
            " from webhooks where id = $1 and owner = $2"
        ))
        .bind(id)
        .bind(owner)
        .fetch_optional(&mut *self.database.read(cx.deadline).await?)
        .await?;
        row.map(WebhookRow::into_webhook).transpose()
    }

    async fn list_webhooks(&self, owner: Uuid, page: &Page<Key>, cx: &Context) -> Result<PageResult<Webhook>, Error> {
        // An owner has few of them, so the total is read with every page.
        let mut select = QueryBuilder::<Db>::new(concat!(
            "select ",
            webhook_columns!(),
            ", (select count(*) from webhooks where owner = "
        ));
        select
            .push_bind(owner)
            .push(") as total from webhooks where owner = ")
            .push_bind(owner);
        if let Some(Key(id)) = page.after() {
            select.push(" and id < ").push_bind(*id);
        }
        select
            .push(" order by id desc limit ")
            .push_bind(page.fetch())
            .push(" offset ")
            .push_bind(page.offset());
        let mut connection = self.database.read(cx.deadline).await?;
        let rows: Vec<ListRow> = select.build_query_as().fetch_all(&mut *connection).await?;
        let mut total = page.known_total().map(i64::from);
        if total.is_none() {
            total = rows.first().and_then(|row| row.total);
        }
        if total.is_none() && page.offset() > 0 {
            // A page past the last one has no row to carry the total.
            let count = sqlx::query_scalar("select count(*) from webhooks where owner = $1")
                .bind(owner)
                .fetch_one(&mut *connection)
                .await?;
            total = Some(count);
        }
        let webhooks: Result<_, Error> = rows.into_iter().map(|row| row.webhook.into_webhook()).collect();
        Ok(page.cut(webhooks?, total.unwrap_or_default()))
    }

    async fn update_webhook(
        &self,
        owner: Uuid,
        id: Uuid,
        edit: &WebhookEdit,
        cx: &Context,
    ) -> Result<Option<Webhook>, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let row: Option<WebhookRow> = sqlx::query_as(concat!(
            "update webhooks
                set url = case when $3 then $4 else url end,
                    events = case when $5 then $6 else events end,
                    enabled = case when $7 then $8 else enabled end,
                    updated_at = $9
              where id = $1 and owner = $2
          returning ",
            webhook_columns!()
        ))
        .bind(id)
        .bind(owner)
        .bind(edit.target.is_some())
        .bind(edit.target.as_ref().map(|target| target.url().as_str()))
        .bind(edit.events.is_some())
        .bind(edit.events.as_deref().map(joined))
        .bind(edit.enabled.is_some())
        .bind(edit.enabled)
        .bind(Timestamp(cx.now))
        .fetch_optional(&mut *single)
        .await?;
        Database::finish(single).await?;
        row.map(WebhookRow::into_webhook).transpose()
    }

    async fn delete_webhook(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        let done = sqlx::query("delete from webhooks where id = $1 and owner = $2")
            .bind(id)
            .bind(owner)
            .execute(&mut *single)
            .await?;
        Database::finish(single).await?;
        Ok(done.rows_affected() > 0)
    }
}
