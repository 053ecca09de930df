//! Tasks and schedules.

use prost::Message;
use quartet_kernel::{Rule, Violations, id, text};
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::create_task_request::Payload as Created;
use quartet_proto::jobs::v1::submit_task_request::Payload as Submitted;
use quartet_proto::jobs::v1::task::{Payload, Result as Outcome};
use quartet_rpc::{Failure, User};
use quartet_store::page::{self, Page};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::values::{file_format, key, kind_named, one_of, priority, queue, status, status_of, within_range};
use super::{checked, timestamp};
use crate::Error;
use crate::domain::{Filter, Job, Key, Kind, Lane, NewJob, SUITE, Schedule, Status, UniqueKey};

/// Length of the token in a link at the most.
const MAX_TOKEN: usize = 256;

/// A parsed list request.
pub(in crate::rpc) struct TaskList {
    pub(in crate::rpc) filter: Filter,
    pub(in crate::rpc) page: Page<Key>,
    /// Distinguishes this list from every other, for page tokens.
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
        Some(Created::ExportTodos(payload)) => {
            violations.check("export_todos.format", file_format(payload.format));
            (Some(Kind::ExportTodos), payload.encode_to_vec())
        }
        Some(Created::RemindDue(payload)) => {
            let within = payload.within_seconds.unwrap_or(60);
            violations.check("remind_due.within_seconds", within_range(within, 60, 2_592_000));
            (Some(Kind::RemindDue), payload.encode_to_vec())
        }
        Some(Created::PurgeDeleted(payload)) => {
            let older = payload.older_than_seconds.unwrap_or(3_600);
            violations.check("purge_deleted.older_than_seconds", within_range(older, 3_600, i32::MAX));
            (Some(Kind::PurgeDeleted), payload.encode_to_vec())
        }
        None => {
            violations.add("payload", one_of("`export_todos`, `remind_due` or `purge_deleted`"));
            (None, Vec::new())
        }
    };
    let key = violations.check("unique_key", key(&request.unique_key));
    let queue = violations.check("priority", queue(request.priority));
    let run_at = violations.check("run_at", timestamp::parse(request.run_at.as_ref()));
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
    let mail = match &request.payload {
        Some(Submitted::SendEmail(mail)) => {
            super::mail::check(mail, &mut violations);
            mail
        }
        None => {
            violations.add("payload", one_of("`send_email`"));
            &pb::SendEmail::default()
        }
    };
    let key = violations.check("unique_key", UniqueKey::parse(&request.unique_key));
    let queue = violations.check("priority", queue(request.priority));
    violations.finish()?;
    Ok(NewJob::new(id, SUITE, Kind::SendEmail, mail.encode_to_vec(), now)
        .in_lane(Lane::of_recipient(&mail.to))
        .redacted_to(super::mail::without_secrets(mail.clone()).encode_to_vec())
        .in_queue(checked(queue)?)
        .once(checked(key)?))
}

/// What the first message of an upload carries: what the file is, and the key of the import.
pub(in crate::rpc) fn upload(first: &pb::UploadImportRequest) -> Result<(pb::FileFormat, Option<UniqueKey>), Failure> {
    let mut violations = Violations::new();
    let content_type = first.file.as_ref().map_or("", |file| file.content_type.as_str());
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let format = file_format(first.format).and_then(|format| match (format, essence.to_ascii_lowercase().as_str()) {
        (pb::FileFormat::Csv | pb::FileFormat::Json, _) => Ok(format),
        (pb::FileFormat::Unspecified, "text/csv" | "application/csv") => Ok(pb::FileFormat::Csv),
        (pb::FileFormat::Unspecified, "application/json" | "text/json") => Ok(pb::FileFormat::Json),
        (pb::FileFormat::Unspecified, _) => {
            let text = "must be set unless the content type is text/csv or application/json";
            Err(Rule::new("REQUIRED", text))
        }
    });
    let format = violations.check("format", format);
    let key = violations.check("unique_key", key(&first.unique_key));
    violations.finish()?;
    Ok((checked(format)?, checked(key)?))
}

/// The job that imports an uploaded file, which has the job's own id.
pub(in crate::rpc) fn import(
    user: &User,
    file: Uuid,
    digest: String,
    format: pb::FileFormat,
    unique_key: Option<UniqueKey>,
    now: OffsetDateTime,
) -> NewJob {
    let payload = pb::ImportTodos {
        format: format.into(),
        digest,
        tier: user.tier.clone().unwrap_or_default(),
    };
    NewJob {
        unique_key,
        ..NewJob::new(file, user.id, Kind::ImportTodos, payload.encode_to_vec(), now)
    }
}

/// The task whose file is requested.
pub(in crate::rpc) fn download(request: &pb::DownloadResultRequest) -> Result<Uuid, Failure> {
    let mut violations = Violations::new();
    let id = violations.check("task_id", id::parse(&request.task_id));
    violations.check("token", text::length(&request.token, 0, MAX_TOKEN));
    violations.finish()?;
    checked(id)
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
    // What is unspecified leaves nothing out.
    let status = request
        .status
        .filter(|status| *status != pb::TaskStatus::Unspecified as i32);
    let status = violations.check("status", status.map(status_of).transpose());
    let kind = violations.check("kind", kind_named(&request.kind));
    let signature = format!("tasks of {owner}: {:?} {:?}", request.status, request.kind);
    let page = page::PageRequest {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = super::page(page, &signature, &mut violations);
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
    let page = page::PageRequest {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = super::page(page, &signature, &mut violations);
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

/// `link` gives the address of an export's file and until when it is valid.
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

/// Payload and result as their kind has them. What cannot be decoded is left out: another version
/// wrote it.
fn messages(job: &Job, link: Option<(String, OffsetDateTime)>) -> (Option<Payload>, Option<Outcome>) {
    fn read<M: Message + Default>(bytes: &[u8]) -> Option<M> {
        M::decode(bytes).ok()
    }
    let (payload, result) = (job.payload.as_slice(), job.result.as_deref());
    match job.kind {
        Kind::SendEmail => (
            read(payload).map(super::mail::without_secrets).map(Payload::SendEmail),
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
