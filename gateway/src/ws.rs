//! `/api/v1/ws`: one connection over which a client hears of changes, follows jobs, and talks to others in rooms (RFC 6455).
//!
//! Reading order: [`credentials`] (who connects), [`frame`] and [`close`] (what is said), [`limits`] and [`rate`] (how much of it),
//! [`connection`] (one client), [`obey`] (what it asks for), [`outgoing`] (the way to it, which is bounded), [`topics`](subscription) and [`rooms`]. A topic is a
//! streaming RPC whose options give it a name, so that a new one needs no code here; `docs/websocket.md` tells clients the same from their side.

pub(crate) mod close;
mod connection;
mod credentials;
pub(crate) mod frame;
pub(crate) mod limits;
mod obey;
mod outgoing;
mod rate;
pub mod rooms;
mod subscription;

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode};
use quartet_clock::Clock;
use quartet_proto::options::Reason;
use quartet_rpc::{Caller, Failure, Verifier};
use quartet_telemetry::{TraceContext, TracedSpan};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::call::topics::Origin;
use crate::call::{OriginCheck, Transcoder, status};
use crate::edge::RouteTemplate;
use crate::problem::Problem;

use connection::Connection;
use credentials::{Carrier, Credentials};
use limits::Limits;
use rooms::Rooms;

/// Where it is.
pub(crate) const PATH: &str = "/api/v1/ws";
/// The subprotocol. A client that names none gets the same frames.
pub(crate) const PROTOCOL: &str = "quartet.v1";

/// What every connection works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sockets {
    pub(crate) verifier: Verifier,
    pub(crate) transcoder: Arc<Transcoder>,
    pub(crate) rooms: Rooms,
    pub(crate) limits: Limits,
    /// Called before a cookie is used.
    pub(crate) origin: OriginCheck,
    pub(crate) clock: Clock,
    /// Cancelled when the gateway drains.
    pub(crate) closing: CancellationToken,
    /// Counts the connections, so that the process waits for their goodbyes.
    pub(crate) open: TaskTracker,
}

/// A signed-in user and the token that proves it.
#[derive(Debug, Clone)]
struct Session {
    user: quartet_rpc::User,
    token: Arc<str>,
}

impl Sockets {
    /// The route.
    pub(crate) fn routes(self) -> Router {
        Router::new().route(PATH, get(connect)).with_state(self)
    }

    /// Who `token` speaks for.
    async fn verify(&self, token: &str) -> Result<Session, Failure> {
        match self.verifier.verify(token).await? {
            Caller::User(user) => Ok(Session {
                user,
                token: token.into(),
            }),
            Caller::Anonymous | Caller::Service(_) => Err(Failure::new(
                tonic::Code::PermissionDenied,
                Reason::PermissionDenied,
                "only users may connect",
            )),
        }
    }

    fn problem(&self, failure: Failure) -> Problem {
        status::to_problem(&failure.into())
    }
}

/// Answers the handshake. A client that can read the status of a refusal gets one; a browser, which cannot, is let in and sent away with a
/// close code.
async fn connect(State(sockets): State<Sockets>, request: Request) -> Response {
    let mut response = match handshake(sockets, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(RouteTemplate(PATH.to_owned()));
    response
}

async fn handshake(sockets: Sockets, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let credentials = Credentials::of(&parts.headers);
    if credentials
        .as_ref()
        .is_some_and(|found| found.carrier == Carrier::Cookie)
    {
        (sockets.origin)(&parts.headers)?;
    }
    let signed_in = match &credentials {
        None => None,
        Some(found) => Some(sockets.verify(&found.token).await),
    };
    let signed_in = match (signed_in, credentials) {
        (Some(Err(failure)), Some(found)) if found.carrier == Carrier::Header => return Err(sockets.problem(failure)),
        (Some(Err(failure)), _) => Some(Err(sockets.problem(failure))),
        (Some(Ok(session)), _) => Some(Ok(session)),
        (None, _) => None,
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(refused)?;
    let offers_protocol = upgrade.requested_protocols().any(|offered| offered == PROTOCOL);
    let mut upgrade = upgrade
        .max_message_size(sockets.limits.message_bytes)
        .max_frame_size(sockets.limits.message_bytes)
        .max_write_buffer_size(limits::WRITE_BUFFER_BYTES);
    if offers_protocol {
        upgrade.set_selected_protocol(HeaderValue::from_static(PROTOCOL));
    }
    // A trace of its own: the request that asked for it ends here, and the socket lasts.
    let span = tracing::info_span!(
        parent: None,
        "websocket",
        request_id = crate::edge::request_id::of(&parts.headers)
    );
    let traced_span = TracedSpan::linked_to(span, TraceContext::of(&parts.headers));
    if let Some(context) = traced_span.context() {
        context.write_to(&mut parts.headers);
    }
    let open = sockets.open.token();
    let connection = Connection::new(sockets, Origin::of(&parts), signed_in);
    Ok(upgrade.on_upgrade(move |socket| {
        async move {
            connection.run(socket).await;
            drop(open);
        }
        .instrument(traced_span.span().clone())
    }))
}

fn refused(rejection: WebSocketUpgradeRejection) -> Problem {
    let mut problem = Problem::new(StatusCode::UPGRADE_REQUIRED, Reason::BadRequest, rejection.to_string());
    problem
        .headers
        .push((http::header::UPGRADE, HeaderValue::from_static("websocket")));
    problem
}

#[cfg(test)]
mod tests;
