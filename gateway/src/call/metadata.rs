//! Which of a request's headers go on to the backend.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use quartet_rpc::token::ServiceTokens;
use tonic::metadata::MetadataMap;

use super::extensions::ClientAddress;
use super::idempotency;
use super::passed::Passed;

/// Passed on under their own names.
const PASSED: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::ACCEPT_LANGUAGE,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Each call has its own: they are not to push out of the table of a connection what is the same for
/// all, so they are never indexed (RFC 7541 §6.2.3).
const OF_ONE_CALL: [&str; 4] = ["x-request-id", "traceparent", "tracestate", "idempotency-key"];

/// The service token that proves that the gateway makes the call. A service trusts the
/// `x-forwarded-` entries of no other caller.
const GATEWAY_TOKEN: HeaderName = HeaderName::from_static("x-gateway-token");

/// About as many entries as a call has once it leaves.
const ENTRIES: usize = 20;

/// The metadata of the call that serves the request. Everything else a client sends stays at the
/// edge: a service must be able to trust what only the gateway can have set.
pub(super) fn forwarded(parts: &http::request::Parts, passed: &Passed) -> MetadataMap {
    let mut headers = HeaderMap::with_capacity(ENTRIES);
    for name in &PASSED {
        if let Some(value) = parts.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    passed.forward(&parts.headers, &mut headers);
    idempotency::forward(&parts.headers, &mut headers);
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
    for name in OF_ONE_CALL {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    MetadataMap::from_headers(headers)
}

/// Whether a service trusts the gateway for what is under this name, or gets it anyway.
pub(super) fn is_own(name: &HeaderName) -> bool {
    let is_forwarded = name.as_str().starts_with("x-forwarded-");
    is_forwarded
        || PASSED.contains(name)
        || [&GATEWAY_TOKEN, &header::USER_AGENT].contains(&name)
        || idempotency::is_key(name)
}

/// Adds the gateway's token, which is valid for a minute. A call without it is served as well; to the
/// service, the gateway is then the client.
///
/// Not marked as sensitive: on a connection, HTTP/2 then sends it once for as long as it stays the same
/// (RFC 7541 §2.3.2), and nothing but the gateway's own calls is on these connections (§7.1).
pub(super) fn add_gateway_token(metadata: &mut MetadataMap, tokens: Option<&ServiceTokens>) {
    match tokens.map(ServiceTokens::current) {
        Some(Ok(token)) => metadata.as_mut().extend(
            HeaderValue::try_from(token.as_str())
                .ok()
                .map(|token| (GATEWAY_TOKEN, token)),
        ),
        Some(Err(error)) => tracing::error!(%error, "no service token could be made for the gateway"),
        None => {}
    }
}
