//! D1 to D8 of the audit: what keeps the published SQL from working.

use super::published::Sql;
use super::{Stack, refresh};

#[test]
fn d01_service_may_issue_tokens() {
    let issue = |sql| Stack::of(sql).login("u1", "authenticated").error().0;
    assert_eq!(issue(Sql::Published), 403);
    assert_eq!(issue(Sql::Ours), 204);
}

#[test]
fn d02_a_good_refresh_cookie_is_good() {
    let status = |sql| {
        let stack = Stack::of(sql);
        let cookie = if sql == Sql::Published {
            stack.db.sql("insert into auth.refresh_token (subject, token) values ('u1', 'x')");
            "refresh_token=x".to_owned()
        } else {
            stack.login("u1", "authenticated").is(204).refresh_cookie()
        };
        let response = stack.send(&refresh(&cookie));
        (response.status, response.code)
    };
    assert_eq!(status(Sql::Published), (400, "42702".to_owned()));
    assert_eq!(status(Sql::Repaired), (204, String::new()));
    assert_eq!(status(Sql::Ours), (204, String::new()));
}
