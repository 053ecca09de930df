//! One connection to the server, made when it is needed and made anew when it is gone.

use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Channel, ConnectionProperties};
use quartet_config::Secret;
use tokio::sync::Mutex;

use crate::broker::Error;

/// Seconds between two heartbeats: a server that stands still is noticed within two of them.
const HEARTBEAT: u16 = 10;

/// A connection that is made anew when it is gone.
pub(super) struct Connection {
    uri: AMQPUri,
    name: String,
    timeout: Duration,
    current: Mutex<Option<lapin::Connection>>,
}

impl Connection {
    pub(super) fn new(url: &Secret, name: String, timeout: Duration) -> Result<Self, String> {
        let mut uri: AMQPUri = url.expose().parse()?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self {
            uri,
            name,
            timeout,
            current: Mutex::new(None),
        })
    }

    /// A new channel, on a new connection if need be.
    pub(super) async fn channel(&self) -> Result<Channel, Error> {
        let opening = async {
            let mut current = self.current.lock().await;
            match &*current {
                Some(alive) if alive.status().connected() => Ok(alive.create_channel().await?),
                _ => {
                    let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
                    let made = lapin::Connection::connect_uri(self.uri.clone(), properties).await?;
                    let channel = made.create_channel().await?;
                    *current = Some(made);
                    Ok(channel)
                }
            }
        };
        match tokio::time::timeout(self.timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => {
                self.discard().await;
                Err(Error::Unavailable("it did not answer in time".into()))
            }
        }
    }

    /// Discards a connection that failed; the next channel is opened on a new one.
    pub(super) async fn discard(&self) {
        self.current.lock().await.take();
    }
}
