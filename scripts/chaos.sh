#!/usr/bin/env bash
# Kills, freezes and restarts every part of the suite under load, by a schedule that SEED decides, first in one process and then as separate processes on
# PostgreSQL and RabbitMQ servers of its own; then checks that what was acknowledged is there, and that every event took effect once.
# SEED (drawn by lot, if not set) and ROUNDS (40) are variables of the environment. Arguments go to the test program: `embedded` or `distributed` for one of them.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit
. scripts/needs.sh
. scripts/servers/postgres.sh
. scripts/servers/rabbitmq.sh

has cargo || die "there is no cargo: install Rust from https://rustup.rs"
need cc gcc libc6-dev
postgres_install
rabbitmq_install
export CHAOS_SEED="${SEED:-$((RANDOM * 32768 + RANDOM))}" CHAOS_ROUNDS="${ROUNDS:-40}"
say "chaos: SEED=$CHAOS_SEED ROUNDS=$CHAOS_ROUNDS"
exec cargo test --workspace --test chaos -- --include-ignored --nocapture --test-threads=1 "$@"
