//! What all connections share.

use std::sync::Arc;

use quartet_clock::Clock;
use quartet_proto::options::Reason;
use quartet_rpc::{Caller, Failure, Verifier};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::Limits;
use super::rooms::Rooms;
use crate::call::{Transcoder, status};
use crate::open_streams::OpenStreams;
use crate::origin::OriginPolicy;
use crate::problem::Problem;

/// What every connection works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sockets {
    pub(crate) verifier: Verifier,
    pub(crate) transcoder: Arc<Transcoder>,
    pub(crate) rooms: Rooms,
    pub(crate) limits: Limits,
    /// How often callers may call.
    pub(crate) calls: quartet_limits::Limits,
    /// How many streams a user may have open.
    pub(crate) streams: OpenStreams,
    /// From which pages a cookie may be used.
    pub(crate) origins: OriginPolicy,
    pub(crate) clock: Clock,
    /// Cancelled when the gateway drains.
    pub(crate) closing: CancellationToken,
    /// Counts the connections, so that the process waits until they are closed.
    pub(crate) open: TaskTracker,
}

/// A signed-in user and the token that proves it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) user: quartet_rpc::User,
    pub(super) token: Arc<str>,
}

impl Sockets {
    /// The session of `token`.
    ///
    /// # Errors
    /// The token does not count, or it is no user's.
    pub(super) async fn verify(&self, token: &str) -> Result<Session, Problem> {
        let failure = match self.verifier.verify(token).await {
            Ok(Caller::User(user)) => {
                return Ok(Session {
                    user,
                    token: token.into(),
                });
            }
            Ok(Caller::Anonymous | Caller::Service(_)) => Failure::new(
                tonic::Code::PermissionDenied,
                Reason::PermissionDenied,
                "only users may connect",
            ),
            Err(failure) => failure,
        };
        Err(status::to_problem(&failure.into()))
    }
}
