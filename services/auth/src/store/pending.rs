//! What a unit of work on accounts collects beside its events.

use super::NewSession;
use super::sessions::Ending;
use crate::domain::{Account, EndedSession, NewAccount, SecurityEvent};
use crate::ended_sessions::EndedSessions;
use uuid::Uuid;

/// What is written with the outbox, in one statement, and the sessions that end with it.
pub(super) struct Pending {
    pub(super) write: Write,
    /// Sessions that end in the unit. Who watches is notified of them after the commit.
    pub(super) ended: Vec<EndedSession>,
    /// What has happened, for the audit trail.
    pub(super) events: Vec<SecurityEvent>,
    /// Those of them that are written.
    pub(super) recorded: Vec<SecurityEvent>,
    notifier: EndedSessions,
}

/// What is written with the outbox.
#[derive(Default)]
pub(super) enum Write {
    /// Nothing.
    #[default]
    Nothing,
    /// An account, with its first session if there is one.
    Open(Box<NewAccount>, Option<Box<NewSession>>),
    /// What an account, which is locked, is called and may do; its sessions may end.
    Save(Box<Account>, Option<Ending>),
    /// The deletion of an account, which is locked, and the end of its sessions.
    Purge(Uuid, Ending),
}

impl Pending {
    pub(super) fn new(notifier: &EndedSessions) -> Self {
        Self {
            write: Write::Nothing,
            ended: Vec::new(),
            events: Vec::new(),
            recorded: Vec::new(),
            notifier: notifier.clone(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.write, Write::Nothing) && self.events.is_empty()
    }

    /// Notifies those who watch, since the unit is committed.
    pub(super) fn notify(self) {
        self.recorded.iter().for_each(SecurityEvent::log);
        self.notifier.publish(self.ended);
    }
}
