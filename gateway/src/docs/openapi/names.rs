//! What a message is called among the components.

use std::collections::{HashMap, HashSet};

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use crate::routes::Binding;

/// Names of components: a message's own name, with the package's before it where two messages share
/// one.
pub(super) struct Names {
    shared: HashSet<String>,
    outputs: HashSet<String>,
}

impl Names {
    pub(super) fn new(pool: &DescriptorPool, bindings: &[&Binding]) -> Self {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for message in pool.all_messages() {
            *seen
                .entry(short(message.full_name(), message.package_name()))
                .or_default() += 1;
        }
        for kind in pool.all_enums() {
            *seen.entry(short(kind.full_name(), kind.package_name())).or_default() += 1;
        }
        let shared = seen
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .map(|(name, _)| name)
            .collect();
        let mut outputs = HashSet::new();
        for binding in bindings {
            collect(&binding.method.output(), &mut outputs);
        }
        Self { shared, outputs }
    }

    /// The component of a message or an enum.
    pub(super) fn of(&self, full_name: &str, package: &str) -> String {
        let name = short(full_name, package);
        if !self.shared.contains(&name) {
            return name;
        }
        // `quartet.auth.v1` → `auth`
        let segment = package
            .rsplit('.')
            .find(|segment| !crate::backends::is_version(segment))
            .unwrap_or(package);
        format!("{segment}.{name}")
    }

    /// The component of a message as clients send it. It has a name of its own where the message is
    /// sent back as well, because what is optional in a request is always there in a reply.
    pub(super) fn of_input(&self, message: &MessageDescriptor) -> String {
        let name = self.of(message.full_name(), message.package_name());
        if self.outputs.contains(message.full_name()) {
            format!("{name}Input")
        } else {
            name
        }
    }
}

fn short(full_name: &str, package: &str) -> String {
    full_name
        .strip_prefix(package)
        .unwrap_or(full_name)
        .trim_start_matches('.')
        .to_owned()
}

fn collect(message: &MessageDescriptor, names: &mut HashSet<String>) {
    if !names.insert(message.full_name().to_owned()) {
        return;
    }
    for field in message.fields() {
        if let Kind::Message(inner) = field.kind() {
            collect(&inner, names);
        }
    }
}
