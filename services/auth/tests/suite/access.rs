//! Tokens and keys: what verifies, and what never does.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use quartet_auth::admin;
use quartet_auth::domain::KeyState;
use quartet_proto::auth::v1 as pb;
use quartet_rpc::token::AccessClaims;
use serde_json::json;
use time::Duration;

use crate::harness::{Auth, Kind, PASSWORD, eventually, reason, start, start_with, with_token};

fn part(token: &str, number: usize) -> serde_json::Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn claims(token: &str) -> AccessClaims {
    serde_json::from_value(part(token, 1)).unwrap()
}

fn kid(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

async fn jwks(auth: &Auth) -> Vec<pb::Jwk> {
    auth.client
        .clone()
        .get_jwks(pb::GetJwksRequest {})
        .await
        .unwrap()
        .into_inner()
        .keys
}

#[tokio::test]
async fn an_access_token_has_the_claims_of_rfc_9068() {
    let auth = start().await;
    let reply = auth.register("ann").await;
    let header = part(&reply.access_token, 0);
    assert_eq!(
        (header["typ"].as_str(), header["alg"].as_str()),
        (Some("at+jwt"), Some("EdDSA"))
    );
    let claims = claims(&reply.access_token);
    let now = auth.clock.now().unix_timestamp();
    assert_eq!((claims.iat, claims.exp), (now, now + 900));
    assert_eq!(
        (claims.iss.as_str(), claims.aud.as_str(), claims.role.as_str()),
        ("quartet", "quartet", "user")
    );
    assert_eq!(claims.sub, reply.user.unwrap().id);
    assert!(!claims.jti.is_empty() && !claims.client_id.is_empty());
    let keys = jwks(&auth).await;
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (keys[0].kid.as_str(), keys[0].r#use.as_str()),
        (header["kid"].as_str().unwrap(), "sig")
    );
}

#[tokio::test]
async fn tokens_of_every_algorithm_verify() {
    for (algorithm, kty) in [("EdDSA", "OKP"), ("ES256", "EC"), ("RS256", "RSA"), ("HS256", "")] {
        let auth = start_with(Kind::Sqlite, &[("JWT_ALGORITHM", algorithm)]).await;
        let reply = auth.register("ann").await;
        assert_eq!(part(&reply.access_token, 0)["alg"], algorithm);
        auth.me(&reply.access_token).await.unwrap();
        let kinds: Vec<String> = jwks(&auth).await.into_iter().map(|key| key.kty).collect();
        let expected: Vec<&str> = [kty].into_iter().filter(|kty| !kty.is_empty()).collect();
        assert_eq!(kinds, expected, "a shared secret is never published");
    }
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let auth = start().await;
    let reply = auth.register("ann").await;
    let good = &reply.access_token;
    let claims = claims(good);
    let public = jwks(&auth).await.remove(0);
    let typed = |algorithm, kid: &str| Header {
        typ: Some("at+jwt".into()),
        kid: Some(kid.to_owned()),
        ..Header::new(algorithm)
    };
    let key = auth.store.list_keys(&auth.cx()).await.unwrap().remove(0).encoding_key();
    let sign =
        |header: &Header, claims: &AccessClaims, key: &EncodingKey| jsonwebtoken::encode(header, claims, key).unwrap();
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let payload = good.split('.').nth(1).unwrap();
    let none = encode(serde_json::json!({"alg": "none", "typ": "at+jwt", "kid": public.kid}));
    let public_bytes = URL_SAFE_NO_PAD.decode(public.x.as_deref().unwrap()).unwrap();
    let foreign = EncodingKey::from_ed_der(
        &quartet_auth::domain::SigningKey::generate(
            quartet_auth::domain::Algorithm::EdDsa,
            &auth.clock,
            auth.clock.now(),
        )
        .unwrap()
        .private_key,
    );
    let ours = typed(Algorithm::EdDSA, &public.kid);
    let with = |change: fn(&mut AccessClaims)| {
        let mut changed = claims.clone();
        change(&mut changed);
        changed
    };
    // The key itself is right: what follows fails for the one thing that is wrong with it.
    auth.me(&sign(&ours, &claims, &key)).await.unwrap();

    let forged = [
        ("alg none", format!("{none}.{payload}.")),
        (
            "HS256 signed with the public key",
            sign(
                &typed(Algorithm::HS256, &public.kid),
                &claims,
                &EncodingKey::from_secret(&public_bytes),
            ),
        ),
        ("a foreign key under our kid", sign(&ours, &claims, &foreign)),
        (
            "a foreign kid",
            sign(&typed(Algorithm::EdDSA, "foreign"), &claims, &foreign),
        ),
        (
            "no kid",
            sign(
                &Header {
                    kid: None,
                    ..ours.clone()
                },
                &claims,
                &key,
            ),
        ),
        (
            "another kind",
            sign(
                &Header {
                    typ: Some("JWT".into()),
                    ..ours.clone()
                },
                &claims,
                &key,
            ),
        ),
        (
            "another audience",
            sign(&ours, &with(|claims| claims.aud = "others".into()), &key),
        ),
        (
            "another issuer",
            sign(&ours, &with(|claims| claims.iss = "others".into()), &key),
        ),
        (
            "an unknown role",
            sign(&ours, &with(|claims| claims.role = "root".into()), &key),
        ),
        ("a refresh token", reply.refresh_token.clone()),
        ("a changed payload", {
            let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
            parts[1] = encode(serde_json::to_value(with(|claims| claims.role = "superuser".into())).unwrap());
            parts.join(".")
        }),
        ("nothing like a token", "x".repeat(5_000)),
    ];
    for (what, token) in forged {
        assert_eq!(reason(&auth.me(&token).await), "TOKEN_INVALID", "{what}");
    }
    auth.clock.advance(Duration::minutes(15));
    assert_eq!(reason(&auth.me(good).await), "TOKEN_EXPIRED");
}

#[tokio::test]
async fn a_genuine_signature_makes_no_untimely_token_count() {
    let auth = start().await;
    let good = auth.register("ann").await.access_token;
    auth.me(&good).await.unwrap();
    let key = auth.store.list_keys(&auth.cx()).await.unwrap().remove(0).encoding_key();
    let header = Header {
        typ: Some("at+jwt".into()),
        kid: Some(kid(&good)),
        ..Header::new(Algorithm::EdDSA)
    };
    let sign = |header: &Header, changes: serde_json::Value| {
        let mut claims = part(&good, 1);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        jsonwebtoken::encode(header, &claims, &key).unwrap()
    };
    let now = auth.clock.now().unix_timestamp();
    let day = 86_400;
    auth.me(&sign(&header, json!({"iat": now, "exp": now + day})))
        .await
        .unwrap();
    auth.me(&sign(&header, json!({"iat": now + 30, "nbf": now + 30})))
        .await
        .unwrap();
    let critical = Header {
        crit: Some(vec!["b64".into()]),
        ..header.clone()
    };
    for (what, token) in [
        ("a life of ten years", sign(&header, json!({"exp": now + 3_650 * day}))),
        (
            "a life of more than a day",
            sign(&header, json!({"iat": now, "exp": now + day + 1})),
        ),
        ("not before tomorrow", sign(&header, json!({"nbf": now + day}))),
        (
            "issued tomorrow",
            sign(&header, json!({"iat": now + day, "exp": now + day + 60})),
        ),
        ("an nbf that is no number", sign(&header, json!({"nbf": "now"}))),
        ("a critical extension", sign(&critical, json!({}))),
    ] {
        assert_eq!(reason(&auth.me(&token).await), "TOKEN_INVALID", "{what}");
    }
    let expired = sign(&header, json!({"iat": now - 60, "exp": now - 1}));
    assert_eq!(reason(&auth.me(&expired).await), "TOKEN_EXPIRED");
}

#[tokio::test]
async fn a_service_token_lives_for_minutes_at_the_most() {
    let auth = start().await;
    let key = EncodingKey::from_secret(quartet_testkit::identity::SERVICE_SECRET.as_bytes());
    let header = Header {
        typ: Some("service+jwt".into()),
        ..Header::new(Algorithm::HS256)
    };
    let now = auth.clock.now().unix_timestamp();
    let watch = async |claims: serde_json::Value| {
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        let request = with_token(pb::WatchRevocationsRequest {}, &token);
        auth.client.clone().watch_revocations(request).await
    };
    let claims = |exp: i64| json!({"aud": "quartet", "sub": "todos", "exp": exp});
    watch(claims(now + 60)).await.unwrap();
    let ten_years = watch(claims(now + 3_650 * 86_400)).await;
    assert_eq!(reason(&ten_years), "TOKEN_INVALID");
    let mut long = claims(now + 301);
    long["iat"] = now.into();
    assert_eq!(reason(&watch(long).await), "TOKEN_INVALID");
}

#[tokio::test]
async fn a_revoked_key_counts_nowhere_within_a_second() {
    revoke_everywhere(Kind::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn a_revoked_key_counts_nowhere_within_a_second_on_postgresql() {
    revoke_everywhere(Kind::Postgres).await;
}

async fn revoke_everywhere(kind: Kind) {
    let auth = start_with(kind, &[]).await;
    let other = auth.another(&[]).await;
    let token = auth.register("ann").await.access_token;
    // Both have verified and remembered the token.
    for process in [&auth, &other] {
        process.me(&token).await.unwrap();
    }
    let revoke =
        async |kid: &str| admin::revoke_key(&*auth.store, &auth.clock, &auth.config.own, kid, &auth.cx()).await;
    assert!(matches!(
        revoke("unknown").await,
        Err(quartet_auth::Error::KeyNotFound { .. })
    ));
    auth.clock.advance(Duration::seconds(1));
    let begun = std::time::Instant::now();
    revoke(&kid(&token)).await.unwrap();
    for process in [&auth, &other] {
        eventually(async || reason(&process.me(&token).await) == "TOKEN_INVALID").await;
    }
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    for process in [&auth, &other] {
        assert!(jwks(process).await.iter().all(|key| key.kid != kid(&token)));
    }
    // Another key signs at once, everywhere.
    let fresh = other.login("ann", PASSWORD, "").await.unwrap().access_token;
    eventually(async || auth.me(&fresh).await.is_ok() && other.me(&fresh).await.is_ok()).await;
    // Revoking it again changes nothing.
    revoke(&kid(&token)).await.unwrap();
    auth.me(&fresh).await.unwrap();
    let states = admin::list_keys(&*auth.store, &auth.cx()).await.unwrap();
    let states: Vec<_> = states.iter().map(|key| key.state.name()).collect();
    assert_eq!(states, ["expired", "active"]);
}

#[tokio::test]
async fn policies_hold_for_anonymous_users_and_services() {
    let auth = start().await;
    let token = auth.register("ann").await.access_token;
    let mut client = auth.client.clone();
    let anonymous = client.get_me(pb::GetMeRequest {}).await;
    assert_eq!(reason(&anonymous), "TOKEN_MISSING");
    let service = client.get_me(auth.as_service(pb::GetMeRequest {})).await;
    assert_eq!(reason(&service), "PERMISSION_DENIED");
    let role = client.set_role(with_token(pb::SetRoleRequest::default(), &token)).await;
    assert_eq!(reason(&role), "PERMISSION_DENIED");
    let watch = client
        .watch_revocations(with_token(pb::WatchRevocationsRequest {}, &token))
        .await;
    assert_eq!(reason(&watch), "PERMISSION_DENIED");
    let purge = client
        .purge_account(with_token(pb::PurgeAccountRequest::default(), &token))
        .await;
    assert_eq!(reason(&purge), "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_rotated_key_signs_in_every_process_and_the_old_one_verifies_until_its_tokens_are_gone() {
    let auth = start().await;
    let other = auth.another(&[]).await;
    let old = auth.register("ann").await.access_token;
    other.me(&old).await.unwrap();

    let made = admin::rotate_keys(&*auth.store, &auth.clock, &auth.config.own, &auth.cx())
        .await
        .unwrap();
    assert_eq!(made.state, KeyState::Next);
    for process in [&auth, &other] {
        eventually(async || jwks(process).await.len() == 2).await;
        let token = process.login("ann", PASSWORD, "").await.unwrap().access_token;
        assert_eq!(kid(&token), kid(&old), "published, but not signing yet");
    }
    auth.clock.advance(Duration::seconds(6));
    for (signer, verifier) in [(&auth, &other), (&other, &auth)] {
        let new = signer.login("ann", PASSWORD, "").await.unwrap().access_token;
        assert_eq!(kid(&new), made.kid);
        eventually(async || verifier.me(&new).await.is_ok()).await;
        verifier.me(&old).await.unwrap();
    }
    let states = async || {
        let keys = admin::list_keys(&*auth.store, &auth.cx()).await.unwrap();
        keys.iter().map(|key| key.state.name()).collect::<Vec<_>>()
    };
    assert_eq!(states().await, ["retired", "active"]);
    auth.clock.advance(Duration::minutes(16));
    assert_eq!(states().await, ["expired", "active"]);
    assert_eq!(jwks(&auth).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_at_once_agree_on_one_key() {
    agree(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn processes_that_start_at_once_agree_on_one_key_on_postgresql() {
    agree(Kind::Postgres).await;
}

async fn agree(kind: Kind) {
    // The first key is made by `start`; another algorithm has none yet.
    let auth = Arc::new(start_with(kind, &[]).await);
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let auth = auth.clone();
            tokio::spawn(async move { auth.another(&[("JWT_ALGORITHM", "ES256")]).await })
        })
        .collect();
    for start in starts {
        start.await.unwrap();
    }
    let keys = auth.store.list_keys(&auth.cx()).await.unwrap();
    assert_eq!(keys.len(), 2);

    let rotations: Vec<_> = (0..4)
        .map(|_| {
            let auth = auth.clone();
            tokio::spawn(
                async move { admin::rotate_keys(&*auth.store, &auth.clock, &auth.config.own, &auth.cx()).await },
            )
        })
        .collect();
    let mut rotated = 0;
    for rotation in rotations {
        rotated += usize::from(rotation.await.unwrap().is_ok());
    }
    assert!(rotated >= 1);
    let keys = auth.store.list_keys(&auth.cx()).await.unwrap();
    let current = keys.iter().filter(|key| key.retired_at.is_none()).count();
    assert_eq!((keys.len(), current), (2 + rotated, 2), "one current key per algorithm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_changed_never_counts() {
    use quartet_testkit::identity::Identity;
    let clock = quartet_clock::Clock::system();
    let host = quartet_testkit::stack::host("tests", &clock, quartet_rpc::Upstream::local("auth").0);
    let verifier = host.verifier();
    let good = Identity::user(&clock).token;
    verifier.verify(&good).await.unwrap();
    let pieces: Vec<&str> = good.split('.').collect();
    let parts = [
        pieces[0],
        pieces[1],
        pieces[2],
        ".",
        "..",
        "=",
        "e30",
        "eyJhbGciOiJub25lIn0",
        "eyJleHAiOjF9",
        "A",
        "-",
        "_",
        &good,
    ];
    quartet_testkit::random::rounds(5_000, |random| {
        let mut text = random.text(&parts, 6);
        if random.below(2) == 0 && text.is_char_boundary(good.len().min(text.len())) {
            text = format!("{}{}", &good[..random.below(good.len())], text);
        }
        let forged = text.trim() != good;
        let runtime = tokio::runtime::Handle::current();
        let verified = tokio::task::block_in_place(|| runtime.block_on(verifier.verify(&text)));
        assert!(!forged || verified.is_err(), "{text:?}");
    });
}

#[tokio::test]
async fn a_process_that_never_had_the_ended_sessions_takes_no_token() {
    use quartet_testkit::identity::{HS256_SECRET, Identity, SERVICE_SECRET};
    let clock = quartet_clock::Clock::system();
    let settings = [
        ("SERVICE_TOKEN_SECRET", SERVICE_SECRET),
        ("JWT_HS256_SECRET", HS256_SECRET),
    ];
    let config = quartet_rpc::Config::read(&quartet_config::Source::of(settings)).unwrap();
    let away = |name| quartet_rpc::Upstream::local(name).0;
    let host = quartet_rpc::host::Host::new("tests", config, clock.clone(), away("auth"), away("users")).unwrap();
    let token = Identity::user(&clock).token;
    let refused = host.verifier().verify(&token).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(!host.verifier().is_ready());
    host.revocations().up();
    host.verifier().verify(&token).await.unwrap();
}
