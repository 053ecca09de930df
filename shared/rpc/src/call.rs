//! What a method learns of its call.

use std::net::IpAddr;

use http::HeaderMap;
use quartet_proto::options::Reason;
use tonic::{Code, Request};

use crate::{Caller, Deadline, Failure, User};

/// What a method learns of its call; the access layer puts one into every request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// Until when they wait.
    pub deadline: Deadline,
    /// Id of the request across all hops: `x-request-id`.
    pub request_id: String,
    /// The client's preferred languages, as sent: `accept-language`.
    pub accept_language: String,
    /// The client's program: `x-forwarded-user-agent`, else `user-agent`.
    pub user_agent: String,
    /// The client's address, as the gateway tells it: `x-forwarded-for`.
    pub client_address: Option<IpAddr>,
}

impl Call {
    /// The call that `request` belongs to.
    ///
    /// Errors: INTERNAL when the access layer is not in front of the method, which is a mistake in the wiring.
    pub fn of<T>(request: &Request<T>) -> Result<&Self, Failure> {
        request.extensions().get().ok_or_else(|| {
            tracing::error!("a method was reached without the access layer");
            Failure::internal()
        })
    }

    /// The user who calls; for methods whose policy admits only users.
    ///
    /// Errors: UNAUTHENTICATED when the caller is no user.
    pub fn user(&self) -> Result<&User, Failure> {
        match &self.caller {
            Caller::User(user) => Ok(user),
            Caller::Anonymous | Caller::Service(_) => Err(Failure::new(
                Code::Unauthenticated,
                Reason::TokenMissing,
                "an access token is required",
            )),
        }
    }

    /// A call of the process itself, as at start and in background work.
    pub fn background(service: &str, deadline: Deadline) -> Self {
        Self {
            caller: Caller::Service(service.to_owned()),
            deadline,
            request_id: String::new(),
            accept_language: String::new(),
            user_agent: String::new(),
            client_address: None,
        }
    }

    /// What the headers tell, for a caller that is yet to be identified.
    pub(crate) fn from_headers(headers: &HeaderMap, deadline: Deadline) -> Self {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let user_agent = match text("x-forwarded-user-agent") {
            "" => text("user-agent"),
            forwarded => forwarded,
        };
        Self {
            caller: Caller::Anonymous,
            deadline,
            request_id: text("x-request-id").to_owned(),
            accept_language: text("accept-language").to_owned(),
            user_agent: user_agent.to_owned(),
            client_address: text("x-forwarded-for")
                .split(',')
                .next()
                .and_then(|address| address.trim().parse().ok()),
        }
    }
}
