//! Logout: of this session, of all, of another one; and how fast every process enforces it.

use std::time::Duration;

use quartet_proto::todos::v1::ListTodosRequest;
use quartet_proto::todos::v1::todo_service_client::TodoServiceClient;
use serde_json::json;
use tonic::Code;

use quartet_tests::app::eventually;
use quartet_tests::grpc::reason;
use quartet_tests::{App, Person, on_both_topologies};

on_both_topologies!(
    a_logout_takes_effect_everywhere_within_a_second,
    a_logout_ends_the_refresh_token_too,
    logging_out_everywhere_ends_every_session,
    sessions_are_listed_with_the_current_one,
    a_session_is_ended_from_another_one,
    the_session_of_somebody_else_is_not_found,
    changing_the_password_ends_the_other_sessions,
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
    assert_eq!(session(&desk.session_id())["ip_address"], "127.0.0.1");
    assert_eq!(session(&phone.session_id())["current"], false);
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
    desk.post("/api/v1/auth/password:change", change(&desk.password))
        .await
        .expect(204);
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
