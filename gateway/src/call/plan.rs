//! All that can be computed of a binding before any request.
//!
//! By concern: [`target`] (which backend is called), [`request`] (how the message of a request is
//! filled), [`reply`] (what becomes of the backend's message), [`cache`] (how long replies are
//! kept), [`format`] (how replies are written).

pub(super) mod cache;
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
use super::etag::IfMatch;
use super::events;
use crate::edge::RouteTemplate;
use crate::problem::Problem;
use crate::routes::Binding;

use cache::CachePlan;
use reply::ReplyPlan;
use request::RequestPlan;
use target::Target;

/// The parameter that selects fields of a reply.
pub(super) const FIELDS: &str = "fields";

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
    pub(super) if_match: Option<IfMatch>,
    /// The time that the method declares for itself.
    pub(super) timeout: Option<Duration>,
    /// Whether the method needs an access token.
    pub(super) needs_token: bool,
    pub(super) server_streaming: bool,
    /// How replies are kept, where they may be.
    pub(super) cache: Option<CachePlan>,
    /// Whether the query may select fields of the reply.
    pub(super) takes_fields: bool,
    /// The name under which browsers save the reply, without its ending.
    pub(super) download: Option<String>,
    /// Whether it is an endpoint of OAuth 2.0.
    pub(super) is_oauth: bool,
    /// The template of the path, as the log has it.
    pub(super) route: RouteTemplate,
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

    /// A failure as its clients expect it.
    pub(super) fn failed(&self, problem: Problem) -> Problem {
        let problem = match self.is_oauth {
            true => problem.for_oauth(),
            false => problem,
        };
        Problem {
            route: Some(self.route.clone()),
            ..problem
        }
    }

    fn build(binding: Arc<Binding>, backends: &HashMap<String, Upstream>, config: &Config) -> Result<Self, String> {
        let method = &binding.method;
        let edge = options::edge(method);
        let target = Target::compile(method, backends)?;
        let request = RequestPlan::compile(&binding)?;
        let cookies = Cookies::compile(&method.input(), &method.output(), config.cookies)?;
        let reply = ReplyPlan::compile(&binding, &edge, cookies.reply_fields())?;
        Ok(Self {
            download: Some(edge.download).filter(|name| !name.is_empty()),
            target,
            takes_fields: takes_fields(&binding, &request, &reply),
            cache: CachePlan::compile(method)?,
            request,
            reply,
            cookies,
            events: events::Fields::of(method)?,
            if_match: IfMatch::of(method)?,
            timeout: (edge.timeout_seconds > 0).then(|| Duration::from_secs(edge.timeout_seconds.into())),
            needs_token: options::access(method).is_some_and(|access| access != options::Access::Public),
            server_streaming: method.is_server_streaming(),
            is_oauth: edge.oauth,
            route: RouteTemplate(binding.template.as_str().into()),
            binding,
        })
    }
}

/// Whether `?fields=` selects fields of the reply: of whole messages that are read, unless the
/// request has a field of that name.
fn takes_fields(binding: &Binding, request: &RequestPlan, reply: &ReplyPlan) -> bool {
    binding.verb == "GET"
        && !binding.method.is_server_streaming()
        && matches!(reply.body, reply::Body::Whole)
        && request.message.get_field_by_name(FIELDS).is_none()
}
