//! One stream of changes, from the store to a reader.

use std::time::Duration;

use futures::{Stream, StreamExt};
use quartet_kernel::Deadline;
use quartet_proto::options::Reason;
use quartet_rpc::Failure;
use quartet_store::Context;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use uuid::Uuid;

use super::Feed;
use crate::Error;
use crate::domain::{Next, Recorded};

/// Bound on one read of the store. A bound below that on every statement would take a transaction.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Changes read from the store at once.
const PAGE: u32 = 64;
/// Changes that wait for their reader; behind them, the stream waits, and the store keeps the rest.
const BUFFER: usize = 16;

/// What a reader receives.
#[derive(Debug)]
pub(crate) enum FeedEvent {
    /// A change.
    Change(Box<Recorded>),
    /// All changes up to this position were sent.
    Ready(i64),
    /// The changes that followed are no longer kept; the stream goes on after this position.
    Reset(i64),
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// After this position.
    After(i64),
    /// After something that is none of this feed.
    Unknown,
    /// Now.
    Now,
}

impl Feed {
    /// A stream of the changes of `owner`, from `start` on, until the reader leaves or the service
    /// stops.
    pub(crate) async fn subscribe(
        &self,
        owner: Uuid,
        start: Start,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<FeedEvent, Status>> + Send + use<>, Error> {
        let (sender, receiver) = mpsc::channel(BUFFER);
        let (ended, end) = oneshot::channel();
        let position = match start {
            Start::After(position) => position,
            Start::Unknown | Start::Now => self.store.read_feed(owner, 0, 0, cx).await?.head,
        };
        let subscription = Subscription {
            feed: self.clone(),
            owner,
            position,
            reader: sender,
        };
        let lost = matches!(start, Start::Unknown);
        tokio::spawn(async move {
            if let Err(failure) = subscription.run(lost).await {
                // A reader who has left need not know why.
                let _ = ended.send(failure);
            }
        });
        // What waits in the buffer comes first, then the reason why nothing follows.
        let end = futures::stream::once(end).filter_map(async |end| end.ok().map(|failure| Err(failure.into())));
        Ok(ReceiverStream::new(receiver).map(Ok).chain(end))
    }
}

struct Subscription {
    feed: Feed,
    owner: Uuid,
    position: i64,
    reader: mpsc::Sender<FeedEvent>,
}

/// Why a stream ends.
enum End {
    /// The reader has left.
    Left,
    Failed(Failure),
}

impl Subscription {
    /// Sends until the reader leaves, which is no failure.
    async fn run(mut self, lost: bool) -> Result<(), Failure> {
        let stopping = self.feed.stopping.clone();
        let reader = self.reader.clone();
        let end = tokio::select! {
            () = stopping.cancelled() => End::Failed(Failure::unavailable("todos")),
            () = reader.closed() => End::Left,
            Err(end) = self.go_on(lost) => end,
        };
        match end {
            End::Left => Ok(()),
            End::Failed(failure) => Err(failure),
        }
    }

    async fn go_on(&mut self, lost: bool) -> Result<std::convert::Infallible, End> {
        // Following begins before the first look, so that nothing falls between the two.
        let mut follower = self.feed.store.notifier().follow(self.owner);
        let mut ready = false;
        if lost {
            self.send(FeedEvent::Reset(self.position)).await?;
        }
        loop {
            let cx = Context::new(&self.feed.clock, Deadline::after(READ_TIMEOUT));
            let read = self.feed.store.read_feed(self.owner, self.position, PAGE, &cx).await;
            match read.map_err(failed)?.after(self.position) {
                Next::Changes(changes) => {
                    for change in changes {
                        self.position = change.position;
                        self.send(FeedEvent::Change(Box::new(change))).await?;
                    }
                }
                Next::Lost(head) => {
                    self.position = head;
                    self.send(FeedEvent::Reset(head)).await?;
                }
                Next::CaughtUp => {
                    if !std::mem::replace(&mut ready, true) {
                        self.send(FeedEvent::Ready(self.position)).await?;
                    }
                    follower.past(self.position).await;
                }
            }
        }
    }

    async fn send(&self, event: FeedEvent) -> Result<(), End> {
        match self.reader.send_timeout(event, self.feed.send_timeout).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(End::Left),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(End::Failed(Failure::new(
                Code::ResourceExhausted,
                Reason::SlowConsumer,
                "the changes are read too slowly",
            ))),
        }
    }
}

/// The store's failure, as the stream's end; the reader can resume.
fn failed(error: Error) -> End {
    tracing::warn!(%error, "reading the feed failed; its stream ends");
    End::Failed(Failure::unavailable("todos"))
}
