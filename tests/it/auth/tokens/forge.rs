//! An attacker's workshop: tokens of any header, any payload and any signature.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use tests::harness::SigningKey;

/// A key pair, known to whoever uses it here.
pub struct Key {
    pair: Ed25519KeyPair,
    /// The public key as a JSON Web Key, with its `kid`.
    pub jwk: Value,
}

impl Key {
    pub fn of(key: &SigningKey) -> Self {
        let der = STANDARD.decode(&key.private).expect("base64");
        let set: Value = serde_json::from_str(&key.public_set).expect("JSON");
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).expect("a key");
        Self { pair, jwk: set["keys"][0].clone() }
    }

    pub fn fresh() -> Self {
        Self::of(&SigningKey::generate())
    }

    pub fn kid(&self) -> &str {
        self.jwk["kid"].as_str().expect("a kid")
    }

    /// The header of an access token by this key.
    pub fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": self.kid() })
    }

    /// A token by this key.
    pub fn token(&self, header: &Value, payload: &Value) -> String {
        self.token_of(&header.to_string(), &payload.to_string())
    }

    /// The same of texts, which may be what no JSON library would write.
    pub fn token_of(&self, header: &str, payload: &str) -> String {
        signed(header, payload, |input| self.sign(input))
    }

    pub fn sign(&self, input: &[u8]) -> Vec<u8> {
        self.pair.sign(input).as_ref().to_vec()
    }

    /// Every form in which the public key could be taken for a shared secret.
    pub fn public_forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let bytes = self.pair.public_key().as_ref().to_vec();
        // SubjectPublicKeyInfo of Ed25519 (RFC 8410, section 4): a fixed head before the key.
        let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let der = [head.as_slice(), &bytes].concat();
        let pem = |end: &str| {
            let text = STANDARD.encode(&der);
            format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----{end}").into_bytes()
        };
        vec![
            ("the PEM", pem("\n")),
            ("the PEM without its last line end", pem("")),
            ("the DER", der.clone()),
            ("the JWK", self.jwk.to_string().into_bytes()),
            ("the JWK set", json!({ "keys": [self.jwk] }).to_string().into_bytes()),
            ("the key in base64", self.jwk["x"].as_str().expect("a key").as_bytes().to_vec()),
            ("the bytes", bytes),
        ]
    }
}

/// A token with whatever `sign` makes of its signing input (RFC 7515, section 5.1).
pub fn signed(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(sign(input.as_bytes()));
    format!("{input}.{signature}")
}

/// HMAC with the hash that an `alg` of HS256, HS384 or HS512 names.
pub fn hmac(alg: &str, secret: &[u8], input: &[u8]) -> Vec<u8> {
    let algorithm = match alg {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    hmac::sign(&hmac::Key::new(algorithm, secret), input).as_ref().to_vec()
}

/// A signature by a fresh RSA key.
pub fn rsa(alg: &str, input: &[u8]) -> Vec<u8> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let padding: &'static dyn RsaEncoding = if alg == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(padding, &SystemRandom::new(), input, &mut signature).expect("a signature");
    signature
}

/// A signature by a fresh P-256 key.
pub fn ecdsa(input: &[u8]) -> Vec<u8> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    key.sign(&SystemRandom::new(), input).expect("a signature").as_ref().to_vec()
}

/// The other signature that lax verifiers take for the same: the scalar S plus the order of the group
/// (RFC 8032, section 8.4).
pub fn malleable(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut changed = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in changed[32..].iter_mut().zip(ORDER) {
        let [low, high] = (u16::from(*byte) + u16::from(order) + carry).to_le_bytes();
        *byte = low;
        carry = u16::from(high);
    }
    changed
}
