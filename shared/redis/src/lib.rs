//! Redis as the suite uses it: for what is worth having and can be done without. A server that is
//! away, slow or broken costs a command at most `REDIS_TIMEOUT`, and after a few failures nothing.
//!
//! In reading order: [`Config`], [`Redis`], and the private `breaker` that decides whether Redis is
//! tried at all.

mod breaker;
mod config;

use std::sync::Arc;
use std::time::Duration;

use quartet_telemetry::metrics::{REDIS_FAILURES, REDIS_UP};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, FromRedisValue, IntoConnectionInfo, RedisError};

use breaker::Breaker;
pub use config::Config;

/// Time that a connection may take. It is made in the background: nobody waits for it longer than
/// for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Redis did not answer in time, or not at all, or with an error. Do without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Redis is away")]
pub struct Away;

/// A Redis server. Cheap to clone; clones share a connection, on which concurrent commands are sent
/// together.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    breaker: Arc<Breaker>,
    timeout: Duration,
    prefix: Arc<str>,
}

impl Redis {
    /// The server of the settings; `None` where they name none. Connects at the first command. Call
    /// it inside a tokio runtime.
    ///
    /// Errors: a `REDIS_URL` that is none.
    pub fn open(config: &Config) -> Result<Option<Self>, quartet_config::Error> {
        let Some(url) = &config.redis_url else {
            return Ok(None);
        };
        let invalid = |error: RedisError| quartet_config::Error::Invalid {
            name: "REDIS_URL".into(),
            shown: "…".into(),
            origin: "the settings".into(),
            rule: format!("expected an address such as `redis://host:6379/0`: {error}"),
        };
        let info = url.expose().into_connection_info().map_err(invalid)?;
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(invalid)?;
        // The bound on an answer stands around the whole command, its wait for a connection included.
        let manager = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        let connection = ConnectionManager::new_lazy_with_config(client, manager).map_err(invalid)?;
        metrics::gauge!(REDIS_UP).set(1.0);
        Ok(Some(Self {
            connection,
            breaker: Arc::new(Breaker::new()),
            timeout: config.redis_timeout.0,
            prefix: config.redis_key_prefix.as_str().into(),
        }))
    }

    /// Bound on an answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What stands in front of every key, so that several suites can share a server.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Runs a script, in one round trip once the server has seen it.
    pub async fn script<T: FromRedisValue>(&self, invocation: &redis::ScriptInvocation<'_>) -> Result<T, Away> {
        let mut connection = self.connection.clone();
        self.bounded(invocation.invoke_async(&mut connection)).await
    }

    /// Runs a command, or a pipeline of them.
    pub async fn query<T: FromRedisValue>(&self, pipeline: &redis::Pipeline) -> Result<T, Away> {
        let mut connection = self.connection.clone();
        self.bounded(pipeline.query_async(&mut connection)).await
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, Away> {
        if !self.breaker.admits() {
            return Err(Away);
        }
        let why = match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(value)) => {
                if self.breaker.succeeded() {
                    metrics::gauge!(REDIS_UP).set(1.0);
                    tracing::info!("Redis answers again");
                }
                return Ok(value);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        metrics::counter!(REDIS_FAILURES).increment(1);
        if self.breaker.failed() {
            metrics::gauge!(REDIS_UP).set(0.0);
            tracing::warn!(
                error = why,
                "Redis is away; limits are counted here, and nothing is cached"
            );
        }
        Err(Away)
    }
}
