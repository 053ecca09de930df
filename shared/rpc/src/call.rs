//! What a method learns of its call.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use quartet_config::Secret;
use quartet_kernel::{Deadline, Precondition, Scope, violations};
use quartet_proto::options::Reason;
use quartet_telemetry::TraceContext;
use tonic::Code;

use crate::idempotency::CallKey;
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
    /// The idempotency key of the request, where the method takes one.
    pub idempotency: Option<Arc<CallKey>>,
    /// The transaction that what the call writes is a part of, when that is committed elsewhere.
    pub scope: Option<Scope>,
    /// How old the last proof of who calls may be, where that of the caller is older.
    pub stale_after: Option<Duration>,
    /// Whether the method demands the etag of the resource that it changes.
    pub needs_precondition: bool,
    /// What an OAuth 2.0 client proves who it is with, as it was sent (RFC 7617).
    pub basic: Option<Secret>,
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

    /// For methods of which some requests demand a fresh proof of who calls.
    ///
    /// Errors: UNAUTHENTICATED `INSUFFICIENT_USER_AUTHENTICATION`.
    pub fn fresh_proof(&self) -> Result<(), Failure> {
        match self.stale_after {
            None => Ok(()),
            Some(window) => Err(Failure::insufficient_authentication(window)),
        }
    }

    /// What the field `etag` of the request demands of the resource.
    ///
    /// Errors: INVALID_ARGUMENT for what is no etag; FAILED_PRECONDITION `PRECONDITION_REQUIRED`.
    pub fn precondition(&self, etag: &str) -> Result<Option<Precondition>, Failure> {
        let parsed = Precondition::parse(etag).map_err(|rule| violations::one("etag", rule))?;
        match (parsed, self.needs_precondition) {
            (None, true) => Err(Failure::new(
                Code::FailedPrecondition,
                Reason::PreconditionRequired,
                "the etag of what is to be changed is required",
            )),
            (parsed, _) => Ok(parsed),
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
            idempotency: None,
            scope: None,
            stale_after: None,
            needs_precondition: false,
            basic: None,
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
            idempotency: None,
            scope: None,
            stale_after: None,
            needs_precondition: false,
            basic: basic(headers),
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

/// The credentials of HTTP Basic, still encoded.
fn basic(headers: &HeaderMap) -> Option<Secret> {
    let (scheme, credentials) = text(headers, "authorization").split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("basic")
        .then(|| Secret::new(credentials.trim()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_may_demand_a_fresh_proof() {
        let mut call = Call::background("test", Deadline::after(Duration::from_secs(1)));
        assert!(call.fresh_proof().is_ok());
        call.stale_after = Some(Duration::from_secs(600));
        let refused = call.fresh_proof().unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(refused.reason(), Reason::InsufficientUserAuthentication);
    }

    #[test]
    fn a_method_may_demand_an_etag() {
        let mut call = Call::background("test", Deadline::after(Duration::from_secs(1)));
        assert!(call.precondition("").unwrap().is_none());
        assert!(call.precondition("\"a\"").unwrap().is_some());
        assert_eq!(call.precondition("\"a").unwrap_err().code(), Code::InvalidArgument);
        call.needs_precondition = true;
        assert_eq!(
            call.precondition("").unwrap_err().reason(),
            Reason::PreconditionRequired
        );
        assert!(call.precondition("*").unwrap().is_some());
    }
}
