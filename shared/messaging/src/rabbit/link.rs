//! One connection to the server, made when it is needed and made anew when it is gone.

use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use quartet_config::Secret;
use tokio::sync::Mutex;

use crate::broker::Error;

/// Seconds between two heartbeats: a server that stands still is noticed within two of them.
const HEARTBEAT: u16 = 10;

pub(super) struct Link {
    uri: AMQPUri,
    name: String,
    timeout: Duration,
    connection: Mutex<Option<Connection>>,
}

impl Link {
    pub(super) fn new(url: &Secret, name: String, timeout: Duration) -> Result<Self, String> {
        let mut uri: AMQPUri = url.expose().parse()?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self {
            uri,
            name,
            timeout,
            connection: Mutex::new(None),
        })
    }

    /// A new channel, on a new connection if need be.
    pub(super) async fn channel(&self) -> Result<Channel, Error> {
        let opening = async {
            let mut connection = self.connection.lock().await;
            match &*connection {
                Some(alive) if alive.status().connected() => Ok(alive.create_channel().await?),
                _ => {
                    let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
                    let made = Connection::connect_uri(self.uri.clone(), properties).await?;
                    let channel = made.create_channel().await?;
                    *connection = Some(made);
                    Ok(channel)
                }
            }
        };
        match tokio::time::timeout(self.timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => {
                self.forget().await;
                Err(Error::Away("it did not answer in time".into()))
            }
        }
    }

    /// Lets the connection go: it did not do what it was asked to.
    pub(super) async fn forget(&self) {
        self.connection.lock().await.take();
    }
}
