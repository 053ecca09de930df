//! The tree of path segments.
//!
//! At each segment a literal is tried before `*`, and `*` before `**`; a branch without an end is
//! left again. So the template with the leftmost literal wins, and two templates that are both
//! tried for a path are ever of different shapes.

use std::collections::HashMap;

use super::percent;
use super::template::{Segment, Template};

/// Nodes by index; the first is the root.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    one: Option<usize>,
    rest: Option<usize>,
    /// The bindings of templates that end here.
    ends: Vec<End>,
}

/// The bindings of one template shape.
#[derive(Debug)]
pub(super) struct End {
    /// The custom verb after the colon.
    colon: Option<Box<str>>,
    /// HTTP method (or `*`) and binding.
    pub(super) verbs: Vec<(Box<str>, usize)>,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl Tree {
    /// Adds a binding; the index of the one that takes the same requests is the error.
    pub(super) fn insert(&mut self, template: &Template, verb: &str, binding: usize) -> Result<(), usize> {
        let mut at = 0;
        for segment in &template.segments {
            let next = self.nodes.len();
            let node = &mut self.nodes[at];
            at = match segment {
                Segment::Literal(text) => *node.literals.entry(text.as_str().into()).or_insert(next),
                Segment::One => *node.one.get_or_insert(next),
                Segment::Rest => *node.rest.get_or_insert(next),
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        let ends = &mut self.nodes[at].ends;
        let colon = template.verb.as_deref();
        let end = match ends.iter().position(|end| end.colon.as_deref() == colon) {
            Some(found) => &mut ends[found],
            None => {
                ends.push(End {
                    colon: colon.map(Into::into),
                    verbs: Vec::new(),
                });
                let last = ends.len() - 1;
                &mut ends[last]
            }
        };
        if let Some((_, taken)) = end.verbs.iter().find(|(known, _)| **known == *verb) {
            return Err(*taken);
        }
        end.verbs.push((verb.into(), binding));
        Ok(())
    }

    /// The most specific end that `path` reaches, and the length of `path` without the custom verb.
    pub(super) fn end(&self, path: &str) -> Option<(&End, usize)> {
        let rest = path.strip_prefix('/')?;
        // A custom verb follows the last colon of the last segment. Where no template has that
        // verb, the colon belongs to the segment.
        let last = path.rfind('/').map_or(0, |at| at + 1);
        if let Some(colon) = path[last..].rfind(':').map(|at| last + at)
            && let Some(verb) = percent::decode(&path[colon + 1..])
            && let Some(end) = self.walk(0, Some(&path[1..colon]), Some(&verb))
        {
            return Some((end, colon));
        }
        self.walk(0, Some(rest), None).map(|end| (end, path.len()))
    }

    /// `rest` is what follows the slash, `None` when the path has ended. No node is visited twice:
    /// it is reached by one path of the tree alone.
    fn walk(&self, at: usize, rest: Option<&str>, colon: Option<&str>) -> Option<&End> {
        let node = &self.nodes[at];
        let Some(rest) = rest else {
            return node.end(colon).or_else(|| self.rest(node, colon));
        };
        if at == 0 && rest.is_empty() {
            return node.end(colon).or_else(|| self.rest(node, colon));
        }
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        // An empty segment is no value: `/todos/` is not the todo whose id is empty.
        if segment.is_empty() {
            return self.rest(node, colon);
        }
        percent::decode(segment)
            .and_then(|text| node.literals.get(&*text))
            .and_then(|next| self.walk(*next, after, colon))
            .or_else(|| node.one.and_then(|next| self.walk(next, after, colon)))
            .or_else(|| self.rest(node, colon))
    }

    fn rest(&self, node: &Node, colon: Option<&str>) -> Option<&End> {
        node.rest.and_then(|next| self.nodes[next].end(colon))
    }
}

impl Node {
    fn end(&self, colon: Option<&str>) -> Option<&End> {
        self.ends.iter().find(|end| end.colon.as_deref() == colon)
    }
}
