//! A JWT implementation that shares nothing with the SQL: HMAC of the crate `hmac` (already in the
//! tree, through SCRAM), base64url of the crate `base64`, and PostgREST's rules on top.
//!
//! Not `jsonwebtoken`: it takes `"exp": 1.5` and a claim given twice, which PostgREST does not.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use sha2::{Sha256, Sha384, Sha512};

/// PostgREST accepts clocks that differ by this many seconds.
const SKEW: i64 = 30;

/// The secret of every test that is not about secrets: the bytes 0 to 31.
pub(crate) const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The members of a JSON object in their order, twice if they are there twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claims(pub(crate) Vec<(String, Value)>);

impl Claims {
    /// The value of a claim; null if there is none.
    pub(crate) fn get(&self, name: &str) -> &Value {
        self.0.iter().find(|(key, _)| key == name).map_or(&Value::Null, |(_, value)| value)
    }

    /// The value of a claim that is a string.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_else(|| panic!("{name} in {self:?}"))
    }

    /// The value of a claim that is a whole number.
    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.get(name).as_i64().unwrap_or_else(|| panic!("{name} in {self:?}"))
    }

    /// The names of the claims, in their order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Claims, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Claims;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Claims(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// HMAC as the name of a JWS algorithm or of a hash says it.
pub(crate) fn hmac(algorithm: &str, key: &[u8], message: &[u8]) -> Vec<u8> {
    fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }
    match algorithm {
        "HS256" | "sha256" => mac::<Hmac<Sha256>>(key, message),
        "HS384" | "sha384" => mac::<Hmac<Sha384>>(key, message),
        "HS512" | "sha512" => mac::<Hmac<Sha512>>(key, message),
        other => panic!("{other}"),
    }
}

/// A token with these claims under this base64 secret, as an identity provider would make it.
pub(crate) fn sign(claims: &str, secret: &str) -> String {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = hmac("HS256", &STANDARD.decode(secret).unwrap(), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Header and claims of a token whose signature is right; nothing else is looked at.
pub(crate) fn opened(token: &str, key: &[u8]) -> Result<(Claims, Claims), String> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { return Err(format!("{} parts", parts.len())) };
    let decode = |part| URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string());
    let parse = |part| serde_json::from_slice::<Claims>(&decode(part)?).map_err(|error| error.to_string());
    let (header_members, claim_members) = (parse(header)?, parse(claims)?);
    let algorithm = header_members.get("alg").as_str().unwrap_or_default().to_owned();
    if !["HS256", "HS384", "HS512"].contains(&&*algorithm) {
        return Err(format!("alg is {algorithm}"));
    }
    if hmac(&algorithm, key, format!("{header}.{claims}").as_bytes()) != decode(signature)? {
        return Err("wrong signature".to_owned());
    }
    Ok((header_members, claim_members))
}

/// The claims of a token that PostgREST 13 or newer would accept with this base64 secret, by the
/// rules of `PostgREST.Auth.Jwt`; stricter than it in that a claim given twice is refused.
pub(crate) fn verified(token: &str, secret: &str, audience: Option<&str>) -> Result<Claims, String> {
    verified_at(token, secret, audience, now())
}

/// The same when the clock of PostgREST shows this.
pub(crate) fn verified_at(
    token: &str,
    secret: &str,
    audience: Option<&str>,
    now: i64,
) -> Result<Claims, String> {
    let key = STANDARD.decode(secret).map_err(|error| error.to_string())?;
    if key.len() < 32 {
        return Err("PostgREST does not start with such a secret".to_owned());
    }
    let (header, claims) = opened(token, &key)?;
    if header.get("alg") != "HS256" || header.get("kid") != &Value::Null {
        return Err(format!("header is {header:?}"));
    }
    let mut names = claims.names();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("a claim twice: {names:?}"));
    }
    let seconds = |name| match claims.get(name) {
        Value::Null => Ok(None),
        value => value.as_i64().map(Some).ok_or(format!("{name} is {value}")),
    };
    if seconds("exp")?.is_some_and(|exp| now > exp + SKEW) {
        return Err("expired".to_owned());
    }
    for name in ["nbf", "iat"] {
        if seconds(name)?.is_some_and(|from| from > now + SKEW) {
            return Err(format!("{name} is in the future"));
        }
    }
    match (audience, claims.get("aud")) {
        (None, _) | (_, Value::Null) => {}
        (Some(wanted), Value::String(aud)) if aud == wanted => {}
        (_, other) => return Err(format!("aud is {other}")),
    }
    Ok(claims)
}

#[test]
fn the_independent_implementation_agrees_with_the_rfcs() {
    // RFC 4231 section 4.3.
    let hex: String = hmac("sha256", b"Jefe", b"what do ya want for nothing?")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    // RFC 7515 appendix A.1.
    let key = URL_SAFE_NO_PAD
        .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        .unwrap();
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(opened(token, &key).unwrap().1.text("iss"), "joe");
    assert_eq!(verified(token, &STANDARD.encode(&key), None), Err("expired".to_owned()));
}

#[test]
fn the_independent_implementation_is_as_strict_as_postgrest() {
    let refused = |claims: &str| verified(&sign(claims, SECRET), SECRET, Some("app")).unwrap_err();
    let soon = now() + 100;
    assert_eq!(refused(&format!(r#"{{"exp":{soon}.5}}"#)), format!("exp is {soon}.5"));
    assert_eq!(refused(r#"{"sub":"a","sub":"b"}"#), r#"a claim twice: ["sub", "sub"]"#);
    assert_eq!(refused(r#"{"aud":"other"}"#), r#"aud is "other""#);
    assert_eq!(refused(&format!(r#"{{"iat":{soon}}}"#)), "iat is in the future");
    let token = sign(r#"{"sub":"a","aud":"app"}"#, SECRET);
    assert_eq!(verified(&token, SECRET, Some("app")).unwrap().text("sub"), "a");
    assert_eq!(verified(&token, &STANDARD.encode([7; 32]), None), Err("wrong signature".to_owned()));
}
