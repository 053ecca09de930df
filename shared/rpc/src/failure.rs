//! An error answer: a gRPC status that always carries `google.rpc.ErrorInfo`.

mod bounds;

use std::collections::HashMap;
use std::time::Duration;

use quartet_limits::Refused;
use quartet_proto::options::Reason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::token::ACR_TWO_FACTORS;
use bounds::Bounded;
pub use bounds::{MAX_BYTES, MAX_VIOLATIONS, OMITTED};

pub use quartet_proto::bounded::DOMAIN;

/// An error answer in the making. `Status::from` finishes it.
#[derive(Debug, Clone)]
pub struct Failure {
    code: Code,
    reason: Reason,
    message: String,
    metadata: HashMap<String, String>,
    violations: Vec<FieldViolation>,
    omitted: usize,
    retry_after: Option<Duration>,
}

impl Failure {
    /// An answer of this code and reason. `message` is for people, in English; the edge translates
    /// by reason and metadata.
    pub fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: HashMap::new(),
            violations: Vec::new(),
            omitted: 0,
            retry_after: None,
        }
    }

    /// INTERNAL, without a word about what failed; log the source before.
    pub fn internal() -> Self {
        Self::new(Code::Internal, Reason::Internal, "something failed inside")
    }

    /// UNAVAILABLE: a service or store is away for now.
    pub fn unavailable(what: &str) -> Self {
        Self::new(
            Code::Unavailable,
            Reason::Unavailable,
            format!("{what} is away for now"),
        )
        .with("what", what)
    }

    /// RESOURCE_EXHAUSTED: a limit refuses the call.
    pub fn rate_limited(refused: &Refused) -> Self {
        let message = format!("too many requests: the limit `{}` is used up", refused.limit);
        Self::new(Code::ResourceExhausted, Reason::RateLimited, message)
            .with("limit", &refused.limit)
            .retry_after(refused.retry_after)
    }

    /// UNAUTHENTICATED: the method demands a proof of who calls that is at most `window` old (RFC 9470
    /// §3).
    pub fn insufficient_authentication(window: Duration) -> Self {
        Self::new(
            Code::Unauthenticated,
            Reason::InsufficientUserAuthentication,
            "prove who you are once more, by Reauthenticate or a new login",
        )
        .with("max_age", window.as_secs())
    }

    /// UNAUTHENTICATED: the method demands a proof of who calls by two factors (RFC 9470 §3).
    pub fn second_factor_required() -> Self {
        Self::new(
            Code::Unauthenticated,
            Reason::InsufficientUserAuthentication,
            "prove who you are by a code of your second factor",
        )
        .with("acr_values", ACR_TWO_FACTORS)
    }

    /// INVALID_ARGUMENT with fields that break their rules, and how many more there are.
    pub fn invalid(violations: Vec<FieldViolation>, omitted: usize) -> Self {
        let message = match violations.as_slice() {
            [one] if omitted == 0 => format!("{}: {}", one.field, one.description),
            many => format!("{} fields break their rules", many.len() + omitted),
        };
        Self {
            violations,
            omitted,
            ..Self::new(Code::InvalidArgument, Reason::ValidationFailed, message)
        }
    }

    /// What is wrong with a message of a stream that could not be decoded; `None` for any other
    /// status.
    pub fn of_message(status: &Status) -> Option<Self> {
        let bad = status.get_details_bad_request()?;
        Some(Self::invalid(bad.field_violations, 0))
    }

    /// Adds a datum that the reason is about, such as `todo_id`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Sets when to try again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl From<Failure> for Status {
    /// The status, never larger than [`MAX_BYTES`] whatever the failure holds.
    fn from(failure: Failure) -> Self {
        let bounded = Bounded::new(&failure.message, failure.metadata, failure.violations, failure.omitted);
        let mut details = ErrorDetails::new();
        details.set_error_info(failure.reason.code(), DOMAIN, bounded.metadata);
        if !bounded.violations.is_empty() {
            details.set_bad_request(bounded.violations);
        }
        if failure.retry_after.is_some() {
            details.set_retry_info(failure.retry_after);
        }
        Self::with_error_details(failure.code, bounded.message, details)
    }
}

/// The reason that a status of the suite carries, such as `TODO_NOT_FOUND`; `None` when it carries
/// none.
pub fn reason_of(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    /// Any text, some of it far over every bound.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            (any::<char>(), 0..100_000_usize).prop_map(|(character, count)| character.to_string().repeat(count)),
        ]
    }

    fn violation() -> impl Strategy<Value = FieldViolation> {
        (text(), text(), text()).prop_map(|(field, description, reason)| FieldViolation {
            field,
            description,
            reason,
            localized_message: None,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_failure_makes_a_status_over_the_bound(
            message in text(),
            metadata in prop::collection::hash_map(text(), text(), 0..20),
            few in prop::collection::vec(violation(), 0..8),
            copies in 0..2_000_usize,
        ) {
            let violations: Vec<_> = few.iter().cycle().take(few.len() * copies / 8).cloned().collect();
            let total = violations.len();
            let failure = Failure {
                message,
                metadata,
                violations,
                retry_after: Some(Duration::MAX),
                ..Failure::internal()
            };
            let status = Status::from(failure);
            prop_assert!(status.message().len() + status.details().len() <= MAX_BYTES);
            let trailers = status.into_http::<()>();
            let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 32;
            let encoded: usize = trailers.headers().iter().map(size).sum();
            // Well under the 16 KiB at which an HTTP/2 client gives up the connection.
            prop_assert!(encoded < 14 * 1024, "{encoded}");
            let status = Status::from_header_map(trailers.headers()).unwrap();
            let details = status.get_error_details();
            let kept = details.bad_request().map_or(0, |bad| bad.field_violations.len());
            let omitted = details.error_info().unwrap().metadata.get(OMITTED);
            let omitted: usize = omitted.map_or(0, |count| count.parse().unwrap());
            prop_assert!(kept <= MAX_VIOLATIONS);
            prop_assert_eq!(kept + omitted, total);
        }
    }

    #[test]
    fn a_status_carries_its_reason_and_metadata() {
        let status = Status::from(Failure::new(Code::NotFound, Reason::TodoNotFound, "no").with("todo_id", 7));
        assert_eq!(reason_of(&status).as_deref(), Some("TODO_NOT_FOUND"));
        assert_eq!(status.get_details_error_info().unwrap().metadata["todo_id"], "7");
    }
}
