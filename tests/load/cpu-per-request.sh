#!/usr/bin/env bash
# CPU time per request at the gateway and at the todos service, for one todo, a list of 50 and a creation:
# user and system time of each process during a bounded run of wrk, divided by its requests. Needs
# PostgreSQL at TEST_POSTGRES_URL, wrk, curl, and a release build:
#   cargo build --release --workspace --bins && TEST_POSTGRES_URL=postgres://… tests/load/cpu-per-request.sh
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bin=${BIN:-$root/target/release}
seconds=${SECONDS_PER_RUN:-5}
server=${TEST_POSTGRES_URL:?set it to a PostgreSQL server on which databases may be created}
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT

base=${server%/*}
suffix=$$
for service in auth users todos jobs; do
    psql -q "$server" -c "create database load_${service}_$suffix"
done
export SERVICE_TOKEN_SECRET=the-service-secret-of-load-tests LOG_FILTER=error
export AUTH_DATABASE_URL=$base/load_auth_$suffix USERS_DATABASE_URL=$base/load_users_$suffix TODOS_DATABASE_URL=$base/load_todos_$suffix JOBS_DATABASE_URL=$base/load_jobs_$suffix
export AUTH_GRPC_ADDRESS=127.0.0.1:7051 USERS_GRPC_ADDRESS=127.0.0.1:7052 TODOS_GRPC_ADDRESS=127.0.0.1:7053 JOBS_GRPC_ADDRESS=127.0.0.1:7054 HTTP_ADDRESS=127.0.0.1:7080
export AUTH_URL=http://127.0.0.1:7051 USERS_URL=http://127.0.0.1:7052 TODOS_URL=http://127.0.0.1:7053 JOBS_URL=http://127.0.0.1:7054
for name in auth users todos jobs gateway; do
    (cd "$folder" && exec "$bin/$name") &
    pids+=($!)
done
todos_pid=${pids[2]} gateway_pid=${pids[4]}
api=http://$HTTP_ADDRESS/api/v1
for _ in $(seq 100); do curl -sf "http://$HTTP_ADDRESS/readyz" >/dev/null && break; sleep 0.1; done

json='content-type: application/json'
token=$(curl -sf "$api/auth/register" -H "$json" -d '{"username":"load","email":"load@example.org","password":"correct horse battery"}' |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/')
bearer="authorization: Bearer $token"
todo='{"title":"Water the plants","description":"All of them, and the ones on the balcony twice.","due_at":"2030-01-01T09:00:00Z","priority":"PRIORITY_HIGH"}'
for _ in $(seq 50); do id=$(curl -sf "$api/todos" -H "$json" -H "$bearer" -d "$todo" | sed 's/{"id":"\([^"]*\)".*/\1/'); done

cat >"$folder/create.lua" <<LUA
wrk.method = "POST"
wrk.body = '$todo'
wrk.headers["content-type"] = "application/json"
LUA
# User and system time of a process so far, in microseconds.
cpu() { awk -v tick="$(getconf CLK_TCK)" '{print ($14 + $15) * 1000000 / tick}' "/proc/$1/stat"; }
measure() {
    local name=$1 gateway todos requests
    shift
    wrk -t1 -c16 -d1s -H "$bearer" "$@" >/dev/null
    gateway=$(cpu "$gateway_pid") todos=$(cpu "$todos_pid")
    wrk -t1 -c16 -d"${seconds}s" -H "$bearer" "$@" >"$folder/wrk"
    requests=$(awk '/requests in/ {print $1}' "$folder/wrk")
    grep -q 'Non-2xx' "$folder/wrk" && { cat "$folder/wrk"; exit 1; }
    awk -v name="$name" -v n="$requests" -v g0="$gateway" -v g1="$(cpu "$gateway_pid")" -v t0="$todos" -v t1="$(cpu "$todos_pid")" \
        'BEGIN {printf "%-12s %8d requests   gateway %6.1f µs   todos %6.1f µs\n", name, n, (g1 - g0) / n, (t1 - t0) / n}'
}
measure get "$api/todos/$id"
measure "list of 50" "$api/todos?items_per_page=50"
measure create -s "$folder/create.lua" "$api/todos"
for service in auth users todos jobs; do
    psql -q "$server" -c "drop database load_${service}_$suffix with (force)"
done
