//! A message as AMQP carries it: CloudEvents 1.0 in binary content mode, with W3C trace context.
//!
//! Headers follow "AMQP Protocol Binding for CloudEvents" 1.0.2 §3.1.3.1: the attributes with the
//! prefix `cloudEvents_`, which is preferred to `cloudEvents:` there. The binding is written for
//! AMQP 1.0; RabbitMQ maps headers of 0-9-1 to its application properties.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::topology::short;
use crate::message::PROTOBUF;
use crate::{Message, Route};

/// What this crate adds beside the standard headers.
const ORDERED: &str = "quartet-ordered";
const QUEUE: &str = "quartet-queue";
const PRIORITY: &str = "quartet-priority";
const RETRIES: &str = "quartet-retries";
const REASON: &str = "quartet-reason";
const DEAD_SINCE: &str = "quartet-dead-since";

/// What a message has been through, by its headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct History {
    /// How often it was retried.
    pub(super) retries: u32,
    /// The last reason of its handler.
    pub(super) reason: Option<String>,
    /// Since when it is a dead letter.
    pub(super) dead_since: Option<OffsetDateTime>,
}

pub(super) fn write(message: &Message, history: &History) -> Result<BasicProperties, String> {
    let mut headers = FieldTable::default();
    let mut put = |name: &str, value: &str| {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    put("cloudEvents_specversion", "1.0");
    put("cloudEvents_id", &message.id.to_string());
    put("cloudEvents_type", &message.kind);
    put("cloudEvents_source", &message.source);
    put("cloudEvents_subject", &message.subject);
    put("cloudEvents_time", &rfc3339(message.time)?);
    let optional = [
        ("traceparent", &message.traceparent),
        ("tracestate", &message.tracestate),
        (REASON, &history.reason),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            put(name, value);
        }
    }
    if let Route::Queue { name, priority } = &message.route {
        put(QUEUE, name);
        put(PRIORITY, &priority.to_string());
    }
    if let Some(since) = history.dead_since {
        put(DEAD_SINCE, &rfc3339(since)?);
    }
    if message.ordered {
        headers.insert(ORDERED.into(), AMQPValue::Boolean(true));
    }
    if history.retries > 0 {
        headers.insert(RETRIES.into(), AMQPValue::LongLongInt(history.retries.into()));
    }
    Ok(BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type(short(&message.content_type)?)
        .with_message_id(short(&message.id.to_string())?)
        .with_type(short(&message.kind)?)
        .with_headers(headers))
}

/// The message that `properties` and `payload` are; the error is for a person.
pub(super) fn read(properties: &BasicProperties, payload: &[u8]) -> Result<Message, String> {
    let headers = Headers(properties);
    let required = |name: &str| headers.text(name).ok_or_else(|| format!("it has no header {name}"));
    let id = required("cloudEvents_id")?;
    let time = required("cloudEvents_time")?;
    let route = match headers.text(QUEUE) {
        None => Route::Event,
        Some(name) => Route::Queue {
            name,
            priority: required(PRIORITY)?.parse()?,
        },
    };
    Ok(Message {
        id: Uuid::parse_str(&id).map_err(|error| format!("its id is no UUID: {error}"))?,
        kind: required("cloudEvents_type")?,
        source: required("cloudEvents_source")?,
        subject: headers.text("cloudEvents_subject").unwrap_or_default(),
        time: OffsetDateTime::parse(&time, &Rfc3339).map_err(|error| format!("its time is none: {error}"))?,
        content_type: match properties.content_type() {
            Some(content_type) => content_type.as_str().to_owned(),
            None => PROTOBUF.to_owned(),
        },
        payload: payload.to_vec().into(),
        traceparent: headers.text("traceparent"),
        tracestate: headers.text("tracestate"),
        route,
        ordered: matches!(headers.get(ORDERED), Some(AMQPValue::Boolean(true))),
    })
}

/// What the message in `queue` has been through.
pub(super) fn history(properties: &BasicProperties, queue: &str) -> History {
    let headers = Headers(properties);
    let retries = headers
        .get(RETRIES)
        .and_then(AMQPValue::as_long_long_int)
        .unwrap_or_default();
    let recorded = headers
        .text(DEAD_SINCE)
        .and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
    let (reason, dead_since) = match recorded {
        Some(since) => (headers.text(REASON), Some(since)),
        None => match headers.last_death(queue) {
            Some((reason, since)) => (Some(reason), since),
            None => (headers.text(REASON), None),
        },
    };
    History {
        retries: u32::try_from(retries).unwrap_or(u32::MAX),
        reason,
        dead_since,
    }
}

fn rfc3339(time: OffsetDateTime) -> Result<String, String> {
    time.format(&Rfc3339)
        .map_err(|error| format!("{time} cannot be written: {error}"))
}

struct Headers<'a>(&'a BasicProperties);

impl Headers<'_> {
    fn get(&self, name: &str) -> Option<&AMQPValue> {
        self.0.headers().as_ref()?.inner().get(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        text(self.get(name)?)
    }

    /// What the server did to it last, if it took it out of `queue`: why, and when.
    fn last_death(&self, queue: &str) -> Option<(String, Option<OffsetDateTime>)> {
        let deaths = self.get("x-death")?.as_array()?;
        // The latest comes first.
        let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else {
            return None;
        };
        let field = |name: &str| death.inner().get(name).and_then(text);
        if field("queue").as_deref() != Some(queue) {
            return None;
        }
        let since = match death.inner().get("time") {
            Some(AMQPValue::Timestamp(seconds)) => i64::try_from(*seconds).ok(),
            _ => None,
        };
        let since = since.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        Some(match field("reason").as_deref() {
            Some("delivery_limit") => ("its consumer died with it again and again".to_owned(), since),
            reason => (
                format!("the broker put it here: {}", reason.unwrap_or("without a reason")),
                since,
            ),
        })
    }
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use quartet_clock::Clock;
    use quartet_telemetry::TraceContext;

    use super::*;
    use crate::Priority;

    #[test]
    fn a_message_survives_the_journey() {
        let clock = Clock::system();
        let event = Message::event(
            &clock,
            "/auth",
            "auth.account.registered.v1",
            clock.new_id(),
            &"hello".to_owned(),
        );
        let work = Message::work(
            &clock,
            "/jobs",
            "jobs.mail",
            Priority::High,
            "jobs.mail.v1",
            7,
            &"hello".to_owned(),
        );
        let place = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some("a=b"));
        assert!(place.is_some());
        let traced = event.clone().traced(place.as_ref()).in_order();
        for message in [event, work, traced] {
            let history = History {
                retries: 3,
                reason: Some("not now".into()),
                dead_since: Some(clock.now()),
            };
            let properties = write(&message, &history).unwrap();
            assert_eq!(read(&properties, &message.payload).unwrap(), message);
            assert_eq!(super::history(&properties, "q"), history);
        }
    }

    #[test]
    fn a_stranger_without_headers_gets_an_error_that_names_what_it_lacks() {
        let error = read(&BasicProperties::default(), b"?").unwrap_err();
        assert!(error.contains("cloudEvents_id"), "{error}");
    }
}
