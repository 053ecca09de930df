//! GetServerMetadata.

use quartet_proto::auth::v1 as pb;
use quartet_rpc::Call;
use quartet_rpc::token::{ACR_PASSWORD, ACR_TWO_FACTORS};

use super::{Rpc, token};
use crate::Error;

/// How public clients prove who they are: not at all.
const NONE: &str = "none";

/// How those do that have a secret.
const SECRETS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

pub(super) async fn handle(rpc: &Rpc, _: &Call, _: pb::GetServerMetadataRequest) -> Result<pb::ServerMetadata, Error> {
    let public = rpc.public_url.trim_end_matches('/');
    let is_url = rpc.tokens.issuer.starts_with("https://") || rpc.tokens.issuer.starts_with("http://");
    let at = |path: &str| format!("{public}{path}");
    let clients = &rpc.clients;
    let mut methods = Vec::new();
    if clients.have_secrets() {
        methods.extend(SECRETS.map(str::to_owned));
    }
    if clients.is_empty() || clients.have_public() {
        methods.push(NONE.to_owned());
    }
    Ok(pb::ServerMetadata {
        issuer: match is_url {
            true => rpc.tokens.issuer.clone(),
            false => public.to_owned(),
        },
        token_endpoint: at("/api/v1/auth/token"),
        revocation_endpoint: at("/api/v1/auth/revoke"),
        jwks_uri: at("/.well-known/jwks.json"),
        grant_types_supported: token::GRANTS.map(str::to_owned).into(),
        response_types_supported: Vec::new(),
        token_endpoint_auth_methods_supported: methods.clone(),
        revocation_endpoint_auth_methods_supported: methods,
        introspection_endpoint: clients.have_secrets().then(|| at("/api/v1/auth/introspect")),
        introspection_endpoint_auth_methods_supported: match clients.have_secrets() {
            true => SECRETS.map(str::to_owned).into(),
            false => Vec::new(),
        },
        acr_values_supported: [ACR_PASSWORD, ACR_TWO_FACTORS].map(str::to_owned).into(),
        service_documentation: at("/docs"),
    })
}
