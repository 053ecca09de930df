//! Operations of a request one by one, so that their instructions and allocations can be counted.
//!
//! ```sh
//! make instructions            # counts, and compares with tests/instructions/baseline.txt
//! instructions                 # prints allocations and allocated bytes of each operation
//! instructions reply-get 1000  # does that operation so many times, for valgrind
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::alloc::System;
use std::collections::BTreeMap;
use std::hint::black_box;

use axum::Router;
use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use prost::Message;
use prost_types::Timestamp;
use quartet_cache::Cache;
use quartet_clock::Clock;
use quartet_config::Source;
use quartet_gateway::bench::{Replies, Requests};
use quartet_gateway::routes::Routes;
use quartet_gateway::ws::rooms::Rooms;
use quartet_gateway::{Config, Deps, build};
use quartet_kernel::Violations;
use quartet_limits::{Limits, Subject};
use quartet_proto::descriptors;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Upstream;
use quartet_rpc::host::{self, Host};
use quartet_rpc::upstream::LocalService;
use quartet_store::page::{Page, PageRequest, PageResult};
use quartet_testkit::identity::Identity;
use quartet_testkit::stack;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Runtime;
use tower::ServiceExt;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Repetitions before anything is counted: tables and caches are filled then.
const WARM_UP: usize = 64;
/// Repetitions over which allocations are counted.
const COUNTED: usize = 256;
const ONE: &str = "/api/v1/todos/01890a5d-ac96-774b-bcce-b30200000001";
const LIST: &str = "todos of 01890a5d-ac96-774b-bcce-b302099a8057 by created_at";
const BODY: &[u8] = br#"{"title":"Water the plants","description":"All of them, and the ones on the balcony twice.",
    "due_at":"2030-01-01T09:00:00Z","priority":"PRIORITY_HIGH"}"#;

/// What an operation does once.
type Operation = Box<dyn FnMut()>;

/// Prepares an operation.
type Prepare = fn() -> Operation;

const OPERATIONS: [(&str, Prepare); 14] = [
    ("reply-get", || reply("quartet.todos.v1.Todo", encoded(&todo(1)))),
    ("reply-list-50", || {
        reply("quartet.todos.v1.ListTodosResponse", list(50))
    }),
    ("request-create", request_create),
    ("route-get", || route(ONE)),
    ("route-list", || route("/api/v1/todos")),
    ("route-none", || route("/api/v1/tasks/01890a5d-ac96/nothing/here")),
    ("access", access),
    ("limit", limit),
    ("page-token-encode", page_token_encode),
    ("page-token-decode", page_token_decode),
    ("call-get", || call(Method::GET, ONE, &encoded(&todo(1)))),
    ("call-list-50", || {
        call(Method::GET, "/api/v1/todos?items_per_page=50", &list(50))
    }),
    ("call-create", || {
        call(Method::POST, "/api/v1/todos", &encoded(&todo(1)))
    }),
    ("call-without-token", without_token),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => allocations(),
        [name, times] => {
            let (_, prepare) = OPERATIONS.iter().find(|(known, _)| known == name).unwrap();
            let mut operation = prepare();
            for _ in 0..WARM_UP {
                operation();
            }
            counted(&mut operation, times.parse().unwrap());
        }
        _ => panic!("instructions [OPERATION TIMES]"),
    }
}

/// The function that valgrind finds by its name, and in which alone it counts.
#[inline(never)]
fn counted(operation: &mut Operation, times: usize) {
    for _ in 0..times {
        operation();
    }
}

/// Prints the allocations of each operation, and the bytes that they were of.
fn allocations() {
    for (name, prepare) in OPERATIONS {
        let mut operation = prepare();
        for _ in 0..WARM_UP {
            operation();
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..COUNTED {
            operation();
        }
        let change = region.change();
        let each = |total: usize| (total + COUNTED / 2) / COUNTED;
        // A buffer that grows is reallocated, which may be a copy.
        let count = each(change.allocations + change.reallocations);
        println!("{name} {count} {}", each(change.bytes_allocated));
    }
}

fn encoded(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
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
    encoded(&pb::ListTodosResponse {
        data: (0..size).map(todo).collect(),
        total_count: 10_000,
        has_more: true,
        page: 1,
        items_per_page: i32::try_from(size).unwrap(),
        next_page_token: "eyJsIjoiYWJjZGVmZ2giLCJ0IjoxMDAwMCwiayI6WzE3OTAwMDAwMDAwMDAwMDBdfQ".into(),
        total_is_exact: true,
    })
}

fn reply(name: &str, wire: Bytes) -> Operation {
    let replies = Replies::of(descriptors::pool().get_message_by_name(name).unwrap());
    Box::new(move || drop(black_box(replies.json(black_box(wire.clone())).unwrap())))
}

fn request_create() -> Operation {
    let name = "quartet.todos.v1.CreateTodoRequest";
    let requests = Requests::of(&descriptors::pool().get_message_by_name(name).unwrap()).unwrap();
    Box::new(move || drop(black_box(requests.wire(black_box(BODY)).unwrap())))
}

fn route(path: &'static str) -> Operation {
    let routes = Routes::compile(descriptors::pool()).unwrap();
    Box::new(move || drop(black_box(routes.find(&Method::GET, black_box(path)))))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

fn tested_host(clock: &Clock) -> Host {
    let (auth, _) = Upstream::local("auth");
    stack::host("gateway", clock, auth)
}

/// The check of a token that was verified before.
fn access() -> Operation {
    let clock = Clock::system();
    let (verifier, token, runtime) = (tested_host(&clock).verifier(), Identity::user(&clock).token, runtime());
    Box::new(move || drop(black_box(runtime.block_on(verifier.verify(&token)).unwrap())))
}

/// So wide that nothing is refused.
fn limits() -> Limits {
    let wide = [("RATE_LIMIT_USER", "1000000/1s"), ("RATE_LIMIT_ADDRESS", "1000000/1s")];
    host::limits(&Source::of(wide), None).unwrap()
}

fn limit() -> Operation {
    let (limits, runtime) = (limits(), runtime());
    let subject = Subject {
        user: Some(Uuid::from_u128(0x0189_0a5d)),
        ..Subject::default()
    };
    let method = Some("/quartet.todos.v1.TodoService/GetTodo");
    Box::new(move || drop(black_box(runtime.block_on(limits.take(method, subject)))))
}

fn page() -> PageResult<(i64, Uuid)> {
    PageResult {
        rows: vec![(1_790_000_000_123_456, Uuid::from_u128(0x0189_0a5d))],
        total: 10_000,
        total_is_exact: true,
        has_more: true,
    }
}

fn page_token_encode() -> Operation {
    let page = page();
    Box::new(move || drop(black_box(page.next_token(LIST, |row| *row))))
}

fn page_token_decode() -> Operation {
    let token = page().next_token(LIST, |row| *row);
    Box::new(move || {
        let request = PageRequest {
            page: None,
            items_per_page: None,
            page_size: Some(20),
            page_token: &token,
        };
        let page = Page::<(i64, Uuid)>::parse(request, LIST, &mut Violations::default());
        let _ = black_box(page.unwrap());
    })
}

/// A service in this process that answers every call with `reply`.
fn canned(name: &str, reply: &Bytes) -> Upstream {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(reply.len()).unwrap());
    frame.put(reply.clone());
    let frame = frame.freeze();
    let service = tower::service_fn(move |request: Request<tonic::body::Body>| {
        let frame = frame.clone();
        async move {
            request.into_body().collect().await?;
            let trailers = HeaderMap::from_iter([("grpc-status".parse()?, HeaderValue::from_static("0"))]);
            let body = Full::new(frame).with_trailers(std::future::ready(Some(Ok(trailers))));
            let mut response = http::Response::new(tonic::body::Body::new(body));
            let content_type = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            Ok::<_, tower::BoxError>(response)
        }
    });
    let (upstream, slot) = Upstream::local(name);
    slot.fill(LocalService::new(service));
    upstream
}

/// The gateway, whose services answer with `reply`, and a token.
fn gateway(reply: &Bytes) -> (Router, String) {
    let clock = Clock::system();
    let (host, token) = (tested_host(&clock), Identity::user(&clock).token);
    let upstreams = ["auth", "users", "todos", "jobs"].map(|name| (name.to_owned(), canned(name, reply)));
    let deps = Deps {
        upstreams: BTreeMap::from(upstreams),
        tokens: Some(host.tokens("gateway")),
        clock,
        verifier: Some(host.verifier()),
        limits: limits(),
        cache: Cache::none(),
        rooms: Rooms::default(),
        public_url: "http://localhost:8000".into(),
    };
    let config = Config::read(&Source::default()).unwrap();
    (build(&config, deps).unwrap().router(), token)
}

/// Requests through all of the gateway, whose replies have this status.
fn requests(runtime: Runtime, router: Router, status: u16, make: impl Fn() -> Request<Body> + 'static) -> Operation {
    Box::new(move || {
        let outcome = async {
            let response = router.clone().oneshot(make()).await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            response.into_body().collect().await.unwrap().to_bytes()
        };
        drop(black_box(runtime.block_on(outcome)));
    })
}

fn request(method: &Method, path: &'static str) -> Request<Body> {
    let body = match *method {
        Method::POST => Body::from(Bytes::from_static(BODY)),
        _ => Body::empty(),
    };
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = Uri::from_static(path);
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("localhost:8000"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

/// A signed-in request, and a service that answers at once.
fn call(method: Method, path: &'static str, reply: &Bytes) -> Operation {
    let runtime = runtime();
    let (router, token) = runtime.block_on(async { gateway(reply) });
    let status = if method == Method::POST { 201 } else { 200 };
    let authorization = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    requests(runtime, router, status, move || {
        let mut request = request(&method, path);
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, authorization.clone());
        request
    })
}

/// A request that is refused before any call.
fn without_token() -> Operation {
    let runtime = runtime();
    let (router, _) = runtime.block_on(async { gateway(&encoded(&todo(1))) });
    requests(runtime, router, 401, || request(&Method::GET, ONE))
}
