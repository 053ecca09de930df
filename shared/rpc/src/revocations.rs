//! The sessions that no longer count, held in memory by every process, so that a check costs nothing and a logout is seen everywhere
//! within a second.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quartet_clock::Clock;
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::auth_service_client::AuthServiceClient;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Peer, User};

/// The auth service says something at least every five seconds; a stream that is silent for longer than this is lost.
const SILENCE: Duration = Duration::from_secs(15);
/// Wait between two attempts to get the stream back.
const RETRY: Duration = Duration::from_millis(500);

/// The set of ended sessions. Cheap to clone; clones share the set.
#[derive(Clone)]
pub struct Revocations {
    clock: Clock,
    grace: Duration,
    state: Arc<RwLock<State>>,
}

struct State {
    ended: HashMap<Uuid, OffsetDateTime>,
    /// Since when the stream is lost; `None` while it is up.
    lost_since: Option<OffsetDateTime>,
}

/// Whether a user's session still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Counts,
    Ended,
    /// The stream is lost for longer than the grace, and the token is from before the loss.
    Unknown,
}

impl Revocations {
    /// An empty set whose stream is not up yet. `grace` bounds how long tokens are taken without a stream.
    pub fn new(clock: Clock, grace: Duration) -> Self {
        let lost_since = Some(clock.now());
        Self {
            clock,
            grace,
            state: Arc::new(RwLock::new(State {
                ended: HashMap::new(),
                lost_since,
            })),
        }
    }

    /// Adds ended sessions, each with the moment after which it may be forgotten, and forgets those whose moment has come.
    pub fn add(&self, ended: impl IntoIterator<Item = (Uuid, OffsetDateTime)>) {
        let now = self.clock.now();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.ended.extend(ended);
        state.ended.retain(|_, forget_at| *forget_at > now);
    }

    /// Notes that the set is complete and kept so.
    pub fn up(&self) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).lost_since = None;
    }

    /// Notes that the stream is lost, if it was up.
    pub fn lost(&self) {
        let now = self.clock.now();
        self.state
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .lost_since
            .get_or_insert(now);
    }

    /// How many sessions are listed.
    pub fn len(&self) -> usize {
        self.state.read().unwrap_or_else(PoisonError::into_inner).ended.len()
    }

    /// Whether no session is listed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn standing(&self, user: &User) -> Standing {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.ended.contains_key(&user.session_id) {
            return Standing::Ended;
        }
        match state.lost_since {
            Some(lost) if user.issued_at <= lost && self.clock.now() - lost > self.grace => Standing::Unknown,
            _ => Standing::Counts,
        }
    }

    /// Keeps the set equal to what the auth service tells, until `stop`.
    pub async fn watch(self, auth: Peer, stop: CancellationToken) {
        loop {
            let result = stop.run_until_cancelled(self.follow(&auth)).await;
            self.lost();
            match result {
                None => return,
                Some(Ok(())) => tracing::info!("the stream of ended sessions closed; opening it again"),
                Some(Err(status)) => {
                    tracing::warn!(code = ?status.code(), "the stream of ended sessions is lost; trying again")
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                return;
            }
        }
    }

    async fn follow(&self, auth: &Peer) -> Result<(), tonic::Status> {
        let request = auth.open_ended(pb::WatchRevocationsRequest {})?;
        let late = |_| tonic::Status::deadline_exceeded("the stream fell silent");
        let mut client = AuthServiceClient::new(auth.upstream());
        let reply = tokio::time::timeout(SILENCE, client.watch_revocations(request))
            .await
            .map_err(late)??;
        let mut stream = reply.into_inner();
        while let Some(message) = tokio::time::timeout(SILENCE, stream.message()).await.map_err(late)?? {
            self.add(message.revoked.iter().filter_map(parse));
            if message.snapshot_complete {
                self.up();
            }
        }
        Ok(())
    }
}

fn parse(revoked: &pb::RevokedSession) -> Option<(Uuid, OffsetDateTime)> {
    let forget_at = OffsetDateTime::from_unix_timestamp(revoked.forget_at?.seconds).ok()?;
    Some((revoked.session_id.parse().ok()?, forget_at + time::Duration::seconds(1)))
}
