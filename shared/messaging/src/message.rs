//! What travels: a CloudEvents 1.0 event with a protobuf payload.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use quartet_clock::Clock;
use quartet_proto::events::Event;
use quartet_telemetry::TraceContext;
use time::OffsetDateTime;
use uuid::Uuid;

/// The content type of a protobuf payload.
pub const PROTOBUF: &str = "application/protobuf";

/// A message: an event for whoever has bound a queue to its kind, or work for one queue. The fields
/// are CloudEvents 1.0 attributes; what the specification calls `type` is `kind` here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The identity of the message (UUIDv7): the inbox recognizes it by this. A copy that is sent
    /// again keeps it.
    pub id: Uuid,
    /// What happened, with the version of the payload, such as `auth.account.registered.v1`.
    pub kind: String,
    /// The service that published it, such as `/auth`.
    pub source: String,
    /// What it happened to: the id of the aggregate.
    pub subject: String,
    /// When it happened.
    pub time: OffsetDateTime,
    /// Media type of the payload.
    pub content_type: String,
    /// The payload.
    pub payload: Bytes,
    /// W3C Trace Context of the write, `traceparent`.
    pub traceparent: Option<String>,
    /// W3C Trace Context of the write, `tracestate`.
    pub tracestate: Option<String>,
    /// Where it goes.
    pub route: Route,
    /// Whether it is published only after every earlier ordered message of this source and subject.
    /// Their writes must have taken turns, as those that lock or update the aggregate's row do.
    pub ordered: bool,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To every queue that is bound to the message's kind; there may be none.
    Event,
    /// To one work queue, which must be there.
    Queue {
        /// Name of the work queue, such as `jobs.send_email`.
        name: String,
        /// Which of its queues: each priority has one, since a quorum queue has no priorities of
        /// its own.
        priority: Priority,
    },
}

/// Which queue of a work queue a message goes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// When nothing else waits.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before all else.
    High,
}

impl Message {
    /// The event `payload` about `subject`, which happened now, in no order to others. Its source
    /// is the service that its kind begins with.
    pub fn of<E: Event>(clock: &Clock, subject: impl fmt::Display, payload: &E) -> Self {
        let service = E::KIND.split('.').next().unwrap_or_default();
        Self::event(clock, &format!("/{service}"), E::KIND, subject, payload)
    }

    /// An event of `kind` about `subject`, which happened now, in no order to others. It carries
    /// the place in a trace at which it is made.
    pub fn event(
        clock: &Clock,
        source: &str,
        kind: &str,
        subject: impl fmt::Display,
        payload: &impl prost::Message,
    ) -> Self {
        let place = TraceContext::current();
        Self {
            id: clock.new_id(),
            kind: kind.to_owned(),
            source: source.to_owned(),
            subject: subject.to_string(),
            time: clock.now(),
            content_type: PROTOBUF.to_owned(),
            payload: payload.encode_to_vec().into(),
            traceparent: place.as_ref().map(TraceContext::traceparent),
            tracestate: place.as_ref().and_then(TraceContext::tracestate),
            route: Route::Event,
            ordered: false,
        }
    }

    /// As [`Message::event`], for the work queue `queue` alone.
    pub fn work(
        clock: &Clock,
        source: &str,
        queue: &str,
        priority: Priority,
        kind: &str,
        subject: impl fmt::Display,
        payload: &impl prost::Message,
    ) -> Self {
        Self {
            route: Route::Queue {
                name: queue.to_owned(),
                priority,
            },
            ..Self::event(clock, source, kind, subject, payload)
        }
    }

    /// Published only after every earlier ordered message of the same source and subject.
    #[must_use]
    pub fn in_order(self) -> Self {
        Self { ordered: true, ..self }
    }

    /// Carries the trace context of the write.
    #[must_use]
    pub fn traced(self, trace: Option<&TraceContext>) -> Self {
        Self {
            traceparent: trace.map(TraceContext::traceparent),
            tracestate: trace.and_then(TraceContext::tracestate),
            ..self
        }
    }

    /// The position in a trace that it comes from, if it carries one.
    pub fn cause(&self) -> Option<TraceContext> {
        TraceContext::parse(self.traceparent.as_deref()?, self.tracestate.as_deref())
    }

    /// The payload as the message that its kind names.
    pub fn decode<P: prost::Message + Default>(&self) -> Result<P, prost::DecodeError> {
        P::decode(self.payload.clone())
    }
}

impl Route {
    /// The name of the queue that work goes to; `None` for an event.
    pub fn queue(&self) -> Option<String> {
        match self {
            Self::Event => None,
            Self::Queue { name, priority } => Some(priority.queue(name)),
        }
    }
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The queue of this priority of the work queue `name`, such as `jobs.send_email.high`.
    pub fn queue(self, name: &str) -> String {
        format!("{name}.{self}")
    }

    fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Priority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.name() == text)
            .ok_or_else(|| "expected low, normal or high".into())
    }
}
