//! Authentication: verifies access tokens.
//!
//! Access tokens are short-lived JWTs, signed with Ed25519 (RFC 8037) and typed `at+jwt` (RFC 9068). This file has only
//! the public keys; the signing key is in the `auth` function alone. Nothing in a token's header is followed, except
//! that `kid` selects one of the configured keys.
//!
//! A token proves the user and the session. Whether the session still exists is part of the query that loads the user
//! ([`crate::users`]), so it costs no extra round trip.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts, RawPathParams},
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use mongodb::bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Clock,
    env::{Env, EnvError},
    error::Error,
};

pub const ISSUER: &str = "newvisions";
/// RFC 9068, section 2.1.
pub const TOKEN_TYPE: &str = "at+jwt";
/// Longer tokens are rejected unread; ours have about 400 bytes.
const MAX_TOKEN_BYTES: usize = 2048;
/// Allowed clock skew, so that a token which one machine issued is valid on another at once.
const LEEWAY_SECONDS: i64 = 90;

/// The audience of the stage's tokens. It differs per stage, so that a token of one is invalid in another.
#[must_use]
pub fn audience(env: &Env) -> String {
    format!("newvisions-{}", env.stage())
}

/// The claims of an access token. Times are seconds since the epoch.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// [`ISSUER`].
    pub iss: String,
    /// [`audience`].
    pub aud: String,
    /// The user's id, as an `ObjectId` in hex.
    pub sub: String,
    /// The session's id.
    pub sid: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
}

/// The header of an access token. Unknown members are rejected, because the JWT library ignores them all, including a
/// `crit` that must not be ignored (RFC 7515, section 4.1.11).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// Verifies access tokens with the stage's public keys. Cheap to clone.
#[derive(Clone)]
pub struct TokenVerifier(Arc<Inner>);

struct Inner {
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
    clock: Clock,
}

impl TokenVerifier {
    /// Reads `JWT_PUBLIC_KEYS`: a JWK Set (RFC 7517) of Ed25519 keys, each with a `kid`. It has two keys while the signing key
    /// is rotated.
    pub fn from_env(env: &Env, clock: Clock) -> Result<Self, EnvError> {
        const MALFORMED: EnvError =
            EnvError::Malformed { name: "JWT_PUBLIC_KEYS", expected: "a JWK Set of Ed25519 keys with kids" };
        let set: JwkSet = serde_json::from_str(env.required("JWT_PUBLIC_KEYS")?).map_err(|_| MALFORMED)?;
        let keys = set
            .keys
            .iter()
            .map(|jwk| {
                let kid = jwk.common.key_id.clone().ok_or(MALFORMED)?;
                let key = DecodingKey::from_jwk(jwk).map_err(|_| MALFORMED)?;
                Ok((kid, key))
            })
            .collect::<Result<HashMap<_, _>, EnvError>>()?;
        if keys.is_empty() {
            return Err(MALFORMED);
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[audience(env)]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // Times are checked in `claims`, by the clock that tests can set.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self(Arc::new(Inner { keys, validation, clock })))
    }

    pub fn verify(&self, token: &str) -> Result<Caller, Error> {
        self.claims(token)
            .and_then(|claims| {
                Some(Caller { user_id: ObjectId::parse_str(&claims.sub).ok()?, session_id: claims.sid })
            })
            .ok_or(Error::InvalidToken)
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        if header.alg != "EdDSA" || header.typ != TOKEN_TYPE {
            return None;
        }
        let key = self.0.keys.get(&header.kid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.0.validation).ok()?.claims;
        let now = self.0.clock.utc().unix_timestamp();
        let is_valid = claims.nbf <= now + LEEWAY_SECONDS && now < claims.exp;
        is_valid.then_some(claims)
    }
}

/// The authenticated user of a request.
///
/// The extractor also checks the path: a `{user_id}` in the route must be the caller's own id or `me`; any other is
/// [`Error::Forbidden`].
#[derive(Clone, Debug)]
pub struct Caller {
    pub user_id: ObjectId,
    pub session_id: String,
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    TokenVerifier: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let caller = TokenVerifier::from_ref(state).verify(bearer(&parts.headers)?)?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Error::NotFound)?;
        for (name, value) in &params {
            if name == "user_id" && !caller.is(value) {
                return Err(Error::Forbidden);
            }
        }
        Ok(caller)
    }
}

impl Caller {
    /// Whether an id in a path or a body is this caller's, or `me`.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        id == "me" || ObjectId::parse_str(id).is_ok_and(|id| id == self.user_id)
    }
}

/// The token of an `Authorization: Bearer …` header (RFC 6750, section 2.1). Two such headers are rejected.
fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Error::MissingToken)?;
    if values.next().is_some() {
        return Err(Error::InvalidToken);
    }
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Error::MissingToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(Error::MissingToken) }
}
