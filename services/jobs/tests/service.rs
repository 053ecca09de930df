//! The service as its callers and its broker meet it: RPCs through the access layer, jobs through
//! the broker within the process.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "service/access.rs"]
mod access;
#[path = "service/attempts.rs"]
mod attempts;
#[path = "service/egress.rs"]
mod egress;
#[path = "service/files.rs"]
mod files;
#[path = "service/harness.rs"]
mod harness;
#[path = "service/mails.rs"]
mod mails;
#[path = "service/neighbours.rs"]
mod neighbours;
#[path = "service/queues.rs"]
mod queues;
#[path = "service/receiver.rs"]
mod receiver;
#[path = "service/schedules.rs"]
mod schedules;
#[path = "service/tasks.rs"]
mod tasks;
#[path = "service/webhooks.rs"]
mod webhooks;
