//! The queries on webhooks.

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Context, Timestamp};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::dialect::for_update;
use super::unit::{Unit, Write, commit};
use super::{Db, Queries};
use crate::Error;
use crate::domain::{EventType, Key, NewWebhook, Webhook, WebhookEdit};
use crate::store::{Webhooks, unknown};

/// The columns of a webhook.
macro_rules! webhook_columns {
    () => {
        "id, owner, url, events, enabled, proven_at, secret, created_at, updated_at"
    };
}

#[derive(FromRow)]
struct WebhookRow {
    id: Uuid,
    owner: Uuid,
    url: String,
    events: String,
    enabled: bool,
    proven_at: Option<Timestamp>,
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
            proven_at: self.proven_at.map(Into::into),
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
        let mut unit = self.begin(cx);
        // Two insertions by one owner take turns, so that the second one counts the first.
        let _: Vec<Uuid> = sqlx::query_scalar(concat!(
            "select id from webhooks where owner = $1 order by id",
            for_update!()
        ))
        .bind(webhook.owner)
        .fetch_all(unit.connection().await?)
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
        .fetch_optional(unit.connection().await?)
        .await?;
        let Some(row) = row else {
            return Err(Error::WebhookLimitReached { limit });
        };
        commit(unit, Write::Insert(vec![webhook.challenge.clone()])).await?;
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
        select.push(" order by id desc");
        page.push_bounds(&mut select);
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
        let mut unit = self.begin(cx);
        check_seen(&mut unit, owner, id).await?;
        let target = edit.target.as_ref();
        let update = sqlx::query_as(concat!(
            "update webhooks
                set url = case when $3 then $4 else url end,
                    proven_at = case when $3 and url <> $4 then null else proven_at end,
                    events = case when $5 then $6 else events end,
                    enabled = case when $7 then $8 else enabled end,
                    updated_at = $9
              where id = $1 and owner = $2
          returning ",
            webhook_columns!()
        ))
        .bind(id)
        .bind(owner)
        .bind(target.is_some())
        .bind(target.map(|(target, _)| target.url().as_str()))
        .bind(edit.events.is_some())
        .bind(edit.events.as_deref().map(joined))
        .bind(edit.enabled.is_some())
        .bind(edit.enabled)
        .bind(Timestamp(cx.now));
        let row: Option<WebhookRow> = match target {
            None => update.fetch_optional(unit.statement().await?).await?,
            Some(_) => update.fetch_optional(unit.connection().await?).await?,
        };
        match (target, &row) {
            (Some((_, challenge)), Some(WebhookRow { proven_at: None, .. })) => {
                commit(unit, Write::Insert(vec![challenge.clone()])).await?;
            }
            _ => unit.commit().await?,
        }
        row.map(WebhookRow::into_webhook).transpose()
    }

    async fn prove_webhook(&self, owner: Uuid, id: Uuid, url: &str, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        let done = sqlx::query(
            "update webhooks
                set proven_at = coalesce(proven_at, $4), updated_at = $4
              where id = $1 and owner = $2 and url = $3",
        )
        .bind(id)
        .bind(owner)
        .bind(url)
        .bind(Timestamp(cx.now))
        .execute(unit.statement().await?)
        .await?;
        unit.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    async fn delete_webhook(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, owner, id).await?;
        let done = sqlx::query("delete from webhooks where id = $1 and owner = $2")
            .bind(id)
            .bind(owner)
            .execute(unit.statement().await?)
            .await?;
        unit.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}

/// Checks that the webhook, which is then locked, is as the caller has seen it. Whether it is there is
/// for the statement after it to find out.
async fn check_seen(unit: &mut Unit, owner: Uuid, id: Uuid) -> Result<(), Error> {
    let Some(precondition) = unit.cx().precondition.clone() else {
        return Ok(());
    };
    let row: Option<WebhookRow> = sqlx::query_as(concat!(
        "select ",
        webhook_columns!(),
        " from webhooks where id = $1 and owner = $2",
        for_update!()
    ))
    .bind(id)
    .bind(owner)
    .fetch_optional(unit.connection().await?)
    .await?;
    let webhook = row.map(WebhookRow::into_webhook).transpose()?;
    Ok(webhook.map_or(Ok(()), |webhook| precondition.check(webhook.etag()))?)
}
