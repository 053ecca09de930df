//! Somebody who follows the feed of a person's todos through every fall, as a browser follows server-sent events: when the stream ends, it is opened
//! again, after the last event.

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

use crate::ledger::bare;

/// How long a stream may be silent before it is opened anew: longer than most silences, so that this happens, and shorter than a run.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before a stream is opened anew.
const PAUSE: Duration = Duration::from_millis(200);

/// An event that a stream told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its number in the feed.
    pub position: u64,
    /// What happened, as `KIND_CREATED`.
    pub kind: String,
    /// Id of the todo; empty where it is about none.
    pub todo: String,
}

/// A follower. It stops when dropped.
pub struct Follower {
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

/// Why a stream ended.
#[derive(PartialEq, Eq)]
enum End {
    /// It may be opened again.
    Broken,
    /// The token does not count any more.
    SignedOut,
}

impl Follower {
    /// Follows the feed of whose token it is, from now on, at the suite at `address`.
    pub fn of(address: &str, token: &str) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (address, token, told) = (address.to_owned(), token.to_owned(), heard.clone());
        let task = tokio::spawn(async move {
            let mut last = None;
            while follow(&address, &token, &mut last, &told).await.unwrap_or(End::Broken) == End::Broken {
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { heard, task }
    }

    /// What was heard up to now, in order.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one stream to its end; `last` is the id of the last event.
async fn follow(address: &str, token: &str, last: &mut Option<String>, told: &Mutex<Vec<Heard>>) -> io::Result<End> {
    let mut stream = TcpStream::connect(address).await?;
    let resume = last
        .as_deref()
        .map(|id| format!("Last-Event-ID: {id}\r\n"))
        .unwrap_or_default();
    // HTTP/1.0 has no chunks, so that what comes is the stream itself.
    let request = format!(
        "GET /api/v1/todos:watch HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n{resume}Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let mut status = None;
    while let Some(line) = tokio::time::timeout(PATIENCE, lines.next_line()).await?? {
        let status = status.get_or_insert_with(|| line.clone());
        if status.contains(" 401 ") {
            return Ok(End::SignedOut);
        }
        let Some(data) = line.strip_prefix("data: ").filter(|_| status.contains(" 200 ")) else {
            continue;
        };
        let data: Value = serde_json::from_str(data)?;
        // The last word of a stream that fails is a problem, which has no id.
        let Some(id) = data["id"].as_str() else {
            return Ok(match data["status"].as_u64() {
                Some(401) => End::SignedOut,
                _ => End::Broken,
            });
        };
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        *last = Some(id.to_owned());
        told.lock().push(Heard {
            position: position(id)?,
            kind: text("kind"),
            todo: bare(&text("todo_id")),
        });
    }
    Ok(End::Broken)
}

/// The number that the id of an event begins with.
fn position(id: &str) -> io::Result<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(id).map_err(io::Error::other)?;
    let number = bytes.first_chunk().ok_or_else(|| io::Error::other("a short id"))?;
    Ok(u64::from_be_bytes(*number))
}
