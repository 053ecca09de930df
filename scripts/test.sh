#!/usr/bin/env bash
# Runs every test on a machine with Rust and a C compiler: installs what is missing, starts the
# servers of the tests, runs the tests of the workspace (with the end-to-end, browser and schema
# tests), and prints a summary. Arguments go to `cargo test`.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit
. scripts/needs.sh
. scripts/tools.sh
. scripts/servers/postgres.sh
. scripts/servers/rabbitmq.sh
. scripts/servers/redis.sh

output=$(mktemp)
trap 'postgres_stop; rabbitmq_stop; redis_stop; rm -f "$output"' EXIT
trap 'exit 130' INT TERM

has cargo || die "there is no cargo: install Rust from https://rustup.rs"
need cc gcc libc6-dev
tools_ready
browser_ready
step "starting PostgreSQL"
postgres_start
step "starting RabbitMQ"
rabbitmq_start
step "starting Redis"
redis_start

step "cargo test"
# The programs that the end-to-end tests start. With the features of the tests, each crate is built
# once. Those of a composed system are of make test-compose.
cargo build --workspace --bins && cargo test --workspace --no-fail-fast "$@" -- --include-ignored --skip composed:: 2>&1 | tee "$output"
status=$?
step "cargo test, with points of failure between the steps of messages"
cargo test --workspace --no-fail-fast --features quartet-messaging/failpoints --test failpoints "$@" -- --include-ignored --skip composed:: 2>&1 |
    tee -a "$output"
failpoints=$?
[ $status = 0 ] && status=$failpoints
if [ $status != 0 ] && ! grep -q '^test result: FAILED' "$output"; then
    # No test program ran to its end: the build failed, or a test program crashed.
    echo '@part build 0 1 0' >>"$output"
fi

step "summary"
awk -f scripts/summary.awk "$output" && exit $status
