//! ListSecurityEvents.

use std::net::IpAddr;

use quartet_kernel::{Rule, Violations, id, text};
use quartet_proto::auth::v1 as pb;
use quartet_proto::options::Reason;
use quartet_rpc::{Call, Failure, timestamp};
use quartet_store::page::{Page, PageRequest};
use tonic::Code;
use uuid::Uuid;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::SecurityEvent;
use crate::store::EventFilter;

/// Stands for every account.
const EVERYBODY: &str = "*";

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ListSecurityEventsRequest,
) -> Result<pb::ListSecurityEventsResponse, Error> {
    let user = call.user()?;
    let mut violations = Violations::new();
    let account = match request.account.as_str() {
        "" => Some(Some(user.id)),
        EVERYBODY => Some(None),
        account => violations.check("account", id::parse(account)).map(Some),
    };
    violations.check("type", text::length(&request.r#type, 0, 64));
    let since = violations.check("since", timestamp::parse(request.since.as_ref()));
    let address = match request.client_address.as_str() {
        "" => None,
        address => violations.check("client_address", parse(address)),
    };
    let filter = EventFilter {
        account_id: account.flatten(),
        kind: Some(request.r#type).filter(|kind| !kind.is_empty()),
        since: since.flatten(),
        client_address: address.map(|address| address.to_string()),
    };
    let signature = format!("security events {filter:?}");
    let page = PageRequest {
        page: None,
        items_per_page: None,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = Page::<String>::parse(page, &signature, &mut violations);
    violations.finish()?;
    let page = convert::checked(page)?;
    let is_own = filter.account_id == Some(user.id) && filter.client_address.is_none();
    if !is_own && !user.is_superuser() {
        let message = "only superusers see the security events of others";
        return Err(Failure::new(Code::PermissionDenied, Reason::NotYourUser, message).into());
    }
    let rows = rpc.store.list_events(&filter, &page, &rpc.cx(call)).await?;
    Ok(pb::ListSecurityEventsResponse {
        next_page_token: rows.next_token(&signature, |event| event.id.to_string()),
        has_more: rows.has_more,
        data: rows
            .rows
            .into_iter()
            .map(|event| shown(event, user.is_superuser()))
            .collect(),
    })
}

fn parse(address: &str) -> Result<IpAddr, Rule> {
    address
        .parse()
        .map_err(|_| Rule::new("STRING_IP", "must be an IP address"))
}

/// An event as its reader gets it: where a superuser works is nobody else's concern.
fn shown(event: SecurityEvent, to_superuser: bool) -> pb::SecurityEvent {
    let by_another = event
        .actor
        .parse::<Uuid>()
        .is_ok_and(|actor| Some(actor) != event.account_id);
    let is_hidden = by_another && !to_superuser;
    pb::SecurityEvent {
        id: event.id.to_string(),
        r#type: event.kind,
        time: Some(timestamp::to_proto(event.happened_at)),
        account_id: event.account_id.map(|id| id.to_string()),
        session_id: event.session_id.filter(|_| !is_hidden).map(|id| id.to_string()),
        actor: event.actor,
        client_address: if is_hidden { String::new() } else { event.client_address },
        request_id: event.request_id,
        trace_id: event.trace_id,
        detail: event.detail,
    }
}
