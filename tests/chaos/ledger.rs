//! What the suite was asked and what it answered: all that it may be held to afterwards.

use serde_json::Value;

use crate::follower::Follower;

/// Somebody who was asked to be registered.
pub struct Person {
    /// Their user name, which nobody else has.
    pub username: String,
    /// Id of the account and of the user; unknown while no answer came.
    pub id: Option<String>,
    /// A token that the API takes.
    pub access: String,
    /// The refresh token of each session, the last one that was answered.
    pub sessions: Vec<String>,
    /// What they wrote.
    pub todos: Vec<Todo>,
    /// What they had done for them.
    pub tasks: Vec<Task>,
    /// Whether they were asked to be deleted.
    pub departure: Departure,
    /// Who follows the feed of their todos, if anybody does.
    pub follower: Option<Follower>,
}

impl Person {
    /// Somebody of whom nothing is known but that they were asked for.
    pub fn asked(username: String) -> Self {
        Self {
            username,
            id: None,
            access: String::new(),
            sessions: Vec::new(),
            todos: Vec::new(),
            tasks: Vec::new(),
            departure: Departure::Stays,
            follower: None,
        }
    }

    /// Whether they were registered, and not asked to go.
    pub fn stays(&self) -> bool {
        self.id.is_some() && self.departure == Departure::Stays
    }
}

/// Whether somebody is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// They were not asked to go.
    Stays,
    /// They were, and it was acknowledged.
    Gone,
    /// They were, and no answer came.
    Unsure,
}

/// A todo that was asked for.
pub struct Todo {
    /// Its first title, which no other todo ever had.
    pub title: String,
    /// How many edits were acknowledged that changed anything.
    pub edits: usize,
    /// How it stands, as far as was answered. One that was not is left alone from then on.
    pub state: State,
}

/// How a todo stands.
pub enum State {
    /// No answer came to its making.
    Asked,
    /// As it was last answered.
    Known(Value),
    /// As before, or with this title.
    Edited(Value, String),
    /// As before, or deleted.
    Leaving(Value),
    /// Deleted; the id.
    Deleted(String),
}

impl State {
    /// Id of the todo, if it was ever told.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Asked => None,
            Self::Known(todo) | Self::Edited(todo, _) | Self::Leaving(todo) => todo["id"].as_str(),
            Self::Deleted(id) => Some(id),
        }
    }
}

/// A task that was asked for.
pub struct Task {
    /// What is to be done.
    pub work: Work,
    /// The key that it was asked for with: another task with it must be the same one.
    pub key: Option<String>,
    /// Its id, once that was told.
    pub id: Option<String>,
    /// Whether it was asked to be cancelled.
    pub cancelled: bool,
    /// How it has ended, as `TASK_STATUS_SUCCEEDED`, once that was told.
    pub ended: Option<String>,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Writes todos into a file.
    Export,
    /// Makes todos of these titles, which no other todo ever had.
    Import(Vec<String>),
}

/// The id as the stores' books have it: in lower case, without hyphens.
pub fn bare(id: &str) -> String {
    id.replace('-', "").to_ascii_lowercase()
}
