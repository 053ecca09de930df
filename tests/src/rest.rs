//! A client of the REST interface.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// A client of the REST interface, with or without a token.
#[derive(Clone)]
pub struct Rest {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
    /// The access token of the calls.
    pub token: Option<String>,
}

impl Rest {
    /// A client of the suite at `address`, without a token.
    pub fn new(address: &str) -> Self {
        let client = Client::builder(TokioExecutor::new())
            // A connection per call, so that a call after a restart does not use a closed one.
            .pool_max_idle_per_host(0)
            .build(HttpConnector::new());
        Self {
            base: format!("http://{address}"),
            client,
            token: None,
        }
    }

    /// The same client, with another token.
    pub fn with_token(&self, token: &str) -> Self {
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
            skip_body: false,
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

/// A call that is being built.
pub struct Call {
    client: Client<HttpConnector, Full<Bytes>>,
    request: http::request::Builder,
    body: Bytes,
    skip_body: bool,
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

    /// Sends the call.
    pub async fn send(self) -> Reply {
        self.try_send().await.expect("the suite answers")
    }

    /// Sends the call, which may fail without an answer.
    pub async fn try_send(self) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let request = self.request.body(Full::new(self.body))?;
        let request_line = format!("{} {}", request.method(), request.uri());
        let (parts, body) = self.client.request(request).await?.into_parts();
        // A streaming answer may have no end.
        let endless = self.skip_body && parts.status.is_success();
        let body = if endless {
            Bytes::new()
        } else {
            body.collect().await?.to_bytes()
        };
        Ok(Reply {
            request_line,
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }

    /// Does not read the body of a success, which may be a stream without an end.
    pub fn without_body(mut self) -> Self {
        self.skip_body = true;
        self
    }
}

/// An answer of the REST interface.
#[derive(Debug)]
pub struct Reply {
    request_line: String,
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
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.request_line, self.text()))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a header of text"))
    }

    /// Asserts the status; returns the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.request_line, self.text());
        self.json()
    }

    /// Asserts the status, the `error_code` and a complete problem document (RFC 9457, and the
    /// members that every problem of the suite has besides); returns the document.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["error_code"], code, "{}: {problem}", self.request_line);
        self.assert_complete_problem(&problem);
        problem
    }

    /// Like [`Reply::problem`] with 422 and `validation_failed`; asserts a violation of `field`.
    #[track_caller]
    pub fn invalid(&self, field: &str) -> Value {
        let problem = self.problem(422, "validation_failed");
        let named = problem["errors"]
            .as_array()
            .is_some_and(|errors| errors.iter().any(|error| error["field"] == field));
        assert!(named, "{}: {field} is not named by {problem}", self.request_line);
        problem
    }

    #[track_caller]
    fn assert_complete_problem(&self, problem: &Value) {
        let context = format!("{}: {problem}", self.request_line);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{context}"
        );
        assert_eq!(problem["status"], self.status, "{context}");
        assert_eq!(problem["status_code"], self.status, "{context}");
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
                "no {name}: {context}"
            );
        }
        assert_eq!(problem["detail"], problem["message"], "{context}");
        assert!(problem["errors"].is_array(), "{context}");
        assert_eq!(self.header("x-request-id"), problem["request_id"].as_str(), "{context}");
        if self.status == 401 {
            assert!(
                self.header("www-authenticate")
                    .is_some_and(|value| value.starts_with("Bearer")),
                "{context}"
            );
        }
    }
}
