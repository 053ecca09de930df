//! Failures of the transport: the backend has not answered at all.

use tokio::time::Instant;
use tonic::{Code, Status};

/// The deadline has passed.
pub(super) fn late() -> Status {
    Status::deadline_exceeded("the backend did not answer in time")
}

/// Names a failure of the transport UNAVAILABLE, or DEADLINE_EXCEEDED once `deadline` has passed.
/// tonic names it UNKNOWN, INTERNAL or CANCELLED, after whatever error it found inside. What a
/// backend has answered stays as it is.
pub(super) fn named(status: Status, deadline: Option<Instant>) -> Status {
    let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
    if is_late && matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded) {
        return late();
    }
    if is_transport(&status) {
        tracing::warn!(error = %status, "a backend could not be reached");
        return Status::unavailable("the backend could not be reached");
    }
    status
}

/// Whether the transport failed: a status that a backend sent was made from headers, and has no
/// error as its source.
fn is_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some() && status.code() != Code::DeadlineExceeded
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_transport_is_known_by_the_error_behind_the_status_whatever_its_code_and_text() {
        for code in [Code::Unknown, Code::Internal, Code::Cancelled] {
            let text = "transport error";
            assert_eq!(named(Status::new(code, text), None).code(), code);
            let mut broken = Status::new(code, text);
            broken.set_source(std::sync::Arc::new(std::io::Error::other("reset")));
            assert_eq!(named(broken, None).code(), Code::Unavailable);
        }
    }

    #[test]
    fn a_call_that_is_cut_off_past_its_deadline_was_late() {
        let deadline = Instant::now();
        let cancelled = || Status::cancelled("cut off");
        assert_eq!(named(cancelled(), Some(deadline)).code(), Code::DeadlineExceeded);
        let later = deadline + Duration::from_secs(60);
        assert_eq!(named(cancelled(), Some(later)).code(), Code::Cancelled);
        assert_eq!(named(Status::not_found("no"), Some(deadline)).code(), Code::NotFound);
    }
}
