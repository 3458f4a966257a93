//! The HTTP side of PostgREST, without a database: cookies in, headers and status out.

use postgres::error::DbError;
use serde_json::{Map, Value};

/// The `request.cookies` of a Cookie header: split at `;`, then at the first `=`, nothing decoded,
/// the last of a name wins, quotes stay (as with the cookie package before 0.5).
pub(crate) fn cookies(header: &str) -> String {
    let mut members = Map::new();
    if !header.is_empty() {
        for part in header.split(';') {
            let (name, value) =
                part.trim_start_matches(' ').split_once('=').unwrap_or((part.trim_start(), ""));
            members.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }
    Value::Object(members).to_string()
}

/// The headers of `response.headers`: an array of objects with one key and a string, or nothing
/// but 500 `PGRST111`.
pub(crate) fn headers(setting: Option<&str>) -> Option<Vec<(String, String)>> {
    let Some(setting) = setting else { return Some(Vec::new()) };
    let Ok(Value::Array(elements)) = serde_json::from_str(setting) else { return None };
    elements
        .iter()
        .map(|element| {
            let members = element.as_object().filter(|members| members.len() == 1)?;
            let (name, value) = members.iter().next()?;
            Some((name.clone(), value.as_str()?.to_owned()))
        })
        .collect()
}

/// The status of `response.status`, its leading digits; this one if it is not set; or nothing but
/// 500 `PGRST112`.
pub(crate) fn status(setting: Option<&str>, unset: u16) -> Option<u16> {
    let Some(setting) = setting else { return Some(unset) };
    let digits = setting.find(|c: char| !c.is_ascii_digit()).map_or(setting, |end| &setting[..end]);
    digits.parse().ok()
}

/// The status of an error of the database (`pgErrorStatus` in PostgREST.Error).
pub(crate) fn status_of(error: &DbError, anonymous: bool) -> u16 {
    let code = error.code().code();
    match code {
        "25006" => 405,
        "42501" if anonymous => 401,
        "42501" => 403,
        "22023" if error.message().starts_with("role \"") && error.message().ends_with("does not exist") => {
            401
        }
        "42883" | "42P01" => 404,
        "23503" | "23505" => 409,
        "53400" => 500,
        "57P01" => 503,
        "P0001" => 400,
        _ if code.starts_with("PT") => code[2..].parse().unwrap_or(500),
        _ => match &code[..2] {
            "0L" | "0P" | "28" => 403,
            "08" | "53" => 503,
            "P0" | "21" | "25" | "2D" | "38" | "39" | "3B" | "40" | "54" | "55" | "57" | "58" | "XX" => 500,
            _ => 400,
        },
    }
}

#[test]
fn cookies_become_json_as_in_postgrest() {
    for (header, json) in [
        ("", "{}"),
        ("a=1; a=2", r#"{"a":"2"}"#),
        (r#"a="q""#, r#"{"a":"\"q\""}"#),
        ("a=%41+b", r#"{"a":"%41+b"}"#),
        ("x", r#"{"x":""}"#),
        ("=v", r#"{"":"v"}"#),
        (";;", r#"{"":""}"#),
        ("c=a=b;  d = e", r#"{"c":"a=b","d ":" e"}"#),
        ("n=\0", r#"{"n":"\u0000"}"#),
    ] {
        assert_eq!(cookies(header), json, "{header}");
    }
}

#[test]
fn headers_and_status_are_parsed_as_strictly_as_in_postgrest() {
    assert_eq!(headers(None), Some(vec![]));
    assert_eq!(headers(Some(r#"[{"A":"b"}]"#)), Some(vec![("A".to_owned(), "b".to_owned())]));
    for wrong in [r#"{"A":"b"}"#, r#"[{"A":"b","C":"d"}]"#, r#"[{"A":1}]"#, "[{}]", "x"] {
        assert_eq!(headers(Some(wrong)), None, "{wrong}");
    }
    assert_eq!([status(None, 204), status(Some("401 x"), 204)], [Some(204), Some(401)]);
    assert_eq!(["x", " 401", "-1"].map(|setting| status(Some(setting), 204)), [None; 3]);
}
