//! The errors of the crates below gRPC, as answers.

use quartet_kernel::{DeadlineExceeded, EtagMismatch, Fault, InvalidFields};
use quartet_proto::options::Reason;
use tonic::Code;
use tonic_types::FieldViolation;

use crate::Failure;

impl From<InvalidFields> for Failure {
    fn from(invalid: InvalidFields) -> Self {
        let omitted = invalid.omitted();
        let violations = invalid.into_iter().map(|violation| FieldViolation {
            field: violation.field,
            description: violation.rule.text,
            reason: violation.rule.name.to_owned(),
            localized_message: None,
        });
        Self::invalid(violations.collect(), omitted)
    }
}

impl From<DeadlineExceeded> for Failure {
    fn from(late: DeadlineExceeded) -> Self {
        Self::new(Code::DeadlineExceeded, Reason::DeadlineExceeded, late.to_string())
    }
}

impl From<EtagMismatch> for Failure {
    fn from(mismatch: EtagMismatch) -> Self {
        Self::new(Code::Aborted, Reason::EtagMismatch, mismatch.to_string())
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::DeadlineExceeded(late) => late.into(),
            Fault::Unavailable(what) => Self::unavailable(what),
            Fault::Internal => Self::internal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use quartet_kernel::{Rule, violations};
    use tonic::Status;
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn invalid_fields_are_listed_with_the_names_of_their_rules() {
        let invalid = violations::one("todo.title", Rule::required());
        let status = Status::from(Failure::from(invalid));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "todo.title: is required");
        let bad = status.get_details_bad_request().unwrap();
        assert_eq!(bad.field_violations[0].field, "todo.title");
        assert_eq!(bad.field_violations[0].reason, "REQUIRED");
    }

    #[test]
    fn each_fault_has_its_code() {
        for (fault, code, reason) in [
            (
                DeadlineExceeded.into(),
                Code::DeadlineExceeded,
                Reason::DeadlineExceeded,
            ),
            (Fault::Unavailable("the store"), Code::Unavailable, Reason::Unavailable),
            (Fault::Internal, Code::Internal, Reason::Internal),
        ] {
            let failure = Failure::from(fault);
            assert_eq!((failure.code(), failure.reason()), (code, reason));
        }
    }
}
