//! Settings of the auth service.

use std::net::SocketAddr;
use std::time::Duration;

use quartet_config::Source;
use quartet_config::value::Span;
use quartet_store::database::DatabaseUrl;

use crate::domain::throttle::Policy;
use crate::domain::{Algorithm, Hardness};

quartet_config::settings! {
    /// Settings of the auth service.
    pub struct Own {
        /// Address to serve gRPC on, when the service runs alone.
        grpc_address: SocketAddr = "AUTH_GRPC_ADDRESS" or "127.0.0.1:50051";
        /// Store of the auth service: `postgres://user:password@host:port/name`, or
        /// `sqlite://path/to/file.db`.
        @secret database_url: DatabaseUrl = "AUTH_DATABASE_URL" or "sqlite://data/auth.db";
        /// Where the users service is, when the auth service runs alone.
        users_url: String = "USERS_URL" or "http://127.0.0.1:50052";
        /// Life of an access token. A revoked session is listed everywhere for as long.
        access_token_ttl: Span = "ACCESS_TOKEN_TTL" or "15m";
        /// Life of a session, however often its refresh token is exchanged.
        refresh_token_ttl: Span = "REFRESH_TOKEN_TTL" or "7d";
        /// How long a used refresh token still returns the same successor, for clients whose answer
        /// was lost and for concurrent requests.
        refresh_reuse_window: Span = "REFRESH_REUSE_WINDOW" or "10s";
        /// How access tokens are signed: `EdDSA`, `ES256`, `RS256`, or `HS256` with
        /// `JWT_HS256_SECRET`.
        jwt_algorithm: Algorithm = "JWT_ALGORITHM" or "EdDSA";
        /// Memory of one password hash (argon2id) in KiB.
        argon2_memory_kib: u32 = "ARGON2_MEMORY_KIB" or "19456";
        /// Passes of one password hash.
        argon2_iterations: u32 = "ARGON2_ITERATIONS" or "2";
        /// Lanes of one password hash.
        argon2_parallelism: u32 = "ARGON2_PARALLELISM" or "1";
        /// Passwords hashed at once; the number of cores when unset.
        hashing_concurrency: Option<usize> = "HASHING_CONCURRENCY";
        /// Passwords that wait to be hashed at the most; a further one is refused with a retry
        /// delay.
        hashing_queue: usize = "HASHING_QUEUE" or "64";
        /// Failed logins of one name from one address before further ones are delayed.
        login_free_attempts: u32 = "LOGIN_FREE_ATTEMPTS" or "5";
        /// First delay after those; it doubles with each further failure.
        login_delay: Span = "LOGIN_DELAY" or "1s";
        /// Delay at the most, for one name from one address.
        login_max_delay: Span = "LOGIN_MAX_DELAY" or "5m";
        /// Failed logins of one name from all addresses together before further ones are delayed;
        /// its owner, at a known address, is not slowed.
        login_free_attempts_per_name: u32 = "LOGIN_FREE_ATTEMPTS_PER_NAME" or "20";
        /// Delay at the most, for one name from all addresses.
        login_max_delay_per_name: Span = "LOGIN_MAX_DELAY_PER_NAME" or "10s";
        /// How long failed logins count after the last one.
        login_failure_window: Span = "LOGIN_FAILURE_WINDOW" or "1h";
        /// Public address of the product; links in mails begin with it.
        public_url: String = "PUBLIC_URL" or "http://localhost:8000";
    }
}

/// All settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its own settings.
    pub own: Own,
    /// Settings of tokens, which every process shares.
    pub rpc: quartet_rpc::Config,
    /// Settings that all stores share.
    pub store: quartet_store::Config,
    /// Settings of messages.
    pub messaging: quartet_messaging::Config,
}

impl Config {
    /// Every setting of the service itself.
    pub const SETTINGS: &'static [quartet_config::Setting] = Own::SETTINGS;

    /// Reads every setting from `source`.
    pub fn read(source: &Source) -> Result<Self, quartet_config::Error> {
        Ok(Self {
            own: Own::read(source)?,
            rpc: quartet_rpc::Config::read(source)?,
            store: quartet_store::Config::read(source)?,
            messaging: quartet_messaging::Config::read(source)?,
        })
    }
}

impl Own {
    /// How hard a new password hash is to compute.
    pub fn hardness(&self) -> Hardness {
        Hardness {
            memory_kib: self.argon2_memory_kib,
            iterations: self.argon2_iterations,
            parallelism: self.argon2_parallelism,
        }
    }

    /// The throttle per name and address.
    pub fn pair_policy(&self) -> Policy {
        Policy {
            free: self.login_free_attempts,
            base: self.login_delay.0,
            max: self.login_max_delay.0,
            memory: self.login_failure_window.0,
        }
    }

    /// The throttle per name over all addresses.
    pub fn name_policy(&self) -> Policy {
        Policy {
            free: self.login_free_attempts_per_name,
            base: self.login_delay.0,
            max: self.login_max_delay_per_name.0,
            memory: self.login_failure_window.0,
        }
    }

    /// How long an ended session is listed: its last access token was made at the latest when it
    /// ended, give or take the work of one call.
    pub fn revocation_life(&self) -> Duration {
        self.access_token_ttl.0 + Duration::from_secs(60)
    }
}
