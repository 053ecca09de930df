//! Messages that survive anything: a write and what follows from it never part.
//!
//! A unit of work appends its events to the outbox of its service, in the transaction of the write.
//! A relay publishes what is committed to a broker and marks it sent once the broker has it safely.
//! A consumer commits its effect together with an inbox row, and only then is the message done. So
//! a message arrives at least once, and takes effect once, whatever dies in between.
//!
//! In reading order:
//! - [`message`] is what travels, [`queue`] where it goes;
//! - [`outbox`] and [`inbox`] are the two halves of a transaction, over the tables of [`schema`];
//! - [`unit`] is the transaction: a write and everything that follows from it;
//! - [`idempotency`] keeps the replies to requests with a key in that transaction;
//! - [`effects`] puts the effects of several messages into one transaction;
//! - [`relay`] carries committed rows to the broker, [`stats`] counts how far behind it is;
//! - [`broker`] is what every broker promises, [`local`] within one process, [`rabbit`] through
//!   RabbitMQ;
//! - [`Messenger`] is all of it, as a service runs it;
//! - [`config`] holds the settings.

pub mod broker;
pub mod config;
pub mod effects;
mod failpoint;
mod handling;
pub mod idempotency;
pub mod inbox;
pub mod local;
pub mod message;
mod messenger;
mod observed_attempt;
pub mod outbox;
mod outdated;
pub mod queue;
pub mod rabbit;
pub mod relay;
pub mod schema;
pub mod stats;
mod store;
pub mod unit;

pub use quartet_kernel::Failure;

pub use broker::{Broker, Handler};
pub use config::Config;
pub use effects::{Consumer, Effects};
pub use idempotency::Replies;
pub use local::Local;
pub use message::{Message, Priority, Route};
pub use messenger::Messenger;
pub use queue::{Queue, Retry, Subscription};
pub use rabbit::Rabbit;
pub use relay::{Relay, Wake};
pub use stats::Stats;
pub use unit::{Journal, OutboxAlone, Publisher, Unit};
