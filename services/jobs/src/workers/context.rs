//! What a handler sees of its job, and what it answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use prost::Message;
use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_rpc::{Call, Peer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::Error;
use crate::changes::Changes;
use crate::domain::{Job, Problem};
use crate::store::{Lease, Store};

/// Progress is written at most this often; the last word of an attempt is its ending.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// Bound on one call or statement within an attempt.
const STEP: Duration = Duration::from_secs(30);

/// Does one kind of job.
///
/// A job may be done more than once: its worker can die between the effect and the note of it. So every handler says, where it is declared, what makes
/// its effect happen once.
#[async_trait]
pub trait Handler: Send + Sync {
    /// How long one attempt may take.
    fn timeout(&self) -> Duration;

    /// Does the job, once more or for the first time. A panic counts as [`Trouble::Retry`].
    async fn run(&self, run: &Run) -> Result<Done, Trouble>;
}

/// The job is done: the encoded message of the kind's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done(pub Vec<u8>);

/// Why a job is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Another attempt may do it, after the kind's pause or after this one.
    Retry(Problem, Option<Duration>),
    /// No other attempt will.
    Fail(Problem),
    /// The handler was told to end and has done so.
    Interrupted,
}

/// A job in hand. Clones are one.
#[derive(Clone)]
pub struct Run {
    /// The job, as it was when the attempt began.
    pub job: Job,
    /// Cancelled when the handler is to end: its owner wants it, its time is up, or the worker stops.
    pub interrupted: CancellationToken,
    /// Until when the attempt may last.
    pub deadline: Deadline,
    /// Time, ids and randomness.
    pub clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) changes: Changes,
    pub(crate) lease: Lease,
    pub(crate) reported: Arc<Mutex<Option<Instant>>>,
}

impl Run {
    /// What is to be done.
    pub fn payload<P: Message + Default>(&self) -> Result<P, Trouble> {
        P::decode(self.job.payload.as_slice()).map_err(|error| Trouble::fail("INVALID", error))
    }

    /// Notes how far the job is, in percent and in words, and ends the handler if it is to end.
    pub async fn progress(&self, percent: u8, note: impl Into<String>) -> Result<(), Trouble> {
        self.check()?;
        let now = Instant::now();
        {
            let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            if reported.is_some_and(|last| now - last < REPORT_EVERY) {
                return Ok(());
            }
            *reported = Some(now);
        }
        let (percent, note) = (i16::from(percent.min(99)), note.into());
        let held = self
            .store
            .report(self.lease, percent, &note, self.clock.now(), self.step())
            .await?;
        self.changes.announce(self.job.id);
        if held { Ok(()) } else { Err(Trouble::Interrupted) }
    }

    /// Ends the handler if it is to end.
    pub fn check(&self) -> Result<(), Trouble> {
        match self.interrupted.is_cancelled() {
            true => Err(Trouble::Interrupted),
            false => Ok(()),
        }
    }

    /// Bound on one call or statement.
    pub fn step(&self) -> Deadline {
        self.deadline.min(Deadline::after(STEP))
    }

    /// A call in the name of this attempt.
    pub fn call(&self) -> Call {
        Call {
            request_id: format!("job-{}", self.job.id),
            ..Call::background("jobs", self.step())
        }
    }

    /// A request to a peer in the name of this attempt.
    pub fn request<T>(&self, peer: &Peer, message: T) -> Result<tonic::Request<T>, Trouble> {
        self.check()?;
        peer.request(&self.call(), message)
            .map_err(|failure| Trouble::from(Status::from(failure)))
    }
}

impl Done {
    /// Done, with this result.
    pub fn with(result: &impl Message) -> Self {
        Self(result.encode_to_vec())
    }
}

impl Trouble {
    /// Another attempt may do it.
    pub fn retry(reason: &str, message: impl ToString) -> Self {
        Self::Retry(Problem::new(reason, message.to_string()), None)
    }

    /// No other attempt will.
    pub fn fail(reason: &str, message: impl ToString) -> Self {
        Self::Fail(Problem::new(reason, message.to_string()))
    }
}

impl From<Status> for Trouble {
    /// What another service's refusal means for the job: its absence passes, its judgement does not.
    fn from(status: Status) -> Self {
        let message = status.message();
        match status.code() {
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Internal
            | Code::Unknown
            | Code::Unauthenticated => Self::retry("UNAVAILABLE", message),
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss => Self::fail("REFUSED", message),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Status::from(error).into()
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::retry("FILE", error)
    }
}
