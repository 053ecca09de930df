//! The streams that a WebSocket can subscribe to: the methods whose `edge` option names a topic.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use prost_reflect::{DynamicMessage, FieldDescriptor, MethodDescriptor};
use quartet_proto::options;
use tokio::time::Instant;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::plan::{Plan, StartError};
use super::replies::{Next, Replies};
use super::upstream::Call;
use super::{Config, metadata, reply, status};
use crate::problem::Problem;
use crate::transcode::query;

/// Every topic of the contracts.
pub(crate) struct Topics {
    topics: Vec<Arc<Topic>>,
    config: Arc<Config>,
}

/// A topic, as its method declares it.
pub(crate) struct Topic {
    /// As declared, as `tasks/{task_id}`.
    pub(crate) template: String,
    segments: Vec<Segment>,
    plan: Arc<Plan>,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Field(FieldDescriptor),
}

impl Topics {
    pub(super) fn compile(plans: &[Arc<Plan>], config: Arc<Config>) -> Result<Self, StartError> {
        let mut topics: Vec<Arc<Topic>> = Vec::new();
        for plan in plans {
            let method = &plan.binding.method;
            let template = options::edge(method).topic;
            // A method with several bindings has several plans, and is one topic.
            let known = |topic: &Arc<Topic>| topic.plan.binding.method == *method;
            if template.is_empty() || topics.iter().any(known) {
                continue;
            }
            let refused = |reason| StartError {
                method: method.full_name().to_owned(),
                reason,
            };
            if topics.iter().any(|topic| topic.template == template) {
                return Err(refused(format!("another method has the topic `{template}`")));
            }
            let segments = segments(&template, method).map_err(refused)?;
            topics.push(Arc::new(Topic {
                template,
                segments,
                plan: Arc::clone(plan),
            }));
        }
        Ok(Self { topics, config })
    }

    /// The topics, in the order of the protos.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().map(Arc::as_ref)
    }

    /// What a subscription to `name` calls; `None` when there is no such topic.
    ///
    /// # Errors
    /// A part of the name that its field cannot hold.
    pub(crate) fn find(&self, name: &str) -> Option<Result<Source, Problem>> {
        let topic = self.topics.iter().find(|topic| topic.matches(name))?;
        let mut message = DynamicMessage::new(topic.plan.input.clone());
        for (segment, text) in topic.segments.iter().zip(name.split('/')) {
            if let Segment::Field(field) = segment
                && let Err(broken) = query::bind(&mut message, std::slice::from_ref(field), text)
            {
                return Some(Err(Problem::field(field.name(), broken.rule, broken.description)));
            }
        }
        Some(Ok(Source {
            topic: Arc::clone(topic),
            message,
            config: Arc::clone(&self.config),
        }))
    }
}

fn segments(template: &str, method: &MethodDescriptor) -> Result<Vec<Segment>, String> {
    if !method.is_server_streaming() || method.is_client_streaming() {
        return Err(format!(
            "the topic `{template}` needs a method that streams its replies alone"
        ));
    }
    let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(name) => match method.input().get_field_by_name(name) {
            Some(field) if !field.is_list() && !field.is_map() => Ok(Segment::Field(field)),
            _ => Err(format!(
                "the topic `{template}` names the field `{name}`, which the request lacks"
            )),
        },
        None if text.is_empty() || text.contains(['{', '}']) => Err(format!("`{template}` is no topic")),
        None => Ok(Segment::Literal(text.to_owned())),
    };
    template.split('/').map(segment).collect()
}

impl Topic {
    /// The method behind it.
    pub(crate) fn method(&self) -> &MethodDescriptor {
        &self.plan.binding.method
    }

    fn matches(&self, name: &str) -> bool {
        let mut given = name.split('/');
        let all = self.segments.iter().all(|segment| match (segment, given.next()) {
            (Segment::Literal(literal), Some(text)) => literal == text,
            (Segment::Field(_), Some(text)) => !text.is_empty(),
            (_, None) => false,
        });
        all && given.next().is_none()
    }
}

/// A stream that can be opened, again and again.
pub(crate) struct Source {
    topic: Arc<Topic>,
    message: DynamicMessage,
    config: Arc<Config>,
}

/// What a request's headers tell the backends, whoever the caller turns out to be.
#[derive(Clone)]
pub(crate) struct Origin {
    metadata: MetadataMap,
    headers: HeaderMap,
}

impl Origin {
    pub(crate) fn of(parts: &Parts) -> Self {
        let mut metadata = metadata::forwarded(parts);
        metadata.remove("authorization");
        let mut headers = parts.headers.clone();
        headers.remove(http::header::AUTHORIZATION);
        headers.remove(http::header::COOKIE);
        Self { metadata, headers }
    }

    /// The headers of the request that languages are chosen by.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl Source {
    /// Whether a stream can be taken up after an event.
    pub(crate) fn can_resume(&self) -> bool {
        self.topic.plan.events.can_resume()
    }

    /// Opens the stream in the name of whom `token` speaks for, after the event `after`.
    ///
    /// # Errors
    /// What the backend says.
    pub(crate) async fn open(&self, origin: &Origin, token: &str, after: Option<&str>) -> Result<Events, Problem> {
        let mut message = self.message.clone();
        if let Some(after) = after {
            self.topic.plan.events.resume_after(&mut message, after);
        }
        let mut metadata = origin.metadata.clone();
        if let Ok(bearer) = MetadataValue::try_from(format!("Bearer {token}")) {
            metadata.insert("authorization", bearer);
        }
        metadata::prove(&mut metadata, self.config.tokens.as_ref());
        let call = Call {
            plan: &self.topic.plan,
            metadata,
            // For the opening; the stream itself lasts.
            deadline: Some(Instant::now() + self.config.timeout),
            config: &self.config,
        };
        let failed = |failure| status::for_request(&failure, &self.topic.plan.binding, &origin.headers);
        let replies = call.stream(message).await.map_err(failed)?;
        Ok(Events {
            plan: Arc::clone(&self.topic.plan),
            headers: origin.headers.clone(),
            replies,
        })
    }
}

/// The events of an open stream. Dropping them cancels the call.
pub(crate) struct Events {
    plan: Arc<Plan>,
    headers: HeaderMap,
    replies: Replies,
}

/// An event: its id, if it can be resumed after, and its JSON.
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) json: Vec<u8>,
}

impl Events {
    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// Why the stream failed.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Problem> {
        const LONG: Duration = Duration::from_secs(3_600);
        loop {
            match self.replies.next(Instant::now() + LONG).await {
                Next::Message(message) => return self.event(message).map(Some),
                Next::End => return Ok(None),
                Next::Failed(failure) => {
                    return Err(status::for_request(&failure, &self.plan.binding, &self.headers));
                }
                Next::Broken(problem) => return Err(problem),
                Next::Late => {}
            }
        }
    }

    fn event(&self, message: Bytes) -> Result<Event, Problem> {
        let message = reply::decode(&self.plan, message)?;
        Ok(Event {
            id: self.plan.events.id_of(&message),
            json: reply::json(&self.plan, &message)?,
        })
    }
}
