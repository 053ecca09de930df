//! OAuth 2.0 clients that are configured prove who they are (RFC 6749 §2.3).

use quartet_auth::domain::TotpSecret;
use quartet_proto::auth::v1 as pb;
use quartet_testkit::identity::for_client_at;
use time::Duration;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use crate::harness::{Auth, Kind, PASSWORD, reason, start, start_with, with_token};

/// SHA-256 of `the secret of the client named web 1`, and of `the secret of the client named app 2`.
const CLIENTS: &[(&str, &str)] = &[(
    "OAUTH_CLIENTS",
    "web=sha256:d5f75e317b2ffdd267e352e7b705aa1f59cf4aaa0e281fae0d6475048b45ce83,\
     app=sha256:8a8163cb28373346c1282958a558ee75691b2c80e40131203916ebcabf833e61, page=public",
)];
const WEB: &str = "the secret of the client named web 1";
const APP: &str = "the secret of the client named app 2";

/// Each test twice: over SQLite, and over PostgreSQL where there is a server.
macro_rules! clients_on_both {
    ($($name:ident,)*) => {
        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(start_with(Kind::Sqlite, CLIENTS).await).await; })*
        }
        mod postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs PostgreSQL: make test"]
            async fn $name() { super::$name(start_with(Kind::Postgres, CLIENTS).await).await; })*
        }
    };
}

clients_on_both!(
    a_client_proves_who_it_is_by_its_secret,
    a_refresh_token_is_of_the_client_that_it_was_issued_to,
    guesses_at_a_secret_are_slowed_per_client_and_address,
    an_unknown_client_is_no_account_of_that_name,
    a_login_is_completed_by_the_client_that_began_it,
    a_client_introspects_with_its_secret_alone,
);

/// How a client proves who it is.
#[derive(Clone, Copy)]
enum By<'a> {
    Nothing,
    Body(&'a str, &'a str),
    /// The credentials of HTTP Basic, encoded.
    Basic(&'a str),
}

/// `web:the+secret+of+the+client+named+web+1`
const WEB_BASIC: &str = "d2ViOnRoZStzZWNyZXQrb2YrdGhlK2NsaWVudCtuYW1lZCt3ZWIrMQ==";
/// `web:wrong`
const WRONG_BASIC: &str = "d2ViOndyb25n";

impl By<'_> {
    fn body(self) -> (String, String) {
        match self {
            Self::Body(id, secret) => (id.into(), secret.into()),
            Self::Nothing | Self::Basic(_) => (String::new(), String::new()),
        }
    }

    fn request<T>(self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Self::Basic(credentials) = self {
            let value = format!("Basic {credentials}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }
}

fn password_grant(by: By<'_>) -> pb::TokenRequest {
    let (client_id, client_secret) = by.body();
    pb::TokenRequest {
        grant_type: "password".into(),
        username: "ann".into(),
        password: PASSWORD.into(),
        client_id,
        client_secret,
        ..Default::default()
    }
}

async fn token(auth: &Auth, by: By<'_>) -> Result<pb::TokenResponse, Status> {
    let request = by.request(password_grant(by));
    auth.client.clone().token(request).await.map(Response::into_inner)
}

async fn refresh(auth: &Auth, refresh_token: &str, by: By<'_>) -> Result<pb::TokenResponse, Status> {
    let request = by.request(pb::TokenRequest {
        grant_type: "refresh_token".into(),
        refresh_token: refresh_token.into(),
        ..password_grant(by)
    });
    auth.client.clone().token(request).await.map(Response::into_inner)
}

async fn revoke(auth: &Auth, token: &str, by: By<'_>) -> String {
    let (client_id, client_secret) = by.body();
    let request = by.request(pb::RevokeTokenRequest {
        token: token.into(),
        token_type_hint: String::new(),
        client_id,
        client_secret,
    });
    reason(&auth.oauth().revoke_token(request).await)
}

async fn introspect(auth: &Auth, token: &str, by: By<'_>) -> Result<pb::IntrospectTokenForClientResponse, Status> {
    let (client_id, client_secret) = by.body();
    let request = by.request(pb::IntrospectTokenForClientRequest {
        token: token.into(),
        token_type_hint: String::new(),
        client_id,
        client_secret,
    });
    let reply = auth.oauth().introspect_token_for_client(request).await;
    reply.map(Response::into_inner)
}

async fn a_client_proves_who_it_is_by_its_secret(auth: Auth) {
    let ann = auth.register("ann").await;
    for by in [By::Body("web", WEB), By::Basic(WEB_BASIC), By::Body("page", "")] {
        token(&auth, by).await.unwrap();
    }
    for by in [
        By::Nothing,
        By::Body("web", ""),
        By::Body("web", APP),
        By::Body("page", WEB),
        By::Body("other", WEB),
        By::Body("", WEB),
        By::Basic(WRONG_BASIC),
        By::Basic("no base64"),
    ] {
        assert_eq!(reason(&token(&auth, by).await), "INVALID_CLIENT");
        auth.clock.advance(Duration::minutes(6));
    }
    assert_eq!(revoke(&auth, &ann.refresh_token, By::Nothing).await, "INVALID_CLIENT");
    // One way at a time, and one client.
    let both = |client_id: &str, client_secret: &str| {
        By::Basic(WEB_BASIC).request(pb::TokenRequest {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            ..password_grant(By::Nothing)
        })
    };
    for (request, expected) in [
        (both("web", WEB), "VALIDATION_FAILED"),
        (both("app", ""), "INVALID_CLIENT"),
        (both("web", ""), ""),
    ] {
        assert_eq!(reason(&auth.client.clone().token(request).await), expected);
    }
    // Those who do not come by OAuth 2.0 go on as before.
    auth.login("ann", PASSWORD, "").await.unwrap();
    auth.refresh(&ann.refresh_token).await.unwrap();

    // Operators see who has tried.
    let (_, root) = auth.superuser("root").await;
    let request = pb::ListSecurityEventsRequest {
        account: "*".into(),
        r#type: "authn_login_fail".into(),
        ..Default::default()
    };
    let events = auth
        .events()
        .list_security_events(with_token(request, &root))
        .await
        .unwrap()
        .into_inner();
    let details: Vec<_> = events.data.iter().map(|event| event.detail.as_str()).collect();
    assert!(
        details.contains(&"client web") && details.contains(&"no client"),
        "{details:?}"
    );
}

async fn a_refresh_token_is_of_the_client_that_it_was_issued_to(auth: Auth) {
    let ann = auth.register("ann").await;
    let (web, app) = (By::Body("web", WEB), By::Body("app", APP));
    let tokens = token(&auth, web).await.unwrap();
    // Nobody else exchanges it or gives it up, and nothing ends by that.
    assert_eq!(
        reason(&refresh(&auth, &tokens.refresh_token, app).await),
        "INVALID_REFRESH_TOKEN"
    );
    assert_eq!(
        reason(&auth.refresh(&tokens.refresh_token).await),
        "INVALID_REFRESH_TOKEN"
    );
    assert_eq!(revoke(&auth, &tokens.refresh_token, app).await, "INVALID_REFRESH_TOKEN");
    assert_eq!(
        reason(&refresh(&auth, &ann.refresh_token, web).await),
        "INVALID_REFRESH_TOKEN",
        "it is of no client"
    );
    let tokens = refresh(&auth, &tokens.refresh_token, By::Basic(WEB_BASIC))
        .await
        .unwrap();
    auth.me(&tokens.access_token).await.unwrap();
    // A new password changes nothing about whose it is.
    let tokens = auth
        .replace_password(&tokens.access_token, PASSWORD, "another good password")
        .await
        .unwrap();
    assert_eq!(
        reason(&auth.refresh(&tokens.refresh_token).await),
        "INVALID_REFRESH_TOKEN"
    );
    let tokens = refresh(&auth, &tokens.refresh_token, web).await.unwrap();
    assert_eq!(revoke(&auth, &tokens.refresh_token, web).await, "");
    auth.until_revoked(&tokens.access_token).await;
    assert_eq!(revoke(&auth, "unknown", web).await, "");
}

async fn guesses_at_a_secret_are_slowed_per_client_and_address(auth: Auth) {
    auth.register("ann").await;
    let guess = async |client: &str, secret: &str, address: &str| {
        let mut request = Request::new(password_grant(By::Body(client, secret)));
        for_client_at(&mut request, address, &auth.clock);
        reason(&auth.client.clone().token(request).await)
    };
    for n in 0..5 {
        assert_eq!(
            guess("web", &format!("guess {n}"), "203.0.113.7").await,
            "INVALID_CLIENT"
        );
    }
    assert_eq!(guess("web", "guess", "203.0.113.7").await, "TOO_MANY_ATTEMPTS");
    // Others who guess do not keep the client out, and another one there does not wait.
    assert_eq!(guess("web", WEB, "203.0.113.7").await, "");
    assert_eq!(guess("web", "guess", "203.0.113.7").await, "TOO_MANY_ATTEMPTS");
    assert_eq!(guess("web", "guess", "203.0.113.8").await, "INVALID_CLIENT");
    assert_eq!(guess("app", "guess", "203.0.113.7").await, "INVALID_CLIENT");
    for n in 0..5 {
        assert_eq!(
            guess(&format!("other{n}"), "guess", "203.0.113.7").await,
            "INVALID_CLIENT"
        );
    }
    assert_eq!(guess("other9", "guess", "203.0.113.7").await, "TOO_MANY_ATTEMPTS");
    // A public client has nothing to guess.
    for n in 0..6 {
        assert_eq!(guess("page", "", "203.0.113.7").await, "", "{n}");
    }
    auth.clock.advance(Duration::seconds(1));
    assert_eq!(guess("web", "guess", "203.0.113.7").await, "INVALID_CLIENT");
}

async fn an_unknown_client_is_no_account_of_that_name(auth: Auth) {
    auth.register("client").await;
    auth.register("ann").await;
    assert_eq!(
        reason(&auth.login("client", "wrong", "203.0.113.7").await),
        "INVALID_CREDENTIALS"
    );
    for n in 0..2 {
        let mut request = Request::new(password_grant(By::Body("other", "guess")));
        for_client_at(&mut request, "203.0.113.7", &auth.clock);
        let mut client = auth.client.clone();
        let refused = tokio::time::timeout(std::time::Duration::from_secs(10), client.token(request)).await;
        assert_eq!(reason(&refused.unwrap()), "INVALID_CLIENT", "{n}");
    }
    auth.login("client", PASSWORD, "203.0.113.7").await.unwrap();
}

async fn a_login_is_completed_by_the_client_that_began_it(auth: Auth) {
    let ann = auth.register("ann").await;
    let request = with_token(pb::EnrolSecondFactorRequest {}, &ann.access_token);
    let enrolled = auth.factors().enrol_second_factor(request).await.unwrap().into_inner();
    let secret = TotpSecret::from_base32(&enrolled.secret).unwrap();
    let code = secret.code_at(auth.clock.now());
    let request = with_token(pb::ConfirmSecondFactorRequest { code }, &ann.access_token);
    let confirmed = auth
        .factors()
        .confirm_second_factor(request)
        .await
        .unwrap()
        .into_inner();

    let challenge = async |by: Option<By<'_>>| {
        let refused = match by {
            Some(by) => token(&auth, by).await.unwrap_err(),
            None => auth.login("ann", PASSWORD, "").await.unwrap_err(),
        };
        refused.get_details_error_info().unwrap().metadata["challenge"].clone()
    };
    let complete = async |challenge: &str, code: usize, by: Option<By<'_>>| {
        let (challenge, otp) = (challenge.to_owned(), confirmed.recovery_codes[code].clone());
        let Some(by) = by else {
            let request = pb::CompleteLoginRequest {
                challenge,
                code: otp,
                ..Default::default()
            };
            return reason(&auth.factors().complete_login(request).await);
        };
        let request = pb::TokenRequest {
            grant_type: "urn:quartet:grant-type:mfa-otp".into(),
            mfa_token: challenge,
            otp,
            ..password_grant(by)
        };
        reason(&auth.client.clone().token(by.request(request)).await)
    };
    let ways = [Some(By::Body("web", WEB)), Some(By::Body("page", "")), None];
    for (n, began) in ways.into_iter().enumerate() {
        let challenge = challenge(began).await;
        for (other, by) in ways.into_iter().enumerate().filter(|(other, _)| *other != n) {
            assert_eq!(complete(&challenge, n, by).await, "INVALID_CHALLENGE", "{n} {other}");
        }
        assert_eq!(complete(&challenge, n, began).await, "", "{n}");
    }
}

async fn a_client_introspects_with_its_secret_alone(auth: Auth) {
    let ann = auth.register("ann").await;
    for by in [By::Nothing, By::Body("page", ""), By::Body("web", APP)] {
        assert_eq!(
            reason(&introspect(&auth, &ann.access_token, by).await),
            "INVALID_CLIENT"
        );
    }
    let mut request = with_token(
        pb::IntrospectTokenForClientRequest {
            token: ann.access_token.clone(),
            ..Default::default()
        },
        &ann.access_token,
    );
    request.set_timeout(std::time::Duration::from_secs(20));
    let by_user = auth.oauth().introspect_token_for_client(request).await;
    assert_eq!(reason(&by_user), "INVALID_CLIENT", "a user is no client");
    for by in [By::Basic(WEB_BASIC), By::Body("app", APP)] {
        let token = introspect(&auth, &ann.access_token, by).await.unwrap();
        assert!(token.active);
        assert_eq!(token.sub, Some(ann.user.clone().unwrap().id));
        assert_eq!(token.exp, token.iat.map(|iat| iat + 900));
        assert_eq!(token.client_id.as_deref(), Some("quartet"), "it is of no client");
        let forged = introspect(&auth, &format!("{}x", ann.access_token), by).await.unwrap();
        assert_eq!(forged, pb::IntrospectTokenForClientResponse::default());
    }
    let of_web = token(&auth, By::Body("web", WEB)).await.unwrap();
    let of_web = introspect(&auth, &of_web.access_token, By::Body("app", APP))
        .await
        .unwrap();
    assert_eq!(of_web.client_id.as_deref(), Some("web"));
    let request = auth.as_service(pb::IntrospectTokenForClientRequest {
        token: ann.access_token.clone(),
        ..Default::default()
    });
    assert!(
        auth.oauth()
            .introspect_token_for_client(request)
            .await
            .unwrap()
            .into_inner()
            .active
    );
}

#[tokio::test]
async fn clients_are_not_looked_at_where_none_is_configured() {
    let auth = start().await;
    let ann = auth.register("ann").await;
    for by in [
        By::Nothing,
        By::Body("web", "wrong"),
        By::Basic(WRONG_BASIC),
        By::Basic("no base64"),
    ] {
        let tokens = token(&auth, by).await.unwrap();
        let tokens = refresh(&auth, &tokens.refresh_token, By::Nothing).await.unwrap();
        assert_eq!(revoke(&auth, &tokens.refresh_token, by).await, "");
        assert_eq!(
            reason(&introspect(&auth, &ann.access_token, by).await),
            "INVALID_CLIENT"
        );
    }
}

#[tokio::test]
async fn the_metadata_lists_how_clients_prove_who_they_are() {
    let metadata = async |settings: &[(&str, &str)]| {
        let auth = start_with(Kind::Sqlite, settings).await;
        let metadata = auth.oauth().get_server_metadata(pb::GetServerMetadataRequest {}).await;
        metadata.unwrap().into_inner()
    };
    let secrets = ["client_secret_basic", "client_secret_post"];
    let none = metadata(&[]).await;
    assert_eq!(none.token_endpoint_auth_methods_supported, ["none"]);
    assert_eq!(
        (
            none.introspection_endpoint,
            none.introspection_endpoint_auth_methods_supported.len()
        ),
        (None, 0)
    );
    let public = metadata(&[("OAUTH_CLIENTS", "page=public")]).await;
    assert_eq!(public.token_endpoint_auth_methods_supported, ["none"]);
    assert_eq!(public.introspection_endpoint, None);
    let all = metadata(CLIENTS).await;
    assert_eq!(
        all.token_endpoint_auth_methods_supported,
        [secrets[0], secrets[1], "none"]
    );
    assert_eq!(
        all.revocation_endpoint_auth_methods_supported,
        [secrets[0], secrets[1], "none"]
    );
    assert_eq!(all.introspection_endpoint_auth_methods_supported, secrets);
    assert!(all.introspection_endpoint.unwrap().ends_with("/api/v1/auth/introspect"));
}
