//! The sessions that no longer count, held in memory by every process, so that a check costs
//! nothing and a logout is seen everywhere within a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use quartet_clock::Clock;
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::auth_service_client::AuthServiceClient;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::keys::Keys;
use crate::{Peer, User};

/// The auth service sends something at least every five seconds; a stream that is silent for longer
/// than this is lost.
const SILENCE: Duration = Duration::from_secs(15);
/// Wait between two attempts to get the stream back.
const RETRY: Duration = Duration::from_millis(500);

/// The set of ended sessions. Cheap to clone; clones share the set.
#[derive(Clone)]
pub struct Revocations {
    clock: Clock,
    grace: Duration,
    state: Arc<RwLock<State>>,
    /// Whether the set was ever complete.
    complete: Arc<watch::Sender<bool>>,
}

#[derive(Default)]
struct State {
    ended: HashMap<Uuid, OffsetDateTime>,
    /// The sessions that something long waits on, and how many wait on each.
    watched: HashMap<Uuid, (CancellationToken, usize)>,
    /// Since when the stream is lost; `None` while it is up.
    lost_since: Option<OffsetDateTime>,
}

/// Whether a user's session still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Counts,
    Ended,
    /// The set was never complete; or the stream is lost for longer than the grace, and the token is
    /// from before the loss.
    Unknown,
}

impl Revocations {
    /// An empty set whose stream is not up yet: no token counts before it was complete once. `grace`
    /// bounds how long tokens are taken after the stream is lost.
    pub fn new(clock: Clock, grace: Duration) -> Self {
        let lost_since = Some(clock.now());
        Self {
            clock,
            grace,
            state: Arc::new(RwLock::new(State {
                lost_since,
                ..State::default()
            })),
            complete: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Notifies at once when this session ends, for what lasts longer than a call's first check.
    /// One that has ended already is notified as well.
    pub fn watch_session(&self, session_id: Uuid) -> SessionWatch {
        let mut state = self.state.write();
        let (ended, watchers) = state.watched.entry(session_id).or_default();
        *watchers += 1;
        let ended = ended.clone();
        if state.ended.contains_key(&session_id) {
            ended.cancel();
        }
        SessionWatch {
            revocations: self.clone(),
            session_id,
            ended,
        }
    }

    /// Adds ended sessions, each with the time after which it may be forgotten, and forgets those
    /// whose time has come.
    pub fn add(&self, ended: impl IntoIterator<Item = (Uuid, OffsetDateTime)>) {
        let now = self.clock.now();
        let mut state = self.state.write();
        for (session_id, forget_at) in ended {
            if let Some((watched, _)) = state.watched.get(&session_id) {
                watched.cancel();
            }
            state.ended.insert(session_id, forget_at);
        }
        state.ended.retain(|_, forget_at| *forget_at > now);
    }

    /// Records that the set is complete and stays so.
    pub fn up(&self) {
        self.state.write().lost_since = None;
        self.complete
            .send_if_modified(|complete| !std::mem::replace(complete, true));
    }

    /// Whether the set was ever complete; no token counts before.
    pub fn is_known(&self) -> bool {
        *self.complete.borrow()
    }

    /// Whether a session has ended, or nobody knows.
    pub fn has_ended(&self, session_id: Uuid) -> bool {
        !self.is_known() || self.state.read().ended.contains_key(&session_id)
    }

    /// Waits until the set was complete once, but no longer than `timeout`.
    pub(crate) async fn first_snapshot(&self, timeout: Duration) {
        if !self.is_known() {
            let mut complete = self.complete.subscribe();
            let _ = tokio::time::timeout(timeout, complete.wait_for(|complete| *complete)).await;
        }
    }

    /// Notes that the stream is lost, if it was up.
    pub fn lost(&self) {
        let now = self.clock.now();
        self.state.write().lost_since.get_or_insert(now);
    }

    /// How many sessions are listed.
    pub fn len(&self) -> usize {
        self.state.read().ended.len()
    }

    /// Whether no session is listed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn standing(&self, user: &User) -> Standing {
        let state = self.state.read();
        if state.ended.contains_key(&user.session_id) {
            return Standing::Ended;
        }
        if !self.is_known() {
            return Standing::Unknown;
        }
        match state.lost_since {
            Some(lost) if user.issued_at <= lost && self.clock.now() - lost > self.grace => Standing::Unknown,
            _ => Standing::Counts,
        }
    }

    /// Keeps the set, and the `keys` that no longer verify, equal to what the auth service streams,
    /// until `stop`.
    pub(crate) async fn watch(self, auth: Peer, keys: Keys, stop: CancellationToken) {
        loop {
            let result = stop.run_until_cancelled(self.follow(&auth, &keys)).await;
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

    async fn follow(&self, auth: &Peer, keys: &Keys) -> Result<(), tonic::Status> {
        let request = auth.open_ended(pb::WatchRevocationsRequest {})?;
        let late = |_| tonic::Status::deadline_exceeded("the stream fell silent");
        let mut client = AuthServiceClient::new(auth.upstream());
        let reply = tokio::time::timeout(SILENCE, client.watch_revocations(request))
            .await
            .map_err(late)??;
        let mut stream = reply.into_inner();
        while let Some(message) = tokio::time::timeout(SILENCE, stream.message()).await.map_err(late)?? {
            self.add(message.revoked.iter().filter_map(parse));
            keys.revoke(message.revoked_key_ids);
            if message.snapshot_complete {
                self.up();
            }
        }
        Ok(())
    }
}

/// Notified when a session ends.
pub struct SessionWatch {
    revocations: Revocations,
    session_id: Uuid,
    ended: CancellationToken,
}

impl SessionWatch {
    /// Resolves when the session has ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for SessionWatch {
    fn drop(&mut self) {
        let mut state = self.revocations.state.write();
        if let Some((_, watchers)) = state.watched.get_mut(&self.session_id) {
            *watchers -= 1;
            if *watchers == 0 {
                state.watched.remove(&self.session_id);
            }
        }
    }
}

fn parse(revoked: &pb::RevokedSession) -> Option<(Uuid, OffsetDateTime)> {
    let forget_at = OffsetDateTime::from_unix_timestamp(revoked.forget_at?.seconds).ok()?;
    Some((revoked.session_id.parse().ok()?, forget_at + time::Duration::seconds(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revocations() -> (Clock, Revocations) {
        let clock = Clock::manual(OffsetDateTime::UNIX_EPOCH);
        (clock.clone(), Revocations::new(clock, Duration::from_secs(60)))
    }

    #[tokio::test]
    async fn a_watched_session_is_heard_when_it_ends_and_no_other() {
        let (clock, revocations) = revocations();
        let (mine, other) = (clock.new_id(), clock.new_id());
        let watch = revocations.watch_session(mine);
        let forget_at = clock.now() + time::Duration::hours(1);
        revocations.add([(other, forget_at)]);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), watch.ended())
                .await
                .is_err()
        );
        revocations.add([(mine, forget_at)]);
        assert!(
            tokio::time::timeout(Duration::from_secs(5), watch.ended())
                .await
                .is_ok()
        );
        // Whoever comes later is notified as well.
        let late = revocations.watch_session(mine);
        assert!(tokio::time::timeout(Duration::from_secs(5), late.ended()).await.is_ok());
    }

    #[test]
    fn no_token_counts_before_the_first_snapshot_and_a_grace_begins_after_it() {
        let (clock, revocations) = revocations();
        let user = |issued_at| User {
            authenticated_at: issued_at,
            lacks_second_factor: false,
            id: clock.new_id(),
            session_id: clock.new_id(),
            role: quartet_kernel::Role::User,
            tier: None,
            issued_at,
            expires_at: issued_at + time::Duration::hours(1),
            client_id: "quartet".into(),
            key_id: "key".into(),
        };
        let early = user(clock.now());
        assert_eq!(revocations.standing(&early), Standing::Unknown);
        assert!(!revocations.is_known());
        revocations.up();
        assert_eq!(revocations.standing(&early), Standing::Counts);
        revocations.lost();
        assert_eq!(revocations.standing(&early), Standing::Counts);
        clock.advance(time::Duration::minutes(2));
        assert_eq!(revocations.standing(&early), Standing::Unknown);
        assert_eq!(revocations.standing(&user(clock.now())), Standing::Counts);
        assert!(revocations.is_known());
    }

    #[test]
    fn a_session_that_nobody_watches_any_more_takes_no_room() {
        let (clock, revocations) = revocations();
        let id = clock.new_id();
        let (first, second) = (revocations.watch_session(id), revocations.watch_session(id));
        drop(first);
        assert_eq!(revocations.state.read().watched.len(), 1);
        drop(second);
        assert!(revocations.state.read().watched.is_empty());
    }
}
