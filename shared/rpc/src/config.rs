//! Settings that every process shares, because they decide whose tokens count.

use quartet_config::Secret;
use quartet_config::value::Span;

quartet_config::settings! {
    /// Settings of tokens and access. They must be equal in every process of a suite.
    pub struct Config {
        /// Issuer that access tokens name in `iss` (RFC 9068 §2.2).
        token_issuer: String = "TOKEN_ISSUER" or "quartet";
        /// Audience that access tokens name in `aud`; a token for another audience is refused.
        token_audience: String = "TOKEN_AUDIENCE" or "quartet";
        /// Secret of at least 32 characters with which services authenticate to one another. The
        /// suite in one process makes its own.
        @secret service_token_secret: Option<Secret> = "SERVICE_TOKEN_SECRET";
        /// Secret of at least 32 characters for access tokens signed with HS256; only with
        /// `JWT_ALGORITHM=HS256`.
        @secret jwt_hs256_secret: Option<Secret> = "JWT_HS256_SECRET";
        /// How long a process that has lost the stream of revocations still accepts tokens from
        /// before the loss.
        revocation_grace: Span = "REVOCATION_GRACE" or "1m";
        /// Where the auth service is, for processes that run apart from it; its keys and
        /// revocations decide which tokens are valid.
        auth_url: String = "AUTH_URL" or "http://127.0.0.1:50051";
        /// How long calls in flight may take to end when a process stops.
        shutdown_timeout: Span = "SHUTDOWN_TIMEOUT" or "10s";
        /// Deadline of a gRPC call whose caller set none.
        default_deadline: Span = "DEFAULT_DEADLINE" or "30s";
    }
}
