//! Proto ↔ domain: the one place where the two meet. Past it, nobody checks a field again.

mod mail;
mod queue;
mod task;
mod values;
mod webhook;

use prost_types::Timestamp;
use quartet_kernel::{InvalidFields, Violations, id, violations};
use quartet_rpc::{Failure, timestamp};
use quartet_store::page::{Page, PageRequest};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::Key;

pub(super) use queue::{queue, queue_named};
pub(super) use task::{
    dead_letters, download, export_format, import, list, new_job, schedule, submitted, task, upload,
};
pub(super) use webhook::{edit, events, secret, webhook};

pub(super) fn id(field: &str, text: &str) -> Result<Uuid, InvalidFields> {
    id::parse(text).map_err(|rule| violations::one(field, rule))
}

/// The value of a field that has passed its check; its absence would be a mistake in this file.
pub(super) fn checked<T>(value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(Failure::internal)
}

fn timestamp(time: Option<OffsetDateTime>) -> Option<Timestamp> {
    time.map(timestamp::to_proto)
}

/// The page that a list request names.
pub(super) fn page(request: PageRequest<'_>, signature: &str, violations: &mut Violations) -> Option<Page<Key>> {
    Page::parse(request, signature, violations)
}
