//! Settings of the todos service.

use std::net::SocketAddr;
use std::time::Duration;

use quartet_config::Source;
use quartet_config::value::{PerTier, Span};
use quartet_store::database::DatabaseUrl;

quartet_config::settings! {
    /// Settings of the todos service.
    pub struct Own {
        /// Address to serve gRPC on, when the service runs alone.
        grpc_address: SocketAddr = "TODOS_GRPC_ADDRESS" or "127.0.0.1:50053";
        /// Store of the todos service: `postgres://user:password@host:port/name`, or
        /// `sqlite://path/to/file.db`.
        @secret database_url: DatabaseUrl = "TODOS_DATABASE_URL" or "sqlite://data/todos.db";
        /// How long changes of todos are kept for clients that resume WatchTodos; one that stays
        /// away longer lists its todos anew.
        feed_retention: Span = "TODOS_FEED_RETENTION" or "7d";
        /// How long WatchTodos waits for a client that does not read before it ends the stream.
        watch_send_timeout: Span = "TODOS_WATCH_SEND_TIMEOUT" or "30s";
        /// How long the todos of a deleted user are kept, in case the user is restored.
        purge_after: Span = "TODOS_PURGE_AFTER" or "30d";
        /// Todos that a user may have, deleted ones aside; one more is refused (429
        /// `quota_exceeded`). Others by tier: `100000,free=500`.
        todos_per_user: PerTier = "TODOS_PER_USER" or "100000";
        /// Tags that a user may have. Others by tier: `1000,free=50`.
        tags_per_user: PerTier = "TAGS_PER_USER" or "1000";
    }
}

/// The settings of the service, with those that services share.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to serve gRPC on, when the service runs alone.
    pub grpc_address: SocketAddr,
    /// Where the store is.
    pub database_url: DatabaseUrl,
    /// How long changes are kept for clients that take up WatchTodos again.
    pub feed_retention: Duration,
    /// How long WatchTodos waits for a client that does not read.
    pub watch_send_timeout: Duration,
    /// How long the todos of a deleted user are kept.
    pub purge_after: Duration,
    /// Todos that a user may have.
    pub todos_per_user: PerTier,
    /// Tags that a user may have.
    pub tags_per_user: PerTier,
    /// Settings that all stores share.
    pub store: quartet_store::Config,
    /// Settings of messages.
    pub messaging: quartet_messaging::Config,
}

impl Config {
    /// Reads every setting from `source`.
    pub fn read(source: &Source) -> Result<Self, quartet_config::Error> {
        let Own {
            grpc_address,
            database_url,
            feed_retention,
            watch_send_timeout,
            purge_after,
            todos_per_user,
            tags_per_user,
        } = Own::read(source)?;
        Ok(Self {
            grpc_address,
            database_url,
            feed_retention: feed_retention.0,
            watch_send_timeout: watch_send_timeout.0,
            purge_after: purge_after.0,
            todos_per_user,
            tags_per_user,
            store: quartet_store::Config::read(source)?,
            messaging: quartet_messaging::Config::read(source)?,
        })
    }
}
