//! WebSockets.

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::events::BOUND;
use crate::{App, Person};

/// A WebSocket.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects as `person`, and asserts the greeting.
    pub async fn open(app: &App, person: &Person) -> Self {
        let address = &app.suite().http;
        let mut request = format!("ws://{address}/api/v1/ws")
            .into_client_request()
            .expect("an address");
        let protocols = format!("quartet.v1, bearer.{}", person.access_token);
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocols.parse().expect("a header"));
        let stream = TcpStream::connect(address).await.expect("the connection holds");
        let (socket, _) = tokio_tungstenite::client_async(request, stream)
            .await
            .expect("the gateway accepts WebSockets");
        let mut socket = Self(socket);
        assert_eq!(socket.next().await["user_id"], person.id.as_str());
        socket
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Value) {
        self.0
            .send(Message::text(frame.to_string()))
            .await
            .expect("the connection holds");
    }

    async fn message(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(BOUND, self.0.next())
                .await
                .expect("a message in time");
            let message = next.expect("the connection goes on").expect("the connection holds");
            if !message.is_ping() && !message.is_pong() {
                return message;
            }
        }
    }

    /// The next frame.
    pub async fn next(&mut self) -> Value {
        serde_json::from_str(self.message().await.to_text().expect("a text")).expect("JSON")
    }

    /// The code and the reason of the close frame, which must be the next one.
    pub async fn close(&mut self) -> (u16, String) {
        match self.message().await {
            Message::Close(Some(close)) => (close.code.into(), close.reason.to_string()),
            other => panic!("{other:?}"),
        }
    }

    /// Sends a frame that subscribes, and asserts the answer.
    pub async fn subscribe(&mut self, frame: Value) {
        self.send(frame).await;
        let answer = self.next().await;
        assert_eq!(answer["type"], "subscribed", "{answer}");
    }
}
