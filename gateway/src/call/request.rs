//! The message of a request: its body, then its query, its headers and its path, each allowed only
//! its own fields.
//!
//! [`straight`] makes the bytes of the message of what is plainly right. Everything else goes through
//! [`message`], which finds out what is wrong.

mod message;
mod raw;
mod straight;

use std::borrow::Cow;

use bytes::Bytes;
use http::header;
use http::request::Parts;
use http_body::Body as _;
use prost::Message;
use prost_reflect::FieldDescriptor;
use quartet_proto::options;
use quartet_rpc::User;

use super::content::{self, Content};
use super::cookie;
use super::plan::Plan;
use super::plan::request::Body;
use crate::problem::Problem;

pub(super) use raw::append as append_raw;
pub(in crate::call) use straight::Straight;

/// What a message is made of, besides its body.
pub(super) struct Request<'a> {
    pub(super) plan: &'a Plan,
    pub(super) parts: &'a Parts,
    /// What the path binds.
    pub(super) captures: &'a [Cow<'a, str>],
    pub(super) cookies: &'a cookie::Exchange<'a>,
    pub(super) caller: Option<&'a User>,
}

/// A body that fills fields.
type Filling = (Content, Bytes);

impl Request<'_> {
    /// The message of a request whose body is read whole.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub(super) async fn assemble(&self, body: axum::body::Body) -> Result<Bytes, Problem> {
        let Self { plan, parts, .. } = self;
        match &plan.request.body {
            Body::Ignored => self.fill(Vec::new(), None),
            Body::Refused => {
                refuse(body).await?;
                self.fill(Vec::new(), None)
            }
            Body::Raw(field) => {
                if !body.is_end_stream() {
                    content::check_encoding(&parts.headers, None)?;
                }
                let data = content::read(body).await?;
                let mut out = Vec::with_capacity(data.len() + 128);
                append_raw(field.as_ref(), content_type(parts), &data, &mut out);
                self.fill(out, None)
            }
            Body::Whole | Body::Field(..) => {
                let form = matches!(plan.request.body, Body::Whole | Body::Field(_, true));
                // The type of an empty body does not matter.
                let kind = if body.is_end_stream() {
                    Content::Json
                } else {
                    content::content(&parts.headers, &parts.method, form)?
                };
                let mut data = content::read(body).await?;
                if kind == Content::Form {
                    if data.trim_ascii_start().starts_with(b"{") {
                        return Err(content::json_as_form(&parts.method));
                    }
                    if plan.is_oauth {
                        data = plan.request.known_pairs(data);
                    }
                }
                self.fill(Vec::new(), Some(&(kind, data)))
            }
        }
    }

    /// The message of a request whose body streams up beside it.
    ///
    /// # Errors
    /// As [`Request::assemble`].
    pub(super) fn without_body(&self) -> Result<Bytes, Problem> {
        self.fill(Vec::new(), None)
    }

    /// Appends what the request sets to `out`.
    fn fill(&self, out: Vec<u8>, filling: Option<&Filling>) -> Result<Bytes, Problem> {
        let kept = out.len();
        let mut out = match &self.plan.request.straight {
            None => out,
            Some(straight) => match straight.fill(self, filling, out) {
                Ok(out) => return Ok(out.into()),
                Err(mut out) => {
                    out.truncate(kept);
                    out
                }
            },
        };
        let message = self.message(filling)?;
        message
            .encode(&mut out)
            .map_err(|error| super::status::internal(&error.to_string()))?;
        Ok(out.into())
    }

    /// What the path binds, with the caller's own id for `me`. Without a token that counts `me`
    /// stays: the service refuses the call.
    fn bound(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let fields = &self.plan.binding.path_fields;
        fields.iter().zip(self.captures).map(|(chain, text)| match self.caller {
            Some(user) if is_caller(chain, text) => Cow::Owned(user.id.to_string()),
            _ => Cow::Borrowed(&**text),
        })
    }

    fn is_patch(&self) -> bool {
        self.plan.binding.verb == "PATCH"
    }
}

/// Whether the path has `me` for the id of a user.
fn is_caller(chain: &[FieldDescriptor], text: &str) -> bool {
    text == "me" && chain.last().is_some_and(options::user_id)
}

/// The media type of the body, whatever it is.
pub(super) fn content_type(parts: &Parts) -> Option<&str> {
    parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
}

/// Checks that there is no body. One byte is enough to refuse it.
async fn refuse(body: axum::body::Body) -> Result<(), Problem> {
    use http_body_util::BodyExt;
    let mut body = body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| content::unread(&error))?;
        if frame.data_ref().is_some_and(|data| !data.is_empty()) {
            return Err(Problem::bad_request("body-refused", "the path takes no body"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
