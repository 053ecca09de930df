//! A path template, written for OpenAPI.

use crate::routes::Binding;

/// A path and its parameters.
#[derive(Debug)]
pub(super) struct Path {
    /// The path, such as `/api/v1/todos/{todo_id}:complete`.
    pub(super) text: String,
    /// Each parameter: its name, and which of the binding's path fields it is part of.
    pub(super) parameters: Vec<Parameter>,
}

/// A parameter of a path. OpenAPI has single segments only, so that a field which the template
/// spreads over several, such as `{name=shelves/*/books/*}`, is a parameter per wildcard, with the
/// literal parts in the path.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// Index into the binding's path fields; `None` for a wildcard that no field takes.
    pub(super) field: Option<usize>,
    /// Whether the parameter is all of the field's value.
    pub(super) whole: bool,
    /// Whether it may hold slashes: `**`.
    pub(super) rest: bool,
}

impl Path {
    pub(super) fn of(binding: &Binding) -> Self {
        let mut path = Self {
            text: String::new(),
            parameters: Vec::new(),
        };
        let mut rest = binding.template.as_str();
        let mut field = 0;
        while let Some((before, variable, after)) = split_variable(rest) {
            path.literal(before);
            path.variable(variable, field);
            field += 1;
            rest = after;
        }
        path.literal(rest);
        path
    }

    /// Text outside of variables: it may hold wildcards of its own.
    fn literal(&mut self, text: &str) {
        for (index, segment) in text.split('/').enumerate() {
            if index > 0 {
                self.text.push('/');
            }
            match segment {
                "*" | "**" => {
                    let name = format!("segment_{}", self.parameters.len() + 1);
                    self.parameter(Parameter {
                        name,
                        field: None,
                        whole: false,
                        rest: segment == "**",
                    });
                }
                literal => self.text.push_str(literal),
            }
        }
    }

    /// A variable, such as `todo_id` or `name=shelves/*`.
    fn variable(&mut self, variable: &str, field: usize) {
        let (name, segments) = variable.split_once('=').unwrap_or((variable, "*"));
        let wildcards = segments.split('/').filter(|segment| segment.starts_with('*')).count();
        let whole = wildcards == 1 && !segments.contains('/');
        let mut number = 0;
        for (index, segment) in segments.split('/').enumerate() {
            if index > 0 {
                self.text.push('/');
            }
            if !segment.starts_with('*') {
                self.text.push_str(segment);
                continue;
            }
            number += 1;
            let name = if wildcards == 1 {
                name.to_owned()
            } else {
                format!("{name}_{number}")
            };
            self.parameter(Parameter {
                name,
                field: Some(field),
                whole,
                rest: segment == "**",
            });
        }
    }

    fn parameter(&mut self, parameter: Parameter) {
        self.text.push('{');
        self.text.push_str(&parameter.name);
        self.text.push('}');
        self.parameters.push(parameter);
    }
}

/// The text before a variable, the variable, and the text after it.
fn split_variable(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (variable, after) = rest.split_once('}')?;
    Some((before, variable, after))
}
