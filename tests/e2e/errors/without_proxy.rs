//! Requests that a proxy answers itself: it refuses such paths, and requests a body that is announced.

use quartet_tests::{App, on_both_topologies};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::is_no_route;

on_both_topologies!(
    a_path_that_proxies_refuse_is_refused,
    a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent,
);

async fn a_path_that_proxies_refuse_is_refused(app: App) {
    for path in ["/..%2f..%2fetc/passwd", "/%00"] {
        is_no_route(&app, path).await;
    }
    let ada = app.register().await;
    for id in ["%00", "..%2f..%2fetc"] {
        ada.get(&format!("/api/v1/todos/{id}")).await.invalid("todo_id");
        ada.delete(&format!("/api/v1/tags/{id}")).await.invalid("tag_id");
    }
}

/// As `curl` does it: the header has the length, and the answer comes before the body is sent.
async fn a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent(app: App) {
    let ada = app.register().await;
    let mut stream = tokio::net::TcpStream::connect(&app.suite().http).await.unwrap();
    let head = format!(
        "POST /api/v1/todos HTTP/1.1\r\n\
         Host: localhost\r\n\
         Authorization: Bearer {}\r\n\
         Content-Type: application/json\r\n\
         Content-Length: 10485760\r\n\
         Expect: 100-continue\r\n\r\n",
        ada.access_token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&status), "HTTP/1.1 413");
    ada.get("/api/v1/todos").await.expect(200);
}
