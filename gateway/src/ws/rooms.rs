//! Rooms: a message of one client is delivered to all others in the room, on every instance of the
//! gateway. Nothing is stored: a client that is not in the room misses it.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use quartet_clock::Clock;
use quartet_messaging::rabbit::Fanout;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Messages of a room that wait for its slowest member in this process. A member that falls further
/// behind is closed.
const BACKLOG: usize = 256;
/// The same for the room of one user, which every connection of theirs is in.
const PERSONAL_BACKLOG: usize = 64;

/// What the name of the room of one user begins with. No other room has such a name.
pub(super) const PERSONAL: char = '@';

/// Carries the messages of rooms between the instances of the gateway.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a message to every other instance, without waiting for it. Rooms promise nothing: one
    /// that cannot be sent is dropped.
    fn send(&self, room: &str, message: Bytes);

    /// Delivers the messages of the other instances to `rooms`, until `stop`.
    async fn receive(&self, rooms: &Rooms, stop: CancellationToken);
}

/// The exchange that carries them through RabbitMQ.
const EXCHANGE: &str = "quartet.rooms";

#[async_trait]
impl Transport for Fanout {
    fn send(&self, room: &str, message: Bytes) {
        self.broadcast(room, message);
    }

    async fn receive(&self, rooms: &Rooms, stop: CancellationToken) {
        self.run(|room, message| rooms.deliver(room, message), stop).await;
    }
}

/// The rooms. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Rooms {
    open: Arc<Mutex<HashMap<String, broadcast::Sender<Bytes>>>>,
    transport: Option<Arc<dyn Transport>>,
}

/// A member of a room.
pub(super) struct Member {
    rooms: Rooms,
    name: String,
    messages: broadcast::Receiver<Bytes>,
}

/// The member has missed messages that were delivered to others.
#[derive(Debug)]
pub(super) struct Lagged;

impl Rooms {
    /// Rooms that reach the other instances over `transport`.
    pub fn over(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport: Some(transport),
            ..Self::default()
        }
    }

    /// Rooms that reach across instances through the RabbitMQ server of the settings, which shows
    /// this process as `name`; within the process alone when the settings have none.
    ///
    /// # Errors
    /// What is wrong with the setting.
    pub fn connect(
        settings: &quartet_messaging::Config,
        name: &str,
        clock: &Clock,
    ) -> Result<Self, quartet_config::Error> {
        let fanout = Fanout::connect(settings, name, EXCHANGE, clock)?;
        Ok(fanout.map_or_else(Self::default, |fanout| Self::over(Arc::new(fanout))))
    }

    /// Delivers the messages of the other instances, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if let Some(transport) = &self.transport {
            transport.receive(&self, stop).await;
        }
    }

    /// Sends `message` to everyone in the room, on every instance.
    pub(super) fn publish(&self, room: &str, message: Bytes) {
        self.deliver(room, message.clone());
        if let Some(transport) = &self.transport {
            transport.send(room, message);
        }
    }

    /// Sends `message` to everyone in the room on this instance.
    pub fn deliver(&self, room: &str, message: Bytes) {
        if let Some(sender) = self.open.lock().get(room) {
            // A room has members: the last one to leave closes it.
            let _ = sender.send(message);
        }
    }

    /// Joins a room.
    pub(super) fn join(&self, room: &str) -> Member {
        let messages = self
            .open
            .lock()
            .entry(room.to_owned())
            .or_insert_with(|| {
                let is_personal = room.starts_with(PERSONAL);
                broadcast::Sender::new(if is_personal { PERSONAL_BACKLOG } else { BACKLOG })
            })
            .subscribe();
        Member {
            rooms: self.clone(),
            name: room.to_owned(),
            messages,
        }
    }
}

impl Member {
    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Bytes, Lagged> {
        // The room is open while it has a member.
        self.messages.recv().await.map_err(|_| Lagged)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut open = self.rooms.open.lock();
        // This member still counts as one.
        if open.get(&self.name).is_some_and(|sender| sender.receiver_count() <= 1) {
            open.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_reaches_the_members_of_its_room_alone_and_a_room_closes_behind_the_last() {
        let rooms = Rooms::default();
        let (mut one, mut two) = (rooms.join("a"), rooms.join("a"));
        let mut other = rooms.join("b");
        rooms.publish("a", Bytes::from_static(b"hello"));
        assert_eq!(one.next().await.unwrap(), "hello");
        assert_eq!(two.next().await.unwrap(), "hello");
        let silence = tokio::time::timeout(std::time::Duration::from_millis(20), other.next()).await;
        assert!(silence.is_err());
        drop((one, two));
        assert_eq!(rooms.open.lock().keys().collect::<Vec<_>>(), ["b"]);
    }

    #[tokio::test]
    async fn a_member_that_falls_behind_gets_an_error() {
        let rooms = Rooms::default();
        let mut slow = rooms.join("a");
        for _ in 0..=BACKLOG {
            rooms.publish("a", Bytes::from_static(b"hello"));
        }
        assert!(slow.next().await.is_err());
    }

    #[tokio::test]
    async fn what_is_published_goes_to_the_other_instances_and_what_comes_from_them_goes_no_further() {
        #[derive(Default)]
        struct Sent(Mutex<Vec<String>>);
        #[async_trait]
        impl Transport for Sent {
            fn send(&self, room: &str, _: Bytes) {
                self.0.lock().push(room.to_owned());
            }

            async fn receive(&self, _: &Rooms, _: CancellationToken) {}
        }
        let transport = Arc::new(Sent::default());
        let rooms = Rooms::over(transport.clone());
        let mut member = rooms.join("a");
        rooms.publish("a", Bytes::from_static(b"mine"));
        rooms.deliver("a", Bytes::from_static(b"theirs"));
        assert_eq!(member.next().await.unwrap(), "mine");
        assert_eq!(member.next().await.unwrap(), "theirs");
        assert_eq!(*transport.0.lock(), ["a"]);
    }
}
