//! `self-test`: tokens are issued, refreshed, ended and refused as they should be. The
//! database does it (`self_test.sql`); the tokens it made are checked here, by code
//! that shares nothing with the code that signed them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use crate::report::{Check, CheckName, Finding, Severity};

/// The test; its last result set is one text. It changes rows: roll it back.
pub const SQL: &str = include_str!("../sql/self_test.sql");

/// The script's name in errors.
pub const FILE: &str = "self_test.sql";

/// The check, from what [`SQL`] left.
pub fn run(result: &str) -> Check {
    let result: Value = serde_json::from_str(result).unwrap_or_default();
    if let Some(reason) = result["skipped"].as_str() {
        return super::skipped(CheckName::SelfTest, reason);
    }
    let error = check(&result)
        .err()
        .map(|message| Finding::new(Severity::Error, CheckName::SelfTest.word(), message));
    super::check(CheckName::SelfTest, error.into_iter().collect())
}

/// The check, if [`SQL`] raised; a failure that is not its own is given back.
pub fn raised(failure: Failure) -> Result<Check, Failure> {
    let is_its_own = failure.place.as_ref().is_some_and(|place| place.file == FILE);
    let Some(server) = failure.server.as_ref().filter(|_| is_its_own && !failure.is_limit()) else {
        return Err(failure);
    };
    let message = match &*server.sqlstate {
        "AMK02" => server.message.clone(),
        sqlstate => format!("{} ({sqlstate})", server.message),
    };
    // Its own hints are statements.
    let mend = server.hint.clone().filter(|_| server.sqlstate == "AMK02");
    let why = mend.is_some().then(|| "tokens name only roles that this one may become".to_owned());
    Ok(super::check(
        CheckName::SelfTest,
        vec![Finding { why, mend, ..Finding::new(Severity::Error, CheckName::SelfTest.word(), message) }],
    ))
}

fn check(result: &Value) -> Result<(), String> {
    let number = |name: &str| result[name].as_i64().unwrap_or_default();
    let key = Sha256::digest("authmig self-test");
    let claims = result["tokens"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|token| verified_claims(token.as_str().unwrap_or_default(), &key))
        .collect::<Result<Vec<_>, _>>()?;
    if claims.len() != 3 {
        return Err(format!("there are {} access tokens where 3 were to be issued", claims.len()));
    }
    for claim in &claims {
        for (name, wanted) in
            [("role", &result["role"]), ("sub", &result["subject"]), ("sid", &claims[0]["sid"])]
        {
            if !claim[name].is_string() || claim[name] != *wanted {
                return Err(format!(
                    "an access token has the claim {name} {} where {wanted} was due",
                    claim[name]
                ));
            }
        }
        let (Some(issued), Some(expires)) = (claim["iat"].as_i64(), claim["exp"].as_i64()) else {
            return Err("iat and exp of an access token are not both integers".to_owned());
        };
        if !(number("from")..=number("to")).contains(&issued) {
            return Err("iat of an access token is not the time at which it was issued".to_owned());
        }
        if !(1..=86_400).contains(&(expires - issued)) {
            return Err(format!("an access token lives for {} seconds", expires - issued));
        }
    }
    let identifiers: BTreeSet<_> = claims.iter().filter_map(|claims| claims["jti"].as_str()).collect();
    if identifiers.len() < claims.len() {
        return Err("two access tokens have the same jti".to_owned());
    }
    Ok(())
}

/// The claims of a JWT whose header and signature are right. RFC 7515 section 5.2.
fn verified_claims(token: &str, key: &[u8]) -> Result<Value, String> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return Err("an access token does not have three parts".to_owned());
    };
    let decode = |part: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| "a part of an access token is not unpadded base64url".to_owned())
    };
    let json = |part: &str| -> Result<Value, String> {
        serde_json::from_slice(&decode(part)?).map_err(|_| "a part of an access token is not JSON".to_owned())
    };
    // PostgREST refuses a kid where its secret is not a JWK.
    if json(header)? != serde_json::json!({"alg": "HS256", "typ": "JWT"}) {
        return Err("the header of an access token is not that of HS256".to_owned());
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
    mac.update(format!("{header}.{payload}").as_bytes());
    mac.verify_slice(&decode(signature)?)
        .map_err(|_| "the signature of an access token is wrong".to_owned())?;
    json(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;

    /// RFC 7515 appendix A.1.
    const TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0\
                         dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const KEY: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

    #[test]
    fn the_verifier_knows_a_good_signature_from_a_bad_one() {
        let key = URL_SAFE_NO_PAD.decode(KEY).unwrap();
        let claims = verified_claims(TOKEN, &key).unwrap();
        assert_eq!(claims["iss"], "joe");
        assert!(verified_claims(TOKEN, b"another key").unwrap_err().contains("signature"));
        let other = TOKEN.replace("LA0KICJleHAi", "LA0KICJleHAj");
        assert!(verified_claims(&other, &key).is_err());
        for broken in ["", "a.b", "a.b.c.d", "e30.e30.", &TOKEN[..TOKEN.len() - 1]] {
            assert!(verified_claims(broken, &key).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_result_that_is_none_is_a_finding() {
        for text in ["", "null", "{}", "{\"tokens\": [\"x\"]}"] {
            assert_eq!(run(text).verdict, Verdict::Failed, "{text}");
        }
    }

    fn signed(claims: &str, key: &[u8]) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let content = format!("{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(content.as_bytes());
        format!("{content}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// The claims of three tokens with which nothing is wrong.
    fn good() -> Vec<Value> {
        let claims = |jti| {
            serde_json::json!({
                "role": "web", "sub": "alice", "sid": "a session", "jti": jti, "iat": 1_005, "exp": 1_905
            })
        };
        ["one", "two", "three"].map(claims).to_vec()
    }

    /// What is said of tokens with these claims, issued to alice from 1000 to 1010.
    fn said(claims: &[Value]) -> Result<(), String> {
        let key = Sha256::digest("authmig self-test");
        let tokens: Vec<_> = claims.iter().map(|claims| signed(&claims.to_string(), &key)).collect();
        let result = serde_json::json!({
            "tokens": tokens, "role": "web", "subject": "alice", "from": 1_000, "to": 1_010
        });
        check(&result)
    }

    #[test]
    fn three_tokens_are_due_no_more_and_no_less() {
        let four = [good(), good()].concat()[..4].to_vec();
        for claims in [&good()[..0], &good()[..1], &good()[..2], &four] {
            let message = format!("there are {} access tokens where 3 were to be issued", claims.len());
            assert_eq!(said(claims), Err(message));
        }
        assert_eq!(said(&good()), Ok(()));
    }

    #[test]
    fn a_claim_that_is_not_what_was_due_is_found_in_each_token() {
        let iat = "iat of an access token is not the time at which it was issued";
        let integers = "iat and exp of an access token are not both integers";
        let cases = [
            ("role", "admin".into(), r#"an access token has the claim role "admin" where "web" was due"#),
            ("role", Value::Null, r#"an access token has the claim role null where "web" was due"#),
            ("sub", "bob".into(), r#"an access token has the claim sub "bob" where "alice" was due"#),
            ("iat", 999.into(), iat),
            ("iat", 1_011.into(), iat),
            ("iat", "1005".into(), integers),
            ("exp", 1_905.5.into(), integers),
            ("exp", Value::Null, integers),
            ("exp", 1_005.into(), "an access token lives for 0 seconds"),
            ("exp", 900.into(), "an access token lives for -105 seconds"),
            ("exp", 87_406.into(), "an access token lives for 86401 seconds"),
        ];
        for (name, value, message) in cases {
            for token in 0..3 {
                let mut claims = good();
                claims[token][name] = value.clone();
                assert_eq!(said(&claims), Err(message.to_owned()), "{name} {value} in token {token}");
            }
        }
        for (name, value) in [("iat", 1_000), ("iat", 1_010), ("exp", 1_006), ("exp", 87_405)] {
            let mut claims = good();
            claims[2][name] = value.into();
            assert_eq!(said(&claims), Ok(()), "{name} {value}");
        }
    }

    #[test]
    fn the_tokens_of_a_session_name_it_and_differ_in_jti() {
        let with = |tokens: &[usize], name: &str, value: Value| {
            let mut claims = good();
            for token in tokens {
                claims[*token][name] = value.clone();
            }
            said(&claims).unwrap_err()
        };
        for token in [1, 2] {
            assert_eq!(
                with(&[token], "sid", "another".into()),
                r#"an access token has the claim sid "another" where "a session" was due"#
            );
        }
        let none = "an access token has the claim sid null where null was due";
        assert_eq!(with(&[0, 1, 2], "sid", Value::Null), none);
        let same = "two access tokens have the same jti";
        assert_eq!(with(&[1], "jti", "one".into()), same);
        assert_eq!(with(&[2], "jti", "one".into()), same);
        assert_eq!(with(&[0], "jti", Value::Null), same);
    }

    proptest::proptest! {
        #[test]
        fn any_result_is_judged(text in "(?s).{0,60}", token in "[A-Za-z0-9_.=-]{0,60}") {
            let with_token = serde_json::json!({ "tokens": [token], "role": text, "subject": text }).to_string();
            for result in [&text, &with_token] {
                proptest::prop_assert!(matches!(run(result).verdict, Verdict::Failed | Verdict::Skipped));
            }
        }

        #[test]
        fn a_token_holds_with_its_key_and_not_when_a_character_is_another(
            subject in "(?s).{0,30}", key: [u8; 32], place: proptest::sample::Index, character in "[A-Za-z0-9_-]"
        ) {
            let claims = serde_json::json!({ "sub": subject });
            let token = signed(&claims.to_string(), &key);
            proptest::prop_assert_eq!(verified_claims(&token, &key), Ok(claims));
            let place = place.index(token.len());
            if token[place..=place] != character {
                let other = format!("{}{character}{}", &token[..place], &token[place + 1..]);
                proptest::prop_assert!(verified_claims(&other, &key).is_err(), "{}", other);
            }
        }
    }
}
