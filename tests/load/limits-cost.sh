#!/usr/bin/env bash
# What limits and the cache cost at the gateway: rounds of cpu-per-request.sh in one run, with both off,
# with limits counted in the process, with limits in Redis, and with the cache in Redis as well. Needs
# what that script needs, and a Redis at TEST_REDIS_URL:
#   cargo build --release --workspace --bins && scripts/with-servers.sh tests/load/limits-cost.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
redis=${TEST_REDIS_URL:?set it to a Redis server}
# So wide that nothing is refused.
wide=(RATE_LIMIT_ENABLED=true RATE_LIMIT_USER=1000000/1s RATE_LIMIT_ADDRESS=1000000/1s)
run() {
    local name=$1
    shift
    env "$@" tests/load/cpu-per-request.sh | sed "s/^/$(printf '%-11s' "$name")/"
}
for round in $(seq "${ROUNDS:-3}"); do
    echo "round $round"
    run off RATE_LIMIT_ENABLED=false CACHE_ENABLED=false
    run in-process "${wide[@]}" CACHE_ENABLED=false
    run redis "${wide[@]}" CACHE_ENABLED=false REDIS_URL="$redis"
    run cache "${wide[@]}" CACHE_ENABLED=true REDIS_URL="$redis"
done
