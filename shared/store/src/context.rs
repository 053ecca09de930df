//! What every piece of work on a store needs beside the data: the time, until when somebody waits,
//! and where in a trace the work belongs.

use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_telemetry::TraceContext;
use time::OffsetDateTime;

/// The circumstances of one piece of work on a store. Every function of a store takes one.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time that everything of this work is written with.
    pub now: OffsetDateTime,
    /// Until when somebody waits. It bounds every statement.
    pub deadline: Deadline,
    /// The position in a trace that events of this work continue from.
    pub trace: Option<TraceContext>,
}

impl Context {
    /// Work that begins now, within the current span.
    pub fn new(clock: &Clock, deadline: Deadline) -> Self {
        Self {
            now: clock.now(),
            deadline,
            trace: TraceContext::current(),
        }
    }

    /// The same work, with the time that `now` is.
    #[must_use]
    pub fn at(self, now: OffsetDateTime) -> Self {
        Self { now, ..self }
    }
}
