//! Signing keys of a local deployment.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    signature::Ed25519KeyPair,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm, EncodingKey,
    jwk::{Jwk, ThumbprintHash},
};
use serde_json::json;

/// An Ed25519 key pair in the forms in which the functions read it.
pub struct SigningKey {
    /// `JWT_SIGNING_KEY`: PKCS #8 in DER, as base64.
    pub private: String,
    /// `JWT_PUBLIC_KEYS`: a JWK Set with the one public key.
    pub public_set: String,
}

impl SigningKey {
    /// A fresh key.
    ///
    /// # Panics
    /// If the system gives no random bytes.
    #[must_use]
    pub fn generate() -> Self {
        let pair = Ed25519KeyPair::generate().expect("random bytes");
        let der = AsDer::<Pkcs8V1Der>::as_der(&pair).expect("a fresh key has a form");
        Self::of(der.as_ref()).expect("a fresh key is one")
    }

    /// The key of an earlier [`SigningKey::private`]; `None` if it is not one.
    #[must_use]
    pub fn read(private: &str) -> Option<Self> {
        Self::of(&STANDARD.decode(private.trim()).ok()?)
    }

    fn of(der: &[u8]) -> Option<Self> {
        let key = EncodingKey::from_ed_der(der);
        let mut public = Jwk::from_encoding_key(&key, Algorithm::EdDSA).ok()?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256).ok()?);
        Some(Self { private: STANDARD.encode(der), public_set: json!({ "keys": [public] }).to_string() })
    }
}
