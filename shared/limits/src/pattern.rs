//! The paths that a tier's limit is for, written as the API's description writes them.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use quartet_proto::descriptors;
use quartet_proto::google::api::HttpRule;
use quartet_proto::google::api::http_rule::Pattern as Template;

/// Which routes a limit is for: `/api/v1/todos/{todo_id}`, with a method in front
/// (`POST /api/v1/todos`) or a `*` at the end (`/api/v1/todos*`). How parameters are called does not
/// matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    verb: Option<String>,
    path: String,
    is_prefix: bool,
}

/// One way to call a method over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method's path in gRPC, such as `/quartet.todos.v1.TodoService/GetTodo`.
    pub method: String,
    verb: String,
    path: String,
}

impl Pattern {
    /// Reads a pattern; `None` if no path begins with a slash.
    pub fn parse(text: &str) -> Option<Self> {
        let (verb, path) = match text.trim().split_once(' ') {
            Some((verb, path)) => (Some(verb.to_ascii_uppercase()), path.trim()),
            None => (None, text.trim()),
        };
        if !path.starts_with('/') {
            return None;
        }
        let (path, is_prefix) = match path.strip_suffix('*') {
            Some(path) => (path, true),
            None => (
                path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path),
                false,
            ),
        };
        Some(Self {
            verb,
            path: without_names(path),
            is_prefix,
        })
    }

    /// Whether the limit is for `route`.
    pub fn matches(&self, route: &Route) -> bool {
        let path = match self.is_prefix {
            true => route.path.starts_with(&self.path),
            false => route.path == self.path,
        };
        path && self.verb.as_ref().is_none_or(|verb| *verb == route.verb)
    }

    /// Whether the limit is for any route at all.
    pub fn matches_any(&self) -> bool {
        routes().iter().any(|route| self.matches(route))
    }

    /// Of two patterns for one route, the greater one counts: whole paths before prefixes, longer
    /// ones before shorter ones, with a method before without.
    pub(crate) fn specificity(&self) -> (bool, usize, bool) {
        (!self.is_prefix, self.path.len(), self.verb.is_some())
    }
}

/// Every route of the contracts.
pub fn routes() -> &'static [Route] {
    static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| read(descriptors::pool()));
    &ROUTES
}

fn read(pool: &DescriptorPool) -> Vec<Route> {
    pool.services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .flat_map(|method| of(&method))
        .collect()
}

fn of(method: &MethodDescriptor) -> Vec<Route> {
    let rule = method
        .parent_pool()
        .get_extension_by_name("google.api.http")
        .and_then(|extension| {
            let options = method.options();
            let bytes = options.get_extension(&extension).as_message()?.encode_to_vec();
            HttpRule::decode(bytes.as_slice()).ok()
        });
    let Some(rule) = rule else {
        return Vec::new();
    };
    std::iter::once(&rule)
        .chain(&rule.additional_bindings)
        .filter_map(|rule| {
            let (verb, path) = match rule.pattern.as_ref()? {
                Template::Get(path) => ("GET", path),
                Template::Put(path) => ("PUT", path),
                Template::Post(path) => ("POST", path),
                Template::Delete(path) => ("DELETE", path),
                Template::Patch(path) => ("PATCH", path),
                Template::Custom(custom) => (custom.kind.as_str(), &custom.path),
            };
            Some(Route {
                method: format!("/{}/{}", method.parent_service().full_name(), method.name()),
                verb: verb.to_owned(),
                path: without_names(path),
            })
        })
        .collect()
}

/// `/api/v1/todos/{}` for `/api/v1/todos/{todo_id}`.
fn without_names(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut is_inside = false;
    for character in path.chars() {
        match character {
            '{' => is_inside = true,
            '}' => is_inside = false,
            _ if is_inside => continue,
            _ => {}
        }
        plain.push(character);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(text: &str) -> Vec<String> {
        let pattern = Pattern::parse(text).unwrap();
        let names = routes().iter().filter(|route| pattern.matches(route));
        names
            .map(|route| route.method.rsplit('/').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_path_matches_whatever_its_parameters_are_called() {
        for text in ["/api/v1/todos/{todo_id}", "/api/v1/todos/{id}", "/api/v1/todos/{id}/"] {
            assert_eq!(
                matched(text),
                ["GetTodo", "UpdateTodo", "UpdateTodo", "DeleteTodo"],
                "{text}"
            );
        }
        assert_eq!(matched("post /api/v1/todos"), ["CreateTodo"]);
        assert!(matched("/api/v1/todos*").len() > 8);
    }

    #[test]
    fn a_path_of_nothing_matches_nothing() {
        for text in ["/api/v1/nothing", "/", "/api/v1/todos/0199", "POST /api/v1/todos/{id}"] {
            assert!(!Pattern::parse(text).unwrap().matches_any(), "{text}");
        }
        assert_eq!(Pattern::parse("todos"), None);
    }
}
