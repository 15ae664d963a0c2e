//! The attacks on access tokens, by what they turn on.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::forge::{self, Key, signed};

/// What the attacker has: everything but the right token for what they want. Many a token below is signed with the
/// genuine key, which no attacker has; then it is refused for its words alone.
pub struct Scene {
    pub genuine: Key,
    /// A key of the deployment that is no longer in the set.
    pub retired: Key,
    /// The claims of the victim's living token.
    pub claims: Value,
    pub token: String,
    pub refresh_token: String,
    /// Another user's living token.
    pub others_token: String,
}

/// One way to ask without a right.
pub struct Attack {
    pub name: String,
    pub headers: Vec<(&'static str, String)>,
    pub query: String,
}

impl Attack {
    pub fn bearer(name: impl Into<String>, token: impl AsRef<str>) -> Self {
        Self::headers(name, &[("authorization", &format!("Bearer {}", token.as_ref()))])
    }

    fn headers(name: impl Into<String>, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { name: name.into(), headers, query: String::new() }
    }
}

impl Scene {
    /// Every attack that no look into the database is needed to refuse.
    pub fn attacks(&self) -> Vec<Attack> {
        [
            self.without_signature(),
            self.confused_algorithms(),
            self.broken_signatures(),
            self.key_ids(),
            self.smuggled_keys(),
            self.header_words(),
            self.claim_words(),
            self.repeated_members(),
            self.forms(),
            self.carriers(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn without_signature(&self) -> Vec<Attack> {
        let payload = self.claims.to_string();
        let signature = self.token.rsplit('.').next().expect("three parts");
        let mut attacks = Vec::new();
        for alg in [json!("none"), json!("None"), json!("nOnE"), json!("NONE"), json!(""), json!(null)] {
            let header = with(&self.genuine.header(), "alg", alg.clone()).to_string();
            let unsigned = signed(&header, &payload, |_| Vec::new());
            attacks.push(Attack::bearer(format!("alg {alg}, no signature"), &unsigned));
            attacks.push(Attack::bearer(format!("alg {alg}, no last part"), unsigned.trim_end_matches('.')));
            attacks.push(Attack::bearer(
                format!("alg {alg}, a genuine signature"),
                format!("{unsigned}{signature}"),
            ));
            attacks.push(Attack::bearer(
                format!("alg {alg}, signed all the same"),
                self.genuine.token_of(&header, &payload),
            ));
        }
        attacks
    }

    fn confused_algorithms(&self) -> Vec<Attack> {
        let (header, payload) = (self.genuine.header(), self.claims.to_string());
        let mut attacks = Vec::new();
        for alg in ["HS256", "HS384", "HS512"] {
            let mut secrets = self.genuine.public_forms();
            secrets.extend([("nothing", Vec::new()), ("a guess", b"secret".to_vec())]);
            for (secret, bytes) in secrets {
                let header = with(&header, "alg", json!(alg)).to_string();
                let token = signed(&header, &payload, |input| forge::hmac(alg, &bytes, input));
                attacks.push(Attack::bearer(format!("{alg} with {secret} as the secret"), token));
                if alg == "HS256" {
                    let header = self.genuine.header().to_string();
                    let token = signed(&header, &payload, |input| forge::hmac(alg, &bytes, input));
                    attacks.push(Attack::bearer(format!("an HMAC with {secret}, called EdDSA"), token));
                }
            }
        }
        for alg in ["RS256", "PS256"] {
            let header = with(&header, "alg", json!(alg)).to_string();
            let token = signed(&header, &payload, |input| forge::rsa(alg, input));
            attacks.push(Attack::bearer(alg, token));
        }
        let es256 = with(&header, "alg", json!("ES256")).to_string();
        attacks.push(Attack::bearer("ES256", signed(&es256, &payload, forge::ecdsa)));
        attacks.push(Attack::bearer("ES256 of zeroes", signed(&es256, &payload, |_| vec![0; 64])));
        // Right signatures under wrong names.
        for alg in ["RS256", "ES256", "HS256", "eddsa", "EDDSA", "EdDSA ", "Ed448", "HS1"] {
            let token = self.genuine.token(&with(&header, "alg", json!(alg)), &self.claims);
            attacks.push(Attack::bearer(format!("an Ed25519 signature, called {alg:?}"), token));
        }
        for alg in [json!(["EdDSA"]), json!({ "EdDSA": null }), json!(0)] {
            let token = self.genuine.token(&with(&header, "alg", alg.clone()), &self.claims);
            attacks.push(Attack::bearer(format!("alg {alg}"), token));
        }
        attacks.push(Attack::bearer("no alg", self.genuine.token(&without(&header, "alg"), &self.claims)));
        attacks
    }

    fn broken_signatures(&self) -> Vec<Attack> {
        let [header, payload, signature] = parts(&self.token);
        let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64");
        let input = format!("{header}.{payload}");
        let with_bytes = |bytes: &[u8]| format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
        let with_text = |text: &str| format!("{input}.{text}");
        let mut attacks = vec![
            Attack::bearer("no signature", with_bytes(&[])),
            Attack::bearer("a signature less one byte", with_bytes(&bytes[..63])),
            Attack::bearer("half a signature", with_bytes(&bytes[..32])),
            Attack::bearer("a signature and one byte", with_bytes(&[bytes.as_slice(), &[0]].concat())),
            Attack::bearer("a signature of zeroes", with_bytes(&[0; 64])),
            Attack::bearer("the signature's other half of the truth", with_bytes(&forge::malleable(&bytes))),
            Attack::bearer("another token's signature", with_text(parts(&self.others_token)[2])),
            Attack::bearer("another token's payload", {
                format!("{header}.{}.{signature}", parts(&self.others_token)[1])
            }),
            Attack::bearer(
                "the attacker's signature",
                Key::fresh().token(&self.genuine.header(), &self.claims),
            ),
            Attack::bearer("a retired key under the living one's name", {
                self.retired.token(&self.genuine.header(), &self.claims)
            }),
            Attack::bearer("a padded signature", with_text(&format!("{signature}=="))),
            Attack::bearer("another spelling of the last bits", with_text(&respelled(signature))),
        ];
        for (part, text) in [header, payload, signature].into_iter().enumerate() {
            let bytes = URL_SAFE_NO_PAD.decode(text).expect("base64");
            for at in [0, bytes.len() / 2, bytes.len() - 1] {
                for bit in [0, 5] {
                    let mut flipped = bytes.clone();
                    flipped[at] ^= 1 << bit;
                    let mut changed = [header, payload, signature].map(str::to_owned);
                    changed[part] = URL_SAFE_NO_PAD.encode(flipped);
                    let name = format!("bit {bit} of byte {at} of part {part} flipped");
                    attacks.push(Attack::bearer(name, changed.join(".")));
                }
            }
        }
        attacks
    }

    fn key_ids(&self) -> Vec<Attack> {
        let kid = self.genuine.kid();
        let header = self.genuine.header();
        let wrong = [
            json!(null),
            json!(""),
            json!("another"),
            json!(self.retired.kid()),
            json!("../../../../dev/null"),
            json!("/proc/sys/kernel/ostype"),
            json!("https://attacker.example/key"),
            json!("' OR '1'='1"),
            json!("\u{0}"),
            json!(format!("{kid} ")),
            json!(format!("{kid}\u{0}")),
            json!(kid.to_uppercase()),
            json!("k".repeat(1000)),
            json!([kid]),
            json!({ "$ne": null }),
            json!(0),
            json!(true),
        ];
        let mut attacks: Vec<Attack> = wrong
            .into_iter()
            .map(|kid| {
                let token = self.genuine.token(&with(&header, "kid", kid.clone()), &self.claims);
                Attack::bearer(format!("kid {kid}"), token)
            })
            .collect();
        attacks.push(Attack::bearer("no kid", self.genuine.token(&without(&header, "kid"), &self.claims)));
        let retired = self.retired.token(&self.retired.header(), &self.claims);
        attacks.push(Attack::bearer("a retired key", retired));
        attacks
    }

    fn smuggled_keys(&self) -> Vec<Attack> {
        let attacker = Key::fresh();
        let set = json!({ "keys": [attacker.jwk] });
        let data_url = format!("data:application/json,{set}");
        let mut attacks = Vec::new();
        for kid in [self.genuine.kid(), attacker.kid()] {
            for (member, value) in [
                ("jwk", attacker.jwk.clone()),
                ("jwks", set.clone()),
                ("jku", json!("http://127.0.0.1:9/keys.json")),
                ("jku", json!(data_url)),
                ("x5u", json!("http://127.0.0.1:9/certificate.pem")),
                ("x5c", json!([attacker.jwk["x"]])),
                ("x5t", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAA")),
                ("x5t#S256", json!(attacker.kid())),
            ] {
                let header = with(&with(&attacker.header(), "kid", json!(kid)), member, value);
                let name = format!("{member} with the attacker's key, kid {kid}");
                attacks.push(Attack::bearer(name, attacker.token(&header, &self.claims)));
            }
        }
        let header = with(&without(&attacker.header(), "kid"), "jwk", attacker.jwk.clone());
        attacks.push(Attack::bearer("jwk instead of kid", attacker.token(&header, &self.claims)));
        attacks
    }

    fn header_words(&self) -> Vec<Attack> {
        let header = self.genuine.header();
        let mut attacks: Vec<Attack> = [
            ("typ", json!("JWT")),
            ("typ", json!("jwt")),
            ("typ", json!("JOSE")),
            ("typ", json!("application/at+jwt")),
            ("typ", json!("AT+JWT")),
            ("typ", json!("at+jwt ")),
            ("typ", json!("at+jwt;v=1")),
            ("typ", json!("rt+jwt")),
            ("typ", json!("")),
            ("typ", json!(null)),
            ("typ", json!(["at+jwt"])),
            ("crit", json!(["exp"])),
            ("crit", json!(["b64"])),
            ("crit", json!(["unheard-of"])),
            ("crit", json!([])),
            ("crit", json!("exp")),
        ]
        .into_iter()
        .map(|(member, value)| {
            let token = self.genuine.token(&with(&header, member, value.clone()), &self.claims);
            Attack::bearer(format!("{member} {value}"), token)
        })
        .collect();
        attacks.push(Attack::bearer("no typ", self.genuine.token(&without(&header, "typ"), &self.claims)));
        let b64 = with(&with(&header, "b64", json!(false)), "crit", json!(["b64"]));
        attacks.push(Attack::bearer("b64 false", self.genuine.token(&b64, &self.claims)));
        // RFC 7797: the payload as it is, which is also what is signed.
        for header in [b64, with(&header, "b64", json!(false))] {
            let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), self.claims);
            let signature = URL_SAFE_NO_PAD.encode(self.genuine.sign(input.as_bytes()));
            let crit = header.get("crit").is_some();
            let name = format!("a bare payload, crit {crit}");
            attacks.push(Attack::bearer(name, format!("{input}.{signature}")));
        }
        for header in ["", "null", "[]", "\"EdDSA\"", "{", "{}"] {
            let token = self.genuine.token_of(header, &self.claims.to_string());
            attacks.push(Attack::bearer(format!("the header {header:?}"), token));
        }
        attacks
    }

    fn claim_words(&self) -> Vec<Attack> {
        let own = |member: &str| self.claims[member].clone();
        let now = own("iat").as_i64().expect("a time");
        let mut attacks: Vec<Attack> = [
            ("aud", json!("newvisions-prod")),
            ("aud", json!("newvisions")),
            ("aud", json!("newvisions-test2")),
            ("aud", json!("NEWVISIONS-TEST")),
            ("aud", json!("")),
            ("aud", json!(null)),
            ("aud", json!([own("aud")])),
            ("aud", json!(["newvisions-prod", own("aud")])),
            ("aud", json!({ "$ne": "" })),
            ("iss", json!("https://attacker.example")),
            ("iss", json!("newvisions/")),
            ("iss", json!("Newvisions")),
            ("iss", json!("")),
            ("iss", json!(null)),
            ("iss", json!([own("iss")])),
            ("exp", json!(now)),
            ("exp", json!(now - 1)),
            ("exp", json!(now - 3600)),
            ("exp", json!(0)),
            ("exp", json!(-1)),
            ("exp", json!(i64::MIN)),
            ("exp", json!(u64::MAX)),
            ("exp", json!(1e30)),
            ("exp", json!(now.to_string())),
            ("exp", json!((now + 900).to_string())),
            ("exp", serde_json::from_str(&format!("{}.5", now + 900)).expect("a number")),
            ("exp", json!(null)),
            ("exp", json!([now + 900])),
            ("exp", json!(true)),
            ("nbf", json!(now + 91)),
            ("nbf", json!(now + 3600)),
            ("nbf", json!(i64::MAX)),
            ("nbf", json!(u64::MAX)),
            ("nbf", json!(now.to_string())),
            ("nbf", json!(null)),
            ("sub", json!("")),
            ("sub", json!("me")),
            ("sub", json!("ada")),
            ("sub", json!("*")),
            ("sub", json!(null)),
            ("sub", json!({ "$ne": null })),
            ("sub", json!([own("sub")])),
            ("sub", json!(0)),
            ("sid", json!(null)),
            ("sid", json!({ "$ne": null })),
            ("sid", json!({ "$exists": true })),
            ("sid", json!([own("sid")])),
            ("sid", json!(0)),
        ]
        .into_iter()
        .map(|(member, value)| {
            let token =
                self.genuine.token(&self.genuine.header(), &with(&self.claims, member, value.clone()));
            Attack::bearer(format!("{member} {value}"), token)
        })
        .collect();
        for member in ["aud", "iss", "exp", "nbf", "sub", "sid"] {
            let token = self.genuine.token(&self.genuine.header(), &without(&self.claims, member));
            attacks.push(Attack::bearer(format!("no {member}"), token));
        }
        let admin = with(&self.claims, "role", json!("admin"));
        attacks.push(Attack::bearer(
            "the attacker's own claims",
            Key::fresh().token(&self.genuine.header(), &admin),
        ));
        for payload in ["", "null", "[]", "{}", "{", "\"\""] {
            let token = self.genuine.token_of(&self.genuine.header().to_string(), payload);
            attacks.push(Attack::bearer(format!("the payload {payload:?}"), token));
        }
        attacks
    }

    /// Members that come twice, where two readers could each see the one they like.
    fn repeated_members(&self) -> Vec<Attack> {
        let (header, payload) = (self.genuine.header(), self.claims.to_string());
        let mut attacks = Vec::new();
        for (member, other) in [("alg", "none"), ("typ", "JWT"), ("kid", "another")] {
            for twice in twice(&header, member, &json!(other)) {
                let token = self.genuine.token_of(&twice, &payload);
                attacks.push(Attack::bearer(format!("the header {twice}"), token));
            }
        }
        let now = self.claims["iat"].as_i64().expect("a time");
        for (member, other) in [
            ("sub", json!("000000000000000000000000")),
            ("sid", json!("another")),
            ("exp", json!(now + 1_000_000)),
            ("nbf", json!(0)),
            ("aud", json!("newvisions-prod")),
            ("iss", json!("attacker")),
        ] {
            for twice in twice(&self.claims, member, &other) {
                let token = self.genuine.token_of(&header.to_string(), &twice);
                attacks.push(Attack::bearer(format!("{member} twice: {twice}"), token));
            }
        }
        attacks
    }

    fn forms(&self) -> Vec<Attack> {
        let [header, payload, signature] = parts(&self.token);
        let padded = |length: usize| {
            let claims = with(&self.claims, "padding", json!("x".repeat(length)));
            self.genuine.token(&self.genuine.header(), &claims)
        };
        let flattened = json!({ "protected": header, "payload": payload, "signature": signature });
        let general =
            json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] });
        let encrypted = URL_SAFE_NO_PAD.encode(json!({ "alg": "dir", "enc": "A256GCM" }).to_string());
        vec![
            Attack::bearer("a refresh token", &self.refresh_token),
            Attack::bearer("a token of more than 2 kB", padded(2000)),
            Attack::bearer("a token of 100 kB", padded(75_000)),
            Attack::bearer("a JWE", format!("{encrypted}..{payload}.{payload}.{signature}")),
            Attack::bearer("five parts", format!("{}.{header}.{signature}", self.token)),
            Attack::bearer("four parts", format!("{}.{signature}", self.token)),
            Attack::bearer("a part before", format!("{header}.{}", self.token)),
            Attack::bearer("a dot after", format!("{}.", self.token)),
            Attack::bearer("a dot before", format!(".{}", self.token)),
            Attack::bearer("two parts", format!("{header}.{payload}")),
            Attack::bearer("one part", payload),
            Attack::bearer("dots", ".."),
            Attack::bearer("JSON, flattened", flattened.to_string()),
            Attack::bearer("JSON, general", general.to_string()),
            Attack::bearer("a space within", format!("{header}. {payload}.{signature}")),
            Attack::bearer("a tab within", format!("{header}.\t{payload}.{signature}")),
            Attack::bearer("quotes around", format!("\"{}\"", self.token)),
            Attack::bearer("percent encoding", self.token.replace('.', "%2E")),
            Attack::bearer("padding everywhere", format!("{header}==.{payload}==.{signature}==")),
            Attack::bearer("two tokens, a comma", format!("{}, {}", self.token, self.token)),
            Attack::bearer("two tokens, a space", format!("{} {}", self.token, self.token)),
            Attack::bearer("a token and a word", format!("{} x", self.token)),
            Attack::bearer("the scheme twice", format!("Bearer {}", self.token)),
        ]
    }

    /// A good token where none is looked for.
    fn carriers(&self) -> Vec<Attack> {
        let token = &self.token;
        let bearer = format!("Bearer {token}");
        let basic = format!("Basic {}", URL_SAFE_NO_PAD.encode(format!("ada:{token}")));
        let mut attacks = vec![
            Attack::headers("nothing", &[]),
            Attack::headers("two headers", &[("authorization", &bearer), ("authorization", &bearer)]),
            Attack::headers(
                "two headers, the second one good",
                &[("authorization", "Bearer x"), ("authorization", &bearer)],
            ),
            Attack::headers(
                "two headers, the first one good",
                &[("authorization", &bearer), ("authorization", "Basic eA==")],
            ),
            Attack::headers("Basic", &[("authorization", &basic)]),
            Attack::headers("a cookie", &[("cookie", &format!("access_token={token}; token={token}"))]),
        ];
        for value in ["", "Bearer", "Bearer ", "bearer\t", " "] {
            attacks.push(Attack::headers(format!("the value {value:?}"), &[("authorization", value)]));
        }
        for scheme in
            ["", "Token ", "JWT ", "DPoP ", "Basic ", "Digest ", "Bearer:", "Bearer=", "Bearer\t", "xBearer "]
        {
            let value = format!("{scheme}{token}");
            attacks.push(Attack::headers(format!("the scheme {scheme:?}"), &[("authorization", &value)]));
        }
        for name in
            ["x-authorization", "proxy-authorization", "x-access-token", "x-amzn-remapped-authorization"]
        {
            attacks.push(Attack::headers(name, &[(name, &bearer)]));
        }
        for name in ["access_token", "token", "authorization", "Authorization"] {
            let mut attack = Attack::headers(format!("the query's {name}"), &[]);
            attack.query = format!("?{name}={token}");
            attacks.push(attack);
        }
        attacks
    }
}

pub fn with(object: &Value, member: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[member] = value;
    object
}

fn without(object: &Value, member: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().expect("an object").remove(member).expect("the member was there");
    object
}

/// An object's text with a second value of one member: after its own, and before.
fn twice(object: &Value, member: &str, other: &Value) -> [String; 2] {
    let text = object.to_string();
    let inner = &text[1..text.len() - 1];
    [format!("{{{inner},\"{member}\":{other}}}"), format!("{{\"{member}\":{other},{inner}}}")]
}

fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().expect("three parts")
}

/// The same bytes in base64, with other bits where the last character has some to spare.
fn respelled(signature: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = signature.split_at(signature.len() - 1);
    let value = ALPHABET.iter().position(|letter| letter == &last.as_bytes()[0]).expect("base64");
    format!("{rest}{}", char::from(ALPHABET[value ^ 1]))
}
