//! Tasks and schedules.

use prost::Message;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::create_task_request::Payload as Asked;
use quartet_proto::jobs::v1::send_email::Template;
use quartet_proto::jobs::v1::submit_task_request::Payload as Submitted;
use quartet_proto::jobs::v1::task::{Payload, Result as Outcome};
use quartet_rpc::violations::{Rule, text};
use quartet_rpc::{Failure, User, Violations, moment};
use quartet_store::page::{self, Page};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{checked, timestamp};
use crate::Error;
use crate::domain::{Filter, Job, Key, Kind, NewJob, Queue, SUITE, Schedule, Status, UniqueKey};

/// A parsed list request.
pub(in crate::rpc) struct TaskList {
    pub(in crate::rpc) filter: Filter,
    pub(in crate::rpc) page: Page<Key>,
    /// Tells this list apart from every other, for page tokens.
    pub(in crate::rpc) signature: String,
}

pub(in crate::rpc) fn new_job(
    request: &pb::CreateTaskRequest,
    user: &User,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<NewJob, Error> {
    let mut violations = Violations::new();
    let (kind, payload) = match &request.payload {
        Some(Asked::ExportTodos(payload)) => {
            violations.check("export_todos.format", format(payload.format));
            (Some(Kind::ExportTodos), payload.encode_to_vec())
        }
        Some(Asked::RemindDue(payload)) => {
            let within = payload.within_seconds.unwrap_or(60);
            violations.check("remind_due.within_seconds", within_range(within, 60, 2_592_000));
            (Some(Kind::RemindDue), payload.encode_to_vec())
        }
        Some(Asked::PurgeDeleted(payload)) => {
            let older = payload.older_than_seconds.unwrap_or(3_600);
            violations.check("purge_deleted.older_than_seconds", within_range(older, 3_600, i32::MAX));
            (Some(Kind::PurgeDeleted), payload.encode_to_vec())
        }
        None => {
            violations.add("payload", Rule::required());
            (None, Vec::new())
        }
    };
    let key = violations.check("unique_key", key(&request.unique_key));
    let queue = violations.check("priority", queue(request.priority));
    let run_at = violations.check("run_at", moment::parse(request.run_at.as_ref()));
    let attempts = request.max_attempts.unwrap_or(1);
    violations.check("max_attempts", within_range(attempts, 1, 20));
    let ttl = request.result_ttl_seconds.unwrap_or(86_400);
    violations.check("result_ttl_seconds", within_range(ttl, 60, 2_592_000));
    violations.finish()?;
    let kind = checked(kind)?;
    if kind != Kind::ExportTodos && !user.is_superuser() {
        return Err(Error::TaskKindNotAllowed { kind });
    }
    let job = NewJob::new(id, user.id, kind, payload, now);
    Ok(NewJob {
        queue: checked(queue)?,
        unique_key: checked(key)?,
        run_at: checked(run_at)?.unwrap_or(now),
        max_attempts: request
            .max_attempts
            .map_or(job.max_attempts, |attempts| attempts as i16),
        result_ttl: Duration::seconds(ttl.into()),
        ..job
    })
}

/// The job of another service.
pub(in crate::rpc) fn submitted(
    request: &pb::SubmitTaskRequest,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<NewJob, Failure> {
    let mut violations = Violations::new();
    let payload = match &request.payload {
        Some(Submitted::SendEmail(mail)) => {
            check_mail(mail, &mut violations);
            mail.encode_to_vec()
        }
        None => {
            violations.add("payload", Rule::required());
            Vec::new()
        }
    };
    let key = violations.check("unique_key", UniqueKey::parse(&request.unique_key));
    let queue = violations.check("priority", queue(request.priority));
    violations.finish()?;
    Ok(NewJob::new(id, SUITE, Kind::SendEmail, payload, now)
        .in_queue(checked(queue)?)
        .once(checked(key)?))
}

/// The job that imports an uploaded file, which has the job's own id.
pub(in crate::rpc) fn import(
    owner: Uuid,
    file: Uuid,
    digest: String,
    format: pb::FileFormat,
    unique_key: &str,
    now: OffsetDateTime,
) -> Result<NewJob, Failure> {
    let mut violations = Violations::new();
    let key = violations.check("unique_key", key(unique_key));
    violations.finish()?;
    let payload = pb::ImportTodos {
        format: format.into(),
        digest,
    };
    Ok(NewJob {
        unique_key: checked(key)?,
        ..NewJob::new(file, owner, Kind::ImportTodos, payload.encode_to_vec(), now)
    })
}

/// What the file of an export is written in.
pub(in crate::rpc) fn export_format(job: &Job) -> pb::FileFormat {
    let payload = pb::ExportTodos::decode(job.payload.as_slice()).unwrap_or_default();
    match payload.format() {
        pb::FileFormat::Json => pb::FileFormat::Json,
        pb::FileFormat::Csv | pb::FileFormat::Unspecified => pb::FileFormat::Csv,
    }
}

pub(in crate::rpc) fn list(owner: Uuid, request: &pb::ListTasksRequest) -> Result<TaskList, Failure> {
    let mut violations = Violations::new();
    let status = violations.check("status", request.status.map(status_of).transpose());
    let kind = violations.check("kind", kind_named(&request.kind));
    let signature = format!("tasks of {owner}: {:?} {:?}", request.status, request.kind);
    let asked = page::Asked {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = super::page(asked, &signature, &mut violations);
    violations.finish()?;
    let filter = Filter {
        owner: Some(owner),
        status: checked(status)?,
        kind: checked(kind)?,
    };
    Ok(TaskList {
        filter,
        page: checked(page)?,
        signature,
    })
}

pub(in crate::rpc) fn dead_letters(request: &pb::ListDeadLettersRequest) -> Result<TaskList, Failure> {
    let mut violations = Violations::new();
    let kind = violations.check("kind", kind_named(&request.kind));
    let signature = format!("dead letters: {:?}", request.kind);
    let asked = page::Asked {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = super::page(asked, &signature, &mut violations);
    violations.finish()?;
    let filter = Filter {
        owner: None,
        status: Some(Status::Dead),
        kind: checked(kind)?,
    };
    Ok(TaskList {
        filter,
        page: checked(page)?,
        signature,
    })
}

/// `link` gives the address of an export's file and until when it counts.
pub(in crate::rpc) fn task(job: Job, link: impl FnOnce(&Job) -> (String, OffsetDateTime)) -> pb::Task {
    let link = (job.kind == Kind::ExportTodos && job.status == Status::Succeeded).then(|| link(&job));
    let (payload, result) = messages(&job, link);
    pb::Task {
        id: job.id.to_string(),
        kind: job.kind.name().to_owned(),
        payload,
        status: status(job.status).into(),
        attempts: job.attempts.into(),
        max_attempts: job.max_attempts.into(),
        progress: job.progress.into(),
        note: job.note,
        result,
        error: job.problem.map(|problem| pb::TaskError {
            reason: problem.reason,
            message: problem.message,
        }),
        unique_key: job.unique_key.unwrap_or_default(),
        priority: priority(job.queue).into(),
        run_at: timestamp(Some(job.run_at)),
        user_id: if job.owner == SUITE {
            String::new()
        } else {
            job.owner.to_string()
        },
        cancel_requested: job.cancel_requested,
        created_at: timestamp(Some(job.created_at)),
        updated_at: timestamp(Some(job.updated_at)),
        started_at: timestamp(job.started_at),
        finished_at: timestamp(job.finished_at),
        expires_at: timestamp(job.expires_at),
    }
}

pub(in crate::rpc) fn schedule(schedule: Schedule) -> pb::Schedule {
    pb::Schedule {
        name: schedule.name,
        cron: schedule.cron,
        kind: schedule.kind.name().to_owned(),
        next_run_at: timestamp(Some(schedule.next_run_at)),
        last_run_at: timestamp(schedule.last_run_at),
    }
}

/// Payload and result as their kind has them. What cannot be decoded is left out: another version wrote it.
fn messages(job: &Job, link: Option<(String, OffsetDateTime)>) -> (Option<Payload>, Option<Outcome>) {
    fn read<M: Message + Default>(bytes: &[u8]) -> Option<M> {
        M::decode(bytes).ok()
    }
    let (payload, result) = (job.payload.as_slice(), job.result.as_deref());
    match job.kind {
        Kind::SendEmail => (
            read(payload).map(without_secrets).map(Payload::SendEmail),
            result.and_then(read).map(Outcome::Sent),
        ),
        Kind::ExportTodos => {
            let result = result.and_then(read).map(|result: pb::ExportTodosResult| {
                let (download_url, expires_at) = link.unzip();
                pb::ExportTodosResult {
                    download_url: download_url.unwrap_or_default(),
                    download_expires_at: timestamp(expires_at),
                    ..result
                }
            });
            (read(payload).map(Payload::ExportTodos), result.map(Outcome::Export))
        }
        Kind::ImportTodos => (
            read(payload).map(Payload::ImportTodos),
            result.and_then(read).map(Outcome::Import),
        ),
        Kind::RemindDue => (
            read(payload).map(Payload::RemindDue),
            result.and_then(read).map(Outcome::Reminded),
        ),
        Kind::PurgeDeleted => (
            read(payload).map(Payload::PurgeDeleted),
            result.and_then(read).map(Outcome::Purged),
        ),
        Kind::Webhook => (
            read(payload).map(Payload::Webhook),
            result.and_then(read).map(Outcome::Delivered),
        ),
    }
}

/// A link that lets its reader in is the reader's alone.
fn without_secrets(mut mail: pb::SendEmail) -> pb::SendEmail {
    match &mut mail.template {
        Some(Template::Verify(template)) => {
            template.link.clear();
            template.token.clear();
        }
        Some(Template::Reset(template)) => {
            template.link.clear();
            template.token.clear();
        }
        Some(Template::Welcome(_) | Template::Reminder(_)) | None => {}
    }
    mail
}

fn check_mail(mail: &pb::SendEmail, violations: &mut Violations) {
    let address = match mail.to.as_str() {
        "" => Err(Rule::required()),
        to => to
            .parse::<lettre::Address>()
            .map_err(|_| Rule::new("STRING_EMAIL", "must be an e-mail address")),
    };
    violations.check("send_email.to", address);
    let link = match &mail.template {
        Some(Template::Verify(template)) => Some(("send_email.verify.link", &template.link)),
        Some(Template::Reset(template)) => Some(("send_email.reset.link", &template.link)),
        Some(Template::Welcome(_) | Template::Reminder(_)) => None,
        None => {
            violations.add("send_email.template", Rule::required());
            None
        }
    };
    if let Some((field, link)) = link {
        violations.check(field, text::line(link, 1, 2_048));
    }
}

fn within_range(value: i32, low: i32, high: i32) -> Result<(), Rule> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let text = match high {
        i32::MAX => format!("must be at least {low}"),
        _ => format!("must be between {low} and {high}"),
    };
    Err(Rule::new("INT32_RANGE", text))
}

fn undefined<E>(_: E) -> Rule {
    Rule::new("ENUM_DEFINED_ONLY", "must be one of the defined values")
}

fn format(number: i32) -> Result<(), Rule> {
    pb::FileFormat::try_from(number).map(|_| ()).map_err(undefined)
}

/// An empty key is none.
fn key(text: &str) -> Result<Option<UniqueKey>, Rule> {
    match text {
        "" => Ok(None),
        text => UniqueKey::parse(text).map(Some),
    }
}

fn kind_named(name: &str) -> Result<Option<Kind>, Rule> {
    match name {
        "" => Ok(None),
        name => Kind::from_name(name)
            .map(Some)
            .ok_or_else(|| Rule::new("STRING_IN", "must be a kind of task")),
    }
}

fn queue(number: i32) -> Result<Queue, Rule> {
    Ok(match pb::TaskPriority::try_from(number).map_err(undefined)? {
        pb::TaskPriority::Low => Queue::Low,
        pb::TaskPriority::Unspecified | pb::TaskPriority::Default => Queue::Default,
        pb::TaskPriority::High => Queue::High,
    })
}

fn priority(queue: Queue) -> pb::TaskPriority {
    match queue {
        Queue::Low => pb::TaskPriority::Low,
        Queue::Default => pb::TaskPriority::Default,
        Queue::High => pb::TaskPriority::High,
    }
}

fn status_of(number: i32) -> Result<Status, Rule> {
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

fn status(status: Status) -> pb::TaskStatus {
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
