//! Passwords that are known from breaches (`BREACHED_PASSWORDS_URL`).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quartet_proto::auth::v1 as pb;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::Status;
use tonic_types::StatusExt;

use crate::harness::{Auth, Kind, PASSWORD, reason, start_with, with_token};

/// A password that is known, and breaks no other rule.
const BREACHED: &str = "a passphrase that leaked";
const GOOD: &str = "another good password";

/// What a range service answers.
#[derive(Clone, Copy)]
enum Answer {
    /// Padding, the hash of [`BREACHED`] where it belongs, and others.
    Range,
    /// Nothing, ever.
    Silence,
    /// The beginning of an answer, and nothing more.
    Half,
    /// A page.
    Page,
    /// A failure.
    Failure,
    /// What is no HTTP.
    Noise,
    /// A range without an end, with the hash behind what is read of it.
    Endless,
}

/// A range service.
struct Service {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    /// Bytes that it was rid of.
    sent: Arc<Mutex<usize>>,
}

fn hash(password: &str) -> String {
    Sha1::digest(password)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect()
}

impl Service {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/range/", listener.local_addr().unwrap());
        let (seen, sent) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<usize>>::default());
        let (requests, count) = (seen.clone(), sent.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, count) = (requests.clone(), count.clone());
                tokio::spawn(async move { serve(stream, answer, &requests, &count).await });
            }
        });
        Self { url, seen, sent }
    }

    async fn auth(&self, kind: Kind) -> Auth {
        auth_with(kind, &self.url).await
    }
}

async fn auth_with(kind: Kind, url: &str) -> Auth {
    let settings = [("BREACHED_PASSWORDS_URL", url), ("BREACHED_PASSWORDS_TIMEOUT", "300ms")];
    start_with(kind, &settings).await
}

async fn serve(mut stream: TcpStream, answer: Answer, requests: &Mutex<Vec<String>>, sent: &Mutex<usize>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap().to_lowercase();
    let prefix = request
        .split_whitespace()
        .nth(1)
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_uppercase();
    requests.lock().unwrap().push(request);
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let other = "0018A45C4D1DEF81644B54AB7F969B88D65:3\r\n";
    let known = hash(BREACHED);
    let line = match prefix == known[..5] {
        true => format!("{}:42\r\n", &known[5..]),
        false => String::new(),
    };
    let text = match answer {
        Answer::Range => ok(&format!("{other}{}:0\r\n{line}", &hash(GOOD)[5..])),
        Answer::Page => ok("<html><p>Sign in: https://example.org:443</p></html>"),
        Answer::Failure => "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned(),
        Answer::Noise => "\0\u{1}\u{2} no HTTP at all\r\n\r\n".to_owned(),
        Answer::Half => format!("HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n{line}"),
        Answer::Silence => String::new(),
        Answer::Endless => "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n".to_owned(),
    };
    if stream.write_all(text.as_bytes()).await.is_err() {
        return;
    }
    match answer {
        Answer::Silence | Answer::Half => {
            // Until the other side gives up.
            let _ = stream.read(&mut [0]).await;
        }
        Answer::Endless => {
            let lines = other.repeat(1_000);
            while stream.write_all(lines.as_bytes()).await.is_ok() {
                *sent.lock().unwrap() += lines.len();
                if *sent.lock().unwrap() > 300_000 && stream.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
        Answer::Range | Answer::Page | Answer::Failure | Answer::Noise => {}
    }
}

async fn register(auth: &Auth, username: &str, password: &str) -> Result<pb::RegisterResponse, Status> {
    let request = pb::RegisterRequest {
        name: String::new(),
        username: username.into(),
        email: format!("{username}@example.org"),
        password: password.into(),
        use_cookie: false,
    };
    auth.client
        .clone()
        .register(request)
        .await
        .map(tonic::Response::into_inner)
}

/// The field that is known from a breach.
fn breached<T>(refused: Result<T, Status>) -> String {
    let status = refused.map(|_| ()).unwrap_err();
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].description.contains("breach"), "{violations:?}");
    violations[0].field.clone()
}

#[tokio::test]
async fn a_breached_password_is_refused_wherever_one_is_set() {
    let service = Service::start(Answer::Range).await;
    let auth = service.auth(Kind::Sqlite).await;
    assert_eq!(breached(register(&auth, "ann", BREACHED).await), "password");
    assert_eq!(auth.rows("accounts").await, 0);
    let ann = register(&auth, "ann", PASSWORD).await.unwrap();

    let change = async |new: &str| {
        let request = pb::ChangePasswordRequest {
            current_password: PASSWORD.into(),
            new_password: new.into(),
        };
        auth.client
            .clone()
            .change_password(with_token(request, &ann.access_token))
            .await
    };
    assert_eq!(breached(change(BREACHED).await), "new_password");
    let replace = async |current: &str, new: &str| {
        let request = pb::ReplacePasswordRequest {
            current_password: current.into(),
            new_password: new.into(),
            refresh_cookie: None,
        };
        auth.client
            .clone()
            .replace_password(with_token(request, &ann.access_token))
            .await
    };
    assert_eq!(breached(replace(PASSWORD, BREACHED).await), "new_password");
    // Whoever does not know the current one learns nothing, and the service is not called.
    let before = service.seen.lock().unwrap().len();
    assert_eq!(reason(&replace("not the password", BREACHED).await), "WRONG_PASSWORD");
    assert_eq!(service.seen.lock().unwrap().len(), before);
    auth.me(&ann.access_token).await.unwrap();

    let request = pb::RequestPasswordResetRequest {
        email: "ann@example.org".into(),
    };
    auth.client.clone().request_password_reset(request).await.unwrap();
    let token = auth.mails_to("ann@example.org", 2).await[1].token();
    let reset = async |new: &str| {
        let request = pb::ResetPasswordRequest {
            token: token.clone(),
            new_password: new.into(),
        };
        auth.client.clone().reset_password(request).await
    };
    assert_eq!(breached(reset(BREACHED).await), "new_password");
    // The token still works. A line of padding is no breach.
    reset(GOOD).await.unwrap();
    auth.login("ann", GOOD, "").await.unwrap();
    // Whoever signs in has set their password before.
    let calls = service.seen.lock().unwrap().clone();
    assert_eq!(calls.len(), 6, "{calls:?}");
    let known = hash(BREACHED).to_lowercase();
    for call in &calls {
        let path = call.split_whitespace().nth(1).unwrap();
        assert!(
            path.starts_with("/range/") && path.len() == "/range/".len() + 5,
            "{path}"
        );
        assert!(
            call.contains("add-padding: true") && call.contains("user-agent: quartet"),
            "{call}"
        );
        assert!(!call.contains(&known[..8]) && !call.contains("leaked"), "{call}");
    }
}

#[tokio::test]
async fn a_superuser_who_makes_a_user_gives_them_no_breached_password() {
    let service = Service::start(Answer::Range).await;
    let auth = service.auth(Kind::Sqlite).await;
    let request = pb::OpenAccountRequest {
        username: "ann".into(),
        email: "ann@example.org".into(),
        password: BREACHED.into(),
        ..Default::default()
    };
    let opened = auth.client.clone().open_account(auth.as_service(request)).await;
    assert_eq!(breached(opened), "password");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_service_that_is_away_slow_or_confused_keeps_nobody_out() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let auth = auth_with(Kind::Sqlite, &away).await;
    register(&auth, "ann", BREACHED).await.unwrap();
    let auth = auth_with(Kind::Sqlite, "http://no-such-host.invalid/range").await;
    register(&auth, "ann", BREACHED).await.unwrap();
    for answer in [
        Answer::Silence,
        Answer::Half,
        Answer::Page,
        Answer::Failure,
        Answer::Noise,
        Answer::Endless,
    ] {
        let service = Service::start(answer).await;
        let auth = service.auth(Kind::Sqlite).await;
        let begun = Instant::now();
        register(&auth, "ann", BREACHED).await.unwrap();
        // The bound is 300 ms; the rest is for a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(service.seen.lock().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_endless_range_no_more_is_read_than_its_bound() {
    let service = Service::start(Answer::Endless).await;
    // Long enough to read all of it, if it were read.
    let settings = [
        ("BREACHED_PASSWORDS_URL", service.url.as_str()),
        ("BREACHED_PASSWORDS_TIMEOUT", "20s"),
    ];
    let auth = start_with(Kind::Sqlite, &settings).await;
    let begun = Instant::now();
    register(&auth, "ann", BREACHED).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // What is in flight has been written, and no one has read it.
    let sent = *service.sent.lock().unwrap();
    assert!(sent < 32 << 20, "{sent}");
}

#[tokio::test]
async fn without_a_range_service_nobody_is_called() {
    let auth = start_with(Kind::Sqlite, &[]).await;
    register(&auth, "ann", BREACHED).await.unwrap();
}
