//! The live side of the feed of changes: streams of them, each from the store to one reader.

pub(crate) mod resume_token;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use tokio_util::sync::CancellationToken;

pub(crate) use subscription::{FeedEvent, Start};

use crate::store::Store;

/// The feed. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct Feed {
    store: Arc<dyn Store>,
    clock: Clock,
    /// How long a stream waits for a reader that does not read.
    send_timeout: Duration,
    stopping: CancellationToken,
}

impl Feed {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, send_timeout: Duration) -> Self {
        Self {
            store,
            clock,
            send_timeout,
            stopping: CancellationToken::new(),
        }
    }

    /// Ends every stream.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }
}
