//! The model: the state that the acknowledged operations must have led to.
//!
//! Each worker keeps the model of its own users while it runs; the checkers compare it with what
//! the API and the stores have.

use serde_json::Value;

use quartet_tests::subscriber::Subscriber;

/// A user whose registration was invoked.
pub struct User {
    /// The unique user name.
    pub username: String,
    /// Id of the account and of the user; `None` unless the registration was acknowledged.
    pub id: Option<String>,
    /// An access token.
    pub access_token: String,
    /// The refresh token of each session, as it was returned last.
    pub refresh_tokens: Vec<String>,
    /// The todos.
    pub todos: Vec<Todo>,
    /// The tasks.
    pub tasks: Vec<Task>,
    /// The deletion of the user.
    pub deletion: Deletion,
    /// The user's webhook, once it was acknowledged.
    pub hook: Option<String>,
    /// How many todos there were when the user's webhook was seen to be active; `None` without one.
    pub hooked_since: Option<usize>,
    /// The subscriber of the user's feed, if there is one.
    pub subscriber: Option<Subscriber>,
}

impl User {
    /// A user whose registration is not acknowledged yet.
    pub fn new(username: String) -> Self {
        Self {
            username,
            id: None,
            access_token: String::new(),
            refresh_tokens: Vec::new(),
            todos: Vec::new(),
            tasks: Vec::new(),
            deletion: Deletion::NotInvoked,
            hook: None,
            hooked_since: None,
            subscriber: None,
        }
    }

    /// Whether the registration was acknowledged, and no deletion was invoked.
    pub fn is_active(&self) -> bool {
        self.id.is_some() && self.deletion == Deletion::NotInvoked
    }
}

/// The deletion of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It was not invoked.
    NotInvoked,
    /// It was acknowledged.
    Ok,
    /// It was invoked, and its outcome is unknown.
    Info,
}

/// A todo whose creation was invoked.
pub struct Todo {
    /// Its first title, which is unique.
    pub title: String,
    /// Acknowledged updates that changed it.
    pub updates: usize,
    /// Its state. A todo whose state is unknown gets no further operations.
    pub state: TodoState,
}

/// The state of a todo.
pub enum TodoState {
    /// The creation completed as `info`.
    CreationUnknown,
    /// As it was returned last.
    Known(Value),
    /// As before, or with this title: an update completed as `info`.
    UpdateUnknown(Value, String),
    /// As before, or deleted: a deletion completed as `info`.
    DeletionUnknown(Value),
    /// Deleted; the id.
    Deleted(String),
}

impl TodoState {
    /// Id of the todo, if its creation was acknowledged.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::CreationUnknown => None,
            Self::Known(todo) | Self::UpdateUnknown(todo, _) | Self::DeletionUnknown(todo) => todo["id"].as_str(),
            Self::Deleted(id) => Some(id),
        }
    }
}

/// A task whose creation was invoked.
pub struct Task {
    /// What it does.
    pub kind: TaskKind,
    /// The unique key: every creation with it must return the same task.
    pub unique_key: Option<String>,
    /// Its id, once it was returned.
    pub id: Option<String>,
    /// Whether a cancellation may have taken effect.
    pub cancelled: bool,
    /// Its final status, such as `TASK_STATUS_SUCCEEDED`, once it was returned.
    pub final_status: Option<String>,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskKind {
    /// Writes todos into a file.
    Export,
    /// Creates todos of these titles, which are unique.
    Import(Vec<String>),
}
