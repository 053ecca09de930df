#!/usr/bin/env bash
# Runs the composed suite for real, and tests it: images from the programs of this machine's build,
# everything up behind nginx, a tour of the API over TLS, then the end-to-end tests from within.
# Needs a Docker engine, or root to start a private one; without either it is reported as ignored.
#
#   PROGRAMS=target/debug scripts/test-compose.sh   takes programs that are built already, and the
#                                                   newest program of the end-to-end tests there
#
# Arguments are parts of names of tests.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit
. scripts/needs.sh
. scripts/docker-engine.sh

# Of this run alone, whatever else the machine runs.
scratch=$(mktemp -d)
export COMPOSE_PROJECT_NAME=quartet-test-$$ FILES=tests PROFILES=
export QUARTET_IMAGE=$COMPOSE_PROJECT_NAME:suite QUARTET_TESTS_IMAGE=$COMPOSE_PROJECT_NAME:tests
export QUARTET_SECRETS=$scratch/secrets HTTPS_PORT=18443
export EDGE_SUBNET=10.213.78.0/24 NGINX_ADDRESS=10.213.78.10 GATEWAY_1_ADDRESS=10.213.78.11 GATEWAY_2_ADDRESS=10.213.78.12
passed=0 failed=0 skipped=0 composed=

finish() {
    if [ -n "$composed" ]; then
        PROFILES=tests scripts/compose.sh down --volumes >/dev/null 2>&1
        docker image rm "$QUARTET_IMAGE" "$QUARTET_IMAGE-shell" "$QUARTET_TESTS_IMAGE" >/dev/null 2>&1
    fi
    docker_stop
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

# The last lines: what scripts/summary.awk reads, and a sentence.
conclude() {
    echo "@part compose $passed $failed $skipped"
    echo "compose: $passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
    exit
}

fail() {
    echo "compose: $*" >&2
    failed=$((failed + 1))
    conclude
}

# Asserts that the command "${@:2}" succeeds.
check() {
    if "${@:2}"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $1"
    fi
}

if ! docker_start; then
    echo "ignored: $docker_reason"
    skipped=1
    conclude
fi
need curl curl
need strip binutils

if [ -z "${PROGRAMS-}" ]; then
    step "building the programs"
    if ! cargo build --workspace --bins || ! cargo test --workspace --test e2e --no-run; then
        fail "the build failed"
    fi
    PROGRAMS=${CARGO_TARGET_DIR:-target}/debug
fi
# The newest: cargo leaves those of earlier builds beside it.
tests=$(find "$PROGRAMS/deps" -maxdepth 1 -name 'e2e-*' -type f -executable -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
[ -n "$tests" ] || fail "there is no program of the end-to-end tests in $PROGRAMS/deps"

step "building the images"
composed=yes
scripts/images.sh "$PROGRAMS" "$tests" || fail "the images were not built"
docker run --rm --read-only --entrypoint auth "$QUARTET_IMAGE" --help >"$scratch/log" 2>&1
# A program for a newer C library than the image's does not start.
! grep -q 'GLIBC_' "$scratch/log" || {
    echo "ignored: these programs need a newer C library than the image has"
    skipped=1
    conclude
}
started=$SECONDS

step "starting everything"
if ! scripts/compose.sh start >"$scratch/log" 2>&1; then
    tail -n 20 "$scratch/log"
    scripts/compose.sh logs --no-color --tail=20 2>/dev/null | cut -c1-300 | tail -n 60 &
    sleep 5 && kill $! 2>/dev/null
    fail "the composed system did not start"
fi
echo "healthy after $((SECONDS - started)) s; memory of each container:"
docker stats --no-stream --format '{{.Name}} {{.MemUsage}}' | sed "s/^${COMPOSE_PROJECT_NAME}[-_]/  /; s/[-_]1 / /; s# / .*##" | sort

step "a tour over TLS"
base=https://localhost:$HTTPS_PORT
call() { docker_reach curl -sS --max-time 30 --cacert "$QUARTET_SECRETS/tls_certificate" "$@"; }
field() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p'; }
is() { [ "$1" = "$2" ] || { echo "expected $2, not $1" && false; }; }
has_text() { case "$1" in *"$2"*) ;; *) echo "expected $2 in: ${1:0:300}" && false ;; esac }
json='content-type: application/json'

check "every service is healthy" has_text "$(call "$base/health")" '"status":"healthy"'
check "a page without TLS is sent to HTTPS" is "$(call -o "$scratch/body" -w '%{http_code} %{redirect_url}' "http://localhost:$HTTPS_PORT/docs")" "308 $base/docs"
check "a call without TLS is refused" is "$(call -o "$scratch/body" -w '%{http_code}' "http://localhost:$HTTPS_PORT/api/v1/todos")" 400
check "the API is described" has_text "$(call "$base/openapi.json")" '"openapi"'
registered=$(call "$base/api/v1/auth/register" -H "$json" \
    -d '{"name": "Ada", "username": "ada", "email": "ada@example.org", "password": "correct horse battery"}')
check "a user registers" has_text "$registered" '"access_token"'
token=$(call "$base/api/v1/auth/login" -H "$json" -H 'x-forwarded-for: 203.0.113.7' \
    -d '{"username_or_email": "ada", "password": "correct horse battery"}' | field access_token)
bearer="authorization: Bearer $token"
tag=$(call "$base/api/v1/tags" -H "$bearer" -H "$json" -d '{"name": "home"}' | field id)
check "a todo with a tag is made" has_text "$(call "$base/api/v1/todos" -H "$bearer" -H "$json" \
    -d '{"title": "Water the plants", "due_at": "2030-01-01T09:00:00Z", "tag_ids": ["'"$tag"'"]}')" '"title":"Water the plants"'
check "it is found by its tag" has_text "$(call "$base/api/v1/todos?tag=home&sort=-due_at" -H "$bearer")" '"total_count":1'
check "errors are in the language of the request" has_text \
    "$(call "$base/api/v1/todos" -H "$bearer" -H "$json" -H 'accept-language: ru' -d '{"title": ""}')" 'поля'
sessions=$(call "$base/api/v1/auth/sessions" -H "$bearer")
check "a client cannot choose its address" is "$(grep -c '203\.0\.113\.7' <<<"$sessions")" 0
check "the proxy's address is nobody's" is "$(grep -c "\"ip_address\":\"$NGINX_ADDRESS\"" <<<"$sessions")" 0
task=$(call "$base/api/v1/tasks" -H "$bearer" -H "$json" -d '{"export_todos": {"format": "FILE_FORMAT_CSV"}}' | field id)
check "a task's progress is streamed until it has succeeded" has_text \
    "$(call -N "$base/api/v1/tasks/$task:watch" -H "$bearer" -H 'accept: text/event-stream')" SUCCEEDED
link=$(call "$base/api/v1/tasks/$task" -H "$bearer" | field download_url)
check "its file is downloaded" has_text "$(call "$base$link")" 'Water the plants'
# It stays open, so the time ends it: what came until then was not buffered.
events=$(call -N --max-time 4 "$base/api/v1/todos:watch" -H "$bearer" -H 'accept: text/event-stream' 2>/dev/null &
    sleep 1
    call -o /dev/null "$base/api/v1/todos" -H "$bearer" -H "$json" -d '{"title": "Call Bob"}'
    wait)
check "a change is streamed as it happens" has_text "$events" 'Call Bob'
check "a WebSocket opens" has_text "$(call --http1.1 --max-time 2 -i "$base/api/v1/ws" -H "$bearer" -H 'connection: upgrade' \
    -H 'upgrade: websocket' -H 'sec-websocket-version: 13' -H 'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==' 2>/dev/null | head -n 1 | tr -d '\0\r')" ' 101 '
call -o /dev/null -X POST "$base/api/v1/auth/logout" -H "$bearer"
check "a token counts nowhere after a logout" is "$(call -o /dev/null -w '%{http_code}' "$base/api/v1/todos" -H "$bearer")" 401
published=$(docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Label "com.docker.compose.service"}} {{.Ports}}' |
    grep -e '->' | cut -d ' ' -f 1)
check "nothing but nginx is published" is "$published" nginx
echo "$passed passed, $failed failed"

step "the end-to-end tests, against this system"
PROFILES=tests scripts/compose.sh run --rm tests "$@" 2>&1 | tee "$scratch/tests" | grep -v '\.\.\. ok.\?$'
line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, ' "$scratch/tests" | tail -n 1)
if [ -z "$line" ]; then
    fail "the end-to-end tests did not run to their end"
fi
read -r more_passed _ more_failed _ more_skipped _ <<<"$line"
passed=$((passed + more_passed)) failed=$((failed + more_failed))
[ "$more_skipped" = none ] || skipped=$((skipped + more_skipped))

step "every container of the suite replaced in turn, under load"
mkdir -m 0777 "$scratch/rolling"
PROFILES=tests scripts/compose.sh run --rm -v "$scratch/rolling:/rolling" -e LOAD_UNTIL=/rolling/done tests \
    rolling:: --show-output >"$scratch/load" 2>&1 &
load=$!
running() { docker ps --quiet --no-trunc --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | sort; }
sleep 5
running >"$scratch/before"
check "the containers are replaced" scripts/compose.sh replace
running >"$scratch/after"
touch "$scratch/rolling/done"
wait "$load"
echo "replaced: $(comm -13 "$scratch/before" "$scratch/after" | wc -l) containers"
grep -E ' calls, | events, |panicked' -A 3 "$scratch/load" | cut -c1-300
check "no call failed, and no stream missed an event" grep -q '^1 passed, 0 failed' "$scratch/load"
conclude
