//! How a connection ends (RFC 6455 §7.4): a code for programs, and the reason as an error code.

use axum::extract::ws::CloseFrame;
use http::StatusCode;

use crate::problem::Problem;

/// The end of a connection that the gateway closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    /// Error code, such as `token_revoked`.
    pub(super) reason: String,
}

/// How a connection ends.
pub(super) enum End {
    /// With this close frame.
    Close(Close),
    /// The client has closed the connection, or is gone.
    Disconnected,
}

/// Every code that the gateway closes with, and what it means.
pub(crate) const CODES: [(u16, &str); 12] = [
    (1000, "The client has closed the connection."),
    (
        1001,
        "`going_away`: the gateway stops. Connect again; another instance is there.",
    ),
    (1003, "`binary`: frames are text."),
    (1009, "`too_large`: the message is over the limit."),
    (
        1013,
        "`unavailable`: tokens cannot be verified at present. Connect again later.",
    ),
    (4400, "`malformed`: the frame is no JSON object with a `type`."),
    (
        4401,
        "The error code of the token, which is `token_missing`, `token_invalid`, `token_expired` or `token_revoked`: \
         get a new token first. Or `token_in_query: …`, which names the places that tokens are read from.",
    ),
    (
        4403,
        "`other_user`: the token is another user's than the connection's, or `permission_denied`: it is no user's.",
    ),
    (4408, "`sign_in_timeout`: no `auth` frame came in time."),
    (
        4409,
        "`slow_consumer`: the client reads too slowly. Connect again, and go on after the last event.",
    ),
    (4410, "`idle`: no frame came for too long, not even a pong."),
    (
        4429,
        "`rate_limited`: the client sends too fast, or `too_many_streams`: the user has too many connections.",
    ),
];

impl Close {
    fn new(code: u16, reason: &str) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
        }
    }

    pub(super) fn going_away() -> Self {
        Self::new(1001, "going_away")
    }

    pub(super) fn binary() -> Self {
        Self::new(1003, "binary")
    }

    pub(super) fn too_large() -> Self {
        Self::new(1009, "too_large")
    }

    pub(super) fn malformed() -> Self {
        Self::new(4400, "malformed")
    }

    pub(super) fn token_missing() -> Self {
        Self::new(4401, "token_missing")
    }

    /// The token came in the query, where it would end up in logs: the reason says where tokens are
    /// read from, in the 123 bytes that a close frame has for it.
    pub(super) fn token_in_query() -> Self {
        let places =
            "token_in_query: send it as Authorization header, as subprotocol bearer.<token>, or in an auth frame";
        Self::new(4401, places)
    }

    pub(super) fn other_user() -> Self {
        Self::new(4403, "other_user")
    }

    pub(super) fn sign_in_timeout() -> Self {
        Self::new(4408, "sign_in_timeout")
    }

    pub(super) fn slow_consumer() -> Self {
        Self::new(4409, "slow_consumer")
    }

    pub(super) fn idle() -> Self {
        Self::new(4410, "idle")
    }

    pub(super) fn rate_limited() -> Self {
        Self::new(4429, "rate_limited")
    }

    pub(super) fn too_many_streams() -> Self {
        Self::new(4429, "too_many_streams")
    }

    /// The end of a connection whose token does not count, or no longer.
    pub(super) fn session_over(problem: &Problem) -> Self {
        let code = match problem.status {
            StatusCode::UNAUTHORIZED => 4401,
            StatusCode::FORBIDDEN => 4403,
            _ => 1013,
        };
        Self::new(code, &problem.reason.to_ascii_lowercase())
    }
}

impl From<Close> for CloseFrame {
    fn from(close: Close) -> Self {
        Self {
            code: close.code,
            reason: close.reason.into(),
        }
    }
}
