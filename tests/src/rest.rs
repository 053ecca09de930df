//! The REST interface as a client sees it.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// A client of the REST interface; signed in when it has a token.
#[derive(Clone)]
pub struct Rest {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
    /// The access token that calls carry.
    pub token: Option<String>,
}

impl Rest {
    /// A client of the suite at `address` that is not signed in.
    pub fn new(address: &str) -> Self {
        let client = Client::builder(TokioExecutor::new())
            // A connection per call, so that a call after a restart does not meet the end of an old one.
            .pool_max_idle_per_host(0)
            .build(HttpConnector::new());
        Self {
            base: format!("http://{address}"),
            client,
            token: None,
        }
    }

    /// The same client, with another token.
    pub fn bearing(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// A call of `method` on `path`.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        Call {
            client: self.client.clone(),
            request,
            body: Bytes::new(),
            opens: false,
        }
    }

    /// GET `path`.
    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path).send().await
    }

    /// POST `body` to `path`.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path).json(&body).send().await
    }

    /// PUT `body` to `path`.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PUT, path).json(&body).send().await
    }

    /// PATCH `path` with `body`.
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PATCH, path).json(&body).send().await
    }

    /// DELETE `path`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path).send().await
    }
}

/// A call that is being put together.
pub struct Call {
    client: Client<HttpConnector, Full<Bytes>>,
    request: http::request::Builder,
    body: Bytes,
    opens: bool,
}

impl Call {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sends JSON.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends a form.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Sends a body of any kind.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.request = self.request.header(CONTENT_TYPE, content_type);
        self.body = body.into();
        self
    }

    /// Makes the call.
    pub async fn send(self) -> Reply {
        self.try_send().await.expect("the suite answers")
    }

    /// Makes the call, which may fail without an answer.
    pub async fn try_send(self) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let request = self.request.body(Full::new(self.body))?;
        let asked = format!("{} {}", request.method(), request.uri());
        let (parts, body) = self.client.request(request).await?.into_parts();
        // An answer that streams may have no end: it counts as it opens.
        let endless = self.opens && parts.status.is_success();
        let body = if endless {
            Bytes::new()
        } else {
            body.collect().await?.to_bytes()
        };
        Ok(Reply {
            asked,
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }

    /// Reads no body of a success, which may be a stream without an end.
    pub fn opens(mut self) -> Self {
        self.opens = true;
        self
    }
}

/// An answer of the REST interface.
#[derive(Debug)]
pub struct Reply {
    asked: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null for an empty one.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.text()))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a header of text"))
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self.json()
    }

    /// The problem document of an answer that must have this status and this `error_code`, and be whole (RFC 9457, and the members that
    /// every problem of the suite has besides).
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["error_code"], code, "{}: {problem}", self.asked);
        self.assert_whole_problem(&problem);
        problem
    }

    /// As [`Reply::problem`] with 422 and `validation_failed`; the problem must name `field`.
    #[track_caller]
    pub fn invalid(&self, field: &str) -> Value {
        let problem = self.problem(422, "validation_failed");
        let named = problem["errors"]
            .as_array()
            .is_some_and(|errors| errors.iter().any(|error| error["field"] == field));
        assert!(named, "{}: {field} is not named by {problem}", self.asked);
        problem
    }

    #[track_caller]
    fn assert_whole_problem(&self, problem: &Value) {
        let told = format!("{}: {problem}", self.asked);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{told}");
        assert_eq!(problem["status"], self.status, "{told}");
        assert_eq!(problem["status_code"], self.status, "{told}");
        for name in [
            "type",
            "title",
            "detail",
            "message",
            "error_code",
            "request_id",
            "instance",
        ] {
            assert!(
                problem[name].as_str().is_some_and(|text| !text.is_empty()),
                "no {name}: {told}"
            );
        }
        assert_eq!(problem["detail"], problem["message"], "{told}");
        assert!(problem["errors"].is_array(), "{told}");
        assert_eq!(self.header("x-request-id"), problem["request_id"].as_str(), "{told}");
        if self.status == 401 {
            assert!(
                self.header("www-authenticate")
                    .is_some_and(|value| value.starts_with("Bearer")),
                "{told}"
            );
        }
    }
}
