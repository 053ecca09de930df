//! Everything that is wrong with a request, so that a client can correct it at once.

use std::borrow::Cow;

use crate::problem::{Problem, Violation};

/// No more than this many are listed: a reply must not grow with the request.
const LISTED: usize = 100;

/// Longer paths and texts are cut.
const LENGTH: usize = 300;

/// Characters at the most that are repeated of what a client has sent, such as a name that no field
/// has: it may be anything, such as a password in the wrong place.
const NAME: usize = 64;

/// Broken rules, and the path of the field that is being read.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    /// Path of the field, such as `todos[3].title`.
    pub(crate) path: String,
    found: Vec<Violation>,
}

/// A rule that a value breaks: its name, and the rule in English.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) rule: &'static str,
    pub(crate) description: String,
}

impl Broken {
    pub(crate) fn new(rule: &'static str, description: impl Into<String>) -> Self {
        Self {
            rule,
            description: description.into(),
        }
    }
}

impl Violations {
    /// Records a rule that the field at `path` breaks.
    pub(crate) fn add(&mut self, broken: Broken) {
        if self.found.len() < LISTED {
            let Broken { rule, description } = broken;
            self.found.push(Violation {
                field: shortened(&self.path),
                rule: rule.to_owned(),
                description: shortened(&description),
            });
        }
    }

    /// Steps down to a field; the outcome goes to [`Violations::leave`].
    pub(crate) fn enter(&mut self, name: &str) -> usize {
        let mark = self.path.len();
        if mark > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        mark
    }

    /// Steps down to an element of a list.
    pub(crate) fn enter_index(&mut self, index: usize) -> usize {
        use std::fmt::Write;
        let mark = self.path.len();
        let _ = write!(self.path, "[{index}]");
        mark
    }

    /// Steps down to an entry of a map.
    pub(crate) fn enter_key(&mut self, key: &str) -> usize {
        use std::fmt::Write;
        let mark = self.path.len();
        let _ = write!(self.path, "[{:?}]", repeated(key));
        mark
    }

    /// Steps back up.
    pub(crate) fn leave(&mut self, mark: usize) {
        self.path.truncate(mark);
    }

    /// 422 `VALIDATION_FAILED` with every violation, or nothing when there is none.
    ///
    /// # Errors
    /// The problem.
    pub(crate) fn check(self) -> Result<(), Problem> {
        if self.found.is_empty() {
            return Ok(());
        }
        Err(Problem::violated(self.found))
    }
}

/// A name that a client has sent, as an error may repeat it.
pub(crate) fn repeated(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(NAME) {
        Some((end, _)) => Cow::Owned(format!("{}…", &name[..end])),
        None => Cow::Borrowed(name),
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= LENGTH {
        return text.to_owned();
    }
    let end = (0..=LENGTH)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or_default();
    format!("{}…", &text[..end])
}
