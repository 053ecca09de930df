//! The comments of the protos, as descriptions.

use std::collections::HashMap;

use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor,
    ServiceDescriptor,
};
use quartet_proto::descriptors;

/// The comments of every file.
pub(crate) struct Comments(HashMap<String, HashMap<Vec<i32>, String>>);

impl Comments {
    /// Those of the contracts.
    pub(crate) fn of_contracts() -> Self {
        Self::read(&descriptors::documented().file)
    }

    /// Reads them all.
    pub(crate) fn read<'a>(files: impl IntoIterator<Item = &'a FileDescriptorProto>) -> Self {
        Self(
            files
                .into_iter()
                .map(|file| (file.name().to_owned(), comments(file)))
                .collect(),
        )
    }

    /// The comment above a service.
    pub(crate) fn service(&self, service: &ServiceDescriptor) -> &str {
        self.at(&service.parent_file(), service.path())
    }

    /// The comment above a method.
    pub(crate) fn method(&self, method: &MethodDescriptor) -> &str {
        self.at(&method.parent_file(), method.path())
    }

    /// The comment above a message.
    pub(crate) fn message(&self, message: &MessageDescriptor) -> &str {
        self.at(&message.parent_file(), message.path())
    }

    /// The comment above a field.
    pub(crate) fn field(&self, field: &FieldDescriptor) -> &str {
        self.at(&field.parent_file(), field.path())
    }

    /// The comment above an enum.
    pub(crate) fn enumeration(&self, kind: &EnumDescriptor) -> &str {
        self.at(&kind.parent_file(), kind.path())
    }

    /// The comment above a value of an enum.
    pub(crate) fn enum_value(&self, value: &EnumValueDescriptor) -> &str {
        self.at(&value.parent_file(), value.path())
    }

    fn at(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.0
            .get(file.name())
            .and_then(|paths| paths.get(path))
            .map_or("", String::as_str)
    }
}

fn comments(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let info = file.source_code_info.as_ref();
    let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
    let commented = locations
        .iter()
        .filter_map(|location| Some((location.path.clone(), tidy(location.leading_comments.as_deref()?))));
    commented.collect()
}

/// The first sentence of a comment, without its full stop.
pub(crate) fn first_sentence(comment: &str) -> &str {
    let paragraph = comment.split("\n\n").next().unwrap_or_default();
    let sentence = paragraph.split_once(". ").map_or(paragraph, |(first, _)| first);
    sentence.strip_suffix('.').unwrap_or(sentence)
}

/// Joins the lines of each paragraph; paragraphs stay apart by an empty line.
fn tidy(comment: &str) -> String {
    let mut text = String::with_capacity(comment.len());
    for line in comment.trim().lines().map(str::trim) {
        if line.is_empty() {
            text.push_str("\n\n");
        } else {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_paragraphs_kept() {
        assert_eq!(tidy(" One\n two.\n\n Three.\n"), "One two.\n\nThree.");
        assert_eq!(first_sentence("One two. Three."), "One two");
        assert_eq!(first_sentence("One.\n\nTwo."), "One");
    }

    #[test]
    fn comments_are_found() {
        let pool = descriptors::pool();
        let comments = Comments::of_contracts();
        let todo = pool.get_message_by_name("quartet.todos.v1.Todo").unwrap();
        assert_eq!(comments.message(&todo), "Something to do.");
        assert_eq!(
            comments.field(&todo.get_field_by_name("title").unwrap()),
            "At most 100 characters."
        );
        let service = pool.get_service_by_name("quartet.todos.v1.TodoService").unwrap();
        assert_eq!(comments.service(&service), "The caller's todos.");
        assert!(
            comments
                .method(&service.methods().next().unwrap())
                .contains("\n\nErrors: ")
        );
        let priority = pool.get_enum_by_name("quartet.todos.v1.Priority").unwrap();
        assert_eq!(comments.enumeration(&priority), "How pressing a todo is.");
        assert_eq!(comments.enum_value(&priority.default_value()), "None.");
    }
}
