//! Server-sent events.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::{App, Person};

/// Bound on anything that should arrive at once; generous, for busy machines.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// An event stream, as a browser reads it.
pub struct Events {
    lines: Lines<BufReader<OwnedReadHalf>>,
    _open: OwnedWriteHalf,
}

/// An event: its id, its name and its data.
#[derive(Debug)]
pub struct Event {
    /// Its id, for `Last-Event-ID`.
    pub id: Option<String>,
    /// Its name, such as `error`.
    pub name: Option<String>,
    /// Its data.
    pub data: Value,
}

impl Events {
    /// Opens the stream at `path` as `person`, after the event `last`.
    pub async fn open(app: &App, person: &Person, path: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(&app.suite().http)
            .await
            .expect("the connection holds");
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        // HTTP/1.0 has no chunks, so that the body is the stream itself.
        let request = format!(
            "GET {path} HTTP/1.0\r\n\
             Host: localhost\r\n\
             Accept: text/event-stream\r\n\
             {last}Authorization: Bearer {}\r\n\r\n",
            person.access_token
        );
        stream
            .write_all(request.as_bytes())
            .await
            .expect("the connection holds");
        let (read, write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        assert!(
            lines
                .next_line()
                .await
                .expect("the connection holds")
                .expect("a status")
                .ends_with("200 OK")
        );
        while lines
            .next_line()
            .await
            .expect("the connection holds")
            .is_some_and(|line| !line.is_empty())
        {}
        Self { lines, _open: write }
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(BOUND, self.read())
            .await
            .expect("an event in time")
    }

    async fn read(&mut self) -> Option<Event> {
        let (mut id, mut name) = (None, None);
        loop {
            let line = self.lines.next_line().await.ok()??;
            match line.split_once(": ") {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("event", value)) => name = Some(value.to_owned()),
                Some(("data", value)) => {
                    let data = serde_json::from_str(value).expect("data is JSON");
                    return Some(Event { id, name, data });
                }
                // Comments, the reconnection time, and blank lines.
                _ => {}
            }
        }
    }
}
