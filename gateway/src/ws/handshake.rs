//! The handshake: an HTTP request that becomes a connection.

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode};
use quartet_proto::options::Reason;
use quartet_telemetry::{TraceContext, TracedSpan};
use tracing::Instrument;

use super::close::Close;
use super::connection::Connection;
use super::credentials::{self, Credentials, TokenSource};
use super::limits;
use super::sockets::{Session, Sockets};
use crate::call::limit;
use crate::edge::RouteTemplate;
use crate::problem::Problem;
use crate::request_id;

/// The path of the WebSocket.
pub(crate) const PATH: &str = "/api/v1/ws";
/// The subprotocol. A client that names none gets the same frames.
pub(crate) const PROTOCOL: &str = "quartet.v1";

/// The route.
pub(crate) fn routes(sockets: Sockets) -> Router {
    Router::new().route(PATH, get(connect)).with_state(sockets)
}

async fn connect(State(sockets): State<Sockets>, request: Request) -> Response {
    let mut response = match handshake(sockets, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(RouteTemplate(PATH.into()));
    response
}

/// Answers the handshake. A client that can read the status of a refusal gets one; a browser, which
/// cannot, is connected and then closed with a code.
async fn handshake(sockets: Sockets, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let user = limit::user(Some(&sockets.verifier), &parts).await;
    limit::count(&sockets.calls, None, user.as_ref(), &parts).await?;
    sockets.origins.check_page(&parts.headers)?;
    let signed_in = match Credentials::of(&parts.headers) {
        None if credentials::is_in_query(&parts.uri) => Some(Err(Close::token_in_query())),
        None => None,
        Some(credentials) => Some(sign_in(&sockets, &credentials, &parts.headers).await?),
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(refused)?;
    let is_requested = upgrade.requested_protocols().any(|requested| requested == PROTOCOL);
    let mut upgrade = upgrade
        .max_message_size(sockets.limits.message_bytes)
        .max_frame_size(sockets.limits.message_bytes)
        .max_write_buffer_size(limits::WRITE_BUFFER_BYTES);
    if is_requested {
        upgrade.set_selected_protocol(HeaderValue::from_static(PROTOCOL));
    }
    // A trace of its own: the request that it follows from ends here, and the socket lasts.
    let span = tracing::info_span!(
        parent: None,
        "websocket",
        request_id = request_id::of(&parts.headers)
    );
    let traced_span = TracedSpan::linked_to(span, TraceContext::of(&parts.headers));
    if let Some(context) = traced_span.context() {
        context.write_to(&mut parts.headers);
    }
    let open = sockets.open.token();
    let context = sockets.transcoder.client_context(&parts);
    let connection = Connection::new(sockets, context, signed_in);
    Ok(upgrade.on_upgrade(move |socket| {
        async move {
            connection.run(socket).await;
            drop(open);
        }
        .instrument(traced_span.span().clone())
    }))
}

/// The session of the handshake's token, or why the connection is to be closed.
///
/// # Errors
/// What the client can read as the reply: a token in a header that does not count, or a cookie from
/// a page of another origin.
async fn sign_in(
    sockets: &Sockets,
    credentials: &Credentials,
    headers: &http::HeaderMap,
) -> Result<Result<Session, Close>, Problem> {
    if credentials.source == TokenSource::Cookie {
        sockets.origins.check_cookie_use(headers)?;
    }
    match sockets.verify(&credentials.token).await {
        Err(problem) if credentials.source == TokenSource::Header => Err(problem),
        outcome => Ok(outcome.map_err(|problem| Close::session_over(&problem))),
    }
}

fn refused(rejection: WebSocketUpgradeRejection) -> Problem {
    let mut problem = Problem::new(StatusCode::UPGRADE_REQUIRED, Reason::BadRequest, rejection.to_string());
    let upgrade = (http::header::UPGRADE, HeaderValue::from_static("websocket"));
    problem.headers.push(upgrade);
    problem
}
