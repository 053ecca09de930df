//! What is recorded of a request when its reply has been sent or given up: a line in the log, the
//! end of its span, and its time in the metrics.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Method, Request, StatusCode};
use http_body::{Frame, SizeHint};
use metrics::Label;
use quartet_telemetry::TracedSpan;
use quartet_telemetry::metrics::HTTP_SERVER_REQUEST_DURATION;

/// The path template that a request matched, such as `/api/v1/todos/{todo_id}`: an extension of the
/// reply.
#[derive(Debug, Clone)]
pub struct RouteTemplate(pub Arc<str>);

/// The request's part of the line.
pub(crate) struct Line {
    method: Method,
    path: String,
    user_agent: String,
    client: IpAddr,
    request_id: String,
    started: Instant,
    traced_span: TracedSpan,
}

impl Line {
    /// Records the request's part of the line. The query is left out: it may hold what should not
    /// be logged.
    pub(crate) fn of<B>(
        request: &Request<B>,
        client: IpAddr,
        request_id: &str,
        started: Instant,
        traced_span: TracedSpan,
    ) -> Self {
        let user_agent = request
            .headers()
            .get(USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            user_agent: user_agent.to_owned(),
            client,
            request_id: request_id.to_owned(),
            started,
            traced_span,
        }
    }

    /// Writes the line once the reply is sent. It is a warning when the answer took longer than
    /// `slow`.
    pub(crate) fn log_when_sent(self, mut response: Response, slow: Duration) -> Response {
        let sent = Sent {
            slow: self.started.elapsed() > slow,
            line: self,
            status: response.status(),
            route: response.extensions_mut().remove::<RouteTemplate>().map(|route| route.0),
            bytes: 0,
        };
        response.map(|body| Body::new(Counted { body, sent }))
    }
}

/// The reply, so far.
struct Sent {
    line: Line,
    slow: bool,
    status: StatusCode,
    route: Option<Arc<str>>,
    bytes: u64,
}

impl Sent {
    /// The method as one of a few names: a client can send any number of others.
    fn method(&self) -> &'static str {
        match self.line.method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            Method::HEAD => "HEAD",
            Method::OPTIONS => "OPTIONS",
            _ => "_OTHER",
        }
    }

    fn describe(&self) {
        let (traced_span, line) = (&self.line.traced_span, &self.line);
        traced_span.set_name(match &self.route {
            Some(route) => format!("{} {route}", self.method()),
            None => self.method().to_owned(),
        });
        traced_span.set_attribute("http.request.method", self.method());
        traced_span.set_attribute("url.path", line.path.clone());
        traced_span.set_attribute("client.address", line.client.to_string());
        traced_span.set_attribute("user_agent.original", line.user_agent.clone());
        traced_span.set_attribute("http.response.status_code", i64::from(self.status.as_u16()));
        traced_span.set_attribute("http.response.body.size", i64::try_from(self.bytes).unwrap_or(i64::MAX));
        if let Some(route) = &self.route {
            traced_span.set_attribute("http.route", route.to_string());
        }
        if self.status.is_server_error() {
            traced_span.set_attribute("error.type", self.status.as_str().to_owned());
            traced_span.set_error(String::new());
        }
    }

    fn count(&self) {
        let labels = vec![
            Label::new("http_request_method", self.method()),
            Label::new("http_route", self.route.as_deref().unwrap_or_default().to_owned()),
            Label::new("http_response_status_code", self.status.as_str().to_owned()),
        ];
        metrics::histogram!(HTTP_SERVER_REQUEST_DURATION, labels).record(self.line.started.elapsed());
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if self.line.traced_span.is_recording() {
            self.describe();
        }
        if quartet_telemetry::metrics::is_on() {
            self.count();
        }
        let _within = self.line.traced_span.span().enter();
        macro_rules! write {
            ($level:ident, $text:literal) => {
                tracing::$level!(
                    method = %self.line.method,
                    path = self.line.path,
                    route = self.route.as_deref(),
                    status = self.status.as_u16(),
                    bytes = self.bytes,
                    duration_ms = self.line.started.elapsed().as_micros() as f64 / 1_000.0,
                    request_id = self.line.request_id,
                    user_agent = self.line.user_agent,
                    client = %self.line.client,
                    $text
                )
            };
        }
        // Probes come every few seconds for as long as the process runs.
        let is_probe = matches!(self.line.path.as_str(), "/livez" | "/readyz") && self.status.is_success();
        if self.slow {
            write!(warn, "slow request")
        } else if is_probe {
            write!(debug, "request")
        } else {
            write!(info, "request")
        }
    }
}

/// A body that counts what is sent of it.
struct Counted {
    body: Body,
    sent: Sent,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.sent.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.body)
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use http_body_util::BodyExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line that a reply of two chunks leaves, after `read` chunks were taken from it.
    async fn line(slow: Duration, read: usize) -> serde_json::Value {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let request = Request::get("/api/v1/todos/7?secret=1")
            .header("user-agent", "curl")
            .body(())
            .unwrap();
        let line = Line::of(
            &request,
            [192, 0, 2, 1].into(),
            "r-1",
            Instant::now(),
            TracedSpan::child_of(tracing::Span::none(), None),
        );
        let chunks = futures::stream::iter(["abc", "de"].map(|chunk| Ok::<_, io::Error>(Bytes::from(chunk))));
        let mut response = Response::new(Body::from_stream(chunks));
        response
            .extensions_mut()
            .insert(RouteTemplate("/api/v1/todos/{todo_id}".into()));
        let mut body = line.log_when_sent(response, slow).into_body();
        assert!(
            lines.0.lock().unwrap().is_empty(),
            "nothing is logged before the reply is sent"
        );
        for _ in 0..read {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        drop(guard);
        let text = lines.0.lock().unwrap().clone();
        serde_json::from_slice(&text).unwrap()
    }

    #[tokio::test]
    async fn the_line_has_the_request_and_the_bytes_sent() {
        let line = line(Duration::from_secs(60), 2).await;
        let field = |name: &str| line[name].to_string();
        assert_eq!(
            (field("method"), field("path"), field("status")),
            ("\"GET\"".into(), "\"/api/v1/todos/7\"".into(), "200".into())
        );
        assert_eq!(
            (field("bytes"), field("route")),
            ("5".into(), "\"/api/v1/todos/{todo_id}\"".into())
        );
        assert_eq!(
            (field("request_id"), field("user_agent"), field("client")),
            ("\"r-1\"".into(), "\"curl\"".into(), "\"192.0.2.1\"".into())
        );
        assert_eq!(line["level"], "INFO");
        assert!(!line.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn a_slow_answer_is_a_warning_and_a_reply_cut_short_counts_what_was_sent() {
        let line = line(Duration::ZERO, 1).await;
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["bytes"], 3);
    }
}
