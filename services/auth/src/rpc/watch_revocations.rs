//! WatchRevocations.

use std::pin::Pin;
use std::time::Duration;

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Rpc, convert};
use crate::Error;
use crate::ended_sessions::EndedSessions;

/// How often a quiet stream sends an empty message.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Sessions in one message of the snapshot.
const CHUNK: usize = 1_000;

pub(crate) type Stream = Pin<Box<dyn futures::Stream<Item = Result<pb::WatchRevocationsResponse, Status>> + Send>>;

pub(super) async fn handle(rpc: &Rpc, call: &Call, _: pb::WatchRevocationsRequest) -> Result<Stream, Error> {
    // Watching begins before the snapshot is read, so that nothing falls between the two.
    let feed = rpc.ended.watch();
    let mut keys = rpc.tokens.ring.revoked();
    let snapshot = rpc.store.list_ended(None, &rpc.cx(call)).await?;
    let (sender, receiver) = mpsc::channel(16);
    let ended = rpc.ended.clone();
    tokio::spawn(async move {
        let mut messages: Vec<_> = snapshot.chunks(CHUNK).map(convert::revoked).collect();
        messages.push(pb::WatchRevocationsResponse {
            revoked: Vec::new(),
            snapshot_complete: true,
            revoked_key_ids: keys.borrow_and_update().clone(),
        });
        for message in messages {
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
        }
        if let Err(status) = follow(&ended, feed, keys, &sender).await {
            // That nobody watches any more is fine.
            let _ = sender.send(Err(status)).await;
        }
    });
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

/// Passes ended sessions and keys on until the watcher leaves, falls behind, or the service stops.
async fn follow(
    ended: &EndedSessions,
    mut feed: tokio::sync::broadcast::Receiver<Vec<crate::domain::EndedSession>>,
    mut keys: watch::Receiver<Vec<String>>,
    watcher: &mpsc::Sender<Result<pb::WatchRevocationsResponse, Status>>,
) -> Result<(), Status> {
    let stopping = ended.stopping();
    loop {
        let message = tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = watcher.closed() => return Ok(()),
            Ok(()) = keys.changed() => pb::WatchRevocationsResponse {
                revoked_key_ids: keys.borrow_and_update().clone(),
                ..Default::default()
            },
            received = tokio::time::timeout(KEEP_ALIVE, feed.recv()) => match received {
                Ok(Ok(sessions)) => convert::revoked(&sessions),
                // Whoever has missed something has to begin again, with a snapshot.
                Ok(Err(RecvError::Lagged(_))) => return Err(Status::aborted("the watcher fell behind")),
                Ok(Err(RecvError::Closed)) => return Ok(()),
                Err(_) if !ended.is_up_to_date() => return Err(Status::unavailable("the store is away")),
                Err(_) => pb::WatchRevocationsResponse::default(),
            },
        };
        if watcher.send(Ok(message)).await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use quartet_clock::Clock;

    use super::*;
    use crate::domain::EndedSession;

    const LIFE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_watcher_who_falls_behind_has_to_begin_again() {
        let clock = Clock::system();
        let ended = EndedSessions::new(LIFE);
        let feed = ended.watch();
        let one = || EndedSession {
            id: clock.new_id(),
            forget_at: clock.now() + LIFE,
        };
        for _ in 0..1_100 {
            ended.publish(vec![one()]);
        }
        let (_ring, keys) = watch::channel(Vec::new());
        let (watcher, _messages) = mpsc::channel(1);
        let left = tokio::time::timeout(Duration::from_secs(10), follow(&ended, feed, keys, &watcher)).await;
        assert_eq!(left.unwrap().unwrap_err().code(), tonic::Code::Aborted);
    }

    #[tokio::test]
    async fn a_session_is_published_once() {
        let clock = Clock::system();
        let ended = EndedSessions::new(LIFE);
        let mut feed = ended.watch();
        let session = EndedSession {
            id: clock.new_id(),
            forget_at: clock.now() + LIFE,
        };
        ended.publish(vec![session]);
        ended.publish(vec![session]);
        assert_eq!(feed.recv().await.unwrap(), [session]);
        assert!(feed.try_recv().is_err());
    }
}
