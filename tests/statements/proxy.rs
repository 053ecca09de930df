//! A proxy in front of PostgreSQL that counts the round trips of its clients.
//!
//! A client waits for an answer after a `Query` and after a `Sync` (PostgreSQL, "Message Flow"), so
//! each of them is a round trip: that of a pool, too, which sends one with nothing before it to find
//! out whether a connection still works.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A proxy. It ends with its runtime.
pub(crate) struct Proxy {
    port: u16,
    round_trips: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy in front of the server at `address`, such as `127.0.0.1:5432`.
    pub(crate) async fn start(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let round_trips = Arc::<Mutex<Vec<String>>>::default();
        let recorded = round_trips.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&address).await.expect("the server answers");
                tokio::spawn(forward(client, server, recorded.clone()));
            }
        });
        Self { port, round_trips }
    }

    /// The port to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many round trips there were since the last [`Proxy::take`].
    pub(crate) fn count(&self) -> usize {
        self.round_trips.lock().len()
    }

    /// The statements of each round trip since the last call of this.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.round_trips.lock())
    }
}

async fn forward(client: TcpStream, server: TcpStream, round_trips: Arc<Mutex<Vec<String>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    let mut messages = Messages::default();
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from_client.read(&mut chunk).await {
        // Counted before the server can answer.
        messages.read(&chunk[..length], &round_trips);
        if to_server.write_all(&chunk[..length]).await.is_err() {
            break;
        }
    }
}

/// The messages of one client, out of the bytes that it sends.
#[derive(Default)]
struct Messages {
    buffer: BytesMut,
    is_started: bool,
    /// The SQL of prepared statements by their names.
    prepared: HashMap<String, String>,
    /// The statements since the last `Sync`.
    unsynced: Vec<String>,
}

impl Messages {
    fn read(&mut self, bytes: &[u8], round_trips: &Mutex<Vec<String>>) {
        self.buffer.extend_from_slice(bytes);
        loop {
            // The first message has no type.
            let typed = usize::from(self.is_started);
            let Some(length) = self.buffer.get(typed..typed + 4) else {
                return;
            };
            let length = typed + u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
            if self.buffer.len() < length {
                return;
            }
            let mut message = self.buffer.split_to(length);
            if !self.is_started {
                self.is_started = true;
                continue;
            }
            let kind = message.get_u8();
            message.advance(4);
            match kind {
                b'Q' => round_trips.lock().push(text(&mut message)),
                b'P' => {
                    let (name, sql) = (text(&mut message), text(&mut message));
                    self.unsynced.push(format!("prepare {sql}"));
                    self.prepared.insert(name, sql);
                }
                b'B' => {
                    let (_portal, name) = (text(&mut message), text(&mut message));
                    self.unsynced.push(self.prepared.get(&name).cloned().unwrap_or(name));
                }
                b'S' => round_trips.lock().push(match std::mem::take(&mut self.unsynced) {
                    statements if statements.is_empty() => "ping".to_owned(),
                    statements => statements.join("; "),
                }),
                _ => {}
            }
        }
    }
}

/// The next text, which ends with a zero.
fn text(message: &mut BytesMut) -> String {
    let end = message.iter().position(|byte| *byte == 0).expect("a text ends");
    let text = message.split_to(end);
    message.advance(1);
    String::from_utf8_lossy(&text).into_owned()
}
