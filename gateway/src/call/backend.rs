//! What stands between the gateway and a service, such as a proxy, may answer in its place: with an
//! HTTP status that is none of gRPC's.

use std::task::{Context, Poll};

use futures::TryFutureExt;
use futures::future::{BoxFuture, MapOk};
use http::{HeaderMap, Request, Response, StatusCode, header};
use quartet_rpc::Upstream;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{BoxError, Service};

/// A backend whose replies are gRPC's, whoever has answered.
#[derive(Clone)]
pub(super) struct Backend(pub(super) Upstream);

type Reply = Response<Body>;

impl Service<Request<Body>> for Backend {
    type Response = Reply;
    type Error = BoxError;
    type Future = MapOk<BoxFuture<'static, Result<Reply, BoxError>>, fn(Reply) -> Reply>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request).map_ok(of_grpc)
    }
}

/// The reply, or the gRPC status of one that is none of gRPC's.
fn of_grpc(reply: Reply) -> Reply {
    let is_ok = reply.status() == StatusCode::OK && is_grpc(reply.headers());
    if is_ok || reply.headers().contains_key(Status::GRPC_STATUS) {
        return reply;
    }
    let status = reply.status();
    tracing::warn!(%status, "something between the gateway and a service has answered");
    Status::new(code(status), "the service could not be reached through its proxy").into_http()
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>
fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    }
}
