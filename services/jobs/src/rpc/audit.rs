//! Security events of webhooks, for the audit trail: lines to a log target of their own, by the names of
//! OWASP's logging vocabulary.

use quartet_rpc::{Call, User};
use uuid::Uuid;

/// Writes what a user has done to a webhook, once it is committed.
pub(super) fn webhook(event_type: &str, call: &Call, user: &User, id: Uuid) {
    tracing::info!(
        target: "quartet::security",
        event_type,
        account_id = %user.id,
        session_id = %user.session_id,
        actor = %user.id,
        client_address = call.client_address.map(|address| address.to_string()).unwrap_or_default(),
        request = call.request_id,
        detail = %format_args!("webhook {id}"),
        "security event"
    );
}
