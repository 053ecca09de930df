//! Signing keys as JSON Web Keys.

use jsonwebtoken::jwk::AlgorithmParameters;
use quartet_kernel::Fault;
use quartet_proto::auth::v1 as pb;

use crate::Error;
use crate::domain::SigningKey;

/// The public half of a key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
pub(crate) fn jwk(key: &SigningKey) -> Result<pb::Jwk, Error> {
    let mut jwk = pb::Jwk {
        kid: key.kid.clone(),
        r#use: "sig".to_owned(),
        alg: key.algorithm.name().to_owned(),
        ..pb::Jwk::default()
    };
    match key.public()? {
        AlgorithmParameters::OctetKeyPair(public) => {
            jwk.kty = "OKP".to_owned();
            jwk.crv = Some("Ed25519".to_owned());
            jwk.x = Some(public.x);
        }
        AlgorithmParameters::EllipticCurve(public) => {
            jwk.kty = "EC".to_owned();
            jwk.crv = Some("P-256".to_owned());
            jwk.x = Some(public.x);
            jwk.y = Some(public.y);
        }
        AlgorithmParameters::RSA(public) => {
            jwk.kty = "RSA".to_owned();
            jwk.n = Some(public.n);
            jwk.e = Some(public.e);
        }
        // No key of another kind is made, and a secret one must never be published.
        _ => return Err(Fault::Internal.into()),
    }
    Ok(jwk)
}
