//! What of a request's headers goes on to the backend.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use quartet_rpc::token::ServiceTokens;
use tonic::metadata::MetadataMap;

use super::ClientAddress;

/// Passed on under their own names.
const PASSED: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::ACCEPT_LANGUAGE,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Proves that the gateway made the call: a service token. A service believes the `x-forwarded-` entries of nobody else.
const PROOF: HeaderName = HeaderName::from_static("x-gateway-token");

/// The metadata of the call that serves the request. Everything else a client sends stays at the edge: a service must be able to trust
/// what only the gateway can have set.
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

/// Adds the gateway's proof, which is good for a minute, so every call has its own. A call without it is served as well; the service takes
/// the gateway for the client then.
pub(super) fn prove(metadata: &mut MetadataMap, tokens: Option<&ServiceTokens>) {
    match tokens.map(ServiceTokens::current) {
        Some(Ok(token)) => metadata.as_mut().extend(secret(&token).map(|token| (PROOF, token))),
        Some(Err(error)) => tracing::error!(%error, "the gateway cannot prove itself"),
        None => {}
    }
}

/// A value that no log shows.
fn secret(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(token).ok()?;
    value.set_sensitive(true);
    Some(value)
}
