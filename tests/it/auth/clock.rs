//! A clock that the test sets: the functions as installed, but for what they ask for the time.

use super::Stack;
use super::published::Sql;

/// The functions of a stack, asking this clock and no other.
pub(crate) struct Clock<'a>(&'a Stack);

impl<'a> Clock<'a> {
    /// Rewrites the functions to ask this clock, which stands at this time.
    pub(crate) fn over(stack: &'a Stack, sql: Sql, time: &str) -> Clock<'a> {
        let asked = if sql == Sql::Ours { "clock_timestamp()" } else { "now()" };
        stack.db.sql(&format!(
            "create schema clock;
             create table clock.hand (at timestamptz not null);
             insert into clock.hand values ('{time}');
             create function clock.now() returns timestamptz language sql volatile security definer
                 as 'select at from clock.hand';
             grant usage on schema clock to public;
             do $$
             declare
                 function regprocedure;
             begin
                 for function in
                     select oid from pg_proc
                      where pronamespace::regnamespace::text in ('auth', 'auth_private')
                        and strpos(prosrc, '{asked}') > 0
                 loop
                     execute replace(pg_get_functiondef(function), '{asked}', 'clock.now()');
                 end loop;
             end $$"
        ));
        Clock(stack)
    }

    /// Sets it forward.
    pub(crate) fn advance(&self, interval: &str) {
        self.0.db.sql(&format!("update clock.hand set at = at + interval '{interval}'"));
    }

    /// Seconds since 1970.
    pub(crate) fn epoch(&self) -> i64 {
        self.0.db.ask("select floor(extract(epoch from at))::bigint from clock.hand").parse().unwrap()
    }
}

/// Ours with a mistake in one function: a test that passes nevertheless shows nothing.
pub(crate) fn mutate(stack: &Stack, function: &str, right: &str, wrong: &str) {
    let body = stack.db.ask(&format!("select pg_get_functiondef('{function}'::regprocedure)"));
    assert!(body.contains(right), "{function} has no {right}");
    stack.db.sql(&body.replace(right, wrong));
}
