//! Accounts that are hidden (`HIDE_ACCOUNTS`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use quartet_tests::app::unique;
use quartet_tests::mail::{VERIFY, count_with_subject, token_of_link};
use quartet_tests::{App, Person, Reply};

/// What differs between any two answers, whatever they are about.
const VARYING: [&str; 6] = [
    "date",
    "x-request-id",
    "server-timing",
    "x-process-time",
    "ratelimit",
    "traceparent",
];

/// An answer, with what is drawn anew each time, and what was sent, replaced by what it is.
fn shape(reply: &Reply, sent: &[(&str, &str)]) -> (u16, BTreeMap<String, String>, Value) {
    let mut body = reply.json();
    let id = body["user"]["id"]
        .as_str()
        .or(body["id"].as_str())
        .unwrap_or("-")
        .to_owned();
    let neutral = |text: &str| {
        let text = sent
            .iter()
            .fold(text.to_owned(), |text, (value, name)| text.replace(value, name));
        text.replace(&id, "id")
    };
    let headers = reply.headers.iter().map(|(name, value)| {
        let value = match VARYING.contains(&name.as_str()) || name == "etag" {
            true => "varies".to_owned(),
            false => neutral(value.to_str().unwrap()),
        };
        (name.to_string(), value)
    });
    let headers = headers.collect();
    neutralize(&mut body, &neutral);
    (reply.status, headers, body)
}

fn neutralize(value: &mut Value, neutral: &impl Fn(&str) -> String) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name.ends_with("_token") || name == "etag" => {
                        *text = text.len().to_string();
                    }
                    Value::String(_) if name.ends_with("_at") => *value = json!("a time"),
                    value => neutralize(value, neutral),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| neutralize(item, neutral)),
        Value::String(text) => *text = neutral(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

async fn prove(app: &App, person: &Person) {
    let token = token_of_link(app, &person.email, VERIFY).await;
    app.post("/api/v1/auth/email:verify", json!({"token": token}))
        .await
        .expect(204);
}

#[tokio::test]
async fn a_taken_address_is_answered_as_a_free_one_field_by_field() {
    let app = App::own(&[("HIDE_ACCOUNTS", "true")]);
    let ada = app.register().await;
    prove(&app, &ada).await;

    let password = "correct horse battery";
    let free = format!("{}@example.org", unique("u"));
    assert_eq!(free.len(), ada.email.len());
    let mut shapes = Vec::new();
    let mut people = Vec::new();
    for email in [&free, &ada.email] {
        let username = unique("u");
        let sent = [(email.as_str(), "address"), (username.as_str(), "username")];
        let body = json!({"username": username, "email": email, "password": password});
        let reply = app.post("/api/v1/auth/register", body).await;
        let registered = reply.expect(201);
        let person = app.with_token(registered["access_token"].as_str().unwrap());
        let me = person.get("/api/v1/auth/me").await;
        let user = person.get("/api/v1/users/me").await;
        let wrong = app
            .post(
                "/api/v1/auth/login",
                json!({"email": email, "password": "not the password"}),
            )
            .await;
        assert_eq!(wrong.problem(401, "invalid_credentials")["status"], 401);
        let requested = person.post("/api/v1/auth/email:request-verification", json!({})).await;
        requested.expect(202);
        let events = person.get("/api/v1/auth/events").await.expect(200);
        let events: Vec<_> = events["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["type"].clone())
            .collect();
        shapes.push((shape(&reply, &sent), shape(&me, &sent), shape(&user, &sent), events));
        people.push(person);
    }
    assert_eq!(shapes[0], shapes[1]);

    // So is a change of address.
    let mut shapes = Vec::new();
    let other = format!("{}@example.org", unique("u"));
    for email in [&other, &ada.email] {
        let person = app.register().await;
        let sent = [(email.as_str(), "address"), (person.username.as_str(), "username")];
        let reply = person.patch("/api/v1/users/me", json!({"email": email})).await;
        assert_eq!(reply.expect(200)["pending_email"], email.as_str());
        let me = person.get("/api/v1/auth/me").await;
        shapes.push((shape(&reply, &sent), shape(&me, &sent)));
    }
    assert_eq!(shapes[0], shapes[1]);

    // A form in a browser sees the same cookies.
    let mut cookies = Vec::new();
    for email in [&format!("{}@example.org", unique("u")), &ada.email] {
        let body = json!({"username": unique("u"), "email": email, "password": password, "use_cookie": true});
        let reply = app.post("/api/v1/auth/register", body).await;
        reply.expect(201);
        let set: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
        let names = set
            .iter()
            .map(|cookie| cookie.to_str().unwrap().split('=').next().unwrap().to_owned());
        cookies.push(names.collect::<Vec<_>>());
    }
    assert_eq!(cookies[0], cookies[1]);

    // The owner learns of it, once, and their account is as it was.
    let subject = "Somebody tried to use your e-mail address";
    assert_eq!(count_with_subject(&app, &ada.email, subject).await, 1);
    let mine = ada.get("/api/v1/auth/events").await.expect(200);
    assert!(
        mine["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["type"] == "user_address_claimed"),
        "{mine}"
    );
    app.post(
        "/api/v1/auth/login",
        json!({"email": ada.email, "password": ada.password}),
    )
    .await
    .expect(200);
    // User names are public.
    let body = json!({"username": ada.username, "email": ada.email, "password": password});
    app.post("/api/v1/auth/register", body)
        .await
        .problem(409, "username_taken");
}
