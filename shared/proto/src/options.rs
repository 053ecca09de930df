//! What a method declares about itself: access policy, edge behaviour and the reasons that errors name.

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, MethodDescriptor, ServiceDescriptor, Value};

pub use crate::options_v1::{
    Access, Cache, Cookie, Deprecation, Edge, Event, FreshProof, Idempotency, Limit, LimitKey, Page, Precondition,
    Reason,
};

/// The access policy of `method`; `None` when it declares none, which callers treat as denied.
pub fn access(method: &MethodDescriptor) -> Option<Access> {
    let extension = method
        .parent_pool()
        .get_extension_by_name("quartet.options.v1.access")?;
    let number = method.options().get_extension(&extension).as_enum_number()?;
    Access::try_from(number)
        .ok()
        .filter(|access| *access != Access::Unspecified)
}

/// The services that may call `method`, where only services may; `*` stands for each of them.
pub fn callers(method: &MethodDescriptor) -> Vec<String> {
    let declared = extension(method, "quartet.options.v1.callers");
    let names = declared.as_ref().and_then(Value::as_list).unwrap_or_default();
    names
        .iter()
        .filter_map(|name| Some(name.as_str()?.to_owned()))
        .collect()
}

/// The edge behaviour of `method`; the default when it declares none.
pub fn edge(method: &MethodDescriptor) -> Edge {
    let pool = method.parent_pool();
    pool.get_extension_by_name("quartet.options.v1.edge")
        .and_then(|extension| decode(&method.options().get_extension(&extension)))
        .unwrap_or_default()
}

/// How long a reply of `method` may be kept; `None` where it may not be.
pub fn cache(method: &MethodDescriptor) -> Option<Cache> {
    let extension = method.parent_pool().get_extension_by_name("quartet.options.v1.cache")?;
    let options = method.options();
    options
        .has_extension(&extension)
        .then(|| decode(&options.get_extension(&extension)))
        .flatten()
}

/// The limits of `method`'s own.
pub fn limits(method: &MethodDescriptor) -> Vec<Limit> {
    let pool = method.parent_pool();
    let Some(extension) = pool.get_extension_by_name("quartet.options.v1.limits") else {
        return Vec::new();
    };
    let options = method.options();
    let declared = options.get_extension(&extension);
    declared
        .as_list()
        .unwrap_or_default()
        .iter()
        .filter_map(decode)
        .collect()
}

/// What becomes of an idempotency key of `method`; `Unspecified` when it ignores keys.
pub fn idempotency(method: &MethodDescriptor) -> Idempotency {
    let declared = extension(method, "quartet.options.v1.idempotency")
        .and_then(|value| value.as_enum_number())
        .and_then(|number| Idempotency::try_from(number).ok())
        .unwrap_or_default();
    if declared != Idempotency::Unspecified {
        return declared;
    }
    let rule = extension(method, "google.api.http");
    let writes = rule.as_ref().and_then(Value::as_message).is_some_and(posts_or_patches);
    let is_for_people = access(method).is_some_and(|access| access != Access::Service);
    match writes && is_for_people && !method.is_server_streaming() && has_side_effects(method) {
        true => Idempotency::Kept,
        false => Idempotency::Unspecified,
    }
}

fn has_side_effects(method: &MethodDescriptor) -> bool {
    use prost_types::method_options::IdempotencyLevel;
    let options = method.method_descriptor_proto().options.as_ref();
    options.is_none_or(|options| options.idempotency_level() != IdempotencyLevel::NoSideEffects)
}

fn posts_or_patches(rule: &DynamicMessage) -> bool {
    let bindings = rule.get_field_by_name("additional_bindings");
    let bindings = bindings.as_ref().and_then(|bindings| bindings.as_list());
    rule.has_field_by_name("post")
        || rule.has_field_by_name("patch")
        || bindings
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_message)
            .any(posts_or_patches)
}

fn extension(method: &MethodDescriptor, name: &str) -> Option<Value> {
    let extension = method.parent_pool().get_extension_by_name(name)?;
    let options = method.options();
    options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension).into_owned())
}

/// Where `service` stands in the documentation; last when it declares nothing.
pub fn docs_order(service: &ServiceDescriptor) -> u32 {
    let extension = service
        .parent_pool()
        .get_extension_by_name("quartet.options.v1.docs_order");
    let declared = extension.and_then(|extension| service.options().get_extension(&extension).as_u32());
    declared.filter(|order| *order > 0).unwrap_or(u32::MAX)
}

/// Whether a change by `method` has to name the version of the resource.
pub fn precondition_required(method: &MethodDescriptor) -> bool {
    let declared = extension(method, "quartet.options.v1.precondition").and_then(|value| value.as_enum_number());
    declared == Some(Precondition::Required as i32)
}

/// Whether `method` demands that its caller has proven who they are just now.
pub fn fresh_proof(method: &MethodDescriptor) -> FreshProof {
    extension(method, "quartet.options.v1.fresh_proof")
        .and_then(|value| value.as_enum_number())
        .and_then(|number| FreshProof::try_from(number).ok())
        .unwrap_or_default()
}

/// Whether `field` is filled from the `If-Match` header.
pub fn if_match(field: &FieldDescriptor) -> bool {
    flag(field, "quartet.options.v1.if_match")
}

/// The cookie that carries `field` for browsers, if it declares one.
pub fn cookie(field: &FieldDescriptor) -> Option<Cookie> {
    let extension = field.parent_pool().get_extension_by_name("quartet.options.v1.cookie")?;
    let options = field.options();
    options
        .has_extension(&extension)
        .then(|| decode(&options.get_extension(&extension)))
        .flatten()
}

/// Whether `field` holds a secret.
pub fn secret(field: &FieldDescriptor) -> bool {
    flag(field, "quartet.options.v1.secret")
}

/// Whether `field` is the id of a user, for which a path may have `me`.
pub fn user_id(field: &FieldDescriptor) -> bool {
    flag(field, "quartet.options.v1.user_id")
}

/// Whether `field` is the id of the event that a streamed reply becomes.
pub fn event_id(field: &FieldDescriptor) -> bool {
    flag(field, "quartet.options.v1.event_id")
}

/// Whether `field` is filled from the `Last-Event-ID` header.
pub fn last_event_id(field: &FieldDescriptor) -> bool {
    flag(field, "quartet.options.v1.last_event_id")
}

fn flag(field: &FieldDescriptor, name: &str) -> bool {
    field
        .parent_pool()
        .get_extension_by_name(name)
        .is_some_and(|extension| field.options().get_extension(&extension).as_bool() == Some(true))
}

/// A custom option's message, through its wire form.
fn decode<M: Message + Default>(value: &Value) -> Option<M> {
    M::decode(value.as_message()?.encode_to_vec().as_slice()).ok()
}

impl Reason {
    /// The reason as `google.rpc.ErrorInfo` carries it: the enum's name without its prefix, as
    /// `TODO_NOT_FOUND`.
    pub fn code(self) -> &'static str {
        let name = self.as_str_name();
        name.strip_prefix("REASON_").unwrap_or(name)
    }
}
