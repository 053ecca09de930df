//! How many elements of a list are passed on.
//!
//! A text of one byte takes a service some fifty when it decodes it, an empty message some two hundred.
//! Of a list that is longer than its rule allows, one element too many is passed on: the service refuses
//! it for that, and the others take no memory.

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};

/// Elements of a list that are passed on at the most: one more than its rule allows. Numbers that stand
/// together in one take no more than they are.
pub(super) fn of(field: &FieldDescriptor) -> Option<usize> {
    if !field.is_list() || field.is_map() || field.is_packed() {
        return None;
    }
    let extension = field.parent_pool().get_extension_by_name("buf.validate.field")?;
    let options = field.options();
    if !options.has_extension(&extension) {
        return None;
    }
    let rules = options.get_extension(&extension);
    let repeated = get(rules.as_message()?, "repeated")?;
    let most = get(repeated.as_message()?, "max_items")?.as_u64()?;
    usize::try_from(most).ok()?.checked_add(1)
}

fn get(rules: &DynamicMessage, name: &str) -> Option<Value> {
    let field = rules.descriptor().get_field_by_name(name)?;
    rules.has_field(&field).then(|| rules.get_field(&field).into_owned())
}

#[cfg(test)]
mod tests {
    use quartet_proto::descriptors;

    use super::*;
    use crate::transcode::encode::{Plan, Target};

    #[test]
    fn of_a_list_that_is_too_long_one_element_too_many_is_passed_on() {
        let batch = descriptors::pool().get_message_by_name("quartet.todos.v1.BatchCreateTodosRequest");
        let batch = batch.unwrap();
        let todos = batch.get_field_by_name("todos").unwrap();
        assert_eq!(of(&todos), Some(101));
        let body = format!("{{\"todos\": [{}{{}}]}}", "{},".repeat(4_999));
        let mut bytes = Vec::new();
        let plan = Plan::compile(&batch, &[]).unwrap();
        assert!(plan.json(body.as_bytes(), Target::Whole, None, &mut bytes).is_ok());
        let planned = DynamicMessage::decode(batch.clone(), bytes.as_slice()).unwrap();
        let field = planned.get_field(&todos);
        assert_eq!(field.as_list().unwrap().len(), 101);
    }
}
