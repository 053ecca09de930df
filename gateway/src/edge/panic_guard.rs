//! A panic costs one request, not the process.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::StatusCode;
use quartet_proto::options::Reason;

use crate::problem::Problem;

/// The reply of `work`, or a 500 when it panics.
pub(crate) async fn run(work: impl Future<Output = Response>) -> Response {
    // Nothing of the request is used after a panic.
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|payload| {
        tracing::error!(panic = text(&*payload), "a request panicked");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Reason::Internal,
            "something failed inside",
        )
        .into_response()
    })
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
