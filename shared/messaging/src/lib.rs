//! Messages that survive anything: a write and what follows from it never part.
//!
//! A service appends a message to its outbox in the transaction of the write that it tells of. A relay hands what is committed to a broker and
//! marks it sent once the broker has it safely. A consumer commits its effect together with an inbox row, and only then is the message done. So
//! a message arrives at least once, and takes effect once, whatever dies in between.
//!
//! In reading order:
//! - [`message`] is what travels, [`queue`] where it goes;
//! - [`outbox`] and [`inbox`] are the two halves of a transaction, over the tables of [`schema`];
//! - [`effects`] puts the effects of several messages into one transaction;
//! - [`relay`] carries committed rows to the broker, [`stats`] tells how far behind it is;
//! - [`broker`] is what every broker promises, [`local`] keeps it in one process, [`rabbit`] through RabbitMQ;
//! - [`Messenger`] is all of it, as a service runs it;
//! - [`config`] holds the settings.

pub mod broker;
pub mod config;
pub mod effects;
mod failpoint;
mod handling;
pub mod inbox;
pub mod local;
pub mod message;
mod messenger;
pub mod outbox;
pub mod queue;
pub mod rabbit;
pub mod relay;
pub mod schema;
pub mod stats;
mod store;
mod watched;

pub use broker::{Broker, Handler, Outcome};
pub use config::Config;
pub use effects::{Effect, Effects};
pub use local::Local;
pub use message::{Message, Priority, Route};
pub use messenger::Messenger;
pub use outbox::Outgoing;
pub use queue::{Queue, Retry, Subscription};
pub use rabbit::Rabbit;
pub use relay::{Relay, Wake};
pub use stats::Stats;
