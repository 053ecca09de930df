//! The client: invokes requests with a timeout, and records each completion in the history.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use quartet_tests::Rest;
use serde_json::Value;

use super::text;
use crate::history::{History, Process, Type};

/// How long a client waits for an answer: longer than the suite may take for a request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// How a request completed.
pub(super) enum Completion {
    /// It took effect; the body of the answer.
    Ok(Value),
    /// It was refused, with this status and error code.
    Fail(u16, String),
    /// Its outcome is unknown.
    Info,
}

/// The body of a request.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Empty.
    Empty,
    /// JSON.
    Json(Value),
    /// Comma-separated values.
    Csv(String),
}

/// A client of one worker.
pub(super) struct Client {
    /// The gateways, which take the requests by turns.
    gateways: Vec<Rest>,
    turn: usize,
    process: Process,
    history: Arc<History>,
    /// Whether the last request completed as `info`.
    pub(super) last_was_info: bool,
}

impl Client {
    pub(super) fn new(gateways: Vec<Rest>, process: Process, history: Arc<History>) -> Self {
        Self {
            gateways,
            turn: 0,
            process,
            history,
            last_was_info: false,
        }
    }

    pub(super) async fn invoke(&mut self, token: &str, method: Method, path: &str, body: Body) -> Completion {
        self.invoke_keyed(token, method, path, body, None).await
    }

    /// The same, with an idempotency key.
    pub(super) async fn invoke_keyed(
        &mut self,
        token: &str,
        method: Method,
        path: &str,
        body: Body,
        key: Option<&str>,
    ) -> Completion {
        self.turn = (self.turn + 1) % self.gateways.len();
        let rest = &self.gateways[self.turn];
        let rest = match token {
            "" => rest.clone(),
            token => rest.with_token(token),
        };
        let operation = format!("{method} {}", path.split(['/', '?']).nth(3).unwrap_or_default());
        let call = rest.call(method, path);
        let call = match body {
            Body::Empty => call,
            Body::Json(body) => call.json(&body),
            Body::Csv(body) => call.body("text/csv", body),
        };
        let call = match key {
            Some(key) => call.header("idempotency-key", key),
            None => call,
        };
        self.record(Type::Invoke, &operation);
        let reply = tokio::time::timeout(REQUEST_TIMEOUT, call.try_send()).await;
        let reply = reply.ok().and_then(Result::ok).filter(|reply| reply.status < 500);
        self.last_was_info = reply.is_none();
        let Some(reply) = reply else {
            self.record(Type::Info, &operation);
            return Completion::Info;
        };
        match reply.status {
            200..300 => {
                self.record(Type::Ok, &operation);
                Completion::Ok(reply.json())
            }
            status @ 400..500 => {
                let code = text(&reply.json()["error_code"]);
                self.record(Type::Fail(status, code.clone()), &operation);
                Completion::Fail(status, code)
            }
            status => panic!("{operation} was answered with {status}"),
        }
    }

    /// Records an answer that must never be given.
    pub(super) fn anomaly(&self, anomaly: String) {
        self.history.anomaly(anomaly);
    }

    fn record(&self, kind: Type, operation: &str) {
        self.history.record(self.process, kind, operation);
    }
}
