//! What every piece of work on a store needs beside the data: the time, until when somebody waits,
//! and where in a trace the work belongs.

use std::net::IpAddr;
use std::sync::Arc;

use quartet_clock::Clock;
use quartet_kernel::{Deadline, Precondition, Scope};
use quartet_telemetry::TraceContext;
use time::OffsetDateTime;
use uuid::Uuid;

/// The circumstances of one piece of work on a store. Every function of a store takes one.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time that everything of this work is written with.
    pub now: OffsetDateTime,
    /// Until when somebody waits. It bounds every statement.
    pub deadline: Deadline,
    /// The position in a trace that events of this work continue from.
    pub trace: Option<TraceContext>,
    /// The transaction that this work is a part of, when there is one: what it commits lasts with the
    /// scope.
    pub scope: Option<Scope>,
    /// What the work demands of the resource that it changes.
    pub precondition: Option<Precondition>,
    /// Who has the work done, and from where, where a record of it names them.
    pub provenance: Option<Arc<Provenance>>,
}

/// Who has work done, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The id of an account, or the name of a service; empty for whoever is not signed in.
    pub actor: String,
    /// The session that it is done with.
    pub session_id: Option<Uuid>,
    /// The client's address, where it is known.
    pub client_address: Option<IpAddr>,
    /// Id of the request across all hops.
    pub request_id: String,
}

impl Context {
    /// Work that begins now, within the current span.
    pub fn new(clock: &Clock, deadline: Deadline) -> Self {
        Self {
            now: clock.now(),
            deadline,
            trace: TraceContext::current(),
            scope: None,
            precondition: None,
            provenance: None,
        }
    }

    /// The same work, with the time that `now` is.
    #[must_use]
    pub fn at(self, now: OffsetDateTime) -> Self {
        Self { now, ..self }
    }

    /// The same work, if the resource that it changes is as `precondition` demands.
    #[must_use]
    pub fn given(self, precondition: Option<Precondition>) -> Self {
        Self { precondition, ..self }
    }
}
