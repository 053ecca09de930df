//! An error answer: a gRPC status that always carries `google.rpc.ErrorInfo`.

use std::collections::HashMap;
use std::time::Duration;

use quartet_proto::options::Reason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// The `domain` of every `google.rpc.ErrorInfo` of the suite.
pub const DOMAIN: &str = "quartet";

/// An error answer in the making. `Status::from` finishes it.
#[derive(Debug, Clone)]
pub struct Failure {
    code: Code,
    reason: Reason,
    message: String,
    metadata: HashMap<String, String>,
    violations: Vec<FieldViolation>,
    retry_after: Option<Duration>,
}

impl Failure {
    /// An answer of this code and reason. `message` is for people, in English; the edge translates by reason and metadata.
    pub fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: HashMap::new(),
            violations: Vec::new(),
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

    /// INVALID_ARGUMENT with the fields that break their rules.
    pub fn invalid(violations: Vec<FieldViolation>) -> Self {
        let message = match violations.as_slice() {
            [one] => format!("{}: {}", one.field, one.description),
            many => format!("{} fields break their rules", many.len()),
        };
        Self {
            violations,
            ..Self::new(Code::InvalidArgument, Reason::ValidationFailed, message)
        }
    }

    /// Adds a datum that the reason is about, as `todo_id`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Tells when to try again.
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
    fn from(failure: Failure) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(failure.reason.code(), DOMAIN, failure.metadata);
        if !failure.violations.is_empty() {
            details.set_bad_request(failure.violations);
        }
        if failure.retry_after.is_some() {
            details.set_retry_info(failure.retry_after);
        }
        Self::with_error_details(failure.code, failure.message, details)
    }
}

/// The reason that a status of the suite carries, as `TODO_NOT_FOUND`; `None` when it carries none.
pub fn reason_of(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_its_reason_and_metadata() {
        let status = Status::from(Failure::new(Code::NotFound, Reason::TodoNotFound, "no").with("todo_id", 7));
        assert_eq!(reason_of(&status).as_deref(), Some("TODO_NOT_FOUND"));
        assert_eq!(status.get_details_error_info().unwrap().metadata["todo_id"], "7");
    }
}
