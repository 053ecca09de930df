//! Tokens for tests, signed with secrets that the tested stack shares.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use quartet_clock::Clock;
use quartet_config::Secret;
use quartet_kernel::Role;
use quartet_rpc::access::GATEWAY_TOKEN;
use quartet_rpc::keys;
use quartet_rpc::token::{ACCESS_TYPE, AccessClaims, ServiceTokens};
use time::OffsetDateTime;
use tonic::Request;
use uuid::Uuid;

/// Signs the tested stack's access tokens.
pub const HS256_SECRET: &str = "the secret of access tokens in tests";
/// Signs the tested stack's service tokens.
pub const SERVICE_SECRET: &str = "the secret of service tokens in tests";

/// A signed-in user of a test.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The account, and the user.
    pub id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// The access token.
    pub token: String,
}

impl Identity {
    /// A new user.
    pub fn user(clock: &Clock) -> Self {
        Self::with_role(clock, Role::User)
    }

    /// A new superuser.
    pub fn superuser(clock: &Clock) -> Self {
        Self::with_role(clock, Role::Superuser)
    }

    fn with_role(clock: &Clock, role: Role) -> Self {
        Self::signed(clock, clock.new_id(), clock.new_id(), role, clock.now())
    }

    /// The same user in the same session, with a new token.
    pub fn renewed(&self, clock: &Clock) -> Self {
        Self::signed(clock, self.id, self.session_id, Role::User, clock.now())
    }

    /// The same user in the same session, who proved who they are at `authenticated_at`.
    pub fn authenticated(&self, clock: &Clock, authenticated_at: OffsetDateTime) -> Self {
        Self::signed(clock, self.id, self.session_id, Role::User, authenticated_at)
    }

    fn signed(clock: &Clock, id: Uuid, session_id: Uuid, role: Role, authenticated_at: OffsetDateTime) -> Self {
        let now = clock.now().unix_timestamp();
        let claims = AccessClaims {
            iss: "quartet".into(),
            sub: id.to_string(),
            aud: "quartet".into(),
            client_id: "quartet".into(),
            exp: now + 900,
            iat: now,
            auth_time: Some(authenticated_at.unix_timestamp()),
            acr: None,
            amr: Vec::new(),
            jti: clock.new_id().to_string(),
            sid: session_id.to_string(),
            role: role.name().into(),
            tier: None,
        };
        let secret = Secret::new(HS256_SECRET);
        let header = Header {
            typ: Some(ACCESS_TYPE.into()),
            kid: Some(keys::hs256_kid(&secret)),
            ..Header::new(Algorithm::HS256)
        };
        let key = EncodingKey::from_secret(HS256_SECRET.as_bytes());
        let token = jsonwebtoken::encode(&header, &claims, &key).expect("claims are signed");
        Self { id, session_id, token }
    }

    /// A request of this user.
    pub fn request<T>(&self, message: T) -> Request<T> {
        bearer(&self.token, message)
    }
}

/// A request of the service named `name`.
pub fn service_request<T>(name: &str, clock: &Clock, message: T) -> Request<T> {
    let tokens = ServiceTokens::new(name, "quartet", &Secret::new(SERVICE_SECRET), clock.clone());
    bearer(&tokens.current().expect("claims are signed"), message)
}

/// Adds the metadata with which the gateway forwards a request of a client at `address`.
pub fn for_client_at<T>(request: &mut Request<T>, address: &str, clock: &Clock) {
    let tokens = ServiceTokens::new("gateway", "quartet", &Secret::new(SERVICE_SECRET), clock.clone());
    let proof = tokens.current().expect("claims are signed");
    for (name, value) in [(GATEWAY_TOKEN, proof.as_str()), ("x-forwarded-for", address)] {
        request
            .metadata_mut()
            .insert(name, value.parse().expect("metadata is ASCII"));
    }
}

/// A request with `token`.
pub fn bearer<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {token}").parse().expect("a token is ASCII"),
    );
    request
}
