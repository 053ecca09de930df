//! A receiver of webhooks that writes down what it gets.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Answers every request with the next of its answers; the last one stays.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    pub(crate) async fn at(address: &str, answers: Vec<String>) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
        };
        let got = receiver.got.clone();
        tokio::spawn(async move {
            let mut answers = answers.into_iter().peekable();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = answers.next().unwrap();
                if answers.peek().is_none() {
                    answers = vec![answer.clone()].into_iter().peekable();
                }
                let request = exchange(stream, &answer).await;
                got.lock().unwrap().push(request);
            }
        });
        receiver
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

impl Got {
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

async fn exchange(mut stream: TcpStream, answer: &str) -> Got {
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
            };
            let length: usize = got.header("content-length").parse().unwrap_or_default();
            if body.len() >= length {
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                return got;
            }
        }
        assert!(read > 0, "the request broke off: {text}");
    }
}
