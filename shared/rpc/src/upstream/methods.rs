//! What the contracts declare about a repeated call: `idempotency_level` of a method.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_types::method_options::IdempotencyLevel;
use quartet_proto::descriptors;
use quartet_proto::options::{self, Idempotency};

/// A method, as a call to it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) repeat: Repeat,
    pub(super) shape: Shape,
    /// Whether its service honours an idempotency key.
    pub(super) takes_key: bool,
    /// Whether a call waits for a backend that is about to be back.
    pub(super) waits: bool,
}

/// What a repeated call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Repeat {
    /// It may take effect twice.
    Never,
    /// It has the same effect and the same answer.
    Idempotent,
    /// It has no effect at all.
    NoSideEffects,
}

/// What goes up and what comes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One message up, one down.
    Unary,
    /// One message up, a stream down.
    Replies,
    /// Anything.
    Stream,
}

/// What is no method of the contracts is passed on as it comes.
const OTHER: Method = Method {
    repeat: Repeat::Never,
    shape: Shape::Stream,
    takes_key: false,
    waits: true,
};

/// The method at `path`, such as `/quartet.todos.v1.TodoService/GetTodo`.
pub(super) fn of(path: &str) -> Method {
    static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(declared);
    METHODS.get(path).copied().unwrap_or(OTHER)
}

fn declared() -> HashMap<String, Method> {
    let services = descriptors::pool().services();
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let declared = methods.map(|method| {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let options = method.method_descriptor_proto().options.as_ref();
        let repeat = match options.map(|options| options.idempotency_level()) {
            Some(IdempotencyLevel::NoSideEffects) => Repeat::NoSideEffects,
            Some(IdempotencyLevel::Idempotent) => Repeat::Idempotent,
            Some(IdempotencyLevel::IdempotencyUnknown) | None => Repeat::Never,
        };
        let shape = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => Shape::Unary,
            (false, true) => Shape::Replies,
            (true, _) => Shape::Stream,
        };
        let takes_key = matches!(options::idempotency(&method), Idempotency::Kept | Idempotency::Redone);
        let method = Method {
            repeat,
            shape,
            takes_key,
            waits: true,
        };
        (path, method)
    });
    // A probe reports what is now.
    let check = Method {
        repeat: Repeat::Never,
        shape: Shape::Unary,
        takes_key: false,
        waits: false,
    };
    declared
        .chain([("/grpc.health.v1.Health/Check".to_owned(), check)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_may_be_repeated_and_creations_may_not() {
        let get = of("/quartet.todos.v1.TodoService/GetTodo");
        assert_eq!((get.repeat, get.shape), (Repeat::NoSideEffects, Shape::Unary));
        let create = of("/quartet.todos.v1.TodoService/CreateTodo");
        assert_eq!((create.repeat, create.shape), (Repeat::Never, Shape::Unary));
        // A key is honoured where the contract says so, and nowhere else.
        let takes_key = |method: &str| of(&format!("/quartet.todos.v1.TodoService/{method}")).takes_key;
        assert_eq!(
            ["CreateTodo", "UpdateTodo", "DeleteTodo"].map(takes_key),
            [true, true, false]
        );
        let watch = of("/quartet.todos.v1.TodoService/WatchTodos");
        assert_eq!((watch.repeat, watch.shape), (Repeat::NoSideEffects, Shape::Replies));
        assert_eq!(of("/quartet.todos.v1.TodoService/Drop"), OTHER);
    }

    /// A method that only reads and does not declare it would fail when an instance dies.
    #[test]
    fn every_method_whose_name_reads_is_declared_to_have_no_side_effects() {
        for service in descriptors::pool().services() {
            for method in service.methods() {
                let reads = ["Get", "List", "Watch", "Download", "Export"];
                if reads.iter().any(|verb| method.name().starts_with(verb)) {
                    let path = format!("/{}/{}", service.full_name(), method.name());
                    assert_eq!(of(&path).repeat, Repeat::NoSideEffects, "{path}");
                }
            }
        }
    }
}
