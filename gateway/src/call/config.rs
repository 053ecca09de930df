//! How calls are made.

use std::time::Duration;

use quartet_rpc::token::ServiceTokens;
use tokio_util::sync::CancellationToken;

use crate::origin::OriginPolicy;

/// How calls are made.
#[derive(Clone)]
pub struct Config {
    /// Time that a call may take when neither the request nor its method names one.
    pub timeout: Duration,
    /// Largest message that a backend may send, in bytes.
    pub max_reply_bytes: usize,
    /// Whether cookies are `Secure`; off only where people use plain HTTP.
    pub secure_cookies: bool,
    /// Time between the comments that keep an idle event stream open.
    pub keep_alive: Duration,
    /// Which pages may use cookies, and which may read replies.
    pub origins: OriginPolicy,
    /// The service tokens that prove to a service that the gateway calls.
    pub tokens: Option<ServiceTokens>,
    /// Cancelled when the gateway drains: streams end then.
    pub closing: CancellationToken,
}
