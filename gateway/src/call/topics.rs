//! The streams that a WebSocket can subscribe to: the methods whose `edge` option names a topic.

use std::sync::Arc;

use prost_reflect::{DynamicMessage, FieldDescriptor, MethodDescriptor};
use quartet_proto::options;

use super::config::Config;
use super::plan::{Plan, StartError};
use super::topic_stream::Source;
use crate::problem::Problem;
use crate::transcode::query;
use crate::transcode::violations::Violations;

/// Every topic of the contracts.
pub(crate) struct Topics {
    topics: Vec<Arc<Topic>>,
    config: Arc<Config>,
}

/// A topic that a method declares.
pub(crate) struct Topic {
    /// As declared, such as `tasks/{task_id}`.
    pub(crate) template: String,
    segments: Vec<Segment>,
    plan: Arc<Plan>,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Field(FieldDescriptor),
}

impl Topics {
    pub(super) fn compile(plans: &[Arc<Plan>], config: Arc<Config>) -> Result<Self, StartError> {
        let mut topics: Vec<Arc<Topic>> = Vec::new();
        for plan in plans {
            let method = &plan.binding.method;
            let template = options::edge(method).topic;
            // A method with several bindings has several plans, and is one topic.
            let is_listed = |topic: &Arc<Topic>| topic.plan.binding.method == *method;
            if template.is_empty() || topics.iter().any(is_listed) {
                continue;
            }
            let refused = |reason| StartError {
                method: method.full_name().to_owned(),
                reason,
            };
            if topics.iter().any(|topic| topic.template == template) {
                return Err(refused(format!("another method has the topic `{template}`")));
            }
            let segments = segments(&template, method).map_err(refused)?;
            topics.push(Arc::new(Topic {
                template,
                segments,
                plan: Arc::clone(plan),
            }));
        }
        Ok(Self { topics, config })
    }

    /// The topics, in the order of the protos.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().map(Arc::as_ref)
    }

    /// What a subscription to `name` calls; `None` when there is no such topic.
    ///
    /// # Errors
    /// A part of the name that its field cannot hold.
    pub(crate) fn find(&self, name: &str) -> Option<Result<Source, Problem>> {
        let topic = self.topics.iter().find(|topic| topic.matches(name))?;
        let mut message = DynamicMessage::new(topic.plan.request.message.clone());
        for (segment, text) in topic.segments.iter().zip(name.split('/')) {
            if let Segment::Field(field) = segment
                && let Err(broken) = query::bind(
                    &mut message,
                    std::slice::from_ref(field),
                    text,
                    &mut Violations::default(),
                )
            {
                return Some(Err(Problem::field(field.name(), broken.rule, broken.description)));
            }
        }
        Some(Ok(Source::new(topic.plan.clone(), message, self.config.clone())))
    }
}

fn segments(template: &str, method: &MethodDescriptor) -> Result<Vec<Segment>, String> {
    if !method.is_server_streaming() || method.is_client_streaming() {
        return Err(format!(
            "the topic `{template}` needs a method that streams its replies alone"
        ));
    }
    let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(name) => match method.input().get_field_by_name(name) {
            Some(field) if !field.is_list() && !field.is_map() => Ok(Segment::Field(field)),
            _ => Err(format!(
                "the topic `{template}` names the field `{name}`, which the request lacks"
            )),
        },
        None if text.is_empty() || text.contains(['{', '}']) => Err(format!("`{template}` is no topic")),
        None => Ok(Segment::Literal(text.to_owned())),
    };
    template.split('/').map(segment).collect()
}

impl Topic {
    /// The method behind it.
    pub(crate) fn method(&self) -> &MethodDescriptor {
        &self.plan.binding.method
    }

    fn matches(&self, name: &str) -> bool {
        let mut given = name.split('/');
        let all = self.segments.iter().all(|segment| match (segment, given.next()) {
            (Segment::Literal(literal), Some(text)) => literal == text,
            (Segment::Field(_), Some(text)) => !text.is_empty(),
            (_, None) => false,
        });
        all && given.next().is_none()
    }
}
