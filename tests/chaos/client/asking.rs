//! How a client asks: with patience, counting what became of each request.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use quartet_tests::Rest;
use serde_json::Value;

use super::text;
use crate::tally::Tally;

/// How long an answer is waited for: longer than the suite may take over a request.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// What came of a request.
pub(super) enum Answer {
    /// It was done.
    Done(Value),
    /// It was refused, with this status and code.
    Refused(u16, String),
    /// Nobody knows.
    Nothing,
}

/// What a request carries.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(Value),
    /// Comma-separated values.
    Csv(String),
}

/// Asks, and counts.
pub(super) struct Asking {
    rest: Rest,
    tally: Arc<Tally>,
    /// Whether the last request came to nothing.
    pub(super) unheard: bool,
}

impl Asking {
    pub(super) fn new(rest: Rest, tally: Arc<Tally>) -> Self {
        Self {
            rest,
            tally,
            unheard: false,
        }
    }

    pub(super) async fn ask(&mut self, token: &str, method: Method, path: &str, body: Body) -> Answer {
        let rest = match token {
            "" => self.rest.clone(),
            token => self.rest.bearing(token),
        };
        let act = format!("{method} {}", path.split(['/', '?']).nth(3).unwrap_or_default());
        let call = rest.call(method, path);
        let call = match body {
            Body::Empty => call,
            Body::Json(body) => call.json(&body),
            Body::Csv(body) => call.body("text/csv", body),
        };
        let reply = tokio::time::timeout(PATIENCE, call.try_send()).await;
        self.tally.count(|counts| counts.requests += 1);
        let reply = reply.ok().and_then(Result::ok).filter(|reply| reply.status < 500);
        self.unheard = reply.is_none();
        let Some(reply) = reply else {
            self.tally.count(|counts| counts.unanswered += 1);
            return Answer::Nothing;
        };
        match reply.status {
            200..300 => {
                self.tally.count(|counts| counts.acknowledged += 1);
                Answer::Done(reply.json())
            }
            status @ 400..500 => {
                let code = text(&reply.json()["error_code"]);
                let told = format!("{act}: {status} {code}");
                self.tally.count(|counts| *counts.refused.entry(told).or_default() += 1);
                Answer::Refused(status, code)
            }
            status => panic!("the suite answers {act} with {status}"),
        }
    }

    /// Notes an answer that must not be given.
    pub(super) fn wrong(&self, told: String) {
        self.tally.count(|counts| counts.wrong.push(told));
    }
}
