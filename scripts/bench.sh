#!/usr/bin/env bash
# Measures what requests cost, ours and peers', side by side in one run, and writes the tables into
# docs/performance.md. Installs what it needs, and starts servers of its own. Variables:
#   BASELINE  a git revision, or a folder of programs, that is measured beside this build
#   ONLY      stages or rows, with commas: `gateway,separate/get`; docs/performance.md stays then
#   PROGRAMS  the folder of the programs, when they are built already
#   ROUNDS (5), BENCH_SECONDS (4), NOISE (0.10), TRIES (3)  runs of each row, their length, the share
#             of all processors that others may take beside one, and how often it is repeated then
#   OUTPUT    a file that the tables are written to as well
# With the argument `quick`: one short run of everything, on whatever programs there are, by which
# nothing is judged but that it works.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit
. scripts/needs.sh
. scripts/servers/postgres.sh
. scripts/servers/rabbitmq.sh
. scripts/servers/redis.sh

has cargo || die "there is no cargo: install Rust from https://rustup.rs"
need cc gcc libc6-dev
need python3 python3
need wrk wrk
export BENCH_ROOT=$root
target=${CARGO_TARGET_DIR:-$root/target}

# Builds the programs of the sources in $1 into the target folder $2, with the flags "${@:3}".
build() {
    step "building $1 ${*:3}"
    (cd "$1" && CARGO_TARGET_DIR=$2 cargo build --workspace --bins "${@:3}") || die "the build failed"
}

# Brings the peers that are written in Python up to date. A run does without those that cannot be
# installed, and says so.
python_peers() {
    local folder=$root/.test-tools/bench pins
    pins=$(sha256sum <tests/load/peers/requirements.txt)
    BENCH_TOOLS=$folder
    export BENCH_TOOLS
    [ "$(cat "$folder/pins" 2>/dev/null)" = "$pins" ] && return
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    step "installing the peers into ${folder#"$root"/}"
    rm -rf "$folder"
    python3 -m venv "$folder" || die "python3 could not create an environment"
    if "$folder/bin/pip" install --quiet --disable-pip-version-check -r tests/load/peers/requirements.txt; then
        printf '%s' "$pins" >"$folder/pins"
        return
    fi
    echo "not all peers could be installed; trying them one by one"
    local peer
    grep -v '^#' tests/load/peers/requirements.txt | while read -r peer; do
        "$folder/bin/pip" install --quiet --disable-pip-version-check "$peer" || echo "$peer could not be installed"
    done
}

if [ "${1-}" = quick ]; then
    export QUICK=yes
    if [ -z "${PROGRAMS-}" ]; then
        build "$root" "$target" --example bench-peers
        PROGRAMS=$target/debug
    fi
else
    if [ -z "${PROGRAMS-}" ]; then
        build "$root" "$target" --release --example bench-peers
        PROGRAMS=$target/release
    fi
    python_peers
    if [ -n "${BASELINE-}" ]; then
        if [ -x "$BASELINE/gateway" ]; then
            BASELINE_PROGRAMS=$(cd "$BASELINE" && pwd)
        else
            baseline_sources=$(mktemp -d "${TMPDIR:-/tmp}/quartet-baseline.XXXXXX")
            git worktree add --detach --force "$baseline_sources" "$BASELINE" >/dev/null ||
                die "BASELINE is neither a folder of programs nor a revision: $BASELINE"
            build "$baseline_sources" "$target/baseline" --release
            BASELINE_PROGRAMS=$target/baseline/release
        fi
        export BASELINE_PROGRAMS
    fi
fi
PROGRAMS=$(cd "$PROGRAMS" && pwd) || die "there is no folder $PROGRAMS"
BENCH_PEERS=${BENCH_PEERS:-$PROGRAMS/examples/bench-peers}
[ -x "$BENCH_PEERS" ] || die "$BENCH_PEERS is missing: cargo build --workspace --release --example bench-peers"
export PROGRAMS BENCH_PEERS

finish() {
    postgres_stop
    rabbitmq_stop
    redis_stop
    if [ -n "${baseline_sources-}" ]; then
        git worktree remove --force "$baseline_sources"
    fi
}
trap finish EXIT
trap 'exit 130' INT TERM
step "starting PostgreSQL, RabbitMQ and Redis"
# With a disk that commits wait for, as where the product runs.
[ -n "${QUICK-}" ] || export TEST_POSTGRES_DURABLE=yes
postgres_start
rabbitmq_start
redis_start
BENCH_POSTGRES_PROGRAMS=$(postgres_programs)
export BENCH_POSTGRES_PROGRAMS BENCH_POSTGRES_PID=$postgres_pid BENCH_REDIS_PID=$redis_pid
BENCH_RABBITMQ_PID=$(cat "$rabbitmq_folder/pid")
export BENCH_RABBITMQ_PID
python3 -B tests/load/bench
