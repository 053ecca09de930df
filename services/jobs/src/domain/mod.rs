//! Types and rules of jobs, schedules and webhooks; without protos and SQL.

mod backoff;
mod cron;
mod delivery;
mod egress;
mod job;
mod kind;
mod lane;
mod list;
mod mail_limits;
mod queue;
mod schedule;
mod status;
mod transitions;
mod webhook;

pub use backoff::Backoff;
pub use cron::{Cron, InvalidCron};
pub use delivery::Delivery;
pub use egress::{EgressPolicy, Network};
pub use job::{Ending, Job, NewJob, Problem, SUITE, UniqueKey};
pub use kind::Kind;
pub use lane::{Lane, LaneBounds, LaneKey};
pub use list::{Filter, Key};
pub use mail_limits::{MailLimits, OutgoingMail};
pub use queue::{Queue, QueueState};
pub use schedule::Schedule;
pub use status::Status;
pub use webhook::{CHALLENGE, CHALLENGE_ATTEMPTS, EventType, NewWebhook, Target, Webhook, WebhookEdit};
