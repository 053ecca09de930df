//! How calls are made.

use std::time::Duration;

use quartet_cache::Cache;
use quartet_limits::Limits;
use quartet_rpc::Verifier;
use quartet_rpc::token::ServiceTokens;
use tokio_util::sync::CancellationToken;

use super::passed::Passed;
use crate::config::{CookiePrefix, SameSite};
use crate::open_streams::OpenStreams;
use crate::origin::OriginPolicy;

/// What cookies are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieStyle {
    /// Whether they are `Secure`; off only where people use plain HTTP.
    pub secure: bool,
    /// What their names begin with.
    pub prefix: CookiePrefix,
    /// Whether a browser sends them with requests that pages of other sites make.
    pub same_site: SameSite,
}

/// How calls are made.
#[derive(Clone)]
pub struct Config {
    /// Time that a call may take when neither the request nor its method names one.
    pub timeout: Duration,
    /// Largest message that a backend may send, in bytes.
    pub max_reply_bytes: usize,
    /// What cookies are like.
    pub cookies: CookieStyle,
    /// Time between the comments that keep an idle event stream open.
    pub keep_alive: Duration,
    /// Which pages may use cookies, and which may read replies.
    pub origins: OriginPolicy,
    /// Verifies access tokens; without it, every client is anonymous to the gateway.
    pub verifier: Option<Verifier>,
    /// How often callers may call.
    pub limits: Limits,
    /// Where replies are cached.
    pub cache: Cache,
    /// How long clients may use a reply that was made for them without asking again.
    pub client_max_age: Duration,
    /// How many streams a user may have open.
    pub streams: OpenStreams,
    /// The service tokens that prove to a service that the gateway calls.
    pub tokens: Option<ServiceTokens>,
    /// Which headers pass through as they are.
    pub passed: Passed,
    /// Paths of the gateway's own that a client may be led to; the first one shows all addresses.
    /// Empty where nobody is shown them.
    pub shown_paths: Vec<String>,
    /// Cancelled when the gateway drains: streams end then.
    pub closing: CancellationToken,
}
