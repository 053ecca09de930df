//! `/api/v1/ws`: one connection over which a client receives changes, follows jobs, and exchanges
//! messages with others in rooms (RFC 6455).
//!
//! Reading order: [`sockets`] (what connections share), [`credentials`] (who connects), [`frame`]
//! and [`close`] (what is sent), [`limits`] and [`rate`] (how much of it), [`connection`] (one
//! client, from its handshake to its close), [`client`] and [`dispatch`] (what is done for it,
//! frame by frame), [`subscription`] (a topic or a room that it follows), [`send_queue`] (what
//! waits to be sent to it, which is bounded) and [`rooms`]. A topic is a streaming RPC whose
//! options give it a name, so that a new one needs no code here; `docs/websocket.md` describes the
//! same for clients.

mod client;
pub(crate) mod close;
mod connection;
mod credentials;
mod dispatch;
pub(crate) mod frame;
mod handshake;
pub(crate) mod limits;
mod rate;
pub mod rooms;
mod send_queue;
mod sockets;
mod subscription;

pub(crate) use handshake::{PATH, PROTOCOL, routes};
pub(crate) use sockets::Sockets;

#[cfg(test)]
mod tests;
