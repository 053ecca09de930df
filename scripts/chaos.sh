#!/usr/bin/env bash
# Runs the chaos tests: a nemesis kills, pauses and restarts the nodes of the suite under a
# workload, by a schedule that SEED decides; then checkers verify that acknowledged operations are
# there and that every event took effect once. First with the suite in one process, then with
# separate processes, two of each, on PostgreSQL, RabbitMQ and Redis servers of their own. Variables: SEED (random by
# default) and ROUNDS (40). Arguments go to the test program: `embedded` or `distributed` for one of
# the topologies.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit
. scripts/needs.sh
. scripts/servers/postgres.sh
. scripts/servers/rabbitmq.sh
. scripts/servers/redis.sh

has cargo || die "there is no cargo: install Rust from https://rustup.rs"
need cc gcc libc6-dev
postgres_install
rabbitmq_install
trap redis_stop EXIT
redis_install
export CHAOS_SEED="${SEED:-$((RANDOM * 32768 + RANDOM))}" CHAOS_ROUNDS="${ROUNDS:-40}"
step "chaos: SEED=$CHAOS_SEED ROUNDS=$CHAOS_ROUNDS"
cargo test --workspace --test chaos -- --include-ignored --nocapture --test-threads=1 "$@"
