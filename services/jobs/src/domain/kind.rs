//! What kinds of work there are.

use std::time::Duration;

use super::Backoff;

/// A kind of job: its name is the name of its payload in the proto, and what stores keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Sends one mail.
    SendEmail,
    /// Writes the owner's todos into a file.
    ExportTodos,
    /// Makes todos from a file.
    ImportTodos,
    /// Makes a reminder per todo that is due soon.
    RemindDue,
    /// Deletes for good what was deleted softly long ago.
    PurgeDeleted,
    /// Delivers one event to a webhook.
    Webhook,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::SendEmail,
        Self::ExportTodos,
        Self::ImportTodos,
        Self::RemindDue,
        Self::PurgeDeleted,
        Self::Webhook,
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendEmail => "send_email",
            Self::ExportTodos => "export_todos",
            Self::ImportTodos => "import_todos",
            Self::RemindDue => "remind_due",
            Self::PurgeDeleted => "purge_deleted",
            Self::Webhook => "webhook",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Attempts at the most, where the caller does not set it. Mails and webhooks go to systems of
    /// others, which may be away for a day.
    pub fn max_attempts(self) -> i16 {
        match self {
            Self::SendEmail | Self::Webhook => 12,
            Self::ExportTodos | Self::ImportTodos => 5,
            Self::RemindDue | Self::PurgeDeleted => 3,
        }
    }

    /// Pauses between attempts.
    pub fn backoff(self) -> Backoff {
        match self {
            Self::SendEmail | Self::Webhook => Backoff {
                first: Duration::from_secs(10),
                longest: Duration::from_secs(6 * 3_600),
            },
            Self::ExportTodos | Self::ImportTodos | Self::RemindDue | Self::PurgeDeleted => Backoff {
                first: Duration::from_secs(2),
                longest: Duration::from_secs(300),
            },
        }
    }
}
