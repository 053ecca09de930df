//! How a job goes from one status to the next. Stores lock the row, apply one of these, and write
//! the row back. The beginning of an attempt is a single statement of the store.

use time::OffsetDateTime;

use super::{Ending, Job, Problem, Status};

impl Job {
    /// Ends at its owner's request: at once when it waits; a running one is requested to end.
    /// Whether there was anything to end.
    pub fn cancel(&mut self, now: OffsetDateTime) -> bool {
        match self.status {
            Status::Scheduled | Status::Queued => {
                self.cancel_requested = true;
                self.settle(Status::Cancelled, now);
                true
            }
            Status::Running => {
                self.cancel_requested = true;
                self.updated_at = now;
                true
            }
            Status::Cancelled => true,
            Status::Succeeded | Status::Failed | Status::Dead => false,
        }
    }

    /// Starts again, with the attempts counted anew. Whether it had failed, died or been cancelled,
    /// and had all of its payload.
    pub fn restart(&mut self, now: OffsetDateTime) -> bool {
        match self.status {
            _ if self.is_redacted() => false,
            Status::Failed | Status::Dead | Status::Cancelled => {
                self.attempts = 0;
                self.cancel_requested = false;
                self.problem = None;
                self.run_at = now;
                self.finished_at = None;
                self.expires_at = None;
                // One with a lane gets its place from there.
                self.admitted_at = self.lane.is_none().then_some(now);
                self.wait(Status::Queued, now);
                true
            }
            Status::Scheduled | Status::Queued | Status::Running | Status::Succeeded => false,
        }
    }

    /// The attempt that runs has ended.
    pub fn end(&mut self, ending: Ending, now: OffsetDateTime) {
        match ending {
            Ending::Succeeded(result) => {
                self.result = Some(result);
                self.problem = None;
                self.progress = 100;
                self.settle(Status::Succeeded, now);
            }
            Ending::Failed(problem) => {
                self.problem = Some(problem);
                self.settle(Status::Failed, now);
            }
            Ending::Cancelled => self.settle(Status::Cancelled, now),
            Ending::Retry(problem, _) if self.cancel_requested => {
                self.problem = Some(problem);
                self.settle(Status::Cancelled, now);
            }
            Ending::Retry(problem, _) if self.attempts >= self.max_attempts => {
                self.problem = Some(problem);
                self.settle(Status::Dead, now);
            }
            Ending::Retry(problem, at) => {
                self.problem = Some(problem);
                self.run_at = at;
                self.admitted_at = None;
                self.wait(Status::Scheduled, now);
            }
            Ending::Released if self.cancel_requested => self.settle(Status::Cancelled, now),
            Ending::Released => {
                self.attempts = (self.attempts - 1).max(0);
                // Its place stays its own.
                self.wait(Status::Queued, now);
            }
        }
    }

    /// The worker died while it ran: the attempt counts, and the next one is made at `at`.
    pub fn rescue(&mut self, at: OffsetDateTime, now: OffsetDateTime) {
        let problem = Problem::new("WORKER_LOST", "the worker died or lost touch while it ran this task");
        self.end(Ending::Retry(problem, at), now);
    }

    fn wait(&mut self, status: Status, now: OffsetDateTime) {
        self.status = status;
        self.progress = 0;
        self.note.clear();
        self.updated_at = now;
    }

    fn settle(&mut self, status: Status, now: OffsetDateTime) {
        self.status = status;
        self.updated_at = now;
        self.finished_at = Some(now);
        self.admitted_at = None;
        // Dead letters wait for a superuser, who is not there every day, and replays them as they
        // were.
        if status == Status::Dead {
            self.expires_at = now.checked_add(self.result_ttl.max(time::Duration::days(30)));
            return;
        }
        self.expires_at = now.checked_add(self.result_ttl);
        if let Some(redacted) = &self.redacted_payload {
            self.payload.clone_from(redacted);
        }
    }
}
