//! What OAuth 2.0 clients find: errors, revocation and metadata.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use quartet_tests::app::eventually;
use quartet_tests::person::claims;
use quartet_tests::{App, Reply, on_every_topology};

on_every_topology!(
    the_token_endpoint_fails_as_oauth_clients_expect,
    the_token_endpoint_ignores_what_it_does_not_know,
    a_revoked_refresh_token_ends_its_session,
    the_authorization_server_describes_itself,
);

async fn form(app: &App, path: &str, fields: &[(&str, &str)]) -> Reply {
    app.call(Method::POST, path).form(fields).send().await
}

const TOKEN: &str = "/api/v1/auth/token";

async fn the_token_endpoint_fails_as_oauth_clients_expect(app: App) {
    let ada = app.register().await;
    let wrong = [
        ("grant_type", "password"),
        ("username", &ada.username),
        ("password", "not the password"),
    ];
    for (fields, error) in [
        (&wrong[..], "invalid_grant"),
        (&wrong[..1], "invalid_request"),
        (&[("grant_type", "client_credentials")][..], "unsupported_grant_type"),
        (
            &[("grant_type", "refresh_token"), ("refresh_token", "unknown")][..],
            "invalid_grant",
        ),
        (&[("scope", "x")][..], "invalid_request"),
    ] {
        let reply = form(&app, TOKEN, fields).await;
        let failure = reply.expect(400);
        assert_eq!(failure["error"], error, "{failure}");
        assert!(
            failure["error_description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{failure}"
        );
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("www-authenticate"), None);
    }
}

async fn the_token_endpoint_ignores_what_it_does_not_know(app: App) {
    let ada = app.register().await;
    let fields = [
        ("grant_type", "password"),
        ("username", ada.username.as_str()),
        ("password", ada.password.as_str()),
        ("resource", "https://example.org/"),
        ("nested.thing", "1"),
    ];
    form(&app, TOKEN, &fields).await.expect(200);
    // Other endpoints refuse it by name.
    let body = json!({"username": ada.username, "password": ada.password, "resource": "x"});
    app.post("/api/v1/auth/login", body).await.invalid("resource");
}

async fn a_revoked_refresh_token_ends_its_session(app: App) {
    const REVOKE: &str = "/api/v1/auth/revoke";
    let ada = app.register().await;
    let fields = [
        ("token", ada.refresh_token.as_str()),
        ("token_type_hint", "refresh_token"),
    ];
    form(&app, REVOKE, &fields).await.expect(200);
    eventually(Duration::from_secs(1), "the session has ended", async || {
        (ada.get("/api/v1/todos").await.status == 401).then_some(())
    })
    .await;
    let body = json!({"refresh_token": ada.refresh_token});
    app.post("/api/v1/auth/refresh", body)
        .await
        .problem(401, "invalid_refresh_token");
    // Again, and what is no token at all, is as good as revoked.
    form(&app, REVOKE, &fields).await.expect(200);
    form(&app, REVOKE, &[("token", "unknown")]).await.expect(200);
    let access = form(&app, REVOKE, &[("token", &ada.access_token)]).await;
    assert_eq!(access.expect(400)["error"], "unsupported_token_type");
    let nothing = form(&app, REVOKE, &[("token_type_hint", "refresh_token")]).await;
    assert_eq!(nothing.expect(400)["error"], "invalid_request");
}

async fn the_authorization_server_describes_itself(app: App) {
    let metadata = app.get("/.well-known/oauth-authorization-server").await.expect(200);
    let path = |name: &str| {
        let url = metadata[name].as_str().unwrap();
        let issuer = metadata["issuer"].as_str().unwrap();
        url.strip_prefix(issuer).unwrap_or(url).to_owned()
    };
    let keys = path("jwks_uri");
    assert!(app.get(&keys[keys.find("/.well-known").unwrap()..]).await.status == 200);
    for name in ["token_endpoint", "revocation_endpoint"] {
        let path = path(name);
        let reply = form(&app, &path[path.find("/api").unwrap()..], &[]).await;
        assert_eq!(reply.expect(400)["error"], "invalid_request", "{path}");
    }
    assert_eq!(metadata["grant_types_supported"][0], "password");
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], json!(["none"]));
}

/// A client with a secret, and one without: the setting has the SHA-256 of the secret.
const CLIENTS: &str = "web=sha256:d5f75e317b2ffdd267e352e7b705aa1f59cf4aaa0e281fae0d6475048b45ce83,page=public";
const SECRET: &str = "the secret of the client named web 1";
/// `web:` and the secret, as a form has them, for HTTP Basic.
const BASIC: &str = "Basic d2ViOnRoZStzZWNyZXQrb2YrdGhlK2NsaWVudCtuYW1lZCt3ZWIrMQ==";

#[tokio::test]
async fn a_configured_client_has_to_prove_who_it_is() {
    const INTROSPECT: &str = "/api/v1/auth/introspect";
    const REVOKE: &str = "/api/v1/auth/revoke";
    let app = App::own(&[("OAUTH_CLIENTS", CLIENTS)]);
    let ada = app.register().await;
    let login = [
        ("grant_type", "password"),
        ("username", ada.username.as_str()),
        ("password", ada.password.as_str()),
    ];
    let basic = |path: &str, credentials: &str, fields: &[(&str, &str)]| {
        let call = app.call(Method::POST, path).header("authorization", credentials);
        call.form(fields).send()
    };
    let with = |fields: &[(&'static str, &'static str)]| {
        let all: Vec<_> = login.iter().copied().chain(fields.iter().copied()).collect();
        all
    };
    // Who does not, or not rightly, is refused at each endpoint.
    for refused in [
        form(&app, TOKEN, &login).await,
        form(&app, TOKEN, &with(&[("client_id", "web")])).await,
        form(&app, TOKEN, &with(&[("client_id", "web"), ("client_secret", "wrong")])).await,
        basic(TOKEN, "Basic d2ViOndyb25n", &login).await,
        basic(TOKEN, "Basic nonsense", &login).await,
        form(&app, REVOKE, &[("token", &ada.refresh_token)]).await,
        form(&app, INTROSPECT, &[("token", &ada.access_token)]).await,
        form(&app, INTROSPECT, &[("token", &ada.access_token), ("client_id", "page")]).await,
    ] {
        let failure = refused.expect(401);
        assert_eq!(failure["error"], "invalid_client", "{failure}");
        assert_eq!(failure["error_code"], "invalid_client", "{failure}");
        assert!(!failure.to_string().contains("wrong\""), "{failure}");
        assert_eq!(
            refused.header("www-authenticate"),
            Some("Basic realm=\"quartet\", charset=\"UTF-8\"")
        );
        assert_eq!(refused.header("cache-control"), Some("no-store"));
    }
    let both = basic(TOKEN, BASIC, &with(&[("client_id", "web"), ("client_secret", SECRET)])).await;
    assert_eq!(both.expect(400)["error"], "invalid_request");

    // Who does gets tokens of its own.
    let tokens = basic(TOKEN, BASIC, &login).await.expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert_eq!(claims(&text(&tokens["access_token"]))["client_id"], "web");
    let in_body = form(&app, TOKEN, &with(&[("client_id", "web"), ("client_secret", SECRET)])).await;
    in_body.expect(200);
    let page = form(&app, TOKEN, &with(&[("client_id", "page")])).await.expect(200);
    assert_eq!(claims(&text(&page["access_token"]))["client_id"], "page");
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let as_page: Vec<_> = refresh.iter().copied().chain([("client_id", "page")]).collect();
    assert_eq!(form(&app, TOKEN, &as_page).await.expect(400)["error"], "invalid_grant");
    let tokens = basic(TOKEN, BASIC, &refresh).await.expect(200);

    // It introspects, by numbers as RFC 7662 has them, and revokes.
    let access = text(&tokens["access_token"]);
    let about = basic(
        INTROSPECT,
        BASIC,
        &[("token", &access), ("token_type_hint", "access_token")],
    )
    .await;
    let about = about.expect(200);
    assert_eq!((&about["active"], &about["sub"]), (&json!(true), &json!(ada.id)));
    assert_eq!(about["exp"].as_u64().unwrap() - about["iat"].as_u64().unwrap(), 900);
    let forged = basic(INTROSPECT, BASIC, &[("token", "a.b.c")]).await.expect(200);
    assert_eq!(forged, json!({"active": false}));
    let refresh_token = text(&tokens["refresh_token"]);
    let revoked = basic(REVOKE, BASIC, &[("token", &refresh_token)]).await;
    revoked.expect(200);
    eventually(Duration::from_secs(1), "the session has ended", async || {
        let about = basic(INTROSPECT, BASIC, &[("token", &access)]).await.expect(200);
        (about == json!({"active": false})).then_some(())
    })
    .await;

    let metadata = app.get("/.well-known/oauth-authorization-server").await.expect(200);
    let methods = json!(["client_secret_basic", "client_secret_post", "none"]);
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], methods);
    assert!(
        metadata["introspection_endpoint"]
            .as_str()
            .unwrap()
            .ends_with(INTROSPECT)
    );
    // The suite's own ways in do not demand it.
    app.login(&ada).await.get("/api/v1/todos").await.expect(200);
}
