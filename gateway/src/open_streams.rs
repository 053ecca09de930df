//! How many streams a user has open at this gateway, WebSockets included.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use quartet_proto::options::Reason;
use uuid::Uuid;

use crate::problem::Problem;

/// The limit's name, as it is shown.
pub(crate) const NAME: &str = "streams";
/// When to try again: nobody knows when one of them ends.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The streams of every user. Cheap to clone; clones share the counts.
#[derive(Debug, Clone)]
pub struct OpenStreams {
    most: usize,
    open: Arc<Mutex<HashMap<Uuid, usize>>>,
}

/// A stream that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream {
    streams: OpenStreams,
    user: Uuid,
}

impl OpenStreams {
    /// At most so many at a time per user.
    pub fn at_most(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// Counts one more stream of `user`; `None` where there are as many as may be.
    pub(crate) fn open(&self, user: Uuid) -> Option<OpenStream> {
        let mut open = self.open.lock();
        let count = open.entry(user).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(OpenStream {
            streams: self.clone(),
            user,
        })
    }

    /// 429 `RATE_LIMITED`.
    pub(crate) fn refused(&self) -> Problem {
        let message = format!("too many requests: the limit `{NAME}` is used up");
        let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, Reason::RateLimited, message);
        problem.metadata.insert("limit".into(), NAME.into());
        problem.retry_after = Some(RETRY_AFTER);
        problem
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.streams.open.lock().entry(self.user) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// A body that counts as a stream until its end.
pub(crate) struct Counted {
    body: Body,
    _open: OpenStream,
}

impl Counted {
    pub(crate) fn around(body: Body, open: OpenStream) -> Body {
        Body::new(Self { body, _open: open })
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_counts_until_it_ends_and_for_its_user_alone() {
        let streams = OpenStreams::at_most(2);
        let (ada, eve) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = streams.open(ada).unwrap();
        let second = streams.open(ada).unwrap();
        assert!(streams.open(ada).is_none());
        assert!(streams.open(eve).is_some());
        drop(first);
        let third = streams.open(ada).unwrap();
        drop((second, third));
        assert!(streams.open.lock().is_empty());
    }
}
