//! Finding the binding for a request.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode, header};
use quartet_proto::options::Reason;

use super::tree::End;
use super::{Binding, Routes, percent};
use crate::problem::Problem;

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Found<'p> {
    /// A binding.
    Match(Match<'p>),
    /// A template matches the path, for other methods alone; their names, sorted.
    MethodNotAllowed {
        /// The methods that the path takes.
        allow: Vec<String>,
    },
    /// No template matches the path.
    NotFound,
}

/// A binding, and the parts of the path that its variables take.
#[derive(Debug)]
pub struct Match<'p> {
    /// Position of the binding in [`Routes::bindings`].
    pub index: usize,
    /// The binding.
    pub binding: Arc<Binding>,
    path: &'p str,
}

impl Routes {
    /// The binding that serves `method` on `path` (the raw path of the URI).
    ///
    /// The most specific template that matches the path answers for it, as in OpenAPI: where
    /// `/users/me` takes GET alone, `DELETE /users/me` is not `DELETE /users/{id}` of somebody
    /// called `me`. A `HEAD` that no rule names is served as `GET`.
    pub fn find<'p>(&self, method: &Method, path: &'p str) -> Found<'p> {
        let Some((end, length)) = self.tree.end(path) else {
            return Found::NotFound;
        };
        match choose(end, method) {
            Some(index) => Found::Match(Match {
                index,
                binding: Arc::clone(&self.bindings[index]),
                path: &path[..length],
            }),
            None => Found::MethodNotAllowed { allow: verbs(end) },
        }
    }

    /// The HTTP methods that `path` takes, sorted; empty where no template matches. For `OPTIONS`.
    pub fn allowed(&self, path: &str) -> Vec<String> {
        self.tree.end(path).map(|(end, _)| verbs(end)).unwrap_or_default()
    }
}

impl Routes {
    /// The template, or the one of the gateway's `own` paths, that has the most words of a path that
    /// leads nowhere, whether singular or plural: `/api/v1/auth/login` for `/api/v1/login`. `None` where
    /// none has a word of it.
    pub fn nearest<'a>(&'a self, path: &str, own: &'a [String]) -> Option<&'a str> {
        let wanted = words(path.get(..NEAR).unwrap_or(path));
        let shared = |template: &str| {
            let has = words(template);
            let common = has.iter().filter(|word| wanted.contains(word)).count();
            (common > 0).then_some((common, std::cmp::Reverse(has.len())))
        };
        let templates = self.bindings.iter().map(|binding| binding.template.as_str());
        let near = templates
            .chain(own.iter().map(String::as_str))
            .filter_map(|template| Some((shared(template)?, template)));
        // Of equals the first one.
        let near: Vec<_> = near.collect();
        near.into_iter()
            .rev()
            .max_by_key(|(shared, _)| *shared)
            .map(|(_, template)| template)
    }
}

/// No more than so many bytes of a path are compared.
const NEAR: usize = 200;

/// Words of others, and ours.
const SYNONYMS: [(&str, &str); 10] = [
    ("healthz", "health"),
    ("live", "livez"),
    ("ready", "readyz"),
    ("readines", "readyz"),
    ("swagger", "doc"),
    ("item", "todo"),
    ("signup", "register"),
    ("signin", "login"),
    ("recovery", "reset"),
    ("job", "task"),
];

/// The words of a path beside its prefix and its variables, in the singular and as we have them.
fn words(path: &str) -> Vec<String> {
    path.split(['/', ':', '-'])
        .filter(|word| word.len() > 1 && !word.starts_with('{') && !["api", "v1"].contains(word))
        .map(|word| word.trim_end_matches('s').to_ascii_lowercase())
        .map(|word| match SYNONYMS.iter().find(|(theirs, _)| *theirs == word) {
            Some((_, ours)) => (*ours).to_owned(),
            None => word,
        })
        .collect()
}

fn verbs(end: &End) -> Vec<String> {
    let mut verbs = BTreeSet::new();
    for (verb, _) in &end.verbs {
        match &**verb {
            "*" => verbs.extend(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]),
            "GET" => verbs.extend(["GET", "HEAD"]),
            verb => verbs.extend([verb]),
        }
    }
    verbs.into_iter().map(str::to_owned).collect()
}

fn choose(end: &End, method: &Method) -> Option<usize> {
    let named = |name: &str| {
        end.verbs
            .iter()
            .find(|(verb, _)| **verb == *name)
            .map(|(_, index)| *index)
    };
    named(method.as_str())
        .or_else(|| (method == Method::HEAD).then(|| named("GET")).flatten())
        .or_else(|| named("*"))
}

impl Match<'_> {
    /// What the path gives to each of [`Binding::path_fields`], decoded.
    ///
    /// # Errors
    /// 400 `BAD_REQUEST` when a part is not percent-encoded UTF-8.
    pub fn captures(&self) -> Result<Vec<Cow<'_, str>>, Problem> {
        self.binding
            .captures
            .iter()
            .map(|capture| self.capture(*capture))
            .collect()
    }

    fn capture(&self, capture: super::template::Capture) -> Result<Cow<'_, str>, Problem> {
        let mut starts = self.path.match_indices('/').map(|(at, _)| at + 1);
        let end = self.path.len();
        // `**` may take no segment at all; then there is no start to find.
        let start = starts.nth(capture.start).unwrap_or(end);
        let end = match capture.length {
            Some(length) => starts.nth(length - 1).map_or(end, |next| next - 1),
            None => end,
        };
        let raw = &self.path[start..end];
        let decoded = if capture.multiple {
            percent::decode_segments(raw)
        } else {
            percent::decode(raw)
        };
        decoded.ok_or_else(|| Problem::bad_request("path-encoding", "the path is not percent-encoded UTF-8"))
    }
}

/// No route has the path.
pub(crate) fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Reason::RouteNotFound, "no route for the path")
}

/// The path takes other methods, which are these.
pub(crate) fn not_allowed(allow: &[String]) -> Problem {
    let allow = allow.join(", ");
    let mut problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Reason::MethodNotAllowed,
        format!("the path takes {allow}"),
    );
    problem
        .headers
        .extend(HeaderValue::try_from(&allow).ok().map(|value| (header::ALLOW, value)));
    problem.metadata.insert("allow".to_owned(), allow);
    problem
}
