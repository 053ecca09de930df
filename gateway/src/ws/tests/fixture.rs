//! A gateway on a port, the service behind it, and clients.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message as _;
use quartet_clock::Clock;
use quartet_config::Source;
use quartet_limits::Limits;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Upstream;
use quartet_rpc::host::Host;
use quartet_rpc::upstream::LocalService;
use quartet_testkit::identity::Identity;
use quartet_testkit::stack;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tower::ServiceExt;

use crate::ws::rooms::Rooms;
use crate::{Config, Deps, build};

/// A gateway on a port.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) clock: Clock,
    pub(super) host: Host,
    pub(super) todos: Todos,
    pub(super) rooms: Rooms,
    pub(super) stop: DropGuard,
    pub(super) served: JoinHandle<()>,
}

/// A fake of the todos service.
#[derive(Clone, Default)]
pub(super) struct Todos(Arc<Mutex<Watches>>);

#[derive(Default)]
struct Watches {
    /// The token and the resume token of each WatchTodos.
    requests: Vec<(String, String)>,
    open: Vec<mpsc::UnboundedSender<Result<Frame<Bytes>, Status>>>,
    /// Answers that are refusals, the next one first.
    refusals: Vec<Status>,
}

impl Gateway {
    pub(super) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(super) async fn with(settings: &[(&'static str, &'static str)]) -> Self {
        Self::in_rooms(settings, Rooms::default()).await
    }

    pub(super) async fn in_rooms(settings: &[(&'static str, &'static str)], rooms: Rooms) -> Self {
        let clock = Clock::manual(time::macros::datetime!(2026-01-01 00:00 UTC));
        let config = Config::read(&Source::of(settings.iter().copied())).unwrap();
        let host = stack::host("gateway", &clock, Upstream::local("auth").0);
        // The auth service has reported every session that has ended: none.
        host.revocations().up();
        let todos = Todos::default();
        let mut upstreams: BTreeMap<String, Upstream> = crate::backends::services(quartet_proto::descriptors::pool())
            .map(|service| crate::backends::upstream_name(&service).to_owned())
            .map(|name| (name.clone(), Upstream::local(&name).0))
            .collect();
        upstreams.insert("todos".into(), todos.upstream());
        let deps = Deps {
            public_url: String::new(),
            limits: Limits::none(),
            cache: quartet_cache::Cache::none(),
            tokens: None,
            upstreams,
            clock: clock.clone(),
            verifier: Some(host.verifier()),
            rooms: rooms.clone(),
        };
        let gateway = build(&config, deps).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(gateway.serve(listener, stop.clone(), Duration::from_secs(10)));
        Self {
            address,
            clock,
            host,
            todos,
            rooms,
            stop: stop.drop_guard(),
            served,
        }
    }

    pub(super) fn user(&self) -> Identity {
        Identity::user(&self.clock)
    }

    /// Connects with these headers.
    pub(super) async fn connect(&self, headers: &[(&'static str, String)]) -> Result<Client, StatusCode> {
        self.connect_at(crate::ws::PATH, headers).await
    }

    pub(super) async fn connect_at(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Client, StatusCode> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, response)) => Ok(Client {
                socket,
                handshake: response.headers().clone(),
            }),
            Err(tungstenite::Error::Http(response)) => Err(response.status()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Connects as `user`, and reads the first frame.
    pub(super) async fn join(&self, user: &Identity) -> Client {
        let mut client = self.connect(&[bearer(user)]).await.unwrap();
        assert_eq!(client.next().await["type"], "ready");
        client
    }
}

pub(super) fn bearer(user: &Identity) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", user.token))
}

/// A client.
pub(super) struct Client {
    pub(super) socket: WebSocketStream<TcpStream>,
    pub(super) handshake: HeaderMap,
}

impl Client {
    pub(super) async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame.
    pub(super) async fn next(&mut self) -> Value {
        match self.message().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The next frame, or the code of the close, if there was one.
    pub(super) async fn try_next(&mut self) -> Result<Value, Option<u16>> {
        match self.message().await {
            Some(Message::Text(text)) => Ok(serde_json::from_str(&text).unwrap()),
            Some(Message::Close(close)) => Err(close.map(|close| close.code.into())),
            Some(other) => panic!("{other:?}"),
            None => Err(None),
        }
    }

    /// Code and reason of the close, past whatever comes before.
    pub(super) async fn close(&mut self) -> (u16, String) {
        loop {
            match self.message().await {
                Some(Message::Close(Some(close))) => return (close.code.into(), close.reason.to_string()),
                Some(Message::Text(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Whether nothing comes for a while.
    pub(super) async fn receives_nothing(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.socket.next())
            .await
            .is_err()
    }

    pub(super) async fn subscribe(&mut self, topic: &str) {
        self.send(json!({"type": "subscribe", "topic": topic, "ref": "s"}))
            .await;
        assert_eq!(
            self.next().await,
            json!({"type": "subscribed", "ref": "s", "topic": topic})
        );
    }

    /// The next message but pings, which the library answers.
    async fn message(&mut self) -> Option<Message> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await;
            match next.expect("something comes in time") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }
}

impl Todos {
    fn upstream(&self) -> Upstream {
        let (upstream, slot) = Upstream::local("todos");
        let todos = self.clone();
        let service = tower::service_fn(move |request: Request<tonic::body::Body>| {
            let todos = todos.clone();
            async move { Ok::<_, std::convert::Infallible>(todos.watch(request).await) }
        });
        slot.fill(LocalService::new(service.map_err(Into::into)));
        upstream
    }

    async fn watch(&self, request: Request<tonic::body::Body>) -> Response<tonic::body::Body> {
        assert_eq!(request.uri().path(), "/quartet.todos.v1.TodoService/WatchTodos");
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let request = pb::WatchTodosRequest::decode(&body[5..]).unwrap();
        let mut watches = self.0.lock().unwrap();
        watches
            .requests
            .push((token.trim_start_matches("Bearer ").to_owned(), request.resume_token));
        if !watches.refusals.is_empty() {
            return watches.refusals.remove(0).into_http();
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        watches.open.push(sender);
        let frames = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
        Response::builder()
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::new(StreamBody::new(frames)))
            .unwrap()
    }

    /// Sends a change of this id on every open stream.
    pub(super) fn publish(&self, id: &str) {
        let change = pb::TodoChange {
            id: id.into(),
            kind: pb::todo_change::Kind::Created.into(),
            ..Default::default()
        };
        let encoded = change.encode_to_vec();
        let head = [&[0][..], &u32::try_from(encoded.len()).unwrap().to_be_bytes()].concat();
        let frame = Bytes::from([head, encoded].concat());
        let mut watches = self.0.lock().unwrap();
        watches
            .open
            .retain(|stream| stream.send(Ok(Frame::data(frame.clone()))).is_ok());
    }

    /// Ends every open stream.
    pub(super) fn end(&self, status: &Status) {
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers).unwrap();
        for stream in std::mem::take(&mut self.0.lock().unwrap().open) {
            let _ = stream.send(Ok(Frame::trailers(trailers.clone())));
        }
    }

    pub(super) fn refuse_next(&self, status: Status) {
        self.0.lock().unwrap().refusals.push(status);
    }

    /// The token and the resume token of each call so far.
    pub(super) fn requests(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().requests.clone()
    }

    /// Streams that are still read.
    pub(super) fn open(&self) -> usize {
        let mut watches = self.0.lock().unwrap();
        watches.open.retain(|stream| !stream.is_closed());
        watches.open.len()
    }
}

/// Waits until `condition` holds.
pub(super) async fn until(mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), holds)
        .await
        .expect("it comes to hold");
}
