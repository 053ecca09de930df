//! A subscriber of a user's feed of changes that goes on through faults, as a browser subscribes to
//! server-sent events or over a WebSocket: when the stream ends, it reconnects after the last event.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// How long a stream may be silent before the subscriber reconnects: shorter than a run, so that
/// this happens, and longer than most silences.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before it reconnects.
const RECONNECT_DELAY: Duration = Duration::from_millis(200);

/// An event of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its position in the feed.
    pub position: u64,
    /// Its kind, such as `KIND_CREATED`.
    pub kind: String,
    /// Id of the todo; empty where it has none.
    pub todo: String,
}

/// How a subscriber receives events.
#[derive(Debug, Clone, Copy)]
pub enum Transport {
    /// Server-sent events.
    ServerSentEvents,
    /// Frames of a WebSocket.
    WebSocket,
}

/// A subscriber. It stops when dropped.
pub struct Subscriber {
    received: Arc<Mutex<Vec<Event>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// Why a stream ended.
#[derive(PartialEq, Eq)]
enum End {
    /// The subscriber may reconnect.
    Disconnected,
    /// The token is no longer valid.
    Unauthenticated,
}

impl Subscriber {
    /// Subscribes to the feed of the token's user, from now on, at the cluster at `address`.
    pub fn start(address: &str, token: &str, transport: Transport) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::<AtomicUsize>::default();
        let (address, token, events) = (address.to_owned(), token.to_owned(), received.clone());
        let opened = connections.clone();
        let task = tokio::spawn(async move {
            let mut last = None;
            loop {
                opened.fetch_add(1, Ordering::Relaxed);
                let end = match transport {
                    Transport::ServerSentEvents => read_stream(&address, &token, &mut last, &events).await,
                    Transport::WebSocket => read_socket(&address, &token, &mut last, &events).await,
                };
                if let Ok(End::Unauthenticated) = end {
                    break;
                }
                tokio::time::sleep(RECONNECT_DELAY).await;
            }
        });
        Self {
            received,
            connections,
            task,
        }
    }

    /// How often it has connected, or tried to.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The events so far, in order.
    pub fn received(&self) -> Vec<Event> {
        self.received.lock().clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one stream to its end; `last` is the id of the last event.
async fn read_stream(
    address: &str,
    token: &str,
    last: &mut Option<String>,
    events: &Mutex<Vec<Event>>,
) -> io::Result<End> {
    let mut stream = TcpStream::connect(address).await?;
    let resume = last
        .as_deref()
        .map(|id| format!("Last-Event-ID: {id}\r\n"))
        .unwrap_or_default();
    // HTTP/1.0 has no chunks, so that the body is the stream itself.
    let request = format!(
        "GET /api/v1/todos:watch HTTP/1.0\r\n\
         Host: localhost\r\n\
         Accept: text/event-stream\r\n\
         {resume}Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let mut status = None;
    while let Some(line) = tokio::time::timeout(READ_TIMEOUT, lines.next_line()).await?? {
        let status = status.get_or_insert_with(|| line.clone());
        if status.contains(" 401 ") {
            return Ok(End::Unauthenticated);
        }
        let Some(data) = line.strip_prefix("data: ").filter(|_| status.contains(" 200 ")) else {
            continue;
        };
        let data: Value = serde_json::from_str(data)?;
        // A stream that fails ends with a problem, which has no id.
        let Some(id) = data["id"].as_str() else {
            return Ok(match data["status"].as_u64() {
                Some(401) => End::Unauthenticated,
                _ => End::Disconnected,
            });
        };
        receive(id, &data, last, events)?;
    }
    Ok(End::Disconnected)
}

/// Reads one WebSocket to its end.
async fn read_socket(
    address: &str,
    token: &str,
    last: &mut Option<String>,
    events: &Mutex<Vec<Event>>,
) -> io::Result<End> {
    let request = format!("ws://{address}/api/v1/ws").into_client_request();
    let mut request = request.map_err(io::Error::other)?;
    let protocols = format!("quartet.v1, bearer.{token}")
        .parse()
        .map_err(io::Error::other)?;
    request.headers_mut().insert("sec-websocket-protocol", protocols);
    let stream = TcpStream::connect(address).await?;
    let connected = tokio::time::timeout(READ_TIMEOUT, tokio_tungstenite::client_async(request, stream)).await?;
    let (mut socket, _) = connected.map_err(io::Error::other)?;
    let mut subscribe = json!({"type": "subscribe", "topic": "todos"});
    if let Some(last) = last {
        subscribe["after"] = last.as_str().into();
    }
    let frame = Message::text(subscribe.to_string());
    socket.send(frame).await.map_err(io::Error::other)?;
    while let Some(message) = tokio::time::timeout(READ_TIMEOUT, socket.next()).await? {
        let frame: Value = match message.map_err(io::Error::other)? {
            Message::Text(text) => serde_json::from_str(&text)?,
            Message::Close(Some(close)) if u16::from(close.code) == 4401 => return Ok(End::Unauthenticated),
            Message::Close(_) => return Ok(End::Disconnected),
            _ => continue,
        };
        match (frame["type"].as_str(), frame["id"].as_str()) {
            (Some("event"), Some(id)) => receive(id, &frame["data"], last, events)?,
            (Some("unsubscribed" | "error"), _) => return Ok(End::Disconnected),
            _ => {}
        }
    }
    Ok(End::Disconnected)
}

fn receive(id: &str, data: &Value, last: &mut Option<String>, events: &Mutex<Vec<Event>>) -> io::Result<()> {
    let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
    *last = Some(id.to_owned());
    events.lock().push(Event {
        position: position(id)?,
        kind: text("kind"),
        todo: hex_id(&text("todo_id")),
    });
    Ok(())
}

/// The position that an event's id begins with.
fn position(id: &str) -> io::Result<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(id).map_err(io::Error::other)?;
    let number = bytes.first_chunk().ok_or_else(|| io::Error::other("a short id"))?;
    Ok(u64::from_be_bytes(*number))
}

/// An id as the queries on the stores return it: in lower case, without hyphens.
pub fn hex_id(id: &str) -> String {
    id.replace('-', "").to_ascii_lowercase()
}
