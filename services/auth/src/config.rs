//! Settings of the auth service.

use std::net::SocketAddr;
use std::time::Duration;

use quartet_config::value::{List, PerTier, Span};
use quartet_config::{Environment, Source};
use quartet_store::database::DatabaseUrl;

use crate::breaches::RangeUrl;
use crate::domain::throttle::Policy;
use crate::domain::{Algorithm, ClientSetting, Hardness};

quartet_config::settings! {
    /// Settings of the auth service.
    pub struct Own {
        /// Address to serve gRPC on, when the service runs alone.
        grpc_address: SocketAddr = "AUTH_GRPC_ADDRESS" or "127.0.0.1:50051";
        /// Store of the auth service: `postgres://user:password@host:port/name`, or
        /// `sqlite://path/to/file.db`.
        @secret database_url: DatabaseUrl = "AUTH_DATABASE_URL" or "sqlite://data/auth.db";
        /// Life of an access token. A revoked session is listed everywhere for as long.
        access_token_ttl: Span = "ACCESS_TOKEN_TTL" or "15m";
        /// Life of a session, however often its refresh token is exchanged.
        refresh_token_ttl: Span = "REFRESH_TOKEN_TTL" or "7d";
        /// How long a session may go without an exchange of its refresh token, after which it is over
        /// (OWASP ASVS 5.0 §7.3.1); unset for no such bound. It has to be longer than `ACCESS_TOKEN_TTL`.
        session_idle_timeout: Option<Span> = "SESSION_IDLE_TIMEOUT";
        /// Sessions that a user may have at once; a further login ends the one that was used least
        /// recently. Others by tier: `100,free=3`.
        sessions_per_user: PerTier = "SESSIONS_PER_USER" or "100";
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
        /// Passwords from one client address (IPv6: one network of 64 bits) that are hashed or wait
        /// at the most, so that a flood from one address leaves the others their places.
        hashing_queue_per_address: usize = "HASHING_QUEUE_PER_ADDRESS" or "8";
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
        /// Failed logins from one address with all names together before further ones are delayed;
        /// as many are forgiven over `LOGIN_FAILURE_WINDOW`. Who is signed in, or on a device that
        /// has signed in before, is not slowed.
        login_free_attempts_per_address: u32 = "LOGIN_FREE_ATTEMPTS_PER_ADDRESS" or "30";
        /// Delay at the most, for all names from one address.
        login_max_delay_per_address: Span = "LOGIN_MAX_DELAY_PER_ADDRESS" or "1m";
        /// How long failed logins count after the last one.
        login_failure_window: Span = "LOGIN_FAILURE_WINDOW" or "1h";
        /// Whether registrations and changes of address hide who has an account: an address that is taken
        /// is answered as any other, its owner gets a mail, and only a proven address signs in. By default
        /// in the environments `staging` and `production`.
        hide_accounts: Option<bool> = "HIDE_ACCOUNTS";
        /// Range service that new passwords are looked up in, by the first five digits of their SHA-1
        /// (k-anonymity), such as `https://api.pwnedpasswords.com/range/`; one that is known from a breach
        /// is refused. While the service is away, passwords are not looked up. Unset: they never are.
        breached_passwords_url: Option<RangeUrl> = "BREACHED_PASSWORDS_URL";
        /// How long a lookup may take; a password that is not known by then is taken.
        breached_passwords_timeout: Span = "BREACHED_PASSWORDS_TIMEOUT" or "1s";
        /// How long security events are kept: the audit trail, `GET /api/v1/auth/events`.
        audit_keep: Span = "AUDIT_KEEP" or "90d";
        /// OAuth 2.0 clients that prove who they are at the token, revocation and introspection endpoints
        /// (RFC 6749 §2.3), with commas, each as its id and the SHA-256 of its secret in hex
        /// (`web=sha256:…`), a file with the secret, of at least 32 characters, which is read at the start
        /// (`web=file:/run/secrets/web`), or `public` for one that cannot keep a secret (`page=public`).
        /// With any, no other client is served there; without, clients are not looked at.
        @secret oauth_clients: List<ClientSetting> = "OAUTH_CLIENTS" or "";
        /// What apps show codes of a second factor under, beside the user name.
        second_factor_issuer: String = "SECOND_FACTOR_ISSUER" or "Quartet";
        /// How long a device that has signed in is known: failed logins from elsewhere do not delay
        /// its logins.
        device_token_ttl: Span = "DEVICE_TOKEN_TTL" or "180d";
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
        let environment = source.environment()?;
        let mut own = Own::read(source)?;
        own.hide_accounts
            .get_or_insert(matches!(environment, Environment::Staging | Environment::Production));
        Ok(Self {
            own,
            rpc: quartet_rpc::Config::read(source)?,
            store: quartet_store::Config::read(source)?,
            messaging: quartet_messaging::Config::read(source)?,
        })
    }
}

impl Own {
    /// Whether nobody learns who has an account.
    pub fn hides_accounts(&self) -> bool {
        self.hide_accounts.unwrap_or_default()
    }

    /// How hard a new password hash is to compute.
    pub fn hardness(&self) -> Hardness {
        Hardness {
            memory_kib: self.argon2_memory_kib,
            iterations: self.argon2_iterations,
            parallelism: self.argon2_parallelism,
        }
    }

    /// The throttle per name and address, and on what is tried with one session or device.
    pub fn pair_policy(&self) -> Policy {
        Policy {
            free: self.login_free_attempts,
            base: self.login_delay.0,
            max: self.login_max_delay.0,
            memory: self.login_failure_window.0,
            forgiven_every: None,
        }
    }

    /// The throttle per name over all addresses.
    pub fn name_policy(&self) -> Policy {
        Policy {
            free: self.login_free_attempts_per_name,
            base: self.login_delay.0,
            max: self.login_max_delay_per_name.0,
            memory: self.login_failure_window.0,
            forgiven_every: None,
        }
    }

    /// The throttle per address over all names.
    pub fn address_policy(&self) -> Policy {
        let free = self.login_free_attempts_per_address;
        Policy {
            free,
            base: self.login_delay.0,
            max: self.login_max_delay_per_address.0,
            memory: self.login_failure_window.0,
            forgiven_every: Some(self.login_failure_window.0 / free.max(1)),
        }
    }

    /// How long an ended session is listed: its last access token was made at the latest when it
    /// ended, give or take the work of one call.
    pub fn revocation_life(&self) -> Duration {
        self.access_token_ttl.0 + Duration::from_secs(60)
    }
}
