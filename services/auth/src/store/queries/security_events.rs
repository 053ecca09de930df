//! The audit trail.

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Context, Timestamp};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{Db, Queries};
use crate::Error;
use crate::domain::{EventKind, SecurityEvent};
use crate::store::{EventFilter, SecurityEvents};

#[derive(FromRow)]
struct EventRow {
    id: Uuid,
    kind: String,
    happened_at: Timestamp,
    account_id: Option<Uuid>,
    session_id: Option<Uuid>,
    actor: String,
    client_address: String,
    request_id: String,
    trace_id: String,
    detail: String,
}

impl From<EventRow> for SecurityEvent {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            happened_at: row.happened_at.into(),
            account_id: row.account_id,
            session_id: row.session_id,
            actor: row.actor,
            client_address: row.client_address,
            request_id: row.request_id,
            trace_id: row.trace_id,
            detail: row.detail,
        }
    }
}

#[async_trait]
impl SecurityEvents for Queries {
    async fn record_events(
        &self,
        account_id: Option<Uuid>,
        events: &[(EventKind, &str)],
        cx: &Context,
    ) -> Result<(), Error> {
        let mut unit = self.begin(cx);
        for (kind, detail) in events {
            let event = self.event(*kind, account_id, detail, cx);
            unit.journal().events.push(event);
        }
        unit.commit().await
    }

    async fn list_events(
        &self,
        filter: &EventFilter,
        page: &Page<String>,
        cx: &Context,
    ) -> Result<PageResult<SecurityEvent>, Error> {
        let mut select = QueryBuilder::<Db>::new("select * from security_events where true");
        if let Some(id) = filter.account_id {
            select.push(" and account_id = ").push_bind(id);
        }
        if let Some(kind) = &filter.kind {
            select.push(" and kind = ").push_bind(kind.clone());
        }
        if let Some(since) = filter.since {
            select.push(" and happened_at >= ").push_bind(Timestamp(since));
        }
        if let Some(address) = &filter.client_address {
            select.push(" and client_address = ").push_bind(address.clone());
        }
        if let Some(after) = page.after().and_then(|id| id.parse::<Uuid>().ok()) {
            select.push(" and id < ").push_bind(after);
        }
        select.push(" order by id desc");
        page.push_bounds(&mut select);
        let rows: Vec<EventRow> = select
            .build_query_as()
            .fetch_all(&mut *self.database.read(cx.deadline).await?)
            .await?;
        Ok(page.cut(rows.into_iter().map(Into::into).collect(), 0))
    }
}

impl Queries {
    /// An event of this work.
    pub(super) fn event(&self, kind: EventKind, account_id: Option<Uuid>, detail: &str, cx: &Context) -> SecurityEvent {
        let trace = cx.trace.as_ref().map(|trace| trace.traceparent());
        let from = cx.provenance.as_deref();
        SecurityEvent {
            id: self.publisher.clock().new_id(),
            kind: kind.name().to_owned(),
            happened_at: cx.now,
            account_id,
            session_id: from.and_then(|from| from.session_id),
            actor: from.map(|from| from.actor.clone()).unwrap_or_default(),
            client_address: from
                .and_then(|from| from.client_address)
                .map(|address| address.to_string())
                .unwrap_or_default(),
            request_id: from.map(|from| from.request_id.clone()).unwrap_or_default(),
            trace_id: trace
                .as_deref()
                .and_then(|trace| trace.split('-').nth(1))
                .unwrap_or_default()
                .to_owned(),
            detail: detail.to_owned(),
        }
    }
}

/// Appends the insertion of events.
pub(super) fn push_insert(statement: &mut QueryBuilder<Db>, events: &[SecurityEvent]) {
    statement.push(
        "insert into security_events
            (id, kind, happened_at, account_id, session_id, actor, client_address, request_id, trace_id, detail) ",
    );
    statement.push_values(events, |mut values, event| {
        values
            .push_bind(event.id)
            .push_bind(event.kind.clone())
            .push_bind(Timestamp(event.happened_at))
            .push_bind(event.account_id)
            .push_bind(event.session_id)
            .push_bind(event.actor.clone())
            .push_bind(event.client_address.clone())
            .push_bind(event.request_id.clone())
            .push_bind(event.trace_id.clone())
            .push_bind(event.detail.clone());
    });
}
