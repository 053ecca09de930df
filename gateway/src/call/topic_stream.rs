//! The stream behind a topic, opened for a client and written as events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use prost::Message;
use prost_reflect::DynamicMessage;
use tokio::time::Instant;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::config::Config;
use super::passed::Passed;
use super::plan::Plan;
use super::replies::{Next, Replies};
use super::upstream::Call;
use super::{metadata, reply, status};
use crate::problem::Problem;

/// A stream that can be opened, again and again.
pub(crate) struct Source {
    plan: Arc<Plan>,
    message: DynamicMessage,
    config: Arc<Config>,
}

/// What the backends get of a handshake's headers, whichever user signs in.
#[derive(Clone)]
pub(crate) struct ClientContext {
    metadata: MetadataMap,
    headers: HeaderMap,
}

impl ClientContext {
    /// The context of a request, without its credentials.
    pub(super) fn of(parts: &Parts, passed: &Passed) -> Self {
        let mut metadata = metadata::forwarded(parts, passed);
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
    pub(super) fn new(plan: Arc<Plan>, message: DynamicMessage, config: Arc<Config>) -> Self {
        Self { plan, message, config }
    }

    /// Whether a stream can be resumed after an event.
    pub(crate) fn can_resume(&self) -> bool {
        self.plan.events.can_resume()
    }

    /// Opens the stream for the user of `token`, after the event `after`.
    ///
    /// # Errors
    /// The backend's failure.
    pub(crate) async fn open(
        &self,
        context: &ClientContext,
        token: &str,
        after: Option<&str>,
    ) -> Result<Events, Problem> {
        let mut message = self.message.clone();
        if let Some(after) = after {
            self.plan.events.resume_after(&mut message, after);
        }
        let mut metadata = context.metadata.clone();
        if let Ok(bearer) = MetadataValue::try_from(format!("Bearer {token}")) {
            metadata.insert("authorization", bearer);
        }
        metadata::add_gateway_token(&mut metadata, self.config.tokens.as_ref());
        let call = Call {
            plan: &self.plan,
            metadata,
            // For the opening; the stream itself lasts.
            deadline: Some(Instant::now() + self.config.timeout),
            config: &self.config,
        };
        let failed = |failure| status::for_request(&failure, &self.plan.binding, &context.headers);
        let replies = call.stream(message.encode_to_vec().into()).await.map_err(failed)?;
        Ok(Events {
            plan: Arc::clone(&self.plan),
            headers: context.headers.clone(),
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
                Next::UploadFailed(problem) => return Err(problem),
                Next::Late => {}
            }
        }
    }

    fn event(&self, message: Bytes) -> Result<Event, Problem> {
        let message = reply::receive(&self.plan, message)?;
        // First the JSON: its fields are read of what is known to be a message.
        let json = reply::json(&self.plan, &message)?;
        let id = self.plan.events.id_of(&message);
        Ok(Event { id, json })
    }
}
