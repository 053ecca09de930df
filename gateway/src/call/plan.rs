//! All that can be computed of a binding before any request.
//!
//! By concern: [`target`] (which backend is called), [`request`] (how the message of a request is
//! filled), [`reply`] (what becomes of the backend's message), [`format`] (how replies are
//! written).

pub(super) mod format;
pub(super) mod reply;
pub(super) mod request;
mod target;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quartet_proto::options;
use quartet_rpc::Upstream;

use super::config::Config;
use super::cookie::Cookies;
use super::events;
use crate::routes::Binding;

use reply::ReplyPlan;
use request::RequestPlan;
use target::Target;

/// A method that cannot be served as its options declare.
#[derive(Debug, thiserror::Error)]
#[error("{method}: {reason}")]
pub struct StartError {
    /// Full name of the gRPC method.
    pub method: String,
    /// What is wrong with it.
    pub reason: String,
}

/// How a binding is served.
pub(super) struct Plan {
    pub(super) binding: Arc<Binding>,
    pub(super) target: Target,
    pub(super) request: RequestPlan,
    pub(super) reply: ReplyPlan,
    pub(super) cookies: Cookies,
    pub(super) events: events::Fields,
    /// The time that the method declares for itself.
    pub(super) timeout: Option<Duration>,
    /// Whether the method needs an access token.
    pub(super) needs_token: bool,
    pub(super) server_streaming: bool,
}

impl Plan {
    pub(super) fn compile(
        binding: Arc<Binding>,
        backends: &HashMap<String, Upstream>,
        config: &Config,
    ) -> Result<Self, StartError> {
        let method = binding.method.full_name().to_owned();
        Self::build(binding, backends, config).map_err(|reason| StartError { method, reason })
    }

    fn build(binding: Arc<Binding>, backends: &HashMap<String, Upstream>, config: &Config) -> Result<Self, String> {
        let method = &binding.method;
        let edge = options::edge(method);
        let target = Target::compile(method, backends)?;
        let request = RequestPlan::compile(&binding)?;
        let cookies = Cookies::compile(&method.input(), &method.output(), config.secure_cookies)?;
        Ok(Self {
            target,
            request,
            reply: ReplyPlan::compile(&binding, &edge, cookies.reply_fields())?,
            cookies,
            events: events::Fields::of(method)?,
            timeout: (edge.timeout_seconds > 0).then(|| Duration::from_secs(edge.timeout_seconds.into())),
            needs_token: options::access(method).is_some_and(|access| access != options::Access::Public),
            server_streaming: method.is_server_streaming(),
            binding,
        })
    }
}
