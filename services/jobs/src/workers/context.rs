//! What a handler works with, and what it returns.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use prost::Message;
use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_rpc::{Call, Peer};
use quartet_store::Context;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::JobError;
use crate::domain::Job;
use crate::store::{Lease, Store};

/// Progress is written at most this often; an attempt that ends writes its end in any case.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// Bound on one call or statement within an attempt.
const STEP: Duration = Duration::from_secs(30);

/// Does one kind of job.
///
/// A job may be done more than once: its worker can die between the effect and the commit of its
/// end. So every handler declares what makes its effect happen once.
#[async_trait]
pub trait JobHandler: Send + Sync {
    /// How long one attempt may take.
    fn timeout(&self) -> Duration;

    /// Does the job, once more or for the first time. A panic is a transient failure.
    async fn run(&self, context: &JobContext) -> Result<Done, JobError>;
}

/// The job is done: the encoded message of the kind's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done(pub Vec<u8>);

/// An attempt at a job, as its handler sees it. Clones are one.
#[derive(Clone)]
pub struct JobContext {
    /// The job, as it was when the attempt began.
    pub job: Job,
    /// Cancelled when the handler is to end: at its owner's request, when its time is up, or when
    /// the worker stops.
    pub interrupted: CancellationToken,
    /// Until when the attempt may last.
    pub deadline: Deadline,
    /// Time, ids and randomness.
    pub clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lease: Lease,
    pub(crate) reported: Arc<Mutex<Option<Instant>>>,
}

impl JobContext {
    /// What is to be done.
    pub fn payload<P: Message + Default>(&self) -> Result<P, JobError> {
        P::decode(self.job.payload.as_slice()).map_err(|error| JobError::permanent("INVALID", error))
    }

    /// Reports how far the job is, in percent and in words, and ends the handler if it is to end.
    pub async fn progress(&self, percent: u8, note: impl Into<String>) -> Result<(), JobError> {
        self.check()?;
        let now = Instant::now();
        {
            let mut reported = self.reported.lock();
            if reported.is_some_and(|last| now - last < REPORT_EVERY) {
                return Ok(());
            }
            *reported = Some(now);
        }
        let (percent, note) = (i16::from(percent.min(99)), note.into());
        match self.store.report(self.lease, percent, &note, &self.cx()).await? {
            true => Ok(()),
            false => Err(JobError::Interrupted),
        }
    }

    /// Ends the handler if it is to end.
    pub fn check(&self) -> Result<(), JobError> {
        match self.interrupted.is_cancelled() {
            true => Err(JobError::Interrupted),
            false => Ok(()),
        }
    }

    /// Bound on one call or statement.
    pub fn step(&self) -> Deadline {
        self.deadline.min(Deadline::after(STEP))
    }

    /// What the store has to know of a statement of this attempt.
    pub fn cx(&self) -> Context {
        Context::new(&self.clock, self.step())
    }

    /// A call in the name of this attempt.
    pub fn call(&self) -> Call {
        Call {
            request_id: format!("job-{}", self.job.id),
            ..Call::background("jobs", self.step())
        }
    }

    /// A request to a peer in the name of this attempt.
    pub fn request<T>(&self, peer: &Peer, message: T) -> Result<tonic::Request<T>, JobError> {
        self.check()?;
        peer.request(&self.call(), message)
            .map_err(|failure| JobError::from(Status::from(failure)))
    }
}

impl Done {
    /// Done, with this result.
    pub fn with(result: &impl Message) -> Self {
        Self(result.encode_to_vec())
    }
}
