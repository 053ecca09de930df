//! Another service of the suite, as this one calls it.

use http::HeaderValue;
use quartet_kernel::DeadlineExceeded;
use quartet_proto::options::Reason;
use quartet_telemetry::TraceContext;
use tonic::{Code, Request, Status};

use crate::token::ServiceTokens;
use crate::{Call, Failure, Upstream};

/// Another service: where it is, and how this process proves itself to it.
///
/// A request to a peer is made from the [`Call`] that it serves, so none leaves without a deadline.
#[derive(Clone)]
pub struct Peer {
    upstream: Upstream,
    tokens: ServiceTokens,
}

impl Peer {
    /// The service behind `upstream`.
    pub fn new(upstream: Upstream, tokens: ServiceTokens) -> Self {
        Self { upstream, tokens }
    }

    /// The transport, for a generated client: `UserServiceClient::new(peer.upstream())`.
    pub fn upstream(&self) -> Upstream {
        self.upstream.clone()
    }

    /// A request on behalf of `call`: with what is left of its deadline, its id, its place in a
    /// trace, and this service's token.
    ///
    /// Errors: DEADLINE_EXCEEDED when nothing is left.
    pub fn request<T>(&self, call: &Call, message: T) -> Result<Request<T>, Failure> {
        if call.deadline.has_passed() {
            return Err(DeadlineExceeded.into());
        }
        let mut request = self.open_ended(message)?;
        request.set_timeout(call.deadline.remaining());
        for (name, value) in [
            ("x-request-id", &call.request_id),
            ("accept-language", &call.accept_language),
        ] {
            if let (false, Ok(value)) = (value.is_empty(), value.parse()) {
                request.metadata_mut().insert(name, value);
            }
        }
        if let Some(context) = TraceContext::current() {
            context.write_to(request.metadata_mut().as_mut());
        }
        Ok(request)
    }

    /// A request without an end, for streams that are watched as long as the process lives.
    pub fn open_ended<T>(&self, message: T) -> Result<Request<T>, Failure> {
        let token = self.tokens.current().map_err(|error| {
            tracing::error!(%error, "signing a service token failed");
            Failure::internal()
        })?;
        let mut request = Request::new(message);
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Failure::internal())?;
        request
            .metadata_mut()
            .as_mut()
            .insert(http::header::AUTHORIZATION, bearer);
        Ok(request)
    }

    /// The failure of a call to this peer, for a caller who did not call the peer: away stays away,
    /// late stays late, and anything else is ours to explain, so it is logged here and INTERNAL to
    /// the caller. Match the reasons that you expect before.
    pub fn failure(&self, status: &Status) -> Failure {
        match status.code() {
            Code::Unavailable => Failure::unavailable(self.upstream.name()),
            Code::DeadlineExceeded | Code::Cancelled => DeadlineExceeded.into(),
            Code::ResourceExhausted => Failure::new(Code::Unavailable, Reason::Unavailable, "a service is overloaded"),
            _ => {
                tracing::error!(peer = self.upstream.name(), %status, "a call to another service failed");
                Failure::internal()
            }
        }
    }
}
