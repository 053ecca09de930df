//! Forged and misused tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use quartet_proto::todos::v1::ListTodosRequest;
use quartet_proto::todos::v1::todo_service_client::TodoServiceClient;
use quartet_testkit::identity::bearer;
use serde_json::{Value, json};
use tonic::Code;

use quartet_tests::grpc::reason;
use quartet_tests::person::claims;
use quartet_tests::{App, Person, on_every_topology};

on_every_topology!(
    no_token_has_another_reason_than_an_invalid_one,
    a_forged_token_is_refused_over_rest_and_grpc,
    a_token_in_a_wrong_place_is_no_token,
    a_service_token_is_no_users_token,
    a_public_method_admits_every_caller_with_any_token,
);

async fn no_token_has_another_reason_than_an_invalid_one(app: App) {
    app.get("/api/v1/todos").await.problem(401, "token_missing");
    for nonsense in ["x", "a.b.c", "..", "\u{7f}", &"x".repeat(5000), "null", "Bearer"] {
        let Ok(reply) = app
            .with_token(nonsense)
            .call(http::Method::GET, "/api/v1/todos")
            .try_send()
            .await
        else {
            continue;
        };
        reply.problem(401, "token_invalid");
    }
}

async fn a_forged_token_is_refused_over_rest_and_grpc(app: App) {
    let (ada, eve) = (app.register().await, app.register().await);
    let mut todos = TodoServiceClient::new(app.channel("todos").await);
    for (what, token) in forged(&app, &ada, &eve).await {
        let reply = app.with_token(&token).get("/api/v1/todos").await;
        assert_eq!(reply.status, 401, "{what}: {}", reply.text());
        reply.problem(401, "token_invalid");
        let status = todos
            .list_todos(bearer(&token, ListTodosRequest::default()))
            .await
            .expect_err(what);
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unauthenticated, "TOKEN_INVALID"),
            "{what}"
        );
    }
    ada.get("/api/v1/todos").await.expect(200);
}

/// Tokens that an attacker can derive from what is public.
async fn forged(app: &App, ada: &Person, eve: &Person) -> Vec<(&'static str, String)> {
    let keys = app.get("/.well-known/jwks.json").await.expect(200);
    let key = &keys["keys"][0];
    let (kid, public) = (key["kid"].as_str().unwrap(), key["x"].as_str().unwrap());
    let genuine = ada.claims();
    let header = |fields: Value| URL_SAFE_NO_PAD.encode(fields.to_string());
    let payload = |claims: &Value| URL_SAFE_NO_PAD.encode(claims.to_string());
    let parts: Vec<&str> = ada.access_token.split('.').collect();
    let signature_of_eve = eve.access_token.split('.').nth(2).unwrap();
    let mut raised = genuine.clone();
    raised["role"] = json!("superuser");

    let with_secret = |secret: &[u8], header: Header| {
        jsonwebtoken::encode(&header, &genuine, &EncodingKey::from_secret(secret)).unwrap()
    };
    let hs256 = |kid: &str| Header {
        typ: Some("at+jwt".into()),
        kid: Some(kid.into()),
        ..Header::new(Algorithm::HS256)
    };
    let public_bytes = URL_SAFE_NO_PAD.decode(public).unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(
            [
                // The prefix of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410).
                &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..],
                &public_bytes,
            ]
            .concat()
        )
    );
    let own_key = EncodingKey::from_ed_der(&ED25519_PKCS8);
    let own = |kid: &str, typ: &str| {
        let header = Header {
            typ: Some(typ.into()),
            kid: Some(kid.into()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, &genuine, &own_key).unwrap()
    };
    vec![
        (
            "alg none",
            format!(
                "{}.{}.",
                header(json!({"alg": "none", "typ": "at+jwt", "kid": kid})),
                payload(&genuine)
            ),
        ),
        (
            "alg None with a signature",
            format!(
                "{}.{}.{}",
                header(json!({"alg": "None", "typ": "at+jwt", "kid": kid})),
                parts[1],
                parts[2]
            ),
        ),
        ("HS256 with the public key", with_secret(&public_bytes, hs256(kid))),
        (
            "HS256 with the public key as text",
            with_secret(public.as_bytes(), hs256(kid)),
        ),
        (
            "HS256 with the public key as PEM",
            with_secret(pem.as_bytes(), hs256(kid)),
        ),
        ("HS256 with an empty secret", with_secret(b"", hs256(kid))),
        ("a foreign kid", own("another-key", "at+jwt")),
        ("a foreign key under a known kid", own(kid, "at+jwt")),
        ("a kid that is a path", own("../../../../dev/null", "at+jwt")),
        ("a kid that is a query", own("x' union select '1", "at+jwt")),
        ("another typ", own(kid, "JWT")),
        ("a key of its own in the header", {
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": public});
            let header = header(json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid, "jwk": jwk}));
            format!("{header}.{}.{}", payload(&raised), parts[2])
        }),
        (
            "a raised role under the old signature",
            format!("{}.{}.{}", parts[0], payload(&raised), parts[2]),
        ),
        (
            "the signature of another token",
            format!("{}.{}.{signature_of_eve}", parts[0], parts[1]),
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("the refresh token", ada.refresh_token.clone()),
    ]
}

/// A key that the suite has never seen (RFC 8410 §10.3, an example).
const ED25519_PKCS8: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0xd4, 0xee, 0x72,
    0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1,
    0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
];

async fn a_token_in_a_wrong_place_is_no_token(app: App) {
    let ada = app.register().await;
    let get = || app.call(http::Method::GET, "/api/v1/todos");
    let token = &ada.access_token;
    let in_query = app.get(&format!("/api/v1/todos?access_token={token}")).await;
    assert!(matches!(in_query.status, 401 | 422), "{}", in_query.text());
    get()
        .header("cookie", &format!("access_token={token}"))
        .send()
        .await
        .problem(401, "token_missing");
    get()
        .header("authorization", &format!("Basic {token}"))
        .send()
        .await
        .problem(401, "token_missing");
    get()
        .header("authorization", &format!("bearer {token}"))
        .send()
        .await
        .expect(200);
}

async fn a_service_token_is_no_users_token(app: App) {
    let service = app.with_token(&app.service_token("todos"));
    for path in ["/api/v1/todos", "/api/v1/auth/me", "/api/v1/users/me"] {
        service.get(path).await.problem(403, "permission_denied");
    }
}

async fn a_public_method_admits_every_caller_with_any_token(app: App) {
    app.with_token("nonsense")
        .get("/.well-known/jwks.json")
        .await
        .expect(200);
    let ada = app.register().await;
    ada.post("/api/v1/auth/logout", json!({})).await.expect(204);
    let login = json!({"username_or_email": ada.username, "password": ada.password});
    ada.post("/api/v1/auth/login", login).await.expect(200);
}

#[tokio::test]
async fn an_expired_token_has_another_reason_than_an_invalid_one() {
    let app = App::own(&[("ACCESS_TOKEN_TTL", "1s")]);
    let ada = app.register().await;
    assert_eq!(
        ada.claims()["exp"].as_i64().unwrap() - ada.claims()["iat"].as_i64().unwrap(),
        1
    );
    quartet_tests::app::eventually(std::time::Duration::from_secs(3), "the token has expired", async || {
        (ada.get("/api/v1/todos").await.status == 401).then_some(())
    })
    .await;
    ada.get("/api/v1/todos").await.problem(401, "token_expired");
    let tokens = app
        .post("/api/v1/auth/refresh", json!({"refresh_token": ada.refresh_token}))
        .await
        .expect(200);
    ada.with_tokens(&tokens).get("/api/v1/todos").await.expect(200);
}

#[tokio::test]
async fn a_token_for_another_audience_or_of_another_issuer_is_refused() {
    for setting in ["TOKEN_AUDIENCE", "TOKEN_ISSUER"] {
        let mut app = App::own(&[(setting, "elsewhere")]);
        let ada = app.register().await;
        ada.get("/api/v1/todos").await.expect(200);
        // The same keys and sessions, for another audience or in another name.
        app.suite().kill();
        app.suite_mut().restart_with(&[(setting, "quartet")]);
        ada.get("/api/v1/todos").await.problem(401, "token_invalid");
        app.login(&ada).await.get("/api/v1/todos").await.expect(200);
    }
}

#[tokio::test]
async fn every_algorithm_of_the_settings_signs_valid_tokens() {
    let secret = "a shared secret of 32 characters!";
    for (algorithm, key_type) in [("ES256", Some("EC")), ("RS256", Some("RSA")), ("HS256", None)] {
        let app = App::own(&[("JWT_ALGORITHM", algorithm), ("JWT_HS256_SECRET", secret)]);
        let ada = app.register().await;
        let header = claims(&format!(".{}.", ada.access_token.split('.').next().unwrap()));
        assert_eq!(header["alg"], algorithm);
        ada.get("/api/v1/todos").await.expect(200);
        let keys = app.get("/.well-known/jwks.json").await.expect(200);
        let kinds: Vec<_> = keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["kty"].as_str().unwrap())
            .collect();
        assert!(key_type.is_none_or(|kind| kinds.contains(&kind)), "{keys}");
        assert!(
            !keys.to_string().contains("oct"),
            "a shared secret is not published: {keys}"
        );
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_gateway_and_services_within_a_second() {
    let app = App::own(&[]);
    let ada = app.register().await;
    ada.get("/api/v1/todos").await.expect(200);
    let header = claims(&format!(".{}.", ada.access_token.split('.').next().unwrap()));
    let kid = header["kid"].as_str().unwrap().to_owned();
    app.suite().command(&["keys", "revoke", &kid]);
    quartet_tests::app::eventually(std::time::Duration::from_secs(1), "the key is refused", async || {
        (ada.get("/api/v1/todos").await.status == 401).then_some(())
    })
    .await;
    ada.get("/api/v1/todos").await.problem(401, "token_invalid");
    // Its session lives on, with tokens of the key that has taken its place.
    let body = json!({"refresh_token": ada.refresh_token});
    let tokens = app.post("/api/v1/auth/refresh", body).await.expect(200);
    ada.with_tokens(&tokens).get("/api/v1/todos").await.expect(200);
}
