//! What a method declares about keeping its replies.

use std::time::Duration;

use http::HeaderValue;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use quartet_cache::MAX_TTL;
use quartet_proto::options;
use quartet_rpc::User;

use crate::transcode::received::Received;

/// How replies of a method are kept.
pub(in crate::call) struct CachePlan {
    /// How long the gateway keeps one; not at all when zero.
    pub(in crate::call) ttl: Duration,
    tags: Vec<Tag>,
    /// How long anybody may keep one; zero where it is its caller's alone.
    public: Duration,
}

/// The template of a tag.
struct Tag(Vec<Part>);

enum Part {
    Text(String),
    Caller,
    Field(FieldDescriptor),
}

impl CachePlan {
    /// The plan of `method`; `None` where its replies may not be kept.
    ///
    /// # Errors
    /// What is wrong with the declaration.
    pub(super) fn compile(method: &MethodDescriptor) -> Result<Option<Self>, String> {
        let Some(declared) = options::cache(method) else {
            return Ok(None);
        };
        if method.is_server_streaming() || method.is_client_streaming() {
            return Err("streams, which cannot be kept".to_owned());
        }
        let ttl = Duration::from_secs(declared.ttl_seconds.into());
        if ttl > MAX_TTL {
            return Err(format!("keeps its replies for longer than {} s", MAX_TTL.as_secs()));
        }
        if !ttl.is_zero() && declared.tags.is_empty() && declared.public_max_age_seconds == 0 {
            return Err("keeps its replies without a tag by which they are forgotten".to_owned());
        }
        let input = method.input();
        let tags = declared.tags.iter().map(|template| Tag::compile(template, &input));
        Ok(Some(Self {
            ttl,
            tags: tags.collect::<Result<_, _>>()?,
            public: Duration::from_secs(declared.public_max_age_seconds.into()),
        }))
    }

    /// The tags of the reply to `message`; `None` where nobody is known who asks for it, since the
    /// refusal is the service's.
    pub(in crate::call) fn tags(&self, message: &Received, user: Option<&User>) -> Option<Vec<String>> {
        if user.is_none() && self.public.is_zero() {
            return None;
        }
        self.tags.iter().map(|tag| tag.fill(message, user)).collect()
    }

    /// The value of `Cache-Control`, where a client may use a reply of its own for `client_max_age`.
    pub(in crate::call) fn cache_control(&self, client_max_age: Duration) -> HeaderValue {
        let text = match (self.public.as_secs(), client_max_age.as_secs()) {
            (0, 0) => return HeaderValue::from_static("private, no-cache"),
            (0, own) => format!("private, max-age={own}"),
            (public, _) => format!("public, max-age={public}"),
        };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-store"))
    }
}

impl Tag {
    fn compile(template: &str, input: &MessageDescriptor) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("tag `{template}`: a `{{` is not closed"))?;
            parts.push(Part::Text(text.to_owned()));
            parts.push(match name {
                "caller" => Part::Caller,
                name => Part::Field(
                    input
                        .get_field_by_name(name)
                        .filter(|field| matches!(field.kind(), Kind::String) && !field.is_list())
                        .ok_or_else(|| format!("tag `{template}`: `{name}` is no field of text in the request"))?,
                ),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    fn fill(&self, message: &Received, user: Option<&User>) -> Option<String> {
        let mut tag = String::with_capacity(48);
        for part in &self.0 {
            match part {
                Part::Text(text) => tag.push_str(text),
                Part::Caller => tag.push_str(&user?.id.to_string()),
                // As writers spell ids, whichever way the client does.
                Part::Field(field) => tag.push_str(&message.get(field)?.into_text()?.to_ascii_lowercase()),
            }
        }
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use quartet_proto::descriptors;

    use super::*;

    #[test]
    fn every_method_that_is_kept_only_reads_and_says_what_makes_it_outdated() {
        let mut kept = 0;
        for method in descriptors::pool()
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
        {
            let plan = CachePlan::compile(&method).unwrap_or_else(|why| panic!("{}: {why}", method.full_name()));
            if plan.is_some() {
                kept += 1;
                let reads = ["Get", "List"].iter().any(|verb| method.name().starts_with(verb));
                assert!(reads, "{}", method.full_name());
            }
        }
        assert!(kept > 10, "{kept}");
    }
}
