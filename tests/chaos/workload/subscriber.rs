//! A subscriber of a user's feed of changes, through every fault, as a browser subscribes to
//! server-sent events: when the stream ends, it reconnects after the last event.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::model::hex_id;

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

/// A subscriber. It stops when dropped.
pub struct Subscriber {
    received: Arc<Mutex<Vec<Event>>>,
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
    pub fn start(address: &str, token: &str) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let (address, token, events) = (address.to_owned(), token.to_owned(), received.clone());
        let task = tokio::spawn(async move {
            let mut last = None;
            loop {
                let end = read_stream(&address, &token, &mut last, &events).await;
                if let Ok(End::Unauthenticated) = end {
                    break;
                }
                tokio::time::sleep(RECONNECT_DELAY).await;
            }
        });
        Self { received, task }
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
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        *last = Some(id.to_owned());
        events.lock().push(Event {
            position: position(id)?,
            kind: text("kind"),
            todo: hex_id(&text("todo_id")),
        });
    }
    Ok(End::Disconnected)
}

/// The position that an event's id begins with.
fn position(id: &str) -> io::Result<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(id).map_err(io::Error::other)?;
    let number = bytes.first_chunk().ok_or_else(|| io::Error::other("a short id"))?;
    Ok(u64::from_be_bytes(*number))
}
