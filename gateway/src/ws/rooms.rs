//! Rooms: what one client says, all others in the room hear, on every instance of the gateway. Nothing is kept: who is not there, misses it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use quartet_clock::Clock;
use quartet_messaging::rabbit::Fanout;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Messages of a room that wait for its slowest member in this process. Who falls further behind is let go.
const BACKLOG: usize = 256;

/// Carries what is said in rooms between the instances of the gateway.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Sends a message to every other instance, without waiting for it. Rooms promise nothing: one that cannot be sent is dropped.
    fn carry(&self, room: &str, message: Bytes);

    /// Brings what the other instances say to `rooms`, until `stop`.
    async fn bring(&self, rooms: &Rooms, stop: CancellationToken);
}

/// The exchange that carries them through RabbitMQ.
const EXCHANGE: &str = "quartet.rooms";

#[async_trait]
impl Carrier for Fanout {
    fn carry(&self, room: &str, message: Bytes) {
        self.say(room, message);
    }

    async fn bring(&self, rooms: &Rooms, stop: CancellationToken) {
        self.run(|room, message| rooms.hear(room, message), stop).await;
    }
}

/// The rooms. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Rooms {
    open: Arc<Mutex<HashMap<String, broadcast::Sender<Bytes>>>>,
    carrier: Option<Arc<dyn Carrier>>,
}

/// A member of a room.
pub(super) struct Member {
    rooms: Rooms,
    name: String,
    messages: broadcast::Receiver<Bytes>,
}

/// The member has missed messages that others have heard.
#[derive(Debug)]
pub(super) struct FellBehind;

impl Rooms {
    /// Rooms whose messages `carrier` takes to the other instances.
    pub fn carried_by(carrier: Arc<dyn Carrier>) -> Self {
        Self {
            carrier: Some(carrier),
            ..Self::default()
        }
    }

    /// Rooms that reach across instances through the RabbitMQ server that the settings name, where this process is known as `name`; within the
    /// process alone when they name none.
    ///
    /// # Errors
    /// What is wrong with the setting.
    pub fn connect(
        settings: &quartet_messaging::Config,
        name: &str,
        clock: &Clock,
    ) -> Result<Self, quartet_config::Error> {
        let fanout = Fanout::connect(settings, name, EXCHANGE, clock)?;
        Ok(fanout.map_or_else(Self::default, |fanout| Self::carried_by(Arc::new(fanout))))
    }

    /// Brings what the other instances say, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if let Some(carrier) = &self.carrier {
            carrier.bring(&self, stop).await;
        }
    }

    /// Says `message` to everyone in the room, here and elsewhere.
    pub(super) fn say(&self, room: &str, message: Bytes) {
        self.hear(room, message.clone());
        if let Some(carrier) = &self.carrier {
            carrier.carry(room, message);
        }
    }

    /// Says what another instance has said to everyone who is in the room here.
    pub fn hear(&self, room: &str, message: Bytes) {
        if let Some(sender) = self.lock().get(room) {
            // Somebody is always there: the last one to leave closes the room.
            let _ = sender.send(message);
        }
    }

    /// Enters a room.
    pub(super) fn enter(&self, room: &str) -> Member {
        let messages = self
            .lock()
            .entry(room.to_owned())
            .or_insert_with(|| broadcast::Sender::new(BACKLOG))
            .subscribe();
        Member {
            rooms: self.clone(),
            name: room.to_owned(),
            messages,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, broadcast::Sender<Bytes>>> {
        // A panic while the lock was held leaves a valid map behind.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Bytes, FellBehind> {
        // The room is open for as long as somebody is in it.
        self.messages.recv().await.map_err(|_| FellBehind)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut open = self.rooms.lock();
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
    async fn a_room_is_heard_by_its_members_alone_and_closes_behind_the_last() {
        let rooms = Rooms::default();
        let (mut one, mut two) = (rooms.enter("a"), rooms.enter("a"));
        let mut other = rooms.enter("b");
        rooms.say("a", Bytes::from_static(b"hello"));
        assert_eq!(one.next().await.unwrap(), "hello");
        assert_eq!(two.next().await.unwrap(), "hello");
        let silence = tokio::time::timeout(std::time::Duration::from_millis(20), other.next()).await;
        assert!(silence.is_err());
        drop((one, two));
        assert_eq!(rooms.lock().keys().collect::<Vec<_>>(), ["b"]);
    }

    #[tokio::test]
    async fn a_member_who_falls_behind_is_told_so() {
        let rooms = Rooms::default();
        let mut slow = rooms.enter("a");
        for _ in 0..=BACKLOG {
            rooms.say("a", Bytes::from_static(b"hello"));
        }
        assert!(slow.next().await.is_err());
    }

    #[tokio::test]
    async fn what_is_said_is_carried_and_what_is_carried_here_goes_no_further() {
        #[derive(Default)]
        struct Carried(Mutex<Vec<String>>);
        #[async_trait]
        impl Carrier for Carried {
            fn carry(&self, room: &str, _: Bytes) {
                self.0.lock().unwrap().push(room.to_owned());
            }

            async fn bring(&self, _: &Rooms, _: CancellationToken) {}
        }
        let carrier = Arc::new(Carried::default());
        let rooms = Rooms::carried_by(carrier.clone());
        let mut member = rooms.enter("a");
        rooms.say("a", Bytes::from_static(b"mine"));
        rooms.hear("a", Bytes::from_static(b"theirs"));
        assert_eq!(member.next().await.unwrap(), "mine");
        assert_eq!(member.next().await.unwrap(), "theirs");
        assert_eq!(*carrier.0.lock().unwrap(), ["a"]);
    }
}
