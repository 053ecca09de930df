//! What the edge adds to a request for the call: extensions of the request.

use std::net::IpAddr;

use tokio::time::Instant;

/// When the request has to be answered.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

/// The client itself chose the [`Deadline`], so that a method's own timeout does not extend it.
#[derive(Debug, Clone, Copy)]
pub struct DeadlineRequested;

/// The address of the client, as far as proxies are trusted.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);
