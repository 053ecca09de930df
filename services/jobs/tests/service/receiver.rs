//! A receiver of webhooks that writes down what it gets, and answers challenges.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

/// Answers every request with the next of its answers; the last one stays. It answers challenges as it
/// should while it agrees; with what others receive otherwise.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    agrees: Arc<AtomicBool>,
}

impl Receiver {
    pub(crate) async fn at(address: &str, answers: Vec<String>) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            agrees: Arc::new(AtomicBool::new(true)),
        };
        let (got, agrees) = (receiver.got.clone(), receiver.agrees.clone());
        tokio::spawn(async move {
            let mut answers = answers.into_iter().peekable();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (mut stream, request) = read(stream).await;
                let challenge = request.challenge();
                if let Some(challenge) = challenge.filter(|_| agrees.load(Ordering::SeqCst)) {
                    let body = format!("{{\"challenge\": \"{challenge}\"}}");
                    let length = body.len();
                    write(
                        &mut stream,
                        &format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"),
                    )
                    .await;
                    continue;
                }
                let answer = answers.next().unwrap();
                if answers.peek().is_none() {
                    answers = vec![answer.clone()].into_iter().peekable();
                }
                // It counts as received before the sender has the answer.
                got.lock().unwrap().push(request);
                write(&mut stream, &answer).await;
            }
        });
        receiver
    }

    /// Answers challenges from now on, or not any more.
    pub(crate) fn agrees(&self, agrees: bool) {
        self.agrees.store(agrees, Ordering::SeqCst);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

impl Got {
    /// The value of the challenge, if it is one.
    pub(crate) fn challenge(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        let value = body["data"]["challenge"].as_str()?;
        (body["type"] == "webhook.challenge").then(|| value.to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> String {
        let prefix = format!("{name}: ");
        let line = self
            .head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with(&prefix));
        line.map(|line| line[prefix.len()..].to_owned()).unwrap_or_default()
    }
}

/// An answer without a body.
pub(crate) fn answer(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n")
}

async fn write(stream: &mut TcpStream, answer: &str) {
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

async fn read(mut stream: TcpStream) -> (TcpStream, Got) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let got = Got {
                head: head.to_owned(),
                body: body.to_owned(),
                at: Instant::now(),
            };
            let length: usize = got.header("content-length").parse().unwrap_or_default();
            if body.len() >= length {
                return (stream, got);
            }
        }
        assert!(read > 0, "the request broke off: {text}");
    }
}
