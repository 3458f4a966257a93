//! HMAC and JWS against the vectors of the RFCs and against an implementation that is not ours.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::Stack;
use super::jwt;

/// RFC 4231 sections 4.2, 4.3, 4.4, 4.5, 4.7 and 4.8 (4.6 is a truncated one): key, message.
fn vectors() -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (vec![0x0b; 20], b"Hi There".to_vec()),
        (b"Jefe".to_vec(), b"what do ya want for nothing?".to_vec()),
        (vec![0xaa; 20], vec![0xdd; 50]),
        ((1..=25).collect(), vec![0xcd; 50]),
        (vec![0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec()),
        (
            vec![0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size data. \
              The key needs to be hashed before being used by the HMAC algorithm."
                .to_vec(),
        ),
    ]
}

/// The first eight bytes of what the RFC prints for each, with SHA-256, SHA-384 and SHA-512.
const PRINTED: [[&str; 3]; 6] = [
    ["b0344c61d8db3853", "afd03944d8489562", "87aa7cdea5ef619d"],
    ["5bdcc146bf60754e", "af45d2e376484031", "164b7a7bfcf819e2"],
    ["773ea91e36800e46", "88062608d3e6ad8a", "fa73b0089d56a284"],
    ["82558a389a443c0e", "3e8a69b7783c2585", "b0ba465637458c69"],
    ["60e431591ee0b67f", "4ece084485813e90", "80b24263c7c1a3eb"],
    ["9b09ffa71b942fcb", "6617178e941f020d", "e37b6a775dc87dba"],
];

#[test]
fn hmac_is_that_of_rfc_4231() {
    let stack = Stack::ours();
    let mut client = stack.db.client();
    for ((key, message), printed) in vectors().iter().zip(PRINTED) {
        for (algorithm, start) in ["sha256", "sha384", "sha512"].iter().zip(printed) {
            let row =
                client.query_one("select auth_private.hmac($1, $2, $3)", &[algorithm, key, message]).unwrap();
            let ours: Vec<u8> = row.get(0);
            let hex: String = ours[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, start, "{algorithm}");
            assert_eq!(ours, jwt::hmac(algorithm, key, message));
        }
    }
}

#[test]
fn hmac_is_right_for_every_length_of_key_and_message_around_a_block() {
    let stack = Stack::ours();
    let mut client = stack.db.client();
    for algorithm in ["sha256", "sha384", "sha512"] {
        for key_length in [0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300] {
            for message_length in [0, 1, 55, 56, 64, 111, 112, 128, 1000] {
                let key: Vec<u8> = (0..=255).cycle().skip(key_length).take(key_length).collect();
                let message: Vec<u8> = (0..=255).rev().cycle().take(message_length).collect();
                let sql = "select auth_private.hmac($1, $2, $3)";
                let ours: Vec<u8> = client.query_one(sql, &[&algorithm, &key, &message]).unwrap().get(0);
                assert_eq!(
                    ours,
                    jwt::hmac(algorithm, &key, &message),
                    "{algorithm} {key_length} {message_length}"
                );
            }
        }
    }
}

#[test]
fn the_signature_is_that_of_rfc_7515_appendix_a_1() {
    let stack = Stack::ours();
    let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    assert_eq!(
        stack.db.ask(&format!(
            "select auth.url_encode(auth_private.hmac('sha256', auth_private.decode_secret('{key}'), '{input}'))"
        )),
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    // Through the public function the header has its members in another order, so only the
    // payload can be compared with the RFC, and the signature with the other implementation.
    let payload = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
    let token = stack.db.ask(&format!("select auth.sign_raw('{payload}', '{key}')"));
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(URL_SAFE_NO_PAD.decode(parts[0]).unwrap(), br#"{"alg":"HS256","typ":"JWT"}"#);
    assert_eq!(parts[1], input.split_once('.').unwrap().1);
    assert!(jwt::opened(&token, &URL_SAFE_NO_PAD.decode(key).unwrap()).is_ok());
}

#[test]
fn each_algorithm_wants_a_key_as_long_as_its_hash() {
    let stack = Stack::ours();
    let mut client = stack.db.client();
    let mut sign = |algorithm: &str, bytes: usize| {
        let secret = STANDARD.encode(vec![7; bytes]);
        let token = client.query_one("select auth.sign_raw('{\"a\":1}', $1, $2)", &[&secret, &algorithm]);
        match token {
            Ok(row) => {
                let (header, _) = jwt::opened(row.get(0), &vec![7; bytes]).unwrap();
                header.text("alg").to_owned()
            }
            Err(error) => error.as_db_error().unwrap().message().to_owned(),
        }
    };
    for (algorithm, bytes) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        assert_eq!(sign(algorithm, bytes), algorithm);
        assert_eq!(sign(algorithm, bytes + 100), algorithm);
        assert_eq!(sign(algorithm, bytes - 1), format!("the secret must be base64 of {bytes} bytes or more"));
        assert_eq!(sign(algorithm, 0), format!("the secret must be base64 of {bytes} bytes or more"));
    }
    for arguments in ["null, 'x'", "'{}', null", &format!("'{{}}', '{}', null", super::SECRET)] {
        let error =
            stack.db.client().batch_execute(&format!("select auth.sign_raw({arguments})")).unwrap_err();
        assert_eq!(error.code().unwrap().code(), "22023", "{arguments}");
    }
}

#[test]
fn base64url_is_right_for_every_length() {
    let stack = Stack::ours();
    let mut client = stack.db.client();
    for length in 0..=300 {
        let data: Vec<u8> = (0..=255).rev().cycle().skip(length % 7).take(length).collect();
        let ours: String = client.query_one("select auth.url_encode($1)", &[&data]).unwrap().get(0);
        assert_eq!(ours, URL_SAFE_NO_PAD.encode(&data));
    }
}

#[test]
fn a_token_on_its_own_has_no_session() {
    let stack = Stack::ours();
    let secret = STANDARD.encode([9; 32]);
    let token = stack.db.ask(&format!("select auth.generate_user_jwt('u1', '{secret}', 'service')"));
    let claims = jwt::verified(&token, &secret, None).unwrap();
    assert_eq!(claims.names(), ["role", "sub", "iat", "exp", "jti"]);
    assert_eq!((claims.text("sub"), claims.text("role")), ("u1", "service"));
    let default = stack.db.ask(&format!("select auth.generate_user_jwt('u1', '{secret}')"));
    assert_eq!(jwt::verified(&default, &secret, None).unwrap().text("role"), "authenticated");
    for arguments in [
        format!("'u1', '{secret}', 'postgres'"),
        format!("null, '{secret}'"),
        "'u1', 'x'".to_owned(),
        format!("'u1', '{}'", STANDARD.encode([9; 31])),
    ] {
        let sql = format!("select auth.generate_user_jwt({arguments})");
        let error = stack.db.client().batch_execute(&sql).unwrap_err();
        assert_eq!(error.code().unwrap().code(), "22023", "{arguments}");
    }
    assert_eq!(stack.sessions(), "0 sessions, 0 live");
}

#[test]
fn a_secret_of_any_length_is_the_key_of_what_is_issued() {
    let stack = Stack::ours();
    for bytes in [32, 33, 63, 64, 65, 127, 128, 300] {
        let key = vec![7; bytes];
        stack.db.sql(&format!("update auth_private.config set jwt_secret = '{}'", STANDARD.encode(&key)));
        let login = stack.login("u1", "authenticated").is(204);
        jwt::opened(login.access_token(), &key).unwrap_or_else(|error| panic!("{bytes}: {error}"));
    }
}

#[test]
fn odd_subjects_are_in_the_token_as_they_were_given() {
    let stack = Stack::ours();
    let mut rest = stack.postgrest();
    for subject in
        ["\"", "\\", "</script>", "a\u{7f}".trim_end_matches('\u{7f}'), "\u{80}\u{2028}", "{}", "1", " "]
    {
        let body = serde_json::json!({"subject": subject});
        let answer = rest.send(&stack.issue(body)).is(204);
        assert_eq!(answer.claims().text("sub"), subject);
        let answer = rest.send(&super::refresh(&answer.refresh_cookie())).is(204);
        assert_eq!(answer.claims().text("sub"), subject);
    }
}
