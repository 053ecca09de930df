//! Settings that every process shares, because they decide whose tokens count.

use std::path::PathBuf;

use quartet_config::value::Span;
use quartet_config::{Environment, Error, Secret, Source};

quartet_config::settings! {
    /// Settings of tokens, access and addresses. They must be equal in every process of a suite.
    pub struct Config {
        /// Issuer that access tokens name in `iss` (RFC 9068 §2.2).
        token_issuer: String = "TOKEN_ISSUER" or "quartet";
        /// Audience that access tokens name in `aud`; a token for another audience is refused.
        token_audience: String = "TOKEN_AUDIENCE" or "quartet";
        /// Secret of at least 32 characters with which services authenticate to one another. The
        /// suite in one process makes its own.
        @secret service_token_secret: Option<Secret> = "SERVICE_TOKEN_SECRET";
        /// File of the private key (Ed25519, PKCS#8 in PEM) with which this process signs its service
        /// tokens, in place of `SERVICE_TOKEN_SECRET`. Read again for every token. Not for the suite in
        /// one process.
        service_key_file: Option<PathBuf> = "SERVICE_KEY_FILE";
        /// Folder of the public keys (PEM) of all services: `jobs.pem`, and `jobs.next.pem` beside it
        /// while a key is replaced; `gateway.pem` too. With it, a token of a service counts only if a key
        /// of that service has signed it, and none that was signed with `SERVICE_TOKEN_SECRET` does. Read
        /// again when it changes. Not for the suite in one process.
        service_keys_dir: Option<PathBuf> = "SERVICE_KEYS_DIR";
        /// Secret of at least 32 characters for access tokens signed with HS256; only with
        /// `JWT_ALGORITHM=HS256`.
        @secret jwt_hs256_secret: Option<Secret> = "JWT_HS256_SECRET";
        /// Longest life (`exp` − `iat`) of an access token that a process accepts;
        /// `ACCESS_TOKEN_TTL` may not be longer.
        token_max_life: Span = "TOKEN_MAX_LIFE" or "24h";
        /// How long a process that has lost the stream of revocations still accepts tokens from
        /// before the loss. One that never had the stream accepts none.
        revocation_grace: Span = "REVOCATION_GRACE" or "1m";
        /// How old the last proof of who calls, by the password or a second factor, may be for what cannot
        /// be undone, such as a change of the address; an older one is refused with
        /// `INSUFFICIENT_USER_AUTHENTICATION` (RFC 9470).
        reauth_window: Span = "REAUTH_WINDOW" or "10m";
        /// Whether superusers have to prove who they are by two factors: without, they are ordinary users
        /// until they have enrolled one, or have signed in with it.
        superusers_need_second_factor: bool = "SUPERUSERS_NEED_SECOND_FACTOR" or "false";
        /// Where the auth service is, for processes that run apart from it; its keys and
        /// revocations decide which tokens are valid. `http://host:port` or `https://host:port`, or
        /// several with commas; calls are balanced over all of them, and over all addresses of a
        /// name.
        auth_url: String = "AUTH_URL" or "http://127.0.0.1:50051";
        /// Where the users service is, for processes that run apart from it; it streams the rate
        /// limits of tiers.
        users_url: String = "USERS_URL" or "http://127.0.0.1:50052";
        /// Public address of the product; links in mails begin with it. The gateway serves the pages
        /// that they lead to under this host, and under any host while this is `localhost`. In one
        /// process, the port of `HTTP_ADDRESS` is that of the default.
        public_url: String = "PUBLIC_URL" or "http://localhost:8000";
        /// How long calls in flight may take to end when a process stops.
        shutdown_timeout: Span = "SHUTDOWN_TIMEOUT" or "10s";
        /// Whether services describe themselves by gRPC reflection; by default everywhere but in the
        /// environment `production`.
        grpc_reflection: Option<bool> = "GRPC_REFLECTION";
        /// Deadline of a gRPC call whose caller set none.
        default_deadline: Span = "DEFAULT_DEADLINE" or "30s";
    }
}

impl Config {
    /// Whether services describe themselves by reflection.
    ///
    /// Errors: `ENVIRONMENT` is none.
    pub fn reflects(&self, source: &Source) -> Result<bool, Error> {
        let is_production = source.environment()? == Environment::Production;
        Ok(self.grpc_reflection.unwrap_or(!is_production))
    }
}
