//! What `make bench` measures the gateway against and with: a canned backend, and floors.
//!
//! ```sh
//! bench-peers backend 127.0.0.1:7000         # the todos service with constant replies
//! bench-peers hyper 127.0.0.1:7001 FOLDER    # constant JSON, from the files of FOLDER
//! bench-peers axum 127.0.0.1:7002 FOLDER
//! bench-peers call 127.0.0.1:7000 5 32 get   # a bare tonic client; prints how many calls it made
//! bench-peers descriptors                    # the contracts, for other transcoders
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{RawQuery, State};
use bytes::{Buf, BufMut, Bytes};
use futures::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use prost::Message;
use prost_types::Timestamp;
use quartet_proto::descriptors;
use quartet_proto::todos::v1 as pb;
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The id of which the canned backend has no todo.
const MISSING: &str = "00000000-0000-7000-8000-000000000404";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["backend", address] => backend(address.parse().unwrap()).await,
        ["hyper", address, folder] => plain_hyper(address, Constant::read(folder)).await,
        ["axum", address, folder] => plain_axum(address, Constant::read(folder)).await,
        ["call", address, seconds, connections, what] => {
            let seconds = Duration::from_secs_f64(seconds.parse().unwrap());
            call(address, seconds, connections.parse().unwrap(), what).await;
        }
        ["descriptors"] => std::io::stdout().write_all(descriptors::BYTES).unwrap(),
        _ => {
            eprintln!("usage: bench-peers backend|hyper|axum|call|descriptors …");
            std::process::exit(2);
        }
    }
}

/// A codec that passes messages on as bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}

fn todo(number: usize) -> pb::Todo {
    let moment = |seconds: i64| Timestamp {
        seconds: 1_790_000_000 + seconds,
        nanos: 123_456_000,
    };
    pb::Todo {
        id: format!("01890a5d-ac96-774b-bcce-b302{number:08x}"),
        title: format!("Water the plants {number}"),
        description: Some("All of them, and the ones on the balcony twice.".into()),
        due_at: Some(moment(86_400)),
        priority: pb::Priority::High.into(),
        tags: vec![pb::TagRef {
            id: "01890a5d-ac96-774b-bcce-b30200000000".into(),
            name: "home".into(),
        }],
        user_id: "01890a5d-ac96-774b-bcce-b302099a8057".into(),
        created_at: Some(moment(0)),
        updated_at: Some(moment(0)),
        etag: "1790000000123456".into(),
        ..pb::Todo::default()
    }
}

fn list(size: usize) -> Bytes {
    let reply = pb::ListTodosResponse {
        data: (0..size).map(todo).collect(),
        total_count: 10_000,
        has_more: true,
        page: 1,
        items_per_page: i32::try_from(size).unwrap(),
        next_page_token: "eyJsIjoiYWJjZGVmZ2giLCJ0IjoxMDAwMCwiayI6WzE3OTAwMDAwMDAwMDAwMDBdfQ".into(),
        total_is_exact: true,
    };
    reply.encode_to_vec().into()
}

/// Replies that are encoded before the first call.
struct Replies {
    todo: Bytes,
    lists: HashMap<i32, Bytes>,
    missing: Status,
}

impl Replies {
    fn new() -> Self {
        let reason = HashMap::from([("todo_id".to_owned(), MISSING.to_owned())]);
        let details = ErrorDetails::with_error_info("TODO_NOT_FOUND", "quartet", reason);
        Self {
            todo: todo(1).encode_to_vec().into(),
            // A page of 100 is the largest that clients may request; it brings 1,000 here.
            lists: [(20, 20), (50, 50), (100, 1_000)]
                .map(|(page, size)| (page, list(size)))
                .into(),
            missing: Status::with_error_details(tonic::Code::NotFound, "there is no such todo", details),
        }
    }

    fn reply(&self, path: &str, message: &Bytes) -> Result<Bytes, Status> {
        match path.rsplit('/').next().unwrap_or_default() {
            "GetTodo" if pb::GetTodoRequest::decode(message.clone()).unwrap().todo_id == MISSING => {
                Err(self.missing.clone())
            }
            "GetTodo" | "CreateTodo" => Ok(self.todo.clone()),
            "ListTodos" => {
                let request = pb::ListTodosRequest::decode(message.clone()).unwrap();
                let size = request.items_per_page.or(request.page_size).unwrap_or(20);
                self.lists
                    .get(&size)
                    .cloned()
                    .ok_or_else(|| Status::invalid_argument("no list of this size is canned"))
            }
            // `status: SERVING`.
            "Check" => Ok(Bytes::from_static(&[8, 1])),
            // A collector takes whatever it gets.
            "Export" => Ok(Bytes::new()),
            _ => Err(Status::unimplemented("this is a canned backend")),
        }
    }
}

/// The names of the services that the canned backend stands for.
const NAMES: [&str; 5] = [
    "quartet.todos.v1.TodoService",
    "grpc.health.v1.Health",
    "opentelemetry.proto.collector.trace.v1.TraceService",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "opentelemetry.proto.collector.logs.v1.LogsService",
];

#[derive(Clone)]
struct Canned<const NAME: usize>(Arc<Replies>);

impl<const NAME: usize> tonic::server::NamedService for Canned<NAME> {
    const NAME: &'static str = NAMES[NAME];
}

impl<const NAME: usize> tower::Service<http::Request<tonic::body::Body>> for Canned<NAME> {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let one = One {
            replies: Arc::clone(&self.0),
            path: request.uri().path().to_owned(),
        };
        Box::pin(async move { Ok(tonic::server::Grpc::new(Raw).unary(one, request).await) })
    }
}

/// One call of the canned backend.
struct One {
    replies: Arc<Replies>,
    path: String,
}

impl tonic::server::UnaryService<Bytes> for One {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        std::future::ready(self.replies.reply(&self.path, request.get_ref()).map(Response::new))
    }
}

async fn backend(address: SocketAddr) {
    let replies = Arc::new(Replies::new());
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(Canned::<0>(replies.clone()))
        .add_service(Canned::<1>(replies.clone()))
        .add_service(Canned::<2>(replies.clone()))
        .add_service(Canned::<3>(replies.clone()))
        .add_service(Canned::<4>(replies))
        .serve(address)
        .await
        .unwrap();
}

/// Calls the backend at `address` for a while, so many calls at once over one channel.
async fn call(address: &str, during: Duration, at_once: usize, what: &str) {
    let (path, message) = match what {
        "get" => ("GetTodo", pb::GetTodoRequest { todo_id: todo(1).id }.encode_to_vec()),
        "list-50" => {
            let request = pb::ListTodosRequest {
                items_per_page: Some(50),
                ..pb::ListTodosRequest::default()
            };
            ("ListTodos", request.encode_to_vec())
        }
        "create" => {
            let request = pb::CreateTodoRequest {
                title: todo(1).title,
                description: todo(1).description,
                ..pb::CreateTodoRequest::default()
            };
            ("CreateTodo", request.encode_to_vec())
        }
        _ => panic!("get, list-50 or create"),
    };
    let path = http::uri::PathAndQuery::try_from(format!("/{}/{path}", NAMES[0])).unwrap();
    let endpoint = tonic::transport::Endpoint::try_from(format!("http://{address}")).unwrap();
    let channel = endpoint.tcp_nodelay(true).connect().await.unwrap();
    let (calls, end) = (Arc::new(AtomicU64::new(0)), Instant::now() + during);
    let callers = (0..at_once).map(|_| {
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        let (calls, path, message) = (calls.clone(), path.clone(), Bytes::from(message.clone()));
        tokio::spawn(async move {
            while Instant::now() < end {
                grpc.ready().await.unwrap();
                grpc.unary(Request::new(message.clone()), path.clone(), Raw)
                    .await
                    .unwrap();
                calls.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    futures::future::join_all(callers).await;
    println!("{}", calls.load(Ordering::Relaxed));
}

/// The JSON that the floors answer with.
struct Constant {
    todo: Bytes,
    lists: HashMap<&'static str, Bytes>,
}

impl Constant {
    fn read(folder: &str) -> Arc<Self> {
        let file = |name: &str| Bytes::from(std::fs::read(Path::new(folder).join(name)).unwrap());
        Arc::new(Self {
            todo: file("get.json"),
            lists: [
                ("items_per_page=20", file("list-20.json")),
                ("items_per_page=50", file("list-50.json")),
                ("items_per_page=100", file("list-1000.json")),
            ]
            .into(),
        })
    }

    fn reply(&self, method: &Method, query: Option<&str>) -> (StatusCode, Bytes) {
        match (method, query) {
            (&Method::POST, _) => (StatusCode::CREATED, self.todo.clone()),
            (_, Some(query)) => (StatusCode::OK, self.lists[query].clone()),
            (_, None) => (StatusCode::OK, self.todo.clone()),
        }
    }
}

async fn plain_hyper(address: &str, constant: Arc<Constant>) {
    let listener = TcpListener::bind(address).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let constant = Arc::clone(&constant);
        let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let constant = Arc::clone(&constant);
            async move {
                let (parts, body) = request.into_parts();
                body.collect().await?;
                let (status, json) = constant.reply(&parts.method, parts.uri.query());
                let mut response = http::Response::new(Full::new(json));
                *response.status_mut() = status;
                response.headers_mut().insert(header::CONTENT_TYPE, JSON);
                Ok::<_, hyper::Error>(response)
            }
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that hangs up is no failure.
            let _ = connection.await;
        });
    }
}

async fn plain_axum(address: &str, constant: Arc<Constant>) {
    async fn answer(
        State(constant): State<Arc<Constant>>,
        method: Method,
        RawQuery(query): RawQuery,
        _: Bytes,
    ) -> axum::response::Response {
        let (status, json) = constant.reply(&method, query.as_deref());
        let mut response = axum::response::Response::new(json.into());
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let todos = axum::routing::get(answer).post(answer);
    let router = Router::new()
        .route("/api/v1/todos", todos)
        .route("/api/v1/todos/{id}", axum::routing::get(answer))
        .with_state(constant);
    // As `axum::serve`, which is behind a feature that nothing else here needs.
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}
