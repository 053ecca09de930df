//! A request read into a message: each part checks all of its fields, so that a client gets to know
//! every one that breaks a rule.

use bytes::Bytes;
use http::StatusCode;
use prost_reflect::{DynamicMessage, Kind, Value};

use super::{Filling, Request};
use crate::call::content::Content;
use crate::call::fields;
use crate::call::plan::request::Body;
use crate::problem::Problem;
use crate::transcode::json::{Reader, Recorded};
use crate::transcode::query;
use crate::transcode::violations::Violations;

impl Request<'_> {
    /// The message of a request.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub(super) fn message(&self, filling: Option<&Filling>) -> Result<DynamicMessage, Problem> {
        let mut message = DynamicMessage::new(self.plan.request.message.clone());
        let named = match filling {
            Some((kind, data)) => self.read(&mut message, *kind, data)?,
            None => Recorded::new(),
        };
        self.finish(&mut message)?;
        self.infer_mask(&mut message, named)?;
        Ok(message)
    }

    /// Reads the body into `message`. Returns the paths of the fields that it names, from the body
    /// down, if a mask is to be made of them.
    fn read(&self, message: &mut DynamicMessage, kind: Content, data: &Bytes) -> Result<Recorded, Problem> {
        let plan = self.plan;
        let field = match &plan.request.body {
            Body::Field(field, _) => Some(field),
            _ => None,
        };
        if kind == Content::Form {
            let text = std::str::from_utf8(data)
                .map_err(|_| Problem::bad_request("form-encoding", "the form is not UTF-8"))?;
            let target = match field {
                Some(field) => match message.get_field_mut(field) {
                    Value::Message(inner) => inner,
                    _ => return Ok(Recorded::new()),
                },
                None => message,
            };
            return query::apply(text, target, &plan.request.form);
        }
        if data.iter().all(u8::is_ascii_whitespace) {
            // No body is an empty one.
            if let Some(field) = field
                && let Kind::Message(inner) = field.kind()
                && !field.is_list()
                && !field.is_map()
            {
                message.set_field(field, Value::Message(DynamicMessage::new(inner)));
            }
            return Ok(Recorded::new());
        }
        let mut reader = Reader::new(data, &plan.request.query.barred)?;
        if self.is_patch() {
            reader = reader.recording();
        }
        match (field, &plan.request.body) {
            // The body's own message is read in place, so that the paths of its fields start at the
            // body.
            (Some(field), Body::Field(_, true)) => match message.get_field_mut(field) {
                Value::Message(inner) => reader.inside().message(inner),
                _ => Ok(Recorded::new()),
            },
            (Some(field), _) => reader.field(message, field),
            (None, _) => reader.message(message),
        }
    }

    fn finish(&self, message: &mut DynamicMessage) -> Result<(), Problem> {
        let Self { plan, parts, .. } = self;
        if let Some(raw) = parts.uri.query().filter(|raw| !raw.is_empty()) {
            if raw.len() > query::MAX_QUERY {
                let problem = Problem::bad_request("query-too-long", "the query is over 32 KiB");
                return Err(Problem {
                    status: StatusCode::URI_TOO_LONG,
                    ..problem
                });
            }
            query::apply(&fields::removed(plan, raw), message, &plan.request.query)?;
        }
        if let Some((field, id)) = plan.events.resumed(&parts.headers) {
            message.set_field(field, Value::String(id.to_owned()));
        }
        if let Some(if_match) = &plan.if_match
            && let Some((field, text)) = if_match.read(&parts.headers)?
        {
            message.set_field(field, Value::String(text));
        }
        for (field, value) in self.cookies.sent() {
            message.set_field(field, Value::String(value.to_owned()));
        }
        let mut violations = Violations::default();
        for (chain, text) in plan.binding.path_fields.iter().zip(self.bound()) {
            if let Err(broken) = query::bind(message, chain, &text, &mut violations) {
                violations.add(broken);
            }
            violations.leave(0);
        }
        violations.check()
    }

    /// Makes the update mask of a PATCH from the fields that its body names: a field with `null` is
    /// cleared, an absent one stays.
    fn infer_mask(&self, message: &mut DynamicMessage, named: Recorded) -> Result<(), Problem> {
        let plan = self.plan;
        let (Some(mask), Body::Field(body, _)) = (&plan.request.mask, &plan.request.body) else {
            // Without a mask, what a body does not name gets its default.
            return match self.is_patch() && matches!(plan.request.body, Body::Whole) && named.is_empty() {
                true => Err(nothing_to_change("")),
                false => Ok(()),
            };
        };
        let Kind::Message(descriptor) = mask.kind() else {
            return Ok(());
        };
        if let Some(given) = message.get_field(mask).as_message()
            && given
                .get_field_by_number(1)
                .is_some_and(|paths| !paths.as_list().unwrap_or_default().is_empty())
        {
            return Ok(());
        }
        if named.is_empty() {
            // To a service an empty mask means every field; a PATCH that names none must not clear
            // them.
            return Err(nothing_to_change(body.name()));
        }
        let mut inferred = DynamicMessage::new(descriptor);
        inferred.set_field_by_number(1, Value::List(named.into_iter().map(Value::String).collect()));
        message.set_field(mask, Value::Message(inferred));
        Ok(())
    }
}

fn nothing_to_change(field: &str) -> Problem {
    Problem::field(field, "REQUIRED", "give at least one field to change")
}
