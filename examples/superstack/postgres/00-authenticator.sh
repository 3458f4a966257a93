#!/bin/sh
# PostgREST's role with its password. authmig keeps a role that is there; it never sets
# a password. The password stands in no argument and no variable.
set -eu
: "${AUTHENTICATOR_PASSWORD_FILE:=/run/secrets/authenticator_password}"
export AUTHENTICATOR_PASSWORD_FILE
# This runs once. Without a password the role could never log in.
password=$(cat "$AUTHENTICATOR_PASSWORD_FILE")
[ "$password" ] || { echo "$AUTHENTICATOR_PASSWORD_FILE is empty" >&2; exit 1; }
unset password

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat "$AUTHENTICATOR_PASSWORD_FILE"`
set log_statement = 'none';
set log_min_error_statement = 'panic';
create role authenticator login noinherit password :'password';
SQL
