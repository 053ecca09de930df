//! Which of a request's headers go on to the backend.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use quartet_rpc::token::ServiceTokens;
use tonic::metadata::MetadataMap;

use super::extensions::ClientAddress;

/// Passed on under their own names.
const PASSED: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::ACCEPT_LANGUAGE,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// The service token that proves that the gateway makes the call. A service trusts the
/// `x-forwarded-` entries of no other caller.
const GATEWAY_TOKEN: HeaderName = HeaderName::from_static("x-gateway-token");

/// The metadata of the call that serves the request. Everything else a client sends stays at the
/// edge: a service must be able to trust what only the gateway can have set.
pub(super) fn forwarded(parts: &http::request::Parts) -> MetadataMap {
    let mut headers = HeaderMap::with_capacity(8);
    for name in &PASSED {
        if let Some(value) = parts.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    if let Some(agent) = parts.headers.get(header::USER_AGENT) {
        headers.insert("x-forwarded-user-agent", agent.clone());
    }
    let address = parts
        .extensions
        .get::<ClientAddress>()
        .and_then(|client| HeaderValue::try_from(client.0.to_string()).ok());
    if let Some(address) = address {
        headers.insert("x-forwarded-for", address);
    }
    MetadataMap::from_headers(headers)
}

/// Adds the gateway's token, which is valid for a minute, so that every call has its own. A call
/// without it is served as well; to the service, the gateway is then the client.
pub(super) fn add_gateway_token(metadata: &mut MetadataMap, tokens: Option<&ServiceTokens>) {
    match tokens.map(ServiceTokens::current) {
        Some(Ok(token)) => metadata
            .as_mut()
            .extend(secret(&token).map(|token| (GATEWAY_TOKEN, token))),
        Some(Err(error)) => tracing::error!(%error, "no service token could be made for the gateway"),
        None => {}
    }
}

/// A value that no log shows.
fn secret(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(token).ok()?;
    value.set_sensitive(true);
    Some(value)
}
