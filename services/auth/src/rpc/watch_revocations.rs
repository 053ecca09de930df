//! WatchRevocations.

use std::pin::Pin;
use std::time::Duration;

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Rpc, convert};
use crate::Error;
use crate::ended_sessions::EndedSessions;

/// How often a quiet stream says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Sessions in one message of the snapshot.
const CHUNK: usize = 1_000;

pub(crate) type Stream = Pin<Box<dyn futures::Stream<Item = Result<pb::WatchRevocationsResponse, Status>> + Send>>;

pub(super) async fn handle(
    rpc: &Rpc,
    request: Request<pb::WatchRevocationsRequest>,
) -> Result<Response<Stream>, Error> {
    let call = Call::of(&request)?;
    // Watching begins before the snapshot is read, so that nothing falls between the two.
    let news = rpc.ended.watch();
    let snapshot = rpc.ended.all(call.deadline).await?;
    let (sender, receiver) = mpsc::channel(16);
    let ended = rpc.ended.clone();
    tokio::spawn(async move {
        let mut messages: Vec<_> = snapshot.chunks(CHUNK).map(convert::revoked).collect();
        messages.push(pb::WatchRevocationsResponse {
            revoked: Vec::new(),
            snapshot_complete: true,
        });
        for message in messages {
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
        }
        if let Err(status) = follow(&ended, news, &sender).await {
            // Nobody there to tell is fine.
            let _ = sender.send(Err(status)).await;
        }
    });
    Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
}

/// Passes the news on until the watcher leaves, falls behind, or the service stops.
async fn follow(
    ended: &EndedSessions,
    mut news: tokio::sync::broadcast::Receiver<Vec<crate::domain::EndedSession>>,
    watcher: &mpsc::Sender<Result<pb::WatchRevocationsResponse, Status>>,
) -> Result<(), Status> {
    let stopping = ended.stopping();
    loop {
        let message = tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = watcher.closed() => return Ok(()),
            heard = tokio::time::timeout(KEEP_ALIVE, news.recv()) => match heard {
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
    use std::sync::Arc;

    use quartet_clock::Clock;
    use quartet_config::Source;
    use quartet_messaging::Publisher;
    use quartet_store::{Config, Database};

    use super::*;
    use crate::domain::EndedSession;
    use crate::store;

    async fn ended_sessions(clock: &Clock) -> (EndedSessions, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("auth.db").display());
        let config = Config::read(&Source::of([])).unwrap();
        let database = Database::open(&url.parse().unwrap(), &config).await.unwrap();
        let store = Arc::from(store::over(database, Publisher::detached(clock.clone())));
        (EndedSessions::new(clock.clone(), store), folder)
    }

    #[tokio::test]
    async fn a_watcher_who_falls_behind_has_to_begin_again() {
        let clock = Clock::system();
        let (ended, _folder) = ended_sessions(&clock).await;
        let news = ended.watch();
        let one = || EndedSession {
            id: clock.new_id(),
            forget_at: clock.now() + Duration::from_secs(60),
        };
        for _ in 0..1_100 {
            ended.tell(vec![one()]);
        }
        let (watcher, _messages) = mpsc::channel(1);
        let left = tokio::time::timeout(Duration::from_secs(10), follow(&ended, news, &watcher)).await;
        assert_eq!(left.unwrap().unwrap_err().code(), tonic::Code::Aborted);
    }

    #[tokio::test]
    async fn a_session_is_told_once() {
        let clock = Clock::system();
        let (ended, _folder) = ended_sessions(&clock).await;
        let mut news = ended.watch();
        let session = EndedSession {
            id: clock.new_id(),
            forget_at: clock.now() + Duration::from_secs(60),
        };
        ended.tell(vec![session]);
        ended.tell(vec![session]);
        assert_eq!(news.recv().await.unwrap(), [session]);
        assert!(news.try_recv().is_err());
    }
}
