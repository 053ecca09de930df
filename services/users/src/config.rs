//! Settings of the users service.

use std::net::SocketAddr;

use quartet_config::Source;
use quartet_store::database::DatabaseUrl;

quartet_config::settings! {
    /// Settings of the users service.
    pub struct Settings {
        /// Address to serve gRPC on, when the service runs alone.
        grpc_address: SocketAddr = "USERS_GRPC_ADDRESS" or "127.0.0.1:50052";
        /// Store of the users service: `postgres://user:password@host:port/name`, or
        /// `sqlite://path/to/file.db`.
        @secret database_url: DatabaseUrl = "USERS_DATABASE_URL" or "sqlite://data/users.db";
    }
}

/// All settings that the service reads.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to serve gRPC on, when the service runs alone.
    pub grpc_address: SocketAddr,
    /// Where the store is.
    pub database_url: DatabaseUrl,
    /// Settings that all stores share.
    pub store: quartet_store::Config,
    /// Settings of messages.
    pub messaging: quartet_messaging::Config,
}

impl Config {
    /// Reads every setting from `source`.
    pub fn read(source: &Source) -> Result<Self, quartet_config::Error> {
        let Settings {
            grpc_address,
            database_url,
        } = Settings::read(source)?;
        Ok(Self {
            grpc_address,
            database_url,
            store: quartet_store::Config::read(source)?,
            messaging: quartet_messaging::Config::read(source)?,
        })
    }
}
