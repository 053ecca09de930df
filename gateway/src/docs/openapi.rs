//! The OpenAPI 3.1 description of every route, from descriptors, rules and comments alone.
//!
//! In reading order: [`path`] turns a template into a path; [`operation`] describes one binding
//! with its [`parameters`], [`body`] and [`responses`], whose [`errors`] are read from the comments
//! and shown as [`problems`]; [`schema`] describes messages, with the help of [`rules`],
//! [`oneofs`], [`known`], [`names`] and [`examples`]; [`security`] describes how to sign in.

mod body;
mod direction;
mod errors;
mod examples;
mod known;
mod names;
mod object;
mod oneofs;
mod operation;
mod parameters;
mod path;
mod problems;
mod responses;
mod rules;
mod schema;
mod security;

use prost_reflect::DescriptorPool;
use quartet_proto::options;
use serde_json::{Value, json};

use crate::comments::Comments;
use crate::config::Config;
use crate::routes::Binding;

use object::Object;
pub(crate) use security::token_url;

/// How to make a first request, and where to go from there.
const GUIDE: &str = include_str!("guide.md");
/// Where the guide's requests go as it is written.
const DEFAULT_ADDRESS: &str = "http://localhost:8000";
/// The path that the guide begins with; an API without it has no guide.
const GUIDE_OF: &str = "/api/v1/auth/register";

/// General information about an API.
#[derive(Debug, Clone)]
pub struct Info {
    /// Its name.
    pub title: String,
    /// What it is for, in Markdown.
    pub description: String,
    /// Its version.
    pub version: String,
    /// The contact: a name and an e-mail address.
    pub contact: (Option<String>, Option<String>),
    /// Its licence.
    pub license: String,
    /// Where the guide's requests go, such as `http://localhost:8000`.
    pub address: String,
}

impl From<&Config> for Info {
    fn from(config: &Config) -> Self {
        Self {
            title: config.app_name.clone(),
            description: config.app_description.clone(),
            version: config.version().to_owned(),
            contact: (config.contact_name.clone(), config.contact_email.clone()),
            license: config.license_name.clone(),
            address: DEFAULT_ADDRESS.to_owned(),
        }
    }
}

/// Describes the bindings. A method's first binding has the operation id `Service_Method`, the next
/// one `Service_Method_2`.
pub(crate) fn document<'a>(
    pool: &DescriptorPool,
    comments: &Comments,
    bindings: impl IntoIterator<Item = &'a Binding>,
    info: &Info,
) -> Value {
    let bindings: Vec<&Binding> = bindings.into_iter().collect();
    let mut schemas = schema::Schemas::new(pool, comments, &bindings);
    let token_url = security::token_url(&bindings);

    let mut paths = Object::new();
    let mut tags: Vec<(u32, String, Value)> = Vec::new();
    for (index, binding) in bindings.iter().enumerate() {
        let service = binding.method.parent_service();
        let tag = operation::tag(binding);
        if !tags.iter().any(|(_, known, _)| *known == tag) {
            let group = json!({"name": tag, "description": comments.service(service)});
            tags.push((options::docs_order(service), tag, group));
        }
        let before = bindings[..index]
            .iter()
            .filter(|other| other.method == binding.method)
            .count();
        let path = path::Path::of(binding);
        let operation = operation::describe(binding, &path, before, comments, &mut schemas, token_url.is_some());
        let item = paths.entry(path.text).or_insert_with(|| json!({}));
        for verb in operation::verbs(binding) {
            let mut operation = operation.clone();
            if binding.verb == "*" {
                // One binding, several operations, each with an id of its own.
                operation["operationId"] = json!(format!("{}_{verb}", operation::id(binding, before)));
            }
            // A path takes a method once; routes that clash do not compile.
            item[verb] = operation;
        }
    }
    tags.sort_by_key(|(order, ..)| *order);
    let tags: Vec<Value> = tags.into_iter().map(|(.., group)| group).collect();
    let has_guide = bindings.iter().any(|binding| binding.template == GUIDE_OF);
    json!({
        "openapi": "3.1.1",
        "info": describe_info(info, has_guide),
        "servers": [{"url": "/"}],
        "externalDocs": {
            "description": "The WebSocket at /api/v1/ws, with the same streams and with rooms (AsyncAPI 3.0)",
            "url": "/asyncapi.json",
        },
        "tags": tags,
        "paths": paths,
        "components": {
            "examples": schemas.problems.examples(),
            "schemas": schemas.finish(),
            "securitySchemes": security::schemes(token_url),
        },
    })
}

fn describe_info(info: &Info, has_guide: bool) -> Value {
    let mut object = Object::new();
    object.insert("title".into(), json!(info.title));
    let guide = match has_guide {
        true => GUIDE.replace(DEFAULT_ADDRESS, &info.address),
        false => String::new(),
    };
    let description = format!("{}\n\n{guide}", info.description);
    object.insert("description".into(), json!(description.trim_end()));
    object.insert("version".into(), json!(info.version));
    let (name, email) = &info.contact;
    let mut contact = Object::new();
    contact.extend(name.as_ref().map(|name| ("name".to_owned(), json!(name))));
    contact.extend(email.as_ref().map(|email| ("email".to_owned(), json!(email))));
    if !contact.is_empty() {
        object.insert("contact".into(), contact.into());
    }
    object.insert("license".into(), json!({"name": info.license}));
    object.into()
}

#[cfg(test)]
mod tests;
