//! All that is known of a binding before any request, so that a request looks nothing up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use quartet_proto::options;
use quartet_rpc::Upstream;

use super::location::Location;
use super::{Config, accept, cookie, deprecation, events};
use crate::problem::Problem;
use crate::routes::{Binding, BodyTarget};
use crate::transcode::query::Excluded;

/// A method that cannot be served as its options say.
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
    /// `/package.Service/Method`.
    pub(super) path: PathAndQuery,
    pub(super) upstream: Upstream,
    pub(super) input: MessageDescriptor,
    pub(super) output: MessageDescriptor,
    /// What the query may not set.
    pub(super) query: Excluded,
    /// What a form may not set.
    pub(super) form: Excluded,
    pub(super) body: Body,
    /// The `update_mask` to infer.
    pub(super) mask: Option<FieldDescriptor>,
    pub(super) cookies_in: Vec<cookie::Incoming>,
    pub(super) cookies_out: Vec<cookie::Outgoing>,
    pub(super) events: events::Fields,
    /// Reply fields that stay out of the JSON.
    pub(super) omitted: Vec<FieldDescriptor>,
    pub(super) reply: Reply,
    pub(super) status: StatusCode,
    pub(super) location: Option<Location>,
    /// Headers of every reply.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) timeout: Option<Duration>,
    /// Nobody may call the method without an access token.
    pub(super) needs_token: bool,
    pub(super) client_streaming: bool,
    pub(super) server_streaming: bool,
}

/// What is made of a request's body.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// It is passed over.
    Ignored,
    /// There must be none.
    Refused,
    /// It fills the message.
    Whole,
    /// It fills one field; the flag tells whether that is a message whose fields a form can fill.
    Field(FieldDescriptor, bool),
    /// It is the data of a `google.api.HttpBody`: of that field, or of the request itself.
    Raw(Option<FieldDescriptor>),
}

/// What becomes the reply's body.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// The whole message.
    Whole,
    /// One field.
    Field(FieldDescriptor),
    /// The data of a `google.api.HttpBody`: of that field, or of the reply itself.
    Raw(Option<FieldDescriptor>),
}

/// How the replies of a stream are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Array,
    Lines,
    Events,
    Raw,
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
        let service = method.parent_service().full_name().to_owned();
        let upstream = backends
            .get(&service)
            .ok_or_else(|| format!("no backend serves `{service}`"))?
            .clone();
        let path =
            PathAndQuery::try_from(format!("/{service}/{}", method.name())).map_err(|error| error.to_string())?;
        let (input, output) = (method.input(), method.output());
        let edge = options::edge(method);

        let body = body(&binding, &input);
        let client_streaming = method.is_client_streaming();
        if client_streaming && !matches!(body, Body::Raw(_)) {
            return Err("streams requests, which HTTP can bring only as the data of a google.api.HttpBody".to_owned());
        }
        let mask = (binding.verb == "PATCH" && matches!(body, Body::Field(_, true)))
            .then(|| input.get_field_by_name("update_mask"))
            .flatten()
            .filter(
                |field| matches!(field.kind(), Kind::Message(mask) if mask.full_name() == "google.protobuf.FieldMask"),
            )
            .filter(|field| !field.is_list() && !binding.path_fields.iter().any(|chain| chain[0] == *field));

        let mut query = Excluded {
            barred: barred(&input),
            ..Excluded::default()
        };
        query.chains.extend(
            binding
                .path_fields
                .iter()
                .map(|chain| chain.iter().map(FieldDescriptor::number).collect()),
        );
        // A form fills the body's message: what the path binds is not part of the form, but what the body binds is.
        let form = match &body {
            Body::Field(..) => Excluded {
                barred: query.barred.clone(),
                ..Excluded::default()
            },
            _ => query.clone(),
        };
        query.all = matches!(binding.body, BodyTarget::Whole);
        if let BodyTarget::Field(field) = &binding.body {
            query.chains.push(vec![field.number()]);
        }

        let cookies_out = cookie::outgoing(&output, config.secure_cookies)?;
        let status = match u16::try_from(edge.status) {
            Ok(0) => StatusCode::OK,
            Ok(status) => StatusCode::from_u16(status)
                .ok()
                .filter(StatusCode::is_success)
                .ok_or("the status is no 2xx")?,
            Err(_) => return Err("the status is no 2xx".to_owned()),
        };
        Ok(Self {
            path,
            upstream,
            query,
            form,
            mask,
            cookies_in: cookie::incoming(&input, config.secure_cookies)?,
            events: events::Fields::of(method)?,
            omitted: cookies_out.iter().map(|cookie| cookie.field.clone()).collect(),
            cookies_out,
            reply: reply(&binding, &output),
            status,
            location: match edge.location.as_str() {
                "" => None,
                template => Some(Location::compile(template, &output)?),
            },
            headers: edge
                .deprecation
                .as_ref()
                .map(deprecation::headers)
                .transpose()?
                .unwrap_or_default(),
            timeout: (edge.timeout_seconds > 0).then(|| Duration::from_secs(edge.timeout_seconds.into())),
            needs_token: options::access(method).is_some_and(|access| access != options::Access::Public),
            client_streaming,
            server_streaming: method.is_server_streaming(),
            body,
            input,
            output,
            binding,
        })
    }

    /// The field that the request's body streams up to, when it is not read whole: `Some(None)` for the request itself.
    pub(super) fn upload(&self) -> Option<Option<FieldDescriptor>> {
        match &self.body {
            Body::Raw(field) if self.client_streaming => Some(field.clone()),
            _ => None,
        }
    }

    /// How the reply is to be written.
    ///
    /// # Errors
    /// 406 `NOT_ACCEPTABLE` when the client wants no form that there is.
    pub(super) fn format(&self, headers: &HeaderMap) -> Result<Format, Problem> {
        if matches!(self.reply, Reply::Raw(_)) {
            return Ok(Format::Raw);
        }
        if self.status == StatusCode::NO_CONTENT {
            return Ok(Format::Array);
        }
        if !self.server_streaming {
            return accept::choose(headers, &["application/json"]).map(|_| Format::Array);
        }
        const FORMATS: [Format; 3] = [Format::Array, Format::Lines, Format::Events];
        let index = accept::choose(
            headers,
            &["application/json", "application/x-ndjson", "text/event-stream"],
        )?;
        Ok(FORMATS[index])
    }
}

fn body(binding: &Binding, input: &MessageDescriptor) -> Body {
    match &binding.body {
        // A body has no meaning there (RFC 9110 §9.3.1, §9.3.5), so that proxies may add or drop one.
        BodyTarget::None if matches!(binding.verb.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS" | "*") => {
            Body::Ignored
        }
        BodyTarget::None => Body::Refused,
        BodyTarget::Whole if is_http_body(input) => Body::Raw(None),
        BodyTarget::Whole => Body::Whole,
        BodyTarget::Field(field) => match field.kind() {
            Kind::Message(message) if !field.is_list() && is_http_body(&message) => Body::Raw(Some(field.clone())),
            Kind::Message(message) => {
                let plain = !field.is_list() && !field.is_map() && !message.full_name().starts_with("google.protobuf.");
                Body::Field(field.clone(), plain)
            }
            _ => Body::Field(field.clone(), false),
        },
    }
}

fn reply(binding: &Binding, output: &MessageDescriptor) -> Reply {
    match &binding.response_body {
        None if is_http_body(output) => Reply::Raw(None),
        None => Reply::Whole,
        Some(field) => match field.kind() {
            Kind::Message(message) if !field.is_list() && is_http_body(&message) => Reply::Raw(Some(field.clone())),
            _ => Reply::Field(field.clone()),
        },
    }
}

fn is_http_body(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.api.HttpBody"
}

/// Every field, at any depth of a request, that only a cookie may fill.
fn barred(input: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut seen = HashSet::from([input.full_name().to_owned()]);
    let mut open = vec![input.clone()];
    let mut barred = Vec::new();
    while let Some(message) = open.pop() {
        for field in message.fields() {
            if let Kind::Message(inner) = field.kind()
                && seen.insert(inner.full_name().to_owned())
            {
                open.push(inner);
            }
            if options::cookie(&field).is_some() {
                barred.push(field);
            }
        }
    }
    barred
}
