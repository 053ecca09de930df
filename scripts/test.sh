#!/usr/bin/env bash
# Every test, on a machine with nothing but Rust and a C compiler: gets what is missing, starts the servers that tests use, runs the
# tests of the workspace (end-to-end, browser and schema tests among them), and sums what ran. Arguments go to `cargo test`.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit
. scripts/needs.sh
. scripts/tools.sh
. scripts/servers/postgres.sh
. scripts/servers/rabbitmq.sh

output=$(mktemp)
trap 'postgres_stop; rabbitmq_stop; rm -f "$output"' EXIT
trap 'exit 130' INT TERM

has cargo || die "there is no cargo: install Rust from https://rustup.rs"
need cc gcc libc6-dev
tools_ready
browser_ready
say "starting PostgreSQL"
postgres_start
say "starting RabbitMQ"
rabbitmq_start

say "cargo test"
# The programs that the end-to-end tests start. With the tests' own build this builds each crate once.
cargo build --workspace --bins && cargo test --workspace --no-fail-fast "$@" -- --include-ignored 2>&1 | tee "$output"
status=$?
say "cargo test, with points of failure between the steps of messages"
cargo test --workspace --no-fail-fast --features quartet-messaging/failpoints --test failpoints "$@" -- --include-ignored 2>&1 |
    tee -a "$output"
failpoints=$?
[ $status = 0 ] && status=$failpoints
if [ $status != 0 ] && ! grep -q '^test result: FAILED' "$output"; then
    # Nothing ran to the end: a build that fails, or a test program that died.
    echo '@part build 0 1 0' >>"$output"
fi

say "what ran"
awk -f scripts/tally.awk "$output" && exit $status
