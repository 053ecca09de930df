//! Delivers one event to a webhook, by Standard Webhooks (https://www.standardwebhooks.com, version
//! 1.0); or the challenge that its target has to answer before it receives any.
//!
//! Once: not ours to promise. Every attempt carries the event's id as `webhook-id`, by which the
//! receiver recognizes a copy.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue, StatusCode};
use quartet_proto::jobs::v1 as pb;
use serde_json::{Value, json};
use sha2::Sha256;
use time::format_description::well_known::Rfc3339;
use url::Url;
use uuid::Uuid;

use super::Dependencies;
use crate::domain::{CHALLENGE, WebhookEdit};
use crate::egress::{EgressError, Reply};
use crate::workers::{Done, JobContext, JobError, JobHandler};

/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest pause that a receiver may request.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3_600);

pub(super) struct Webhook(pub(super) Arc<Dependencies>);

#[async_trait]
impl JobHandler for Webhook {
    fn timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn run(&self, context: &JobContext) -> Result<Done, JobError> {
        let payload: pb::DeliverWebhook = context.payload()?;
        let id: Uuid = payload
            .webhook_id
            .parse()
            .map_err(|error| JobError::permanent("INVALID", error))?;
        let webhook = self.0.store.find_webhook(context.job.owner, id, &context.cx()).await?;
        let Some(webhook) = webhook.filter(|webhook| webhook.enabled) else {
            return Err(JobError::permanent(
                "WEBHOOK_GONE",
                "the webhook was deleted or switched off",
            ));
        };
        let is_challenge = payload.event_type == CHALLENGE;
        if webhook.proven_at.is_none() && !is_challenge {
            // Its URL has changed since the event.
            let message = "the target has not answered the challenge yet";
            return Err(JobError::transient("WEBHOOK_PENDING", message));
        }
        let url = Url::parse(&webhook.url).map_err(|error| JobError::permanent("INVALID", error))?;
        self.wait_for_turn(context).await?;
        let timestamp = context.clock.now().unix_timestamp();
        // Drawn anew for each attempt, and kept nowhere: only whoever receives it can answer it.
        let challenge = is_challenge.then(|| challenge(context, id));
        let body = match &challenge {
            Some((_, body)) => body.clone(),
            None => payload.body,
        };
        let signature = sign(&webhook.secret, &payload.event_id, timestamp, &body);
        let headers = headers(&payload.event_id, timestamp, &signature)?;
        context.check()?;
        match self.0.egress.post(&url, headers, body.into(), TIMEOUT).await {
            Ok(reply) if reply.status.is_success() => {
                if let Some((value, _)) = &challenge {
                    if !answers(&reply.body, value) {
                        return Err(JobError::permanent(
                            "CHALLENGE_UNANSWERED",
                            "the receiver did not answer the challenge",
                        ));
                    }
                    let (owner, cx) = (context.job.owner, context.cx());
                    self.0.store.prove_webhook(owner, id, &webhook.url, &cx).await?;
                }
                Ok(Done::with(&pb::DeliverWebhookResult {
                    status_code: reply.status.as_u16().into(),
                }))
            }
            Ok(reply) if reply.status == StatusCode::GONE => {
                // The receiver wants no more.
                let edit = WebhookEdit {
                    enabled: Some(false),
                    ..WebhookEdit::default()
                };
                self.0
                    .store
                    .update_webhook(context.job.owner, id, &edit, &context.cx())
                    .await?;
                Err(JobError::permanent(
                    "WEBHOOK_GONE",
                    "the receiver answered 410, so the webhook was switched off",
                ))
            }
            Ok(reply) => Err(refused(&reply)),
            // One answer for both: names inside, which resolve to addresses that may not be called,
            // look like names that nobody has.
            Err(error @ (EgressError::Forbidden(_) | EgressError::Unresolved(..))) => {
                tracing::info!(%error, "a webhook leads nowhere");
                let host = url.host_str().unwrap_or_default();
                let message = format!("{host} leads to no public address");
                Err(JobError::transient("UNREACHABLE", message))
            }
            Err(error) => Err(JobError::transient("UNREACHABLE", error)),
        }
    }
}

impl Webhook {
    /// Waits until the host of the delivery may receive the next one. Few deliveries to a host have
    /// a place at once, so the wait is short.
    async fn wait_for_turn(&self, context: &JobContext) -> Result<(), JobError> {
        let Some(lane) = &context.job.lane else {
            return Ok(());
        };
        let gap = self.0.webhook_gap.try_into().unwrap_or_default();
        let cx = context.cx();
        let at = self.0.store.pace(context.job.queue, lane, gap, &cx).await?;
        let wait = (at - cx.now).try_into().unwrap_or_default();
        context.interrupted.run_until_cancelled(tokio::time::sleep(wait)).await;
        context.check()
    }
}

/// A value that nobody can guess, and the body that carries it.
fn challenge(context: &JobContext, webhook: Uuid) -> (String, String) {
    let value = URL_SAFE_NO_PAD.encode(context.clock.random::<24>());
    let body = json!({
        "type": CHALLENGE,
        "timestamp": context.clock.now().format(&Rfc3339).unwrap_or_default(),
        "data": {"webhook_id": webhook, "challenge": value},
    });
    (value, body.to_string())
}

/// Whether the body of an answer is the value, or a JSON object whose member `challenge` it is. A server
/// that returns whatever it receives has not agreed: the value is not on the top there.
fn answers(body: &[u8], value: &str) -> bool {
    if body.trim_ascii() == value.as_bytes() {
        return true;
    }
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    answer.is_some_and(|answer| answer.get("challenge").and_then(Value::as_str) == Some(value))
}

fn refused(reply: &Reply) -> JobError {
    let message = format!("the receiver answered {}", reply.status.as_u16());
    // A redirect is not followed: where it leads nobody has agreed to, and it may lead inside.
    let reason = if reply.status.is_redirection() {
        "REDIRECTED"
    } else {
        "REFUSED"
    };
    JobError::transient(reason, message).retry_after(reply.retry_after.map(|pause| pause.min(LONGEST_PAUSE)))
}

fn headers(id: &str, timestamp: i64, signature: &str) -> Result<Vec<(HeaderName, HeaderValue)>, JobError> {
    let value = |text: &str| HeaderValue::try_from(text).map_err(|error| JobError::permanent("INVALID", error));
    Ok(vec![
        (
            HeaderName::from_static("content-type"),
            HeaderValue::from_static("application/json"),
        ),
        (
            HeaderName::from_static("user-agent"),
            HeaderValue::from_static("Quartet-Webhooks/1"),
        ),
        (HeaderName::from_static("webhook-id"), value(id)?),
        (
            HeaderName::from_static("webhook-timestamp"),
            value(&timestamp.to_string())?,
        ),
        (HeaderName::from_static("webhook-signature"), value(signature)?),
    ])
}

/// `v1,` and the HMAC-SHA256 of id, timestamp and body.
#[expect(clippy::expect_used, reason = "an HMAC takes a key of any length")]
fn sign(secret: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length is fine");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standards_example() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_challenge_is_answered_by_its_value_alone() {
        assert!(answers(b"abc", "abc") && answers(b" abc\n", "abc"));
        assert!(answers(br#"{"challenge": "abc", "more": 1}"#, "abc"));
        for wrong in [
            "",
            "abcd",
            r#"{"challenge": "x"}"#,
            r#"{"data": {"challenge": "abc"}}"#,
            r#"["abc"]"#,
        ] {
            assert!(!answers(wrong.as_bytes(), "abc"), "{wrong}");
        }
    }
}
