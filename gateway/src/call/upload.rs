//! A body that streams up as `google.api.HttpBody` messages.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use http::request::Parts;
use http_body::Body as _;
use prost_reflect::FieldDescriptor;
use tokio::sync::oneshot;

use super::{content, multipart, request};
use crate::problem::Problem;

/// A body on its way up.
pub(super) struct Upload {
    field: Option<FieldDescriptor>,
    content_type: Option<String>,
    pieces: BoxStream<'static, Result<Bytes, Problem>>,
}

impl Upload {
    /// `field` holds the `HttpBody`; the message itself is one when it is `None`. The body is the data, or
    /// a form with it as a file.
    ///
    /// # Errors
    /// 415 for a body that is encoded; what is wrong with the form.
    pub(super) async fn open(field: Option<FieldDescriptor>, parts: &Parts, body: Body) -> Result<Self, Problem> {
        if !body.is_end_stream() {
            content::check_encoding(&parts.headers, None)?;
        }
        if multipart::is_form(&parts.headers) {
            let file = multipart::open(&parts.headers, body).await?;
            return Ok(Self {
                field,
                content_type: file.content_type,
                pieces: file.pieces,
            });
        }
        let pieces = body.into_data_stream().map_err(|error| content::unread(&error));
        Ok(Self {
            field,
            content_type: request::content_type(parts).map(str::to_owned),
            pieces: pieces.boxed(),
        })
    }

    /// The messages of the call: each carries a piece of the body, and the first also `first`,
    /// which is filled from the path and the query, and the content type.
    ///
    /// The failure resolves when the body breaks off. The stream then stays open without an end: a
    /// service that saw it end would take half of an upload for the whole; dropping the call resets
    /// it instead.
    pub(super) fn messages(self, first: Bytes) -> (impl Stream<Item = Bytes> + Send + 'static, UploadFailure) {
        let (failed, failure) = oneshot::channel();
        let Self {
            field,
            content_type,
            pieces,
        } = self;
        let state = State {
            pieces,
            first: Some((first, content_type)),
            failed: Some(failed),
            ended: false,
        };
        let field = Arc::new(field);
        let messages = futures::stream::unfold(state, move |mut state| {
            let field = Arc::clone(&field);
            async move {
                if state.ended {
                    return None;
                }
                let data = match state.pieces.next().await {
                    Some(Ok(data)) => data,
                    Some(Err(problem)) => {
                        if let Some(failed) = state.failed.take() {
                            let _ = failed.send(problem);
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
                    Some((first, content_type)) => (Vec::from(first), content_type),
                    None => (Vec::new(), None),
                };
                message.reserve(data.len() + 16);
                request::append_raw((*field).as_ref(), content_type.as_deref(), &data, &mut message);
                Some((Bytes::from(message), state))
            }
        });
        (messages, UploadFailure(Some(failure)))
    }
}

struct State {
    pieces: BoxStream<'static, Result<Bytes, Problem>>,
    first: Option<(Bytes, Option<String>)>,
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
