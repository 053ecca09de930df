//! What jobs do, one file per kind. This file is their table of contents.
//!
//! A job can be done more than once, so each kind declares what makes its effect happen once.

mod export_todos;
mod import_todos;
mod purge_deleted;
mod remind_due;
mod send_email;
mod todo_file;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use quartet_rpc::Peer;

use crate::domain::{Kind, MailLimits};
use crate::egress::EgressClient;
use crate::files::Files;
use crate::mail::Transport;
use crate::store::Store;
use crate::workers::{Handlers, JobHandler};

/// What handlers work with.
pub struct Dependencies {
    /// Where jobs and webhooks are.
    pub store: Arc<dyn Store>,
    /// Files of jobs.
    pub files: Files,
    /// The todos service.
    pub todos: Peer,
    /// The auth service.
    pub auth: Peer,
    /// The users service.
    pub users: Peer,
    /// Sends mails.
    pub mails: Arc<dyn Transport>,
    /// Language of mails to users whose preference is unknown.
    pub mail_language: String,
    /// How many mails are sent.
    pub mail_limits: MailLimits,
    /// Calls addresses that users name.
    pub egress: EgressClient,
    /// How long before a todo is due its owner is reminded.
    pub remind_within: Duration,
    /// How long after its deletion a todo or a user is purged.
    pub purge_after: Duration,
    /// The time from one delivery to a host to the next one, at the least.
    pub webhook_gap: Duration,
}

/// The handler of each kind.
pub fn handlers(dependencies: Dependencies) -> Handlers {
    let dependencies = Arc::new(dependencies);
    let handler = |kind: Kind| -> Arc<dyn JobHandler> {
        let dependencies = Arc::clone(&dependencies);
        match kind {
            Kind::SendEmail => Arc::new(send_email::SendEmail(dependencies)),
            Kind::ExportTodos => Arc::new(export_todos::ExportTodos(dependencies)),
            Kind::ImportTodos => Arc::new(import_todos::ImportTodos(dependencies)),
            Kind::RemindDue => Arc::new(remind_due::RemindDue(dependencies)),
            Kind::PurgeDeleted => Arc::new(purge_deleted::PurgeDeleted(dependencies)),
            Kind::Webhook => Arc::new(webhook::Webhook(dependencies)),
        }
    };
    Kind::ALL.into_iter().map(|kind| (kind, handler(kind))).collect()
}
