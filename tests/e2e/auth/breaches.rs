//! Passwords that are known from breaches (`BREACHED_PASSWORDS_URL`).

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use quartet_tests::app::unique;
use quartet_tests::{App, Rest};

const BREACHED: &str = "a passphrase that leaked";
/// The SHA-1 of it, in two parts.
const HASH: (&str, &str) = ("7BF12", "CAA8A2262006D8A2CD55FECBBC8F6E813F2");

/// A range service that knows one password; its address.
async fn range_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read_exact(&mut byte).await.is_err() {
                    break;
                }
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let known = match request.contains(&format!("/range/{} ", HASH.0)) {
                true => format!("{}:7\r\n", HASH.1),
                false => String::new(),
            };
            let body = format!("0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n{known}");
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_password_that_is_known_from_a_breach_names_its_field() {
    let url = format!("http://{}/range/", range_service().await);
    let app = App::own(&[("BREACHED_PASSWORDS_URL", &url)]);
    let ada = app.register().await;
    let name = unique("u");
    let body = json!({"username": name, "email": format!("{name}@example.org"), "password": BREACHED});
    let refused = app
        .post("/api/v1/auth/register", body.clone())
        .await
        .invalid("password");
    assert_eq!(refused["errors"][0]["rule"], "PASSWORD_BREACHED", "{refused}");
    assert!(!refused.to_string().contains("leaked"), "{refused}");
    let russian = app
        .call(Method::POST, "/api/v1/auth/register")
        .header("accept-language", "ru")
        .json(&body);
    let russian = russian.send().await.invalid("password");
    assert_eq!(russian["errors"][0]["message"], "пароль известен из утечки данных");

    let change = json!({"current_password": ada.password, "new_password": BREACHED});
    ada.put("/api/v1/auth/password", change).await.invalid("new_password");
    ada.get("/api/v1/todos").await.expect(200);
    let metrics = Rest::new(app.suite().metrics("auth")).get("/metrics").await.text();
    for outcome in ["breached\"} 3", "unknown\"} 1"] {
        let line = format!("auth_breach_checks_total{{outcome=\"{outcome}");
        assert!(metrics.contains(&line), "{line}");
    }
}
