//! A body that streams up as `google.api.HttpBody` messages.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, header};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage};
use tokio::sync::oneshot;

use super::replies::Broken;
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

    /// The messages of the call: the first carries what the path and the query say and the content type, each a piece of the body.
    ///
    /// `Broken` hears why the body broke off. The stream then stays open without an end: a service that saw it end would take half
    /// of an upload for the whole; dropping the call resets it instead.
    pub(super) fn messages(self, first: DynamicMessage) -> (impl Stream<Item = Bytes> + Send + 'static, Broken) {
        let (broken, hears) = oneshot::channel();
        let Self {
            field,
            content_type,
            body,
        } = self;
        let descriptor = first.descriptor();
        let state = State {
            body: body.into_data_stream(),
            first: Some((first, content_type)),
            broken: Some(broken),
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
                        if let Some(broken) = state.broken.take() {
                            let _ = broken.send(content::unread(&error));
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
        (messages, Broken(Some(hears)))
    }
}

struct State {
    body: BodyDataStream,
    first: Option<(DynamicMessage, Option<String>)>,
    broken: Option<oneshot::Sender<Problem>>,
    ended: bool,
}
