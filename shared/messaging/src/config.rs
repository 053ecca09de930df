//! Settings of messages.

use std::path::PathBuf;

use quartet_config::Secret;
use quartet_config::value::Span;

quartet_config::settings! {
    /// Settings that every process which sends or takes messages shares.
    pub struct Config {
        /// The RabbitMQ server that carries messages: `amqp://user:password@host:port/vhost`, or `amqps://…` for TLS. Not set: all in one, messages
        /// are carried within the process; a service that runs alone keeps what it has to say in its outbox until one is set.
        @secret rabbitmq_url: Option<Secret> = "RABBITMQ_URL";
        /// The file of the broker within the process, when all services run in one.
        local_broker_path: PathBuf = "LOCAL_BROKER_PATH" or "data/broker.db";
        /// How many messages a relay hands to the broker at once.
        relay_batch: u16 = "RELAY_BATCH" or "100";
        /// How often a relay looks for messages that it was not told of: those of a process that died, and those that are due again.
        relay_poll_interval: Span = "RELAY_POLL_INTERVAL" or "1s";
        /// How long a relay has a message in hand before it is taken for dead; longer than MESSAGE_CONFIRM_TIMEOUT.
        relay_lease: Span = "RELAY_LEASE" or "30s";
        /// How long a broker may take to confirm a batch.
        confirm_timeout: Span = "MESSAGE_CONFIRM_TIMEOUT" or "10s";
        /// How long a sent message is kept in the outbox, to be looked at.
        outbox_keep: Span = "OUTBOX_KEEP" or "1d";
        /// How long a consumer remembers that it has done a message. A copy that arrives later takes effect again, so this is longer than any
        /// message can be under way.
        inbox_keep: Span = "INBOX_KEEP" or "14d";
    }
}
