#!/usr/bin/env bash
# Runs a command with temporary servers for tests, such as
# `scripts/with-servers.sh cargo test --workspace --test store -- --include-ignored`.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/needs.sh"
. "$root/scripts/servers/postgres.sh"
. "$root/scripts/servers/rabbitmq.sh"
. "$root/scripts/servers/redis.sh"
trap 'postgres_stop; rabbitmq_stop; redis_stop' EXIT
trap 'exit 130' INT TERM
postgres_start
rabbitmq_start
redis_start
"$@"
