//! Login, by JSON, by form and by cookie.

use serde_json::json;

use quartet_tests::person::claims;
use quartet_tests::{App, on_every_topology, on_secured_topology};

on_every_topology!(
    a_user_signs_in_by_name_or_by_address,
    a_wrong_name_and_a_wrong_password_have_the_same_answer,
    logins_of_one_user_at_once_all_succeed,
    repeated_failures_are_throttled_with_a_retry_delay,
    an_access_token_has_a_subject_and_an_expiry,
    the_token_endpoint_accepts_a_form_with_the_password_grant,
    the_token_endpoint_accepts_a_form_with_the_refresh_grant,
    another_grant_is_refused,
    a_browser_keeps_its_refresh_token_in_a_cookie,
    a_cookie_from_a_page_of_another_origin_is_refused,
    the_public_keys_are_published_and_no_private_one,
);

on_secured_topology!(
    a_user_signs_in_by_name_or_by_address,
    logins_of_one_user_at_once_all_succeed,
    the_token_endpoint_accepts_a_form_with_the_refresh_grant,
    the_public_keys_are_published_and_no_private_one,
);

async fn a_user_signs_in_by_name_or_by_address(app: App) {
    let ada = app.register().await;
    for name in [&ada.username, &ada.email, &ada.email.to_uppercase()] {
        let body = json!({"username_or_email": name, "password": ada.password});
        let tokens = app.post("/api/v1/auth/login", body).await.expect(200);
        let again = ada.with_tokens(&tokens);
        assert_eq!(again.get("/api/v1/auth/me").await.expect(200)["id"], ada.id.as_str());
        assert_ne!(again.session_id(), ada.session_id());
    }
}

async fn a_wrong_name_and_a_wrong_password_have_the_same_answer(app: App) {
    let ada = app.register().await;
    let wrong = json!({"username_or_email": ada.username, "password": "not the password"});
    let unknown = json!({"username_or_email": format!("x{}", &ada.username[2..]), "password": "not the password"});
    let mut answers = Vec::new();
    for body in [wrong, unknown] {
        let mut problem = app
            .post("/api/v1/auth/login", body)
            .await
            .problem(401, "invalid_credentials");
        problem.as_object_mut().unwrap().remove("request_id");
        answers.push(problem);
    }
    assert_eq!(answers[0], answers[1]);
}

async fn logins_of_one_user_at_once_all_succeed(app: App) {
    let ada = app.register().await;
    for _ in 0..10 {
        futures::future::join_all((0..4).map(|_| app.login(&ada))).await;
    }
}

async fn repeated_failures_are_throttled_with_a_retry_delay(app: App) {
    let ada = app.register().await;
    let wrong = json!({"username_or_email": ada.username, "password": "not the password"});
    for attempt in 0.. {
        let reply = app.post("/api/v1/auth/login", wrong.clone()).await;
        if reply.status == 429 {
            reply.problem(429, "too_many_attempts");
            assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
            assert!(attempt >= 5, "slowed after {attempt} failures");
            break;
        }
        reply.problem(401, "invalid_credentials");
        assert!(attempt < 10, "never slowed");
    }
    // Other users are not slowed.
    let other = app.register().await;
    app.login(&other).await;
}

async fn an_access_token_has_a_subject_and_an_expiry(app: App) {
    let ada = app.register().await;
    let header = ada.access_token.split('.').next().unwrap();
    let header = claims(&format!(".{header}."));
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "EdDSA");
    let claims = ada.claims();
    assert_eq!(claims["sub"], ada.id.as_str());
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("quartet"), &json!("quartet")));
    assert_eq!(claims["role"], "user");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert!(claims["jti"].is_string() && claims["sid"].is_string());
}

async fn the_token_endpoint_accepts_a_form_with_the_password_grant(app: App) {
    let ada = app.register().await;
    let form = [
        ("grant_type", "password"),
        ("username", &ada.username),
        ("password", &ada.password),
        ("scope", ""),
    ];
    let call = app.call(http::Method::POST, "/api/v1/auth/token").form(&form);
    let reply = call.send().await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let tokens = reply.expect(200);
    assert_eq!(tokens["token_type"], "bearer");
    ada.with_tokens(&tokens).get("/api/v1/todos").await.expect(200);
}

async fn the_token_endpoint_accepts_a_form_with_the_refresh_grant(app: App) {
    let ada = app.register().await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", ada.refresh_token.as_str()),
    ];
    let call = app.call(http::Method::POST, "/api/v1/auth/token").form(&form);
    let next = ada.with_tokens(&call.send().await.expect(200));
    assert_ne!(next.refresh_token, ada.refresh_token);
    assert_eq!(next.session_id(), ada.session_id());
}

async fn another_grant_is_refused(app: App) {
    let form = [("grant_type", "client_credentials")];
    let reply = app
        .call(http::Method::POST, "/api/v1/auth/token")
        .form(&form)
        .send()
        .await;
    let problem = reply.json();
    let failure = (reply.status, problem["error_code"].as_str().unwrap());
    assert!(
        matches!(failure, (400, "unsupported_grant_type") | (422, "validation_failed")),
        "{problem}"
    );
}

async fn a_browser_keeps_its_refresh_token_in_a_cookie(app: App) {
    let ada = app.register().await;
    let body = json!({"username_or_email": ada.username, "password": ada.password, "use_cookie": true});
    let reply = app.post("/api/v1/auth/login", body).await;
    let tokens = reply.expect(200);
    assert_eq!(tokens["refresh_token"], "");
    assert_eq!(tokens.get("refresh_cookie"), None);
    let cookie = Cookie::of(&reply);
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/api/v1/auth"] {
        assert!(
            cookie.attributes.iter().any(|given| given == attribute),
            "{attribute} in {:?}",
            cookie.attributes
        );
    }
    assert!(
        cookie.attributes.iter().any(|given| given.starts_with("Max-Age=6047")),
        "{:?}",
        cookie.attributes
    );

    // The device is known again by a cookie of its own, which a wrong password does not delete.
    let device = |reply: &quartet_tests::Reply| {
        let mut set = reply.headers.get_all("set-cookie").iter();
        let text = set.find_map(|value| value.to_str().ok().filter(|text| text.starts_with("device=")));
        text.map(str::to_owned)
    };
    let known = device(&reply).expect("a device cookie");
    assert!(
        known.contains("; Max-Age=15552000; Path=/api/v1/auth; HttpOnly; SameSite=Lax"),
        "{known}"
    );
    assert_eq!((tokens.get("device_token"), tokens.get("device_cookie")), (None, None));
    let wrong = json!({"username_or_email": ada.username, "password": "not the password", "use_cookie": true});
    let call = app.call(http::Method::POST, "/api/v1/auth/login").json(&wrong);
    let refused = call.header("cookie", known.split(';').next().unwrap()).send().await;
    assert_eq!(refused.header("set-cookie"), None);
    refused.problem(401, "invalid_credentials");

    let call = app.call(http::Method::POST, "/api/v1/auth/refresh").json(&json!({}));
    let reply = call.header("cookie", &cookie.pair()).send().await;
    let next = reply.expect(200);
    assert_eq!(next["refresh_token"], "");
    let successor = Cookie::of(&reply);
    assert_ne!(successor.value, cookie.value);

    let signed_in = app.with_token(next["access_token"].as_str().unwrap());
    let reply = signed_in.post("/api/v1/auth/logout", json!({})).await;
    reply.expect(204);
    let cleared = Cookie::of(&reply);
    assert_eq!(cleared.value, "");
    assert!(
        cleared.attributes.contains(&"Max-Age=0".to_owned()),
        "{:?}",
        cleared.attributes
    );
}

async fn a_cookie_from_a_page_of_another_origin_is_refused(app: App) {
    let ada = app.register().await;
    let refresh = |origin: &str| {
        let call = app.call(http::Method::POST, "/api/v1/auth/refresh").json(&json!({}));
        call.header("cookie", &format!("refresh_token={}", ada.refresh_token))
            .header("origin", origin)
            .send()
    };
    refresh("https://evil.example").await.problem(403, "origin_not_allowed");
    refresh("null").await.problem(403, "origin_not_allowed");
    refresh("https://app.example.com").await.expect(200);
}

async fn the_public_keys_are_published_and_no_private_one(app: App) {
    let keys = app.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(keys, app.get("/api/v1/auth/jwks").await.expect(200));
    let keys = keys["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!((&key["kty"], &key["use"]), (&json!("OKP"), &json!("sig")));
        assert!(key["kid"].is_string() && key["x"].is_string());
        assert_eq!(key.get("d"), None);
    }
}

struct Cookie {
    value: String,
    attributes: Vec<String>,
}

impl Cookie {
    fn of(reply: &quartet_tests::Reply) -> Self {
        let header = reply.header("set-cookie").expect("a cookie is set");
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        assert_eq!(name, "refresh_token");
        Self {
            value: value.to_owned(),
            attributes: parts.map(str::to_owned).collect(),
        }
    }

    fn pair(&self) -> String {
        format!("refresh_token={}", self.value)
    }
}
