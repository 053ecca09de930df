//! A request straight to the bytes of its message.

use prost::encoding::{WireType, encode_key};
use prost_reflect::FieldDescriptor;
use quartet_proto::options;

use super::{Filling, Request};
use crate::call::content::Content;
use crate::call::fields;
use crate::call::plan::request::{Body, RequestPlan};
use crate::routes::Binding;
use crate::transcode::encode::{self, Chain, Named, Plain, Plan, Target, Unclear};
use crate::transcode::query;
use crate::transcode::received::Received;

/// What is computed of a binding before any request.
pub(in crate::call) struct Straight {
    plan: Plan,
    /// What the body fills, if it fills anything.
    target: Option<Target>,
    /// What the path binds.
    path: Vec<Chain>,
}

impl Straight {
    /// `None` where requests have to be made as messages: where something in them is an `Any`, or
    /// where one part of a request may exclude what another part sets.
    pub(in crate::call) fn compile(binding: &Binding, request: &RequestPlan) -> Option<Self> {
        let mut barred = request.query.barred.clone();
        if let Body::Raw(field) = &request.body {
            // The data of a body is none of what a client spells out.
            barred.push(field.clone()?);
        }
        let plan = Plan::compile(&request.message, &barred)?;
        let target = match &request.body {
            Body::Ignored | Body::Refused | Body::Raw(_) => None,
            Body::Whole => Some(Target::Whole),
            Body::Field(field, true) => Some(Target::Inside(plan.field(field)?)),
            Body::Field(field, false) => Some(Target::Field(plan.field(field)?)),
        };
        let in_oneof = |field: &FieldDescriptor| {
            let oneof = field.containing_oneof();
            oneof.is_some_and(|oneof| oneof.fields().len() > 1)
        };
        let is_of_header = |field: &FieldDescriptor| {
            options::cookie(field).is_some() || options::if_match(field) || options::last_event_id(field)
        };
        if request
            .message
            .fields()
            .any(|field| is_of_header(&field) && in_oneof(&field))
        {
            return None;
        }
        let path = binding.path_fields.iter().map(|chain| plan.chain(chain));
        Some(Self {
            path: path.collect::<Option<_>>()?,
            target,
            plan,
        })
    }

    /// Appends what the request sets to `out`; `Err` with what was appended where it is not plainly
    /// right.
    pub(super) fn fill(
        &self,
        request: &Request<'_>,
        filling: Option<&Filling>,
        mut out: Vec<u8>,
    ) -> Result<Vec<u8>, Vec<u8>> {
        match self.append(request, filling, &mut out) {
            Ok(()) => Ok(out),
            Err(Unclear) => Err(out),
        }
    }

    fn append(&self, request: &Request<'_>, filling: Option<&Filling>, out: &mut Vec<u8>) -> Plain<()> {
        let Request { plan, parts, .. } = request;
        let query = parts.uri.query().unwrap_or_default();
        // Numbers and names are shorter than their JSON.
        out.reserve(filling.map_or(0, |(_, data)| data.len()) + query.len() + 64);
        let mut named = Named::default();
        if let (Some((kind, data)), Some(target)) = (filling, self.target) {
            let named = request.is_patch().then_some(&mut named);
            match kind {
                Content::Json if data.iter().all(u8::is_ascii_whitespace) => self.plan.nothing(target, out),
                Content::Json => self.plan.json(data, target, named, out)?,
                Content::Form => {
                    let text = std::str::from_utf8(data).map_err(|_| Unclear)?;
                    self.plan.pairs(text, target, &plan.request.form, named, out)?;
                }
            }
        }
        if !query.is_empty() {
            if query.len() > query::MAX_QUERY {
                return Err(Unclear);
            }
            let query = fields::removed(plan, query);
            self.plan.pairs(&query, Target::Whole, &plan.request.query, None, out)?;
        }
        if let Some((field, id)) = plan.events.resumed(&parts.headers) {
            encode::string(field.number(), id, out);
        }
        if let Some(if_match) = &plan.if_match
            && let Some((field, text)) = if_match.read(&parts.headers).map_err(|_| Unclear)?
        {
            encode::string(field.number(), &text, out);
        }
        for (field, value) in request.cookies.sent() {
            encode::string(field.number(), value, out);
        }
        for (chain, text) in self.path.iter().zip(request.bound()) {
            self.plan.text(chain, &text, out)?;
        }
        self.infer_mask(request, &named, out)
    }

    /// Appends the update mask of a PATCH, made from the fields that its body names.
    fn infer_mask(&self, request: &Request<'_>, named: &Named, out: &mut Vec<u8>) -> Plain<()> {
        let RequestPlan { mask, body, .. } = &request.plan.request;
        let Some(mask) = mask else {
            let names_nothing = request.is_patch() && matches!(body, Body::Whole) && named.is_empty();
            return if names_nothing { Err(Unclear) } else { Ok(()) };
        };
        if Received::has_content(out, mask) {
            return Ok(());
        }
        if named.is_empty() {
            return Err(Unclear);
        }
        encode_key(mask.number(), WireType::LengthDelimited, out);
        encode::bytes(named.mask(), out);
        Ok(())
    }
}
