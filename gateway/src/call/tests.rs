//! Requests through the transcoder to a backend in this process, over real gRPC, and back.

mod backend;
mod bodies;
mod cookies;
mod etags;
mod failures;
mod replies;
mod requests;
mod streams;
mod time;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use prost::Message;
use tokio_util::sync::CancellationToken;

use self::backend::{Answer, Backend};
use super::*;
use crate::config::{CookiePrefix, SameSite};
use crate::origin::OriginPolicy;
use crate::testing;
use crate::transcode::json::Reader;

/// A transcoder over the kitchen, and the backend behind it.
struct Kitchen {
    transcoder: Transcoder,
    backend: Arc<Backend>,
    closing: CancellationToken,
}

pub(super) fn config(closing: CancellationToken) -> Config {
    Config {
        verifier: None,
        limits: quartet_limits::Limits::none(),
        cache: quartet_cache::Cache::none(),
        client_max_age: Duration::ZERO,
        streams: crate::open_streams::OpenStreams::at_most(100),
        timeout: Duration::from_secs(5),
        max_reply_bytes: 1024 * 1024,
        cookies: CookieStyle {
            secure: true,
            prefix: CookiePrefix::None,
            same_site: SameSite::Lax,
        },
        keep_alive: Duration::from_millis(50),
        origins: origins("https://ours.example"),
        tokens: None,
        passed: Passed::default(),
        shown_paths: vec!["/docs".to_owned(), "/health".to_owned()],
        closing,
    }
}

/// The policy that lists this origin.
fn origins(listed: &str) -> OriginPolicy {
    OriginPolicy::listing(vec![listed.to_owned()])
}

impl Kitchen {
    /// Behind it, a backend that answers every call with `answer`.
    fn new(answer: Answer) -> Self {
        Self::with(answer, |_| {})
    }

    /// Like [`Kitchen::new`], with other settings.
    fn with(answer: Answer, change: impl FnOnce(&mut Config)) -> Self {
        let routes = Arc::new(Routes::compile(testing::pool()).unwrap());
        let (backend, upstream) = Backend::start(answer);
        let closing = CancellationToken::new();
        let backends = HashMap::from([("kitchen.v1.Kitchen".to_owned(), upstream)]);
        let mut config = config(closing.clone());
        change(&mut config);
        let transcoder = Transcoder::new(routes, &backends, config).unwrap();
        Self {
            transcoder,
            backend,
            closing,
        }
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Problem> {
        self.transcoder.call(request).await
    }

    /// Sends a request without a body.
    async fn get(&self, path: &str) -> Result<Response<Body>, Problem> {
        self.send(request("GET", path).body(Body::empty()).unwrap()).await
    }

    /// Sends a request with a JSON body.
    async fn json(&self, verb: &str, path: &str, body: &str) -> Result<Response<Body>, Problem> {
        let request = request(verb, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

fn request(verb: &str, path: &str) -> http::request::Builder {
    Request::builder().method(verb).uri(path)
}

/// The bytes of a kitchen message given as JSON.
fn message(name: &str, json: &str) -> Bytes {
    let mut message = testing::empty(name);
    Reader::new(json.as_bytes(), &[])
        .unwrap()
        .message(&mut message)
        .unwrap();
    message.encode_to_vec().into()
}

fn dish(json: &str) -> Bytes {
    message("Dish", json)
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}
