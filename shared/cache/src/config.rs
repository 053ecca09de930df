//! Settings of the cache.

use quartet_config::value::Bytes;

quartet_config::settings! {
    /// Settings of the cache of replies.
    pub struct Config {
        /// Whether replies are kept: in Redis, or in memory where the suite is one process. A
        /// gateway of its own without Redis keeps nothing, since another gateway's writes would not
        /// reach it.
        cache_enabled: bool = "CACHE_ENABLED" or "true";
        /// Memory for replies where the suite is one process.
        cache_max_memory: Bytes = "CACHE_MAX_MEMORY" or "64MiB";
    }
}
