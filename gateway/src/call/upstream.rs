//! The call to a backend.

use std::future::Future;

use bytes::Bytes;
use futures::Stream;
use prost::Message;
use prost_reflect::DynamicMessage;
use quartet_rpc::Upstream;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use super::config::Config;
use super::plan::Plan;
use super::raw::Raw;
use super::replies::Replies;
use super::transport;
use super::upload::{Upload, UploadFailure};
use crate::problem::Problem;

/// A call about to be made.
pub(super) struct Call<'a> {
    pub(super) plan: &'a Plan,
    pub(super) metadata: MetadataMap,
    /// When the call is given up; never, when `None`.
    pub(super) deadline: Option<Instant>,
    pub(super) config: &'a Config,
}

impl Call<'_> {
    /// One message up, one down.
    ///
    /// The call runs in a task of its own, up to its deadline, even when the client hangs up. All
    /// calls to a backend share one HTTP/2 connection, and a burst of clients that hang up would be
    /// a burst of stream resets, for which the other side closes the connection with
    /// ENHANCE_YOUR_CALM and fails the calls of everybody else.
    pub(super) async fn unary(self, message: DynamicMessage) -> Result<Bytes, Status> {
        let mut grpc = self.grpc();
        let (path, deadline) = (self.plan.target.path.clone(), self.deadline);
        let request = self.request(Bytes::from(message.encode_to_vec()));
        let call = async move { until(deadline, grpc.unary(request, path, Raw)).await };
        match tokio::spawn(call.in_current_span()).await {
            Ok(outcome) => outcome.map(Response::into_inner),
            Err(error) => {
                tracing::error!(%error, "the task of a call ended without an outcome");
                Err(Status::internal("the call was lost"))
            }
        }
    }

    /// A body up, one message down.
    pub(super) async fn upload(self, first: DynamicMessage, upload: Upload) -> Result<Result<Bytes, Status>, Problem> {
        let (messages, mut failure) = upload.messages(first);
        let mut grpc = self.grpc();
        let (path, deadline) = (self.plan.target.path.clone(), self.deadline);
        let call = grpc.client_streaming(self.request(messages), path, Raw);
        tokio::select! {
            biased;
            problem = failure.problem() => Err(problem),
            outcome = until(deadline, call) => Ok(outcome.map(Response::into_inner)),
        }
    }

    /// One message up, a stream down.
    pub(super) async fn stream(self, message: DynamicMessage) -> Result<Replies, Status> {
        let message = Bytes::from(message.encode_to_vec());
        let replies = self.streaming(tokio_stream::once(message)).await?;
        Ok(Replies::new(replies, UploadFailure::default()))
    }

    /// A body up, a stream down.
    pub(super) async fn both(self, first: DynamicMessage, upload: Upload) -> Result<Result<Replies, Status>, Problem> {
        let (messages, mut failure) = upload.messages(first);
        let outcome = tokio::select! {
            biased;
            problem = failure.problem() => return Err(problem),
            outcome = self.streaming(messages) => outcome,
        };
        Ok(outcome.map(|replies| Replies::new(replies, failure)))
    }

    async fn streaming(self, messages: impl Stream<Item = Bytes> + Send + 'static) -> Result<Streaming<Bytes>, Status> {
        let mut grpc = self.grpc();
        let (path, deadline) = (self.plan.target.path.clone(), self.deadline);
        let call = grpc.streaming(self.request(messages), path, Raw);
        until(deadline, call).await.map(Response::into_inner)
    }

    fn grpc(&self) -> Grpc<Upstream> {
        Grpc::new(self.plan.target.upstream.clone())
            .max_decoding_message_size(self.config.max_reply_bytes)
            .max_encoding_message_size(usize::MAX)
    }

    fn request<T>(self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata;
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        request
    }
}

/// The outcome of `call`, or DEADLINE_EXCEEDED.
async fn until<T>(deadline: Option<Instant>, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let outcome = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, call)
            .await
            .unwrap_or_else(|_| Err(transport::late())),
        None => call.await,
    };
    outcome.map_err(|status| transport::named(status, deadline))
}
