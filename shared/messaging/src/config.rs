//! Settings of messages.

use std::path::PathBuf;

use quartet_config::Secret;
use quartet_config::value::Span;

quartet_config::settings! {
    /// Settings that every process which publishes or consumes messages shares.
    pub struct Config {
        /// The RabbitMQ server that transports messages: `amqp://user:password@host:port/vhost`, or
        /// `amqps://…` for TLS. Not set: the suite in one process transports messages within the
        /// process; a service that runs alone keeps its messages in its outbox until one is set.
        @secret rabbitmq_url: Option<Secret> = "RABBITMQ_URL";
        /// The file of the broker within the process, when all services run in one.
        local_broker_path: PathBuf = "LOCAL_BROKER_PATH" or "data/broker.db";
        /// How many messages a relay publishes to the broker at once.
        relay_batch: u16 = "RELAY_BATCH" or "100";
        /// How often a relay polls for messages that no commit woke it for: those of a process that
        /// died, and those whose next attempt is due.
        relay_poll_interval: Span = "RELAY_POLL_INTERVAL" or "1s";
        /// How long a relay holds its claim on a message; longer than MESSAGE_CONFIRM_TIMEOUT.
        relay_lease: Span = "RELAY_LEASE" or "30s";
        /// How long a broker may take to confirm a batch.
        confirm_timeout: Span = "MESSAGE_CONFIRM_TIMEOUT" or "10s";
        /// How long a sent message stays in the outbox, for inspection.
        outbox_retention: Span = "OUTBOX_RETENTION" or "1d";
        /// How long a consumer remembers that it has handled a message. A duplicate that arrives
        /// later takes effect again, so this is longer than any message can be in flight.
        inbox_retention: Span = "INBOX_RETENTION" or "14d";
        /// How long the reply to a request with an Idempotency-Key is kept. A repeat that arrives
        /// later takes effect again.
        idempotency_key_retention: Span = "IDEMPOTENCY_KEY_RETENTION" or "24h";
    }
}
