//! Values of fields: numbers, names and enums, and what they are in the domain.

use quartet_kernel::Rule;
use quartet_proto::jobs::v1 as pb;

use crate::domain::{Kind, Queue, Status, UniqueKey};

pub(super) fn within_range(value: i32, low: i32, high: i32) -> Result<(), Rule> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let text = match high {
        i32::MAX => format!("must be at least {low}"),
        _ => format!("must be between {low} and {high}"),
    };
    Err(Rule::new("INT32_RANGE", text))
}

/// None of the fields of a required oneof is set.
pub(super) fn one_of(fields: &str) -> Rule {
    Rule::new("ONEOF_REQUIRED", format!("exactly one of {fields} must be set"))
}

fn undefined<E>(_: E) -> Rule {
    Rule::new("ENUM_DEFINED_ONLY", "must be one of the defined values")
}

pub(super) fn file_format(number: i32) -> Result<pb::FileFormat, Rule> {
    pb::FileFormat::try_from(number).map_err(undefined)
}

/// An empty key is none.
pub(super) fn key(text: &str) -> Result<Option<UniqueKey>, Rule> {
    match text {
        "" => Ok(None),
        text => UniqueKey::parse(text).map(Some),
    }
}

pub(super) fn kind_named(name: &str) -> Result<Option<Kind>, Rule> {
    match name {
        "" => Ok(None),
        name => Kind::from_name(name)
            .map(Some)
            .ok_or_else(|| Rule::new("STRING_IN", "must be a kind of task")),
    }
}

pub(super) fn queue(number: i32) -> Result<Queue, Rule> {
    Ok(match pb::TaskPriority::try_from(number).map_err(undefined)? {
        pb::TaskPriority::Low => Queue::Low,
        pb::TaskPriority::Unspecified | pb::TaskPriority::Default => Queue::Default,
        pb::TaskPriority::High => Queue::High,
    })
}

pub(super) fn priority(queue: Queue) -> pb::TaskPriority {
    match queue {
        Queue::Low => pb::TaskPriority::Low,
        Queue::Default | Queue::Webhooks => pb::TaskPriority::Default,
        Queue::High => pb::TaskPriority::High,
    }
}

pub(super) fn status_of(number: i32) -> Result<Status, Rule> {
    let all = [
        Status::Scheduled,
        Status::Queued,
        Status::Running,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
        Status::Dead,
    ];
    let wanted = pb::TaskStatus::try_from(number).map_err(undefined)?;
    all.into_iter()
        .find(|known| status(*known) == wanted)
        .ok_or_else(|| undefined(()))
}

pub(super) fn status(status: Status) -> pb::TaskStatus {
    match status {
        Status::Scheduled => pb::TaskStatus::Scheduled,
        Status::Queued => pb::TaskStatus::Queued,
        Status::Running => pb::TaskStatus::Running,
        Status::Succeeded => pb::TaskStatus::Succeeded,
        Status::Failed => pb::TaskStatus::Failed,
        Status::Cancelled => pb::TaskStatus::Cancelled,
        Status::Dead => pb::TaskStatus::Dead,
    }
}
