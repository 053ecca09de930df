//! What an answer means for another attempt: the one table from gRPC codes to transient or
//! permanent.

use quartet_kernel::Failure;
use tonic::{Code, Status};

/// What a call's failure means for whoever can call again, in the background.
///
/// An answer that judges the request is permanent: the same request would get it again. Transient
/// is what judges the moment, or the state in which the services are: one is away, late,
/// overloaded, has a defect, or does not have the method yet, because it is still of the version
/// before.
pub fn failure_of(status: &Status) -> Failure {
    let reason = status.message().to_owned();
    match is_transient(status.code()) {
        true => Failure::Transient(reason),
        false => Failure::Permanent(reason),
    }
}

fn is_transient(code: Code) -> bool {
    match code {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Cancelled
        | Code::Internal
        | Code::Unknown
        // Keys are rotated, and a service's token is drawn anew for each call.
        | Code::Unauthenticated
        // Of services that are being replaced, one may be newer than the other.
        | Code::Unimplemented => true,
        Code::Ok
        | Code::InvalidArgument
        // Who is gone stays gone.
        | Code::NotFound
        | Code::AlreadyExists
        // A caller is proven before it is refused; the policies are part of the program.
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        // Unrecoverable by its definition.
        | Code::DataLoss => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_judges_the_request_is_permanent() {
        for code in [
            Code::InvalidArgument,
            Code::NotFound,
            Code::AlreadyExists,
            Code::PermissionDenied,
            Code::FailedPrecondition,
            Code::OutOfRange,
            Code::DataLoss,
        ] {
            let failure = failure_of(&Status::new(code, "no"));
            assert_eq!(failure, Failure::Permanent("no".into()), "{code:?}");
        }
    }

    #[test]
    fn an_answer_that_judges_the_moment_is_transient() {
        for code in [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::ResourceExhausted,
            Code::Aborted,
            Code::Cancelled,
            Code::Internal,
            Code::Unknown,
            Code::Unauthenticated,
            Code::Unimplemented,
        ] {
            let failure = failure_of(&Status::new(code, "not now"));
            assert_eq!(failure, Failure::Transient("not now".into()), "{code:?}");
        }
    }
}
