#!/usr/bin/env bash
# Writes the descriptions of the API into a folder: openapi.json (REST) and asyncapi.json (the
# WebSocket), as a suite of these sources serves them.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/needs.sh"
folder=${1:-api}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$root"
need curl curl
cargo build --quiet --bin quartet
data=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
env -i PATH="$PATH" DATA_DIR="$data" HTTP_ADDRESS=127.0.0.1:$port GRPC_ADDRESS=127.0.0.1:$((port + 10000)) LOG_FILTER=error \
    "${CARGO_TARGET_DIR:-target}/debug/quartet" >"$data/log" 2>&1 &
suite=$!
trap 'kill $suite 2>/dev/null; wait $suite 2>/dev/null; rm -rf "$data"' EXIT
for _ in $(seq 100); do
    curl -sf "http://127.0.0.1:$port/readyz" >/dev/null && break
    kill -0 $suite 2>/dev/null || die "the suite did not start: $(tail -n 1 "$data/log")"
    sleep 0.1
done
for name in openapi asyncapi; do
    curl -sf "http://127.0.0.1:$port/$name.json" -o "$folder/$name.json"
    echo "$folder/$name.json"
done
