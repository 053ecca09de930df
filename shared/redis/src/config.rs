//! Settings of Redis.

use quartet_config::Secret;
use quartet_config::value::Span;

quartet_config::settings! {
    /// Settings of Redis.
    pub struct Config {
        /// Where Redis is: `redis://` or, with TLS, `rediss://`, with user and password if it needs
        /// them, such as `redis://:secret@host:6379/0`. It holds what all gateways count and cache
        /// together; without it, each process counts for itself, and only the suite in one process
        /// caches.
        @secret redis_url: Option<Secret> = "REDIS_URL";
        /// What stands in front of every key, so that several suites can share a server.
        redis_key_prefix: String = "REDIS_KEY_PREFIX" or "quartet:";
        /// How long one answer of Redis may take before a request goes on without it.
        redis_timeout: Span = "REDIS_TIMEOUT" or "50ms";
    }
}
