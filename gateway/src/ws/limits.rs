//! What one connection may cost.

use std::time::Duration;

use crate::config::Config;

/// Bytes that wait for the socket behind a message that is being written; the rest waits in the
/// queue, which is counted.
pub(super) const WRITE_BUFFER_BYTES: usize = 1 << 20;
/// Longest name of a room.
pub(crate) const ROOM_NAME: usize = 64;
/// Longest topic and longest `ref`.
pub(crate) const NAME: usize = 128;
/// How often a client is pinged, as a part of the idle time.
const PINGS_PER_IDLE: u32 = 3;

/// The bounds of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Largest message that a client may send.
    pub(crate) message_bytes: usize,
    /// Messages that wait for a client.
    pub(crate) queue: usize,
    /// Topics and rooms at a time.
    pub(crate) subscriptions: usize,
    /// Messages a second that a client may send; in a burst, twice as many.
    pub(crate) rate: u32,
    /// Time after which a client that sends nothing is closed.
    pub(crate) idle: Duration,
    /// Time within which a client has to read a message.
    pub(crate) send_timeout: Duration,
    /// Time within which a client signs in.
    pub(crate) sign_in: Duration,
}

impl Limits {
    /// The limits of the settings.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            message_bytes: config.ws_max_message.0,
            queue: config.ws_queue.get(),
            subscriptions: config.ws_max_subscriptions,
            rate: config.ws_rate.get(),
            idle: config.ws_idle_timeout.0,
            send_timeout: config.ws_send_timeout.0,
            sign_in: config.ws_sign_in_timeout.0,
        }
    }

    /// Time between two pings.
    pub(super) fn ping_every(&self) -> Duration {
        self.idle / PINGS_PER_IDLE
    }
}
