//! A backend that records its calls and answers with what the test gave it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use prost_reflect::DynamicMessage;
use quartet_rpc::Upstream;
use quartet_rpc::upstream::LocalService;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::server::StreamingService;
use tonic::{Request, Response, Status, Streaming};

use crate::call::raw::Raw;
use crate::testing;

/// The backend's answer to a call.
#[derive(Clone)]
pub(super) enum Answer {
    /// These messages and failures, one after another.
    Messages(Vec<Result<Bytes, Status>>),
    /// The same, and then nothing, without an end.
    MessagesThenHang(Vec<Result<Bytes, Status>>),
    /// The same as `MessagesThenHang`, without reading the request to its end.
    MessagesAtOnce(Vec<Result<Bytes, Status>>),
    /// A failure in place of a stream.
    Refuse(Status),
    /// An answer after a while.
    After(Duration, Bytes),
}

/// A call that the backend has received.
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) metadata: MetadataMap,
    /// In the text format, one for each message.
    pub(super) messages: Vec<String>,
}

pub(super) struct Backend {
    answer: Answer,
    pub(super) seen: Mutex<Vec<Seen>>,
    /// Calls that came to their end: their answer was made, or their stream dropped.
    pub(super) ended: AtomicUsize,
    /// Calls whose requests broke off.
    pub(super) broken: AtomicUsize,
}

impl Backend {
    pub(super) fn start(answer: Answer) -> (Arc<Self>, Upstream) {
        let backend = Arc::new(Self {
            answer,
            seen: Mutex::default(),
            ended: AtomicUsize::new(0),
            broken: AtomicUsize::new(0),
        });
        let (upstream, slot) = Upstream::local("kitchen");
        let served = Arc::clone(&backend);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let backend = Arc::clone(&served);
            async move {
                let path = request.uri().path().to_owned();
                let call = Serve { backend, path };
                Ok::<_, tower::BoxError>(tonic::server::Grpc::new(Raw).streaming(call, request).await)
            }
        });
        slot.fill(LocalService::new(service));
        (backend, upstream)
    }

    /// The only message of the only call, in the text format.
    pub(super) fn message(&self) -> String {
        let seen = self.seen.lock().unwrap();
        assert_eq!((seen.len(), seen[0].messages.len()), (1, 1));
        seen[0].messages[0].clone()
    }

    /// Waits until `count` calls have ended.
    pub(super) async fn wait_for_end(&self, count: usize) {
        let ended = async {
            while self.ended.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), ended)
            .await
            .expect("the call ends");
    }
}

struct Serve {
    backend: Arc<Backend>,
    path: String,
}

/// Counts an end when it is dropped.
struct Guard(Arc<Backend>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts a broken-off request unless it is set.
struct Whole(Arc<Backend>, bool);

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.1 {
            self.0.broken.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl StreamingService<Bytes> for Serve {
    type Response = Bytes;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (backend, path) = (Arc::clone(&self.backend), self.path.clone());
        Box::pin(async move {
            let metadata = request.metadata().clone();
            let (service, method) = path.trim_start_matches('/').split_once('/').unwrap();
            let service = testing::pool().get_service_by_name(service).unwrap();
            let descriptor = service
                .methods()
                .find(|candidate| candidate.name() == method)
                .unwrap()
                .input();
            let mut whole = Whole(Arc::clone(&backend), false);
            let mut messages = Vec::new();
            let mut incoming = request.into_inner();
            if let Answer::MessagesAtOnce(replies) = backend.answer.clone() {
                let reading = futures::stream::once(async move {
                    // Counts as broken when the call is dropped.
                    let _whole = whole;
                    while let Ok(Some(_)) = incoming.message().await {}
                    futures::future::pending::<Result<Bytes, Status>>().await
                });
                let replies: Self::ResponseStream = Box::pin(futures::stream::iter(replies).chain(reading));
                return Ok(Response::new(replies));
            }
            while let Some(message) = incoming.message().await? {
                messages.push(DynamicMessage::decode(descriptor.clone(), message).unwrap().to_string());
            }
            whole.1 = true;
            backend.seen.lock().unwrap().push(Seen {
                method: method.to_owned(),
                metadata,
                messages,
            });
            let guard = Guard(Arc::clone(&backend));
            let replies: Self::ResponseStream = match backend.answer.clone() {
                Answer::Refuse(status) => return Err(status),
                Answer::Messages(replies) => Box::pin(futures::stream::iter(replies)),
                Answer::MessagesAtOnce(replies) | Answer::MessagesThenHang(replies) => {
                    Box::pin(futures::stream::iter(replies).chain(futures::stream::pending()))
                }
                Answer::After(delay, reply) => {
                    tokio::time::sleep(delay).await;
                    Box::pin(futures::stream::iter([Ok(reply)]))
                }
            };
            let replies = replies.map(move |reply| {
                let _ = &guard;
                reply
            });
            let mut response = Response::new(Box::pin(replies) as Self::ResponseStream);
            for (name, value) in [
                ("etag", "\"of-the-backend\""),
                ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
                ("x-kitchen", "7"),
            ] {
                response.metadata_mut().insert(name, value.parse().unwrap());
            }
            Ok(response)
        })
    }
}
