//! What a method learns of its call.

use std::net::IpAddr;

use http::HeaderMap;
use quartet_kernel::Deadline;
use quartet_proto::options::Reason;
use quartet_telemetry::TraceContext;
use tonic::Code;

use crate::{Caller, Failure, User};

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
    /// The client's program: `user-agent`, or what the gateway forwards of its client's.
    pub user_agent: String,
    /// The client's address: where the call comes from, or what the gateway forwards of its client.
    pub client_address: Option<IpAddr>,
    /// The position of the call in its trace.
    pub trace: Option<TraceContext>,
}

impl Call {
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
            trace: TraceContext::current(),
        }
    }

    /// What is known of a caller who is yet to be identified: the headers that are theirs to write,
    /// and the address they come from.
    pub(crate) fn from_headers(headers: &HeaderMap, deadline: Deadline, peer: Option<IpAddr>) -> Self {
        Self {
            caller: Caller::Anonymous,
            deadline,
            request_id: text(headers, "x-request-id").to_owned(),
            accept_language: text(headers, "accept-language").to_owned(),
            user_agent: text(headers, "user-agent").to_owned(),
            client_address: peer,
            trace: None,
        }
    }

    /// Trusts the gateway's headers about its client. Anybody else could write these headers too,
    /// and so pass for another address.
    pub(crate) fn trust_gateway(&mut self, headers: &HeaderMap) {
        self.user_agent = text(headers, "x-forwarded-user-agent").to_owned();
        let forwarded = text(headers, "x-forwarded-for").split(',').next();
        self.client_address = forwarded.and_then(|address| address.trim().parse().ok());
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
