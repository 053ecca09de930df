//! Failures as OAuth 2.0 clients read them (RFC 6749 §5.2, RFC 7009 §2.2.1).

use http::{HeaderValue, StatusCode, header};
use quartet_proto::options::Reason;

use super::Problem;

/// An error code of OAuth 2.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthError {
    /// The request is malformed.
    InvalidRequest,
    /// The client is unknown, or has not proven who it is.
    InvalidClient,
    /// The credentials or the token do not count.
    InvalidGrant,
    /// The grant is none of those that are taken.
    UnsupportedGrantType,
    /// Tokens of the type cannot be revoked (RFC 7009).
    UnsupportedTokenType,
    /// A code of the second factor is missing.
    MfaRequired,
    /// Something has failed.
    ServerError,
    /// Another try may succeed later.
    TemporarilyUnavailable,
}

impl OAuthError {
    /// The code itself.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::MfaRequired => "mfa_required",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// The status at an endpoint of OAuth 2.0 of what is a failure of `status` elsewhere.
pub(crate) fn status(status: u16, reason: &str) -> u16 {
    match status {
        401 if reason == Reason::MfaRequired.code() => 403,
        401 if reason == Reason::InvalidClient.code() => 401,
        401 | 403 | 404 | 409 | 422 => 400,
        status => status,
    }
}

impl Problem {
    /// The same failure at an endpoint of OAuth 2.0: with an error code of that, and with its status.
    pub(crate) fn for_oauth(mut self) -> Self {
        let error = self.oauth_error();
        let status = status(self.status.as_u16(), &self.reason);
        self.status = StatusCode::from_u16(status).unwrap_or(self.status);
        self.headers.retain(|(name, _)| name != header::WWW_AUTHENTICATE);
        if error == OAuthError::InvalidClient {
            let challenge = HeaderValue::from_static("Basic realm=\"quartet\", charset=\"UTF-8\"");
            self.headers.push((header::WWW_AUTHENTICATE, challenge));
        }
        self.oauth = Some(error);
        self
    }

    fn oauth_error(&self) -> OAuthError {
        let is = |reasons: &[Reason]| reasons.iter().any(|reason| self.reason == reason.code());
        if is(&[
            Reason::InvalidCredentials,
            Reason::InvalidRefreshToken,
            Reason::RefreshTokenReused,
            Reason::AccountDisabled,
            Reason::InvalidChallenge,
            Reason::WrongCode,
            Reason::SecondFactorNotFound,
        ]) {
            OAuthError::InvalidGrant
        } else if is(&[Reason::InvalidClient]) {
            OAuthError::InvalidClient
        } else if is(&[Reason::UnsupportedGrantType]) {
            OAuthError::UnsupportedGrantType
        } else if is(&[Reason::UnsupportedTokenType]) {
            OAuthError::UnsupportedTokenType
        } else if is(&[Reason::MfaRequired]) {
            OAuthError::MfaRequired
        } else if self.status.is_server_error() && self.status != StatusCode::SERVICE_UNAVAILABLE {
            OAuthError::ServerError
        } else if self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS {
            OAuthError::TemporarilyUnavailable
        } else {
            OAuthError::InvalidRequest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_codes_and_statuses_of_the_rfc() {
        for (status, reason, expected, error) in [
            (422, Reason::ValidationFailed, 400, "invalid_request"),
            (400, Reason::BadRequest, 400, "invalid_request"),
            (415, Reason::UnsupportedMediaType, 415, "invalid_request"),
            (401, Reason::InvalidCredentials, 400, "invalid_grant"),
            (401, Reason::RefreshTokenReused, 400, "invalid_grant"),
            (403, Reason::AccountDisabled, 400, "invalid_grant"),
            (400, Reason::UnsupportedGrantType, 400, "unsupported_grant_type"),
            (401, Reason::MfaRequired, 403, "mfa_required"),
            (401, Reason::InvalidClient, 401, "invalid_client"),
            (429, Reason::TooManyAttempts, 429, "temporarily_unavailable"),
            (503, Reason::Unavailable, 503, "temporarily_unavailable"),
            (500, Reason::Internal, 500, "server_error"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let problem = Problem::new(status, reason, "no").for_oauth();
            assert_eq!(
                (problem.status.as_u16(), problem.oauth.map(OAuthError::code)),
                (expected, Some(error)),
                "{reason:?}"
            );
            let challenged = problem.headers.iter().any(|(name, _)| name == header::WWW_AUTHENTICATE);
            assert_eq!(challenged, expected == 401, "{reason:?}");
        }
    }
}
