//! Which fields of a message are written: a read mask (AIP-157).

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::known::known;

/// Which fields of a message are written, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FieldTree(BTreeMap<u32, Option<FieldTree>>);

impl FieldTree {
    /// The fields at these paths, each with all below it. Paths that the message does not have are
    /// looked for in the items of its list, where it has one: `title` is `data.title` of a page.
    /// What stands beside that list is written then, unless other paths name some of it.
    ///
    /// # Errors
    /// The first path that leads to no field.
    pub(crate) fn of<'p>(message: &MessageDescriptor, paths: &'p [String]) -> Result<Self, &'p str> {
        let items = items(message);
        let (mut tree, mut of_items) = (Self::default(), Self::default());
        let mut names_own = false;
        for path in paths {
            if let Some(chain) = chain(message, path) {
                names_own |= items.as_ref().is_none_or(|items| chain[0] != *items);
                tree.add(&chain);
                continue;
            }
            let inner = items.as_ref().and_then(|items| match items.kind() {
                Kind::Message(inner) => Some(inner),
                _ => None,
            });
            match inner.and_then(|inner| chain_in(&inner, path)) {
                Some(chain) => of_items.add(&chain),
                None => return Err(path),
            }
        }
        if let Some(items) = items.filter(|_| !of_items.0.is_empty()) {
            if !names_own {
                let beside = message.fields().filter(|field| *field != items);
                tree.0.extend(beside.map(|field| (field.number(), None)));
            }
            // A list that is named as a whole stays whole.
            tree.0.entry(items.number()).or_insert(Some(of_items));
        }
        Ok(tree)
    }

    /// What is written of the field with this number: `None` where it is not, `Some(None)` where all
    /// of it is.
    pub(crate) fn get(&self, number: u32) -> Option<Option<&Self>> {
        self.0.get(&number).map(Option::as_ref)
    }

    fn add(&mut self, chain: &[FieldDescriptor]) {
        let Some((field, rest)) = chain.split_first() else {
            return;
        };
        if rest.is_empty() {
            self.0.insert(field.number(), None);
        } else if let Some(inner) = self.0.entry(field.number()).or_insert_with(|| Some(Self::default())) {
            inner.add(rest);
        }
    }
}

/// The list of a page: its only list of messages.
fn items(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let mut lists = message
        .fields()
        .filter(|field| field.is_list() && matches!(field.kind(), Kind::Message(_)));
    lists.next().filter(|_| lists.next().is_none())
}

fn chain(message: &MessageDescriptor, path: &str) -> Option<Vec<FieldDescriptor>> {
    chain_in(message, path)
}

/// The fields of a dotted path. A path ends at maps and at messages with a form of their own.
fn chain_in(message: &MessageDescriptor, path: &str) -> Option<Vec<FieldDescriptor>> {
    let mut message = Some(message.clone());
    let mut chain = Vec::new();
    for name in path.split('.') {
        let inside = message.take()?;
        let field = inside.get_field_by_name(name)?;
        if let Kind::Message(inner) = field.kind()
            && !field.is_map()
            && known(&inner).is_none()
        {
            message = Some(inner);
        }
        chain.push(field);
    }
    Some(chain)
}
