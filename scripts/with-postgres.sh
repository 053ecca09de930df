#!/usr/bin/env bash
# Runs a command with a throw-away PostgreSQL behind TEST_POSTGRES_URL: `scripts/with-postgres.sh cargo test -p quartet-todos -- --include-ignored`.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/needs.sh"
. "$root/scripts/servers/postgres.sh"
trap postgres_stop EXIT
trap 'exit 130' INT TERM
postgres_start
"$@"
