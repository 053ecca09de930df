//! A job.

use quartet_kernel::{Rule, text};
use quartet_telemetry::TraceContext;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Kind, Lane, LaneKey, Queue, Status};

/// The owner of what belongs to no user: the suite itself.
pub const SUITE: Uuid = Uuid::nil();

/// A piece of work, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// UUIDv7.
    pub id: Uuid,
    /// Whose it is; [`SUITE`] when it is no user's.
    pub owner: Uuid,
    /// What kind of work it is.
    pub kind: Kind,
    /// What is to be done: the encoded message of the kind.
    pub payload: Vec<u8>,
    /// What takes the place of the payload once the job has ended, if that is not all of it: the
    /// payload without its secrets.
    pub redacted_payload: Option<Vec<u8>>,
    /// Where it waits.
    pub queue: Queue,
    /// What it waits in for a place; without one, it has a place at once.
    pub lane: Option<LaneKey>,
    /// Since when it has a place, so that a worker may claim it.
    pub admitted_at: Option<OffsetDateTime>,
    /// Where it stands.
    pub status: Status,
    /// The owner's key for it.
    pub unique_key: Option<String>,
    /// Attempts begun.
    pub attempts: i16,
    /// Attempts at the most.
    pub max_attempts: i16,
    /// How far it is, in percent.
    pub progress: i16,
    /// How far it is, in words.
    pub note: String,
    /// What came of it: the encoded message of the kind's result.
    pub result: Option<Vec<u8>>,
    /// Why the last attempt failed.
    pub problem: Option<Problem>,
    /// Whether its owner has requested that it ends.
    pub cancel_requested: bool,
    /// When it is due: its first attempt, or its next one.
    pub run_at: OffsetDateTime,
    /// How long it is kept once it has ended.
    pub result_ttl: Duration,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
    /// When its last attempt began.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub finished_at: Option<OffsetDateTime>,
    /// When it is deleted.
    pub expires_at: Option<OffsetDateTime>,
    /// Where in a trace it was made.
    pub cause: Option<TraceContext>,
}

/// A job to be made.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Id to give it.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// What kind of work it is.
    pub kind: Kind,
    /// What is to be done.
    pub payload: Vec<u8>,
    /// What takes the place of the payload once the job has ended, if that is not all of it.
    pub redacted_payload: Option<Vec<u8>>,
    /// Where it waits.
    pub queue: Queue,
    /// What it waits in for a place.
    pub lane: Option<Lane>,
    /// The owner's key for it: the same key makes no second job.
    pub unique_key: Option<UniqueKey>,
    /// Attempts at the most.
    pub max_attempts: i16,
    /// When it is due; at once when that has passed.
    pub run_at: OffsetDateTime,
    /// How long it is kept once it has ended.
    pub result_ttl: Duration,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// For programs, such as `TIMED_OUT`.
    pub reason: String,
    /// For people, in English.
    pub message: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Done, with the encoded result.
    Succeeded(Vec<u8>),
    /// Over: another attempt would fail as well.
    Failed(Problem),
    /// Another attempt is made at that time, unless there were enough of them.
    Retry(Problem, OffsetDateTime),
    /// Ended at its owner's request.
    Cancelled,
    /// Released unfinished because the worker stops; the attempt does not count.
    Released,
}

/// 1 to 128 characters of the caller's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey(String);

impl Job {
    /// Whether its payload has lost its secrets, so that it cannot be done again.
    pub fn is_redacted(&self) -> bool {
        self.redacted_payload.as_ref() == Some(&self.payload)
    }
}

impl NewJob {
    /// A job of the suite itself or of `owner` with the defaults of its kind, due at once.
    pub fn new(id: Uuid, owner: Uuid, kind: Kind, payload: Vec<u8>, now: OffsetDateTime) -> Self {
        Self {
            id,
            owner,
            kind,
            payload,
            redacted_payload: None,
            queue: Queue::Default,
            lane: None,
            unique_key: None,
            max_attempts: kind.max_attempts(),
            run_at: now,
            result_ttl: Duration::days(1),
        }
    }

    /// In this queue.
    #[must_use]
    pub fn in_queue(self, queue: Queue) -> Self {
        Self { queue, ..self }
    }

    /// In this lane.
    #[must_use]
    pub fn in_lane(self, lane: Lane) -> Self {
        Self {
            lane: Some(lane),
            ..self
        }
    }

    /// Once per key.
    #[must_use]
    pub fn once(self, key: UniqueKey) -> Self {
        Self {
            unique_key: Some(key),
            ..self
        }
    }

    /// With this in place of its payload once it has ended.
    #[must_use]
    pub fn redacted_to(self, payload: Vec<u8>) -> Self {
        let redacted_payload = Some(payload).filter(|payload| *payload != self.payload);
        Self {
            redacted_payload,
            ..self
        }
    }

    /// Where it stands when it is made at `now`.
    pub fn status(&self, now: OffsetDateTime) -> Status {
        match self.run_at > now {
            true => Status::Scheduled,
            false => Status::Queued,
        }
    }

    /// Whether `job`, which has this one's key, is the job that this one would make. Of a job that
    /// has ended, the redacted payload is compared.
    pub fn is_of(&self, job: &Job) -> bool {
        let payload = match job.is_redacted() {
            true => self.redacted_payload.as_ref(),
            false => Some(&self.payload),
        };
        self.kind == job.kind && payload == Some(&job.payload)
    }

    /// Kept for so long once it has ended.
    #[must_use]
    pub fn kept_for(self, result_ttl: Duration) -> Self {
        Self { result_ttl, ..self }
    }
}

impl Problem {
    /// A problem by reason and message.
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

impl UniqueKey {
    /// Parses a key; blanks around it are dropped.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        text::line(raw, 1, 128).map(Self)
    }

    /// A key that the suite itself makes up: what it is for, and what of.
    pub fn of(what: &str, which: impl std::fmt::Display) -> Self {
        Self(format!("{what}:{which}"))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
