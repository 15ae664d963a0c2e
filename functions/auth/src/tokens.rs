//! Issues access and refresh tokens ([`shared::session`] only verifies them).

use std::sync::Arc;

use aws_lc_rs::{hmac, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, ThumbprintHash},
};
use mongodb::bson::oid::ObjectId;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use shared::{
    clock::Clock,
    env::{Env, EnvError},
    error::Error,
    schema::Id,
    session::{Claims, ISSUER, TOKEN_TYPE, audience},
    users::{REFRESH_SECRET_BYTES, RefreshToken},
};
use utoipa::ToSchema;

/// Signs access tokens. Cheap to clone. No `Debug`, so that the key is not logged.
#[derive(Clone)]
pub struct TokenSigner(Arc<Inner>);

struct Inner {
    key: EncodingKey,
    /// Authenticates refresh tokens. Derived from the signing key: one secret to keep and to change.
    refresh_key: hmac::Key,
    header: Header,
    audience: String,
    lifetime_seconds: i64,
    clock: Clock,
}

/// The tokens of a session, after a registration, a login or a refresh.
#[derive(Serialize, ToSchema)]
pub struct TokenResponse {
    #[schema(value_type = Id)]
    user_id: String,
    #[schema(example = "ada")]
    username: String,
    #[schema(example = "ada@example.com")]
    email: String,
    access_token: String,
    #[schema(pattern = "^Bearer$")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(minimum = 1, example = 900)]
    expires_in: i64,
    refresh_token: String,
}

impl TokenSigner {
    /// Reads `JWT_SIGNING_KEY` (an Ed25519 private key: PKCS #8 version 1 in DER, 48 bytes, as base64) and
    /// `ACCESS_TOKEN_SECONDS` (default 900, at least 1). The key's id is its RFC 7638 thumbprint, which the public key set must
    /// contain as a `kid`.
    pub fn from_env(env: &Env, clock: Clock) -> Result<Self, EnvError> {
        const MALFORMED: EnvError = EnvError::Malformed {
            name: "JWT_SIGNING_KEY",
            expected: "an Ed25519 key as PKCS #8 DER in base64",
        };
        let der = STANDARD.decode(env.secret("JWT_SIGNING_KEY")?.expose_secret()).map_err(|_| MALFORMED)?;
        let key = EncodingKey::from_ed_der(&der);
        let refresh_key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &der), b"newvisions refresh tokens");
        let lifetime_seconds: u32 = env.parse_or("ACCESS_TOKEN_SECONDS", 900)?;
        if lifetime_seconds == 0 {
            return Err(EnvError::Malformed { name: "ACCESS_TOKEN_SECONDS", expected: "a number from 1" });
        }
        let public = Jwk::from_encoding_key(&key, Algorithm::EdDSA).map_err(|_| MALFORMED)?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(public.thumbprint(ThumbprintHash::SHA256).map_err(|_| MALFORMED)?);
        Ok(Self(Arc::new(Inner {
            key,
            refresh_key: hmac::Key::new(hmac::HMAC_SHA256, refresh_key.as_ref()),
            header,
            audience: audience(env),
            lifetime_seconds: i64::from(lifetime_seconds),
            clock,
        })))
    }

    /// A random refresh token for a session.
    pub fn refresh_token(&self, user_id: ObjectId, session_id: &str) -> Result<RefreshToken, Error> {
        let mut random = [0; REFRESH_SECRET_BYTES];
        rand::fill(&mut random).map_err(|_| Error::internal("system RNG failed"))?;
        Ok(RefreshToken::new(user_id, session_id, &random, &self.0.refresh_key))
    }

    /// Whether a refresh token was ever made here for its session.
    pub fn is_authentic(&self, token: &RefreshToken) -> bool {
        token.is_authentic(&self.0.refresh_key)
    }

    /// The response with a session's refresh token and a new access token.
    pub fn token_response(
        &self,
        user_id: ObjectId,
        username: String,
        email: String,
        refresh_token: &RefreshToken,
    ) -> Result<TokenResponse, Error> {
        let now = self.0.clock.utc().unix_timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: self.0.audience.clone(),
            sub: user_id.to_hex(),
            sid: refresh_token.session_id().to_owned(),
            iat: now,
            nbf: now,
            exp: now + self.0.lifetime_seconds,
        };
        let access_token = jsonwebtoken::encode(&self.0.header, &claims, &self.0.key)
            .map_err(|_| Error::internal("signing an access token failed"))?;
        Ok(TokenResponse {
            user_id: user_id.to_hex(),
            username,
            email,
            access_token,
            token_type: "Bearer",
            expires_in: self.0.lifetime_seconds,
            refresh_token: refresh_token.reveal(),
        })
    }
}

pub fn session_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
