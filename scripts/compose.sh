#!/usr/bin/env bash
# The composition of deploy/compose.yaml: `scripts/compose.sh COMMAND`, with `docker compose` v2 or
# docker-compose 1.29, whichever is there. Commands that it does not know go to compose as they are.
#
#   PROFILES="mail observability"   starts these parts too
#   FILES="ports tests"             reads deploy/compose.ports.yaml and deploy/compose.tests.yaml too
#   FILES="identities"              mutual TLS, and a key pair for each service
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/needs.sh"
# An absolute path.
secrets=${QUARTET_SECRETS:-$root/deploy/secrets}

usage() {
    cat <<'USAGE'
usage: scripts/compose.sh COMMAND
  up                 makes the secrets, builds the image unless QUARTET_IMAGE names one, starts everything, waits
  start              the same without building
  down [--volumes]   stops everything; with --volumes, deletes its data too
  restart [SERVICE]  restarts everything, or one service
  logs [SERVICE]     follows the logs
  ps                 lists the containers and their health
  psql [SERVICE]     opens psql on the database of auth, users, todos or jobs; without, as administrator
  shell              opens a shell in a new container of the image, with the settings of all services
  quartet ARGUMENTS  runs an administrative command, such as `quartet create-superuser`
  upgrade            migrates every store, and replaces the containers without failing a call
  replace [SERVICE…] replaces the containers of these services, or of all of the suite, in turn
  secrets            makes the secrets that are missing
  wait               waits until every container is healthy
USAGE
}

compose() {
    local program=(docker compose)
    docker compose version >/dev/null 2>&1 || program=(docker-compose)
    has "${program[0]}" || die "there is neither docker compose nor docker-compose"
    local arguments=(--file "$root/deploy/compose.yaml") word
    for word in ${FILES-}; do arguments+=(--file "$root/deploy/compose.$word.yaml"); done
    for word in ${PROFILES-}; do arguments+=(--profile "$word"); done
    "${program[@]}" "${arguments[@]}" --project-name "${COMPOSE_PROJECT_NAME:-quartet}" "$@"
}

# 32 random characters.
random() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# Writes standard input into the secret $1, unless it is there. The folder is closed to other users;
# the files are readable, since containers read them as users of their own.
secret() {
    if [ -e "$secrets/$1" ]; then
        # Read all the same: the writer would fail otherwise.
        cat >/dev/null
        return
    fi
    cat >"$secrets/$1.new"
    chmod 0444 "$secrets/$1.new"
    mv "$secrets/$1.new" "$secrets/$1"
    echo "made ${secrets#"$root"/}/$1"
}

make_secrets() {
    local service password
    mkdir -p "$secrets"
    chmod 0700 "$secrets"
    random | cat - <(random) | secret service_token_secret
    for service in auth users todos jobs; do
        printf 'postgres://%s:%s@postgres:5432/%s' "$service" "$(random)" "$service" | secret "${service}_database_url"
    done
    random | secret postgres_password
    if [ ! -e "$secrets/rabbitmq_url" ] || [ ! -e "$secrets/rabbitmq_conf" ]; then
        rm -f "$secrets"/rabbitmq_{url,conf}
        password=$(random)
        printf 'amqp://quartet:%s@rabbitmq:5672/quartet' "$password" | secret rabbitmq_url
        printf 'default_user = quartet\ndefault_pass = %s\ndefault_vhost = quartet\n' "$password" | secret rabbitmq_conf
    fi
    if [ ! -e "$secrets/redis_url" ] || [ ! -e "$secrets/redis_conf" ]; then
        rm -f "$secrets"/redis_{url,conf}
        password=$(random)
        printf 'redis://:%s@redis:6379/0' "$password" | secret redis_url
        printf 'requirepass %s\n' "$password" | secret redis_conf
    fi
    random | secret admin_password
    random | secret grafana_password
    random | secret pgadmin_password
    [ -e "$secrets/tls_certificate" ] && [ -e "$secrets/tls_key" ] || make_certificate
    case " ${FILES-} " in *" identities "*) "$root/scripts/identities.sh" "$secrets/identities" ;; esac
}

# A certificate for this machine, signed by itself. Replace both files by your own.
make_certificate() {
    need openssl openssl
    local names="DNS:localhost,DNS:nginx,IP:127.0.0.1,IP:::1"
    [ -z "${TLS_NAME-}" ] || names="DNS:$TLS_NAME,$names"
    rm -f "$secrets"/tls_{certificate,key}
    local folder
    folder=$(mktemp -d)
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj "/CN=${TLS_NAME:-localhost}" \
        -addext "subjectAltName=$names" -keyout "$folder/key" -out "$folder/certificate" 2>"$folder/log" ||
        die "openssl made no certificate: $(tail -n 2 "$folder/log")"
    secret tls_certificate <"$folder/certificate"
    secret tls_key <"$folder/key"
    rm -rf "$folder"
}

build_image() {
    [ -n "${QUARTET_IMAGE-}" ] || "$root/scripts/images.sh" compile
}

# Settings that a profile needs, unless they are set.
profile_settings() {
    case " ${PROFILES-} " in *" mail "*) export SMTP_URL="${SMTP_URL:-smtp://mailpit:1025}" ;; esac
    case " ${PROFILES-} " in *" observability "*)
        export OTEL_EXPORTER_OTLP_ENDPOINT="${OTEL_EXPORTER_OTLP_ENDPOINT:-http://otel-collector:4317}"
        ;;
    esac
}

# A line per container: its name, its state, and its health or exit status.
states() {
    local ids
    ids=$(compose ps --all --quiet 2>/dev/null || compose ps --quiet)
    # One id per word.
    # shellcheck disable=SC2086
    [ -z "$ids" ] || docker inspect --format \
        '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.ExitCode}}{{end}}' $ids
}

# Waits until every container is healthy, or has ended with success.
wait_until_healthy() {
    local deadline=$((SECONDS + ${WAIT_TIMEOUT:-180})) pending
    while :; do
        pending=$(states | grep -Ev ' (running (healthy|0)|exited 0)$' || true)
        [ -z "$pending" ] && return
        if [ $SECONDS -ge $deadline ] || grep -Eq ' (exited|dead) ' <<<"$pending"; then
            printf 'not healthy:\n%s\n' "$pending" >&2
            return 1
        fi
        sleep 0.5
    done
}

start() {
    make_secrets
    compose up --detach --remove-orphans
    wait_until_healthy || die "the system is not up; scripts/compose.sh logs shows why"
    echo "https://localhost:${HTTPS_PORT:-8443} serves the API, and /docs describes it"
}

# Gateways resolve the names of services again every five seconds.
RESOLVED_AFTER=6

# Replaces the containers of each service by new ones, of the image as it is now. New containers of
# a service get calls before the old ones are stopped; a gateway has an address of its own, so it is
# stopped first, and nginx turns to the other one.
replace() {
    local service old count
    [ $# -gt 0 ] || set -- auth users todos jobs jobs-worker gateway-1 gateway-2
    for service in "$@"; do
        old=$(compose ps --quiet "$service")
        # Nothing to replace: it is started like the rest.
        [ -n "$old" ] || continue
        echo "replacing $service"
        case "$service" in
            gateway-*)
                compose up --detach --no-deps --force-recreate "$service"
                wait_until_healthy || die "the new $service is not healthy; scripts/compose.sh logs $service shows why"
                # nginx may have found it away.
                sleep "$RESOLVED_AFTER"
                continue
                ;;
        esac
        count=$(wc -w <<<"$old")
        compose up --detach --no-deps --no-recreate --scale "$service=$((count * 2))" "$service"
        wait_until_healthy || die "the new $service is not healthy; scripts/compose.sh logs $service shows why"
        sleep "$RESOLVED_AFTER"
        # One id per word.
        # shellcheck disable=SC2086
        docker stop --time 30 $old >/dev/null
        # shellcheck disable=SC2086
        docker rm $old >/dev/null
    done
}

profile_settings
command=${1-}
[ $# = 0 ] || shift
case "$command" in
    "" | help | --help | -h) usage ;;
    up)
        build_image
        start
        ;;
    start) start ;;
    secrets) make_secrets ;;
    wait) wait_until_healthy ;;
    # With every profile, so that nothing is left.
    down) PROFILES="mail observability admin tests commands" compose down --remove-orphans "$@" ;;
    restart) compose restart "$@" ;;
    logs) compose logs --follow --tail=100 "$@" ;;
    ps) compose ps "$@" ;;
    psql)
        service=${1:-postgres}
        [ $# = 0 ] || shift
        terminal=()
        # docker-compose 1.29 does not find out for itself.
        [ -t 0 ] || terminal=(-T)
        compose exec "${terminal[@]}" postgres psql -U "$service" -d "$service" "$@"
        ;;
    shell) QUARTET_IMAGE="${QUARTET_IMAGE:-quartet:latest}-shell" PROFILES="${PROFILES-} commands" compose run --rm --entrypoint bash admin ;;
    replace) replace "$@" ;;
    quartet) PROFILES="${PROFILES-} commands" compose run --rm admin "$@" ;;
    upgrade)
        build_image
        make_secrets
        for service in auth users todos jobs; do compose run --rm "migrate-$service"; done
        replace
        start
        ;;
    *) compose "$command" "$@" ;;
esac
