//! What goes into PostgREST and what comes out.

use std::time::Duration;

use postgres::error::DbError;
use serde_json::{Map, Value};

use super::http;
use super::jwt::{self, Claims, SECRET};

/// A call of a function over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) schema: String,
    pub(crate) function: String,
    pub(crate) body: Option<String>,
    pub(crate) query: Vec<(String, String)>,
    /// Waited for after `begin`: what a bad request before this one can bring about (13, 14).
    pub(crate) pause: Duration,
    headers: Vec<(String, String)>,
    raw_cookies: Option<String>,
}

impl Request {
    /// POST, with a JSON body if the function has arguments.
    pub(crate) fn post(schema: &str, function: &str) -> Request {
        Request::new("POST", schema, function)
    }

    /// Any method.
    pub(crate) fn new(method: &'static str, schema: &str, function: &str) -> Request {
        let profile = if method == "POST" { "content-profile" } else { "accept-profile" };
        let headers = vec![
            ("accept".to_owned(), "*/*".to_owned()),
            ("host".to_owned(), "app.example".to_owned()),
            (profile.to_owned(), schema.to_owned()),
        ];
        Request {
            method,
            schema: schema.to_owned(),
            function: function.to_owned(),
            body: None,
            query: Vec::new(),
            pause: Duration::ZERO,
            headers,
            raw_cookies: None,
        }
    }

    pub(crate) fn body(mut self, json: impl ToString) -> Request {
        self.body = Some(json.to_string());
        self
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Request {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The Cookie header.
    pub(crate) fn cookie(self, header: impl Into<String>) -> Request {
        self.header_set("cookie", header)
    }

    /// `request.cookies` as it is, which is not how PostgREST comes by it.
    pub(crate) fn raw_cookies(mut self, json: &str) -> Request {
        self.raw_cookies = Some(json.to_owned());
        self
    }

    pub(crate) fn header_set(mut self, name: &str, value: impl Into<String>) -> Request {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Request {
        self.header_set("authorization", format!("Bearer {token}"))
    }

    /// With a good token of this role.
    pub(crate) fn role(self, role: &str) -> Request {
        let claims = serde_json::json!({"role": role, "exp": jwt::now() + 60});
        self.bearer(&jwt::sign(&claims.to_string(), SECRET))
    }

    pub(crate) fn after(mut self, pause: Duration) -> Request {
        self.pause = pause;
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// The names of the arguments that are given.
    pub(crate) fn keys(&self) -> Vec<String> {
        if self.method != "POST" {
            return self.query.iter().map(|(name, _)| name.clone()).collect();
        }
        let body = serde_json::from_str(self.body.as_deref().unwrap_or("{}")).unwrap();
        match &body {
            Value::Object(members) => members.keys().cloned().collect(),
            Value::Array(elements) => match elements.first() {
                Some(Value::Object(members)) => members.keys().cloned().collect(),
                _ => Vec::new(),
            },
            // A bare value is no argument of any name.
            _ => vec![String::new()],
        }
    }

    pub(crate) fn body_is_array(&self) -> bool {
        self.body.as_deref().is_some_and(|body| body.trim_start().starts_with('['))
    }

    /// `request.headers`: lower case, the last of a name, without cookie.
    pub(crate) fn headers_json(&self) -> String {
        let members: Map<_, _> = self
            .headers
            .iter()
            .filter(|(name, _)| name != "cookie")
            .map(|(name, value)| (name.to_lowercase(), Value::String(value.clone())))
            .collect();
        Value::Object(members).to_string()
    }

    /// `request.cookies`, of the first Cookie header.
    pub(crate) fn cookies_json(&self) -> String {
        let header = self.headers.iter().find(|(name, _)| name == "cookie");
        let json = || http::cookies(header.map_or("", |(_, value)| value));
        self.raw_cookies.clone().unwrap_or_else(json)
    }
}

/// What PostgREST would answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The SQLSTATE, or PostgREST's own code; empty without an error.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) details: String,
    pub(crate) hint: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn refused(status: u16, code: &str, message: &str) -> Response {
        let empty = String::new;
        let (code, message) = (code.to_owned(), message.to_owned());
        Response {
            status,
            code,
            message,
            details: empty(),
            hint: empty(),
            headers: Vec::new(),
            body: empty(),
        }
    }

    /// An error of the database: no header or status that was set before survives it.
    pub(crate) fn failed(status: u16, error: &DbError) -> Response {
        Response {
            details: error.detail().unwrap_or_default().to_owned(),
            hint: error.hint().unwrap_or_default().to_owned(),
            ..Response::refused(status, error.code().code(), error.message())
        }
    }

    /// What was committed, or 500 all the same: headers and status are parsed only then.
    pub(crate) fn answered(
        void: bool,
        body: String,
        headers: Option<&str>,
        status: Option<&str>,
    ) -> Response {
        let Some(headers) = http::headers(headers) else {
            return Response::refused(500, "PGRST111", "response.headers guc must be a JSON array");
        };
        let Some(status) = http::status(status, if void { 204 } else { 200 }) else {
            return Response::refused(500, "PGRST112", "response.status guc must be a valid status code");
        };
        Response {
            headers,
            body: if void { String::new() } else { body },
            ..Response::refused(status, "", "")
        }
    }

    /// The response, if it has this status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Response {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// The values of a header, in their order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        same.map(|(_, value)| &**value).collect()
    }

    /// The value of a cookie that is set; empty if it is cleared.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.header("set-cookie").into_iter().find_map(|header| {
            let (key, value) = header.split(';').next()?.split_once('=')?;
            (key == name).then_some(value)
        })
    }

    /// What a browser sends back: the Cookie header of the refresh cookie.
    #[track_caller]
    pub(crate) fn refresh_cookie(&self) -> String {
        let value = self.cookie("refresh_token").unwrap_or_else(|| panic!("no refresh cookie: {self:#?}"));
        format!("refresh_token={value}")
    }

    /// The claims of the access cookie, which PostgREST accepts.
    #[track_caller]
    pub(crate) fn claims(&self) -> Claims {
        self.claims_by(SECRET)
    }

    /// The same at another time.
    #[track_caller]
    pub(crate) fn claims_at(&self, now: i64) -> Claims {
        jwt::verified_at(self.access_token(), SECRET, None, now).unwrap()
    }

    /// The same with another secret.
    #[track_caller]
    pub(crate) fn claims_by(&self, secret: &str) -> Claims {
        jwt::verified(self.access_token(), secret, None).unwrap()
    }

    /// The value of the access cookie.
    #[track_caller]
    pub(crate) fn access_token(&self) -> &str {
        self.cookie("access_token").unwrap_or_else(|| panic!("no access cookie: {self:#?}"))
    }

    /// Status, code and message, for comparing refusals.
    pub(crate) fn error(&self) -> (u16, &str, &str) {
        (self.status, &self.code, &self.message)
    }

    /// All that the client gets to see.
    pub(crate) fn text(&self) -> String {
        format!("{self:?}")
    }
}
