//! The messages that a backend streams down.

use bytes::Bytes;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status, Streaming};

use super::transport;
use super::upload::UploadFailure;
use crate::problem::Problem;

/// Replies on their way. Dropping them cancels the call.
pub(super) struct Replies {
    metadata: MetadataMap,
    messages: Streaming<Bytes>,
    upload: UploadFailure,
}

/// What comes next.
pub(super) enum Next {
    Message(Bytes),
    End,
    /// The backend has failed.
    Failed(Status),
    /// The body that goes up beside the replies has broken off.
    UploadFailed(Problem),
    /// Nothing came in time.
    Late,
}

impl Replies {
    pub(super) fn new(replies: Response<Streaming<Bytes>>, upload: UploadFailure) -> Self {
        let (metadata, messages, _) = replies.into_parts();
        Self {
            metadata,
            messages,
            upload,
        }
    }

    /// What the backend has sent before its messages.
    pub(super) fn metadata(&self) -> &MetadataMap {
        &self.metadata
    }

    /// Waits for the next message, at most until `until`. Nothing is lost when the future is
    /// dropped.
    pub(super) async fn next(&mut self, until: Instant) -> Next {
        let message = tokio::select! {
            biased;
            problem = self.upload.problem() => return Next::UploadFailed(problem),
            message = tokio::time::timeout_at(until, self.messages.message()) => message,
        };
        match message {
            Ok(Ok(Some(message))) => Next::Message(message),
            Ok(Ok(None)) => Next::End,
            Ok(Err(failure)) => Next::Failed(transport::named(failure, None)),
            Err(_) => Next::Late,
        }
    }
}
