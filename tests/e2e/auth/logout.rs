//! Logout: of this session, of all, of another one; and how fast every process enforces it.

use std::time::Duration;

use http::Method;
use quartet_proto::todos::v1::ListTodosRequest;
use quartet_proto::todos::v1::todo_service_client::TodoServiceClient;
use serde_json::json;
use tonic::Code;

use quartet_tests::app::eventually;
use quartet_tests::grpc::reason;
use quartet_tests::{App, Person, Reply, on_every_topology, on_secured_topology};

on_every_topology!(
    a_logout_takes_effect_everywhere_within_a_second,
    a_logout_ends_the_refresh_token_too,
    logging_out_everywhere_ends_every_session,
    sessions_are_listed_with_the_current_one,
    sessions_are_listed_in_pages,
    a_session_is_ended_from_another_one,
    the_session_of_somebody_else_is_not_found,
    changing_the_password_ends_the_other_sessions,
    replacing_the_password_renews_the_tokens,
    a_browser_keeps_its_session_when_the_password_is_replaced,
);

on_secured_topology!(
    a_logout_takes_effect_everywhere_within_a_second,
    sessions_are_listed_in_pages,
);

/// Over REST, and over gRPC to a service other than auth.
async fn is_revoked_within_a_second(app: &App, person: &Person) {
    let mut todos = TodoServiceClient::new(app.channel("todos").await);
    eventually(Duration::from_secs(1), "the token is revoked everywhere", async || {
        let rest = person.get("/api/v1/todos").await;
        let grpc = todos.list_todos(person.request(ListTodosRequest::default())).await;
        let users = person.get("/api/v1/users/me").await;
        let revoked =
            grpc.is_err_and(|status| status.code() == Code::Unauthenticated && reason(&status) == "TOKEN_REVOKED");
        (rest.status == 401 && users.status == 401 && revoked).then_some(())
    })
    .await;
    person.get("/api/v1/todos").await.problem(401, "token_revoked");
    person.get("/api/v1/auth/me").await.problem(401, "token_revoked");
}

async fn a_logout_takes_effect_everywhere_within_a_second(app: App) {
    let ada = app.register().await;
    let mut todos = TodoServiceClient::new(app.channel("todos").await);
    todos
        .list_todos(ada.request(ListTodosRequest::default()))
        .await
        .unwrap();
    ada.post("/api/v1/auth/logout", json!({})).await.expect(204);
    is_revoked_within_a_second(&app, &ada).await;
}

async fn a_logout_ends_the_refresh_token_too(app: App) {
    let ada = app.register().await;
    // Without a body, as `curl -X POST` sends it.
    ada.call(http::Method::POST, "/api/v1/auth/logout")
        .send()
        .await
        .expect(204);
    let reply = app
        .post("/api/v1/auth/refresh", json!({"refresh_token": ada.refresh_token}))
        .await;
    reply.problem(401, "invalid_refresh_token");
}

async fn logging_out_everywhere_ends_every_session(app: App) {
    let phone = app.register().await;
    let desk = app.login(&phone).await;
    desk.post("/api/v1/auth/logout-all", json!({})).await.expect(204);
    is_revoked_within_a_second(&app, &desk).await;
    is_revoked_within_a_second(&app, &phone).await;
    app.login(&phone).await.get("/api/v1/todos").await.expect(200);
}

async fn sessions_are_listed_with_the_current_one(app: App) {
    let phone = app.register().await;
    let body = json!({"username_or_email": phone.username, "password": phone.password});
    let call = app.call(http::Method::POST, "/api/v1/auth/login").json(&body);
    let desk = phone.with_tokens(&call.header("user-agent", "Desk/1.0").send().await.expect(200));

    let sessions = desk.get("/api/v1/auth/sessions").await.expect(200)["data"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    let session = |id: &str| {
        sessions
            .as_array()
            .unwrap()
            .iter()
            .find(|session| session["id"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(session(&desk.session_id())["current"], true);
    assert_eq!(session(&desk.session_id())["user_agent"], "Desk/1.0");
    assert_eq!(session(&desk.session_id())["ip_address"], app.own_address().await);
    assert_eq!(session(&phone.session_id())["current"], false);
}

async fn sessions_are_listed_in_pages(app: App) {
    let ada = app.register().await;
    for _ in 0..2 {
        app.login(&ada).await;
    }
    let list = "/api/v1/auth/sessions";
    let all = ada.get(list).await.expect(200);
    assert_eq!((&all["total_count"], &all["has_more"]), (&3.into(), &false.into()));
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = ada
            .get(&format!("{list}?page_size=1&page_token={token}"))
            .await
            .expect(200);
        seen.extend(page["data"].as_array().unwrap().clone());
        assert_eq!(page["total_count"], 3);
        token = page["next_page_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(&seen, all["data"].as_array().unwrap());
    ada.get(&format!("{list}?page=1&page_token=x")).await.invalid("page");
    ada.get(&format!("{list}?page_token=x")).await.invalid("page_token");
}

async fn a_session_is_ended_from_another_one(app: App) {
    let phone = app.register().await;
    let desk = app.login(&phone).await;
    let path = format!("/api/v1/auth/sessions/{}", phone.session_id());
    desk.delete(&path).await.expect(204);
    is_revoked_within_a_second(&app, &phone).await;
    desk.get("/api/v1/todos").await.expect(200);
    desk.delete(&path).await.problem(404, "session_not_found");
}

async fn the_session_of_somebody_else_is_not_found(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    let path = format!("/api/v1/auth/sessions/{}", ada.session_id());
    eve.delete(&path).await.problem(404, "session_not_found");
    ada.get("/api/v1/todos").await.expect(200);
}

async fn changing_the_password_ends_the_other_sessions(app: App) {
    let phone = app.register().await;
    let desk = app.login(&phone).await;
    let change = |current: &str| json!({"current_password": current, "new_password": "a better horse battery"});
    desk.post("/api/v1/auth/password:change", change("not it at all"))
        .await
        .problem(403, "wrong_password");
    let changed = desk.post("/api/v1/auth/password:change", change(&desk.password)).await;
    changed.expect(204);
    // Another method renews the tokens as well.
    assert!(
        changed
            .header("deprecation")
            .is_some_and(|since| since.starts_with('@'))
    );
    assert_eq!(
        changed.header("link"),
        Some("</api/v1/auth/password>; rel=\"successor-version\"")
    );
    is_revoked_within_a_second(&app, &phone).await;
    desk.get("/api/v1/todos").await.expect(200);
    let login = |password: &str| {
        app.post(
            "/api/v1/auth/login",
            json!({"username_or_email": desk.username, "password": password}),
        )
    };
    login(&desk.password).await.problem(401, "invalid_credentials");
    login("a better horse battery").await.expect(200);
}

async fn replacing_the_password_renews_the_tokens(app: App) {
    let phone = app.register().await;
    let desk = app.login(&phone).await;
    let body = |current: &str| json!({"current_password": current, "new_password": "a better horse battery"});
    desk.put("/api/v1/auth/password", body("not it at all"))
        .await
        .problem(403, "wrong_password");
    app.put("/api/v1/auth/password", body(&desk.password))
        .await
        .problem(401, "token_missing");
    let reply = desk.put("/api/v1/auth/password", body(&desk.password)).await;
    let tokens = reply.expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"]),
        (&json!("bearer"), &json!(900))
    );
    let renewed = desk.with_tokens(&tokens);
    is_revoked_within_a_second(&app, &phone).await;
    is_revoked_within_a_second(&app, &desk).await;
    renewed.get("/api/v1/todos").await.expect(200);
    let refresh = |token: &str| app.post("/api/v1/auth/refresh", json!({"refresh_token": token}));
    // An old one does not count, and does not end what the new one goes on with.
    for old in [&phone.refresh_token, &desk.refresh_token] {
        refresh(old).await.problem(401, "invalid_refresh_token");
    }
    renewed.get("/api/v1/todos").await.expect(200);
    let next = renewed.with_tokens(&refresh(&renewed.refresh_token).await.expect(200));
    next.get("/api/v1/todos").await.expect(200);
    let sessions = next.get("/api/v1/auth/sessions").await.expect(200);
    assert_eq!(sessions["data"].as_array().unwrap().len(), 1, "{sessions}");
}

async fn a_browser_keeps_its_session_when_the_password_is_replaced(app: App) {
    let ada = app.register().await;
    let body = json!({"username": ada.username, "password": ada.password, "use_cookie": true});
    let login = app.post("/api/v1/auth/login", body).await;
    let cookie_of = |reply: &Reply| {
        let cookies = reply.headers.get_all("set-cookie").iter();
        let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned());
        cookies.find(|cookie| cookie.starts_with("refresh_token="))
    };
    let pair = |cookie: String| cookie.split(';').next().unwrap().to_owned();
    let cookie = pair(cookie_of(&login).unwrap());
    let browser = app.with_token(login.expect(200)["access_token"].as_str().unwrap());
    let replace = async |token: &quartet_tests::Rest, current: &str| {
        let body = json!({"current_password": current, "new_password": "a better horse battery"});
        let call = token.call(Method::PUT, "/api/v1/auth/password");
        call.header("cookie", &cookie).json(&body).send().await
    };
    // What is refused leaves the cookie in place.
    for refused in [
        replace(&browser, "not it at all").await,
        replace(&app, &ada.password).await,
    ] {
        assert!(refused.status == 403 || refused.status == 401, "{}", refused.status);
        assert_eq!(cookie_of(&refused), None);
    }
    let replaced = replace(&browser, &ada.password).await;
    assert_eq!(replaced.expect(200)["refresh_token"], "");
    let renewed = cookie_of(&replaced).unwrap();
    assert!(
        renewed.contains("HttpOnly") && renewed.contains("Path=/api/v1/auth"),
        "{renewed}"
    );
    let refresh = async |cookie: &str| {
        let call = app.call(Method::POST, "/api/v1/auth/refresh").header("cookie", cookie);
        call.json(&json!({})).send().await
    };
    refresh(&cookie).await.problem(401, "invalid_refresh_token");
    refresh(&pair(renewed)).await.expect(200);
}
