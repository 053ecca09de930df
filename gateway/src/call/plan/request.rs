//! How the message of a request is filled: which fields its body, its query and a form may set.

use std::collections::HashSet;

use bytes::Bytes;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use quartet_proto::options;

use crate::call::request::Straight;
use crate::routes::{Binding, BodyTarget};
use crate::transcode::known::is_http_body;
use crate::transcode::query::{self, Excluded};

/// The request's side of a plan.
pub(in crate::call) struct RequestPlan {
    pub(in crate::call) message: MessageDescriptor,
    pub(in crate::call) body: Body,
    /// What the query may not set.
    pub(in crate::call) query: Excluded,
    /// What a form may not set.
    pub(in crate::call) form: Excluded,
    /// The `update_mask` to infer.
    pub(in crate::call) mask: Option<FieldDescriptor>,
    /// How requests are made without a message, where they can be.
    pub(in crate::call) straight: Option<Straight>,
    streaming: bool,
}

/// What is made of a request's body.
#[derive(Debug, Clone)]
pub(in crate::call) enum Body {
    /// It is not read.
    Ignored,
    /// There must be none.
    Refused,
    /// It fills the message.
    Whole,
    /// It fills one field. The flag is set where that is a message whose fields a form can fill.
    Field(FieldDescriptor, bool),
    /// It is the data of a `google.api.HttpBody`: of that field, or of the request itself.
    Raw(Option<FieldDescriptor>),
}

impl RequestPlan {
    pub(super) fn compile(binding: &Binding) -> Result<Self, String> {
        let message = binding.method.input();
        let body = body(binding, &message);
        let streaming = binding.method.is_client_streaming();
        if streaming && !matches!(body, Body::Raw(_)) {
            return Err("streams requests, which HTTP can bring only as the data of a google.api.HttpBody".to_owned());
        }
        let path = Excluded {
            chains: binding.path_fields.iter().map(|chain| numbers(chain)).collect(),
            barred: barred(&message),
            all: false,
            is_form: false,
        };
        let mut plan = Self {
            mask: mask(binding, &body, &message),
            form: form(&body, &path),
            query: query(&binding.body, path),
            message,
            body,
            straight: None,
            streaming,
        };
        plan.straight = Straight::compile(binding, &plan);
        Ok(plan)
    }

    /// The field that the request's body streams up to, when it is not read whole: `Some(None)` for
    /// the request itself.
    pub(in crate::call) fn upload(&self) -> Option<Option<FieldDescriptor>> {
        match &self.body {
            Body::Raw(field) if self.streaming => Some(field.clone()),
            _ => None,
        }
    }

    /// What of a form names a field that it may fill: an OAuth client may send parameters that are
    /// not known (RFC 6749 §3.2).
    pub(in crate::call) fn known_pairs(&self, form: Bytes) -> Bytes {
        let message = match &self.body {
            Body::Field(field, true) => match field.kind() {
                Kind::Message(message) => message,
                _ => return form,
            },
            _ => self.message.clone(),
        };
        match std::str::from_utf8(&form) {
            Ok(text) => query::of_known_fields(text, &message).into(),
            // What is no text is refused where it is read.
            Err(_) => form,
        }
    }
}

fn numbers(chain: &[FieldDescriptor]) -> Vec<u32> {
    chain.iter().map(FieldDescriptor::number).collect()
}

fn body(binding: &Binding, message: &MessageDescriptor) -> Body {
    match &binding.body {
        // A body has no meaning there (RFC 9110 §9.3.1, §9.3.5), so that proxies may add or drop
        // one.
        BodyTarget::None if matches!(binding.verb.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS" | "*") => {
            Body::Ignored
        }
        BodyTarget::None => Body::Refused,
        BodyTarget::Whole if is_http_body(message) => Body::Raw(None),
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

/// A PATCH of one field, beside which the request has a mask, infers the mask from its body.
fn mask(binding: &Binding, body: &Body, message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let is_mask = |field: &FieldDescriptor| match field.kind() {
        Kind::Message(kind) => kind.full_name() == "google.protobuf.FieldMask",
        _ => false,
    };
    let in_path = |field: &FieldDescriptor| binding.path_fields.iter().any(|chain| chain[0] == *field);
    (binding.verb == "PATCH" && matches!(body, Body::Field(_, true)))
        .then(|| message.get_field_by_name("update_mask"))
        .flatten()
        .filter(|field| is_mask(field) && !field.is_list() && !in_path(field))
}

/// A form fills the body's message: where that is one field, nothing of it is bound elsewhere.
fn form(body: &Body, path: &Excluded) -> Excluded {
    match body {
        Body::Field(..) => Excluded {
            barred: path.barred.clone(),
            is_form: true,
            ..Excluded::default()
        },
        _ => Excluded {
            is_form: true,
            ..path.clone()
        },
    }
}

/// The query sets what neither the path nor the body binds.
fn query(body: &BodyTarget, mut path: Excluded) -> Excluded {
    match body {
        BodyTarget::Whole => path.all = true,
        BodyTarget::Field(field) => path.chains.push(vec![field.number()]),
        BodyTarget::None => {}
    }
    path
}

/// Every field, at any depth of a request, that only a cookie or a header may fill.
fn barred(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut seen = HashSet::from([message.full_name().to_owned()]);
    let mut open = vec![message.clone()];
    let mut barred = Vec::new();
    while let Some(message) = open.pop() {
        for field in message.fields() {
            if let Kind::Message(inner) = field.kind()
                && seen.insert(inner.full_name().to_owned())
            {
                open.push(inner);
            }
            if options::cookie(&field).is_some() || options::if_match(&field) {
                barred.push(field);
            }
        }
    }
    barred
}
