//! The call to a backend.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::backend::Backend;
use super::config::Config;
use super::plan::Plan;
use super::raw::Raw;
use super::replies::Replies;
use super::transport;
use super::unstoppable::Unstoppable;
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
    /// The call runs up to its deadline even when the client hangs up. All calls to a backend share
    /// one HTTP/2 connection, and a burst of clients that hang up would be a burst of stream resets,
    /// for which the other side closes the connection with ENHANCE_YOUR_CALM and fails the calls of
    /// everybody else.
    pub(super) async fn unary(self, message: Bytes) -> Result<Response<Bytes>, Status> {
        let mut grpc = self.grpc();
        let (path, deadline) = (self.plan.target.path.clone(), self.deadline);
        let request = self.request(message);
        Unstoppable::new(async move { until(deadline, grpc.unary(request, path, Raw)).await }).await
    }

    /// A body up, one message down.
    pub(super) async fn upload(self, first: Bytes, upload: Upload) -> Result<Result<Response<Bytes>, Status>, Problem> {
        let (messages, mut failure) = upload.messages(first);
        let mut grpc = self.grpc();
        let (path, deadline) = (self.plan.target.path.clone(), self.deadline);
        let call = grpc.client_streaming(self.request(messages), path, Raw);
        tokio::select! {
            biased;
            problem = failure.problem() => Err(problem),
            outcome = until(deadline, call) => Ok(outcome),
        }
    }

    /// One message up, a stream down.
    pub(super) async fn stream(self, message: Bytes) -> Result<Replies, Status> {
        let replies = self.streaming(tokio_stream::once(message)).await?;
        Ok(Replies::new(replies, UploadFailure::default()))
    }

    /// A body up, a stream down.
    pub(super) async fn both(self, first: Bytes, upload: Upload) -> Result<Result<Replies, Status>, Problem> {
        let (messages, mut failure) = upload.messages(first);
        let outcome = tokio::select! {
            biased;
            problem = failure.problem() => return Err(problem),
            outcome = self.streaming(messages) => outcome,
        };
        Ok(outcome.map(|replies| Replies::new(replies, failure)))
    }

    async fn streaming(
        self,
        messages: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Response<Streaming<Bytes>>, Status> {
        let mut grpc = self.grpc();
        let (path, deadline) = (self.plan.target.path.clone(), self.deadline);
        let call = grpc.streaming(self.request(messages), path, Raw);
        until(deadline, call).await
    }

    fn grpc(&self) -> Grpc<Backend> {
        Grpc::new(Backend(self.plan.target.upstream.clone()))
            .max_decoding_message_size(self.config.max_reply_bytes)
            .max_encoding_message_size(usize::MAX)
    }

    fn request<T>(self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata;
        if let Some(deadline) = self.deadline {
            request.set_timeout(in_steps(deadline.saturating_duration_since(Instant::now())));
        }
        request
    }
}

/// The time that is left, in steps that most calls have in common: what is the same as before is one
/// byte in HTTP/2. Rounded up, since the deadline holds here as well.
fn in_steps(left: Duration) -> Duration {
    const STEP: u128 = 10_000;
    let micros = left.as_micros().div_ceil(STEP) * STEP;
    u64::try_from(micros).map_or(left, Duration::from_micros)
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
