//! A client that calls as often as it can, to see how much a limit lets through.

use std::time::{Duration, Instant};

use http::Method;
use quartet_tests::Rest;
use serde_json::json;

use super::REQUEST_TIMEOUT;

/// Calls that the limit `verify-email` allows a minute in this cluster.
const CALLS_A_MINUTE: f64 = 60.0;
/// The pause between two calls.
const PAUSE: Duration = Duration::from_millis(40);

/// What a limit has let through.
#[derive(Debug, Clone, Copy)]
pub struct Probed {
    /// Calls that were counted and let through.
    pub passed: usize,
    /// Calls that were refused.
    pub refused: usize,
    /// How long it was probed.
    pub elapsed: Duration,
}

impl Probed {
    /// What may pass at the most, with these faults: the limit once; once more for each Redis that
    /// came back empty, and for each gateway that came back while Redis was away; and what comes back
    /// meanwhile, at each gateway for itself.
    pub fn bound(&self, gateways: usize, faults: usize) -> usize {
        let back = self.elapsed.as_secs_f64() / 60.0 * CALLS_A_MINUTE * gateways as f64;
        let full = CALLS_A_MINUTE * (1 + faults) as f64;
        (back + full).ceil() as usize
    }
}

/// Calls through these gateways by turns, until `stopped`. The calls have no effect: they bring a
/// token that is none.
pub async fn run(gateways: &[String], stopped: impl Fn() -> bool) -> Probed {
    let gateways: Vec<Rest> = gateways.iter().map(|address| Rest::new(address)).collect();
    let begun = Instant::now();
    let (mut passed, mut refused) = (0, 0);
    for turn in 0.. {
        if stopped() {
            break;
        }
        let call = gateways[turn % gateways.len()]
            .call(Method::POST, "/api/v1/auth/email:verify")
            .json(&json!({"token": "none"}));
        match tokio::time::timeout(REQUEST_TIMEOUT, call.try_send()).await {
            Ok(Ok(reply)) if reply.status == 429 => refused += 1,
            Ok(Ok(reply)) if reply.status < 500 => passed += 1,
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Probed {
        passed,
        refused,
        elapsed: begun.elapsed(),
    }
}
