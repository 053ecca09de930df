//! What a method declares about itself: access policy, edge behaviour and the reasons that errors name.

use prost::Message;
use prost_reflect::{FieldDescriptor, MethodDescriptor, Value};

pub use crate::options_v1::{Access, Cookie, Deprecation, Edge, Event, Reason};

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

/// The edge behaviour of `method`; the default when it declares none.
pub fn edge(method: &MethodDescriptor) -> Edge {
    let pool = method.parent_pool();
    pool.get_extension_by_name("quartet.options.v1.edge")
        .and_then(|extension| decode(&method.options().get_extension(&extension)))
        .unwrap_or_default()
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
