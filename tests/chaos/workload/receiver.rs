//! A receiver of webhooks, which writes down what it gets.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use quartet_tests::subscriber::hex_id;

/// The largest request that is read.
const MAX_REQUEST: usize = 64 << 10;

/// A delivery: the `webhook-id`, and the id of the todo that it is about.
type Delivery = (String, String);

/// A receiver on loopback.
#[derive(Clone)]
pub struct Receiver {
    /// Where it receives.
    pub url: String,
    received: Arc<Mutex<Vec<Delivery>>>,
}

impl Receiver {
    /// Starts a receiver, which answers challenges, and everything else with 204.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let receiver = Self {
            url: format!("http://{address}/hook"),
            received: Arc::default(),
        };
        let received = receiver.received.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let received = received.clone();
                // A sender that dies in the middle is no fault of the receiver.
                tokio::spawn(async move { receive(stream, &received).await.ok() });
            }
        });
        receiver
    }

    /// What was received so far.
    pub fn received(&self) -> Vec<Delivery> {
        self.received.lock().clone()
    }
}

async fn receive(mut stream: TcpStream, received: &Mutex<Vec<Delivery>>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    while bytes.len() < MAX_REQUEST {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..read]);
        let Some((head, body)) = split(&bytes) else {
            continue;
        };
        let length: usize = header(&head, "content-length").parse().unwrap_or_default();
        if body.len() < length {
            continue;
        }
        let event: Value = serde_json::from_slice(&body[..length]).unwrap_or_default();
        let todo = hex_id(event["data"]["todo_id"].as_str().unwrap_or_default());
        if let Some(challenge) = event["data"]["challenge"].as_str() {
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{challenge}",
                challenge.len()
            );
            stream.write_all(answer.as_bytes()).await?;
            return stream.shutdown().await;
        }
        // It counts as received once it is written down, before the answer.
        received.lock().push((header(&head, "webhook-id"), todo));
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            .await?;
        return stream.shutdown().await;
    }
    Ok(())
}

fn split(request: &[u8]) -> Option<(String, &[u8])> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((
        String::from_utf8_lossy(&request[..end]).into_owned(),
        &request[end + 4..],
    ))
}

fn header(head: &str, name: &str) -> String {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    values
        .next()
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}
