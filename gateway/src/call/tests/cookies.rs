//! Fields that browsers carry as cookies.

use tonic_types::StatusExt;

use super::*;

fn sign_in(body: &str) -> Request<Body> {
    request("POST", "/v1/sign-in")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn a_cookie_fills_its_field_and_nothing_else_does() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let mut request = sign_in("{\"password\":\"p\"}");
    request
        .headers_mut()
        .insert(header::COOKIE, "a=1; session=s3cret; b=2".parse().unwrap());
    kitchen.send(request).await.unwrap();
    assert_eq!(kitchen.backend.message(), "password:\"p\",session:\"s3cret\"");

    let kitchen = Kitchen::new(Answer::Messages(vec![]));
    let problem = kitchen.send(sign_in("{\"session\":\"forged\"}")).await.unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.violations[0].field.as_str()),
        (422, "session")
    );
}

fn sign_in_from(origin: &str, cookie: &str) -> Request<Body> {
    let mut request = sign_in("{}");
    let headers = request.headers_mut();
    headers.insert(header::ORIGIN, origin.parse().unwrap());
    headers.insert(header::COOKIE, cookie.parse().unwrap());
    request
}

#[tokio::test]
async fn a_cookie_from_a_page_of_another_origin_is_refused() {
    for listed in ["https://ours.example", "*"] {
        let kitchen = Kitchen::with(Answer::Messages(vec![Ok(Bytes::new())]), |config| {
            config.origins = origins(listed);
        });
        let request = sign_in_from("https://theirs.example", "session=s");
        let problem = kitchen.send(request).await.unwrap_err();
        assert_eq!(
            (problem.status.as_u16(), problem.reason.as_str()),
            (403, "ORIGIN_NOT_ALLOWED")
        );
        assert!(kitchen.backend.seen.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_page_that_may_not_read_the_reply_cannot_plant_a_cookie_and_nothing_is_done_for_it() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(message(
        "SignInReply",
        "{\"session\":\"s\"}",
    ))]));
    let problem = kitchen
        .send(sign_in_from("https://theirs.example", "other=s"))
        .await
        .unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.reason.as_str()),
        (403, "ORIGIN_NOT_ALLOWED")
    );
    assert!(kitchen.backend.seen.lock().unwrap().is_empty());

    let response = kitchen
        .send(sign_in_from("https://ours.example", "other=s"))
        .await
        .unwrap();
    assert!(response.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn a_page_that_may_read_the_reply_is_served_but_gets_no_cookie() {
    let send = async |reply: &str| {
        let answer = Answer::Messages(vec![Ok(message("SignInReply", reply))]);
        let kitchen = Kitchen::with(answer, |config| config.origins = origins("*"));
        kitchen.send(sign_in_from("https://client.example", "other=s")).await
    };
    let response = send("{\"user\":\"u\"}").await.unwrap();
    assert!(text(response).await.contains("\"user\":\"u\""));
    let problem = send("{\"session\":\"s\"}").await.unwrap_err();
    assert_eq!(problem.reason, "ORIGIN_NOT_ALLOWED");
}

async fn set(reply: &str) -> (Option<String>, String) {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(message("SignInReply", reply))]));
    let response = kitchen.send(sign_in("{}")).await.unwrap();
    let cookie = header_text(response.headers(), "set-cookie").map(str::to_owned);
    (cookie, text(response).await)
}

#[tokio::test]
async fn a_reply_s_field_moves_into_the_cookie() {
    let (cookie, body) = set("{\"user\":\"u\",\"session\":\"s3cret\",\"session_expires_in\":60}").await;
    assert_eq!(
        cookie.unwrap(),
        "session=s3cret; Max-Age=60; Path=/v1; HttpOnly; SameSite=Lax; Secure"
    );
    assert_eq!(body, "{\"user\":\"u\",\"session_expires_in\":60}");
}

#[tokio::test]
async fn a_field_that_is_set_but_empty_deletes_the_cookie_and_an_unset_one_leaves_it() {
    let (cookie, _) = set("{\"session\":\"\",\"session_expires_in\":60}").await;
    assert_eq!(
        cookie.unwrap(),
        "session=; Max-Age=0; Path=/v1; HttpOnly; SameSite=Lax; Secure"
    );
    assert_eq!(set("{\"user\":\"u\"}").await.0, None);
}

#[tokio::test]
async fn a_reply_without_a_body_still_deletes_its_cookie() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(message("SignInReply", "{\"session\":\"\"}"))]));
    let response = kitchen
        .send(request("POST", "/v1/sign-out").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(
        header_text(response.headers(), "set-cookie")
            .unwrap()
            .starts_with("session=; Max-Age=0")
    );
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn a_value_that_could_forge_attributes_is_never_sent() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(message(
        "SignInReply",
        "{\"session\":\"a; Domain=evil\"}",
    ))]));
    assert_eq!(
        kitchen.send(sign_in("{}")).await.unwrap_err().status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn a_cookie_that_was_refused_is_deleted_and_one_that_was_not_used_is_left() {
    let refuse = async |reason: &str, cookie: &str| {
        let mut details = tonic_types::ErrorDetails::new();
        details.set_error_info(reason, "quartet", HashMap::<String, String>::new());
        let code = if reason.contains("RATE") {
            tonic::Code::ResourceExhausted
        } else {
            tonic::Code::Unauthenticated
        };
        let status = tonic::Status::with_error_details(code, "no", details);
        let kitchen = Kitchen::new(Answer::Refuse(status));
        let problem = kitchen
            .send(sign_in_from("https://ours.example", cookie))
            .await
            .unwrap_err();
        let cookies = problem
            .headers
            .into_iter()
            .filter(|(name, _)| name == header::SET_COOKIE);
        cookies
            .map(|(_, value)| value.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        refuse("INVALID_REFRESH_TOKEN", "session=s").await,
        ["session=; Max-Age=0; Path=/v1; HttpOnly; SameSite=Lax; Secure"]
    );
    assert!(refuse("INVALID_REFRESH_TOKEN", "other=s").await.is_empty());
    assert!(
        refuse("INVALID_CREDENTIALS", "device=d").await.is_empty(),
        "it is declared to stay"
    );
    assert!(refuse("TOKEN_EXPIRED", "session=s").await.is_empty());
    assert!(refuse("RATE_LIMITED", "session=s").await.is_empty());
}
