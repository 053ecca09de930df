//! The errors of an RPC, read from its comment: `Errors: NOT_FOUND `TODO_NOT_FOUND`; as
//! CreateTodo.`

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::MethodDescriptor;
use quartet_proto::options::Reason;
use tonic::Code;

use crate::call;
use crate::comments::Comments;

/// The paragraph of a comment that names the errors starts with this.
pub(super) const MARK: &str = "Errors:";

/// Reasons by HTTP status.
pub(super) type Errors = BTreeMap<u16, BTreeSet<String>>;

/// The errors that the comment of a method names, directly or as those of another method of the
/// service.
pub(super) fn of(method: &MethodDescriptor, comments: &Comments) -> Errors {
    let mut errors = Errors::new();
    collect(method, comments, &mut errors, &mut BTreeSet::new());
    errors
}

fn collect(method: &MethodDescriptor, comments: &Comments, errors: &mut Errors, seen: &mut BTreeSet<String>) {
    if !seen.insert(method.full_name().to_owned()) {
        return;
    }
    let Some(paragraph) = comments
        .method(method)
        .split("\n\n")
        .find_map(|paragraph| paragraph.strip_prefix(MARK))
    else {
        return;
    };
    let mut current: Option<(Code, bool)> = None;
    for word in paragraph.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '`')) {
        if let Some(reason) = word.strip_prefix('`').and_then(|word| word.strip_suffix('`')) {
            let known = Reason::from_str_name(&format!("REASON_{reason}"));
            if let (Some(known), Some((code, named))) = (known, &mut current) {
                *named = true;
                add(errors, *code, known);
            }
        } else if let Some(code) = code_of(word) {
            add_unnamed(errors, current.replace((code, false)));
        } else if let Some(other) = method.parent_service().methods().find(|other| other.name() == word) {
            collect(&other, comments, errors, seen);
        }
    }
    add_unnamed(errors, current);
}

/// A code that no reason follows means the reason that usually goes with it.
fn add_unnamed(errors: &mut Errors, code: Option<(Code, bool)>) {
    let Some((code, false)) = code else { return };
    let reason = match code {
        Code::InvalidArgument => Reason::ValidationFailed,
        Code::PermissionDenied => Reason::PermissionDenied,
        Code::Unauthenticated => Reason::TokenInvalid,
        Code::Unavailable => Reason::Unavailable,
        Code::DeadlineExceeded => Reason::DeadlineExceeded,
        // The status alone, then: as for RESOURCE_EXHAUSTED "as Login".
        _ => return,
    };
    add(errors, code, reason);
}

fn add(errors: &mut Errors, code: Code, reason: Reason) {
    let status = call::status::http_status(code, reason.code()).as_u16();
    errors.entry(status).or_default().insert(reason.code().to_owned());
}

fn code_of(word: &str) -> Option<Code> {
    Some(match word {
        "CANCELLED" => Code::Cancelled,
        "INVALID_ARGUMENT" => Code::InvalidArgument,
        "DEADLINE_EXCEEDED" => Code::DeadlineExceeded,
        "NOT_FOUND" => Code::NotFound,
        "ALREADY_EXISTS" => Code::AlreadyExists,
        "PERMISSION_DENIED" => Code::PermissionDenied,
        "RESOURCE_EXHAUSTED" => Code::ResourceExhausted,
        "FAILED_PRECONDITION" => Code::FailedPrecondition,
        "ABORTED" => Code::Aborted,
        "OUT_OF_RANGE" => Code::OutOfRange,
        "UNIMPLEMENTED" => Code::Unimplemented,
        "INTERNAL" => Code::Internal,
        "UNAVAILABLE" => Code::Unavailable,
        "UNAUTHENTICATED" => Code::Unauthenticated,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(method: &str) -> Vec<(u16, String)> {
        let pool = quartet_proto::descriptors::pool();
        let (service, name) = method.split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap();
        let method = service.methods().find(|method| method.name() == name).unwrap();
        let errors = of(&method, &Comments::of_contracts());
        errors
            .into_iter()
            .map(|(status, reasons)| (status, reasons.into_iter().collect::<Vec<_>>().join(" ")))
            .collect()
    }

    #[test]
    fn codes_and_reasons_are_read_from_the_comment() {
        let expected = [
            (401, "INSUFFICIENT_USER_AUTHENTICATION"),
            (403, "NOT_YOUR_USER"),
            (404, "USER_NOT_FOUND"),
            (409, "EMAIL_TAKEN USERNAME_TAKEN"),
            (412, "ETAG_MISMATCH"),
            (422, "VALIDATION_FAILED"),
            (503, "UNAVAILABLE"),
        ];
        assert_eq!(
            errors("quartet.users.v1.UserService/UpdateUser"),
            expected.map(|(status, text)| (status, text.to_owned()))
        );
    }

    #[test]
    fn the_errors_of_another_method_are_included() {
        let errors = errors("quartet.auth.v1.AuthService/Token");
        assert!(
            errors.contains(&(
                401,
                "INVALID_CLIENT INVALID_CREDENTIALS INVALID_REFRESH_TOKEN MFA_REQUIRED REFRESH_TOKEN_REUSED".into()
            )),
            "{errors:?}"
        );
        assert!(errors.contains(&(400, "UNSUPPORTED_GRANT_TYPE".into())), "{errors:?}");
        assert!(
            errors.contains(&(429, "HASHING_BUSY TOO_MANY_ATTEMPTS".into())),
            "{errors:?}"
        );
    }
}
