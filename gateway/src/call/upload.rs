//! A body that streams up as `google.api.HttpBody` messages.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, header};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage};
use tokio::sync::oneshot;

use super::{content, request};
use crate::problem::Problem;

/// A body on its way up.
pub(super) struct Upload {
    field: Option<FieldDescriptor>,
    content_type: Option<String>,
    body: Body,
}

impl Upload {
    /// `field` holds the `HttpBody`; the message itself is one when it is `None`.
    pub(super) fn new(field: Option<FieldDescriptor>, headers: &HeaderMap, body: Body) -> Self {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        Self {
            field,
            content_type,
            body,
        }
    }

    /// The messages of the call: each carries a piece of the body, and the first also `first`,
    /// which is filled from the path and the query, and the content type.
    ///
    /// The failure resolves when the body breaks off. The stream then stays open without an end: a
    /// service that saw it end would take half of an upload for the whole; dropping the call resets
    /// it instead.
    pub(super) fn messages(self, first: DynamicMessage) -> (impl Stream<Item = Bytes> + Send + 'static, UploadFailure) {
        let (failed, failure) = oneshot::channel();
        let Self {
            field,
            content_type,
            body,
        } = self;
        let descriptor = first.descriptor();
        let state = State {
            body: body.into_data_stream(),
            first: Some((first, content_type)),
            failed: Some(failed),
            ended: false,
        };
        let field = Arc::new(field);
        let messages = futures::stream::unfold(state, move |mut state| {
            let field = Arc::clone(&field);
            let descriptor = descriptor.clone();
            async move {
                if state.ended {
                    return None;
                }
                let data = match state.body.next().await {
                    Some(Ok(data)) => data,
                    Some(Err(error)) => {
                        if let Some(failed) = state.failed.take() {
                            let _ = failed.send(content::unread(&error));
                        }
                        return std::future::pending().await;
                    }
                    None => {
                        state.ended = true;
                        // An empty body is still one message.
                        state.first.as_ref()?;
                        Bytes::new()
                    }
                };
                let (mut message, content_type) = match state.first.take() {
                    Some(first) => first,
                    None => (DynamicMessage::new(descriptor), None),
                };
                request::set_raw(&mut message, (*field).as_ref(), content_type.as_deref(), data);
                Some((Bytes::from(message.encode_to_vec()), state))
            }
        });
        (messages, UploadFailure(Some(failure)))
    }
}

struct State {
    body: BodyDataStream,
    first: Option<(DynamicMessage, Option<String>)>,
    failed: Option<oneshot::Sender<Problem>>,
    ended: bool,
}

/// Why the body of a request broke off, if there is one that streams up.
#[derive(Default)]
pub(super) struct UploadFailure(Option<oneshot::Receiver<Problem>>);

impl UploadFailure {
    /// Resolves when the body breaks off, and never when it does not.
    pub(super) async fn problem(&mut self) -> Problem {
        if let Some(receiver) = &mut self.0 {
            if let Ok(problem) = receiver.await {
                return problem;
            }
            // The body has ended well.
            self.0 = None;
        }
        std::future::pending().await
    }
}
