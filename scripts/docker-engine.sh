# shellcheck shell=bash
# Sourced. A Docker engine for one run of the tests: the machine's, where it can pull the images, or
# a private one, with its own data, socket and network namespace, which touches neither the
# machine's containers nor its firewall. The private one has no network, so that its base images are
# made from the packages of this Debian or Ubuntu, under the names that our files use: stand-ins.

# The images that docker_start provides.
docker_images=(debian:bookworm-slim postgres:17 redis:7 rabbitmq:3.13-management nginx:1.28)

# Why docker_start has failed.
# shellcheck disable=SC2034
docker_reason=

# Starts, or finds, an engine. Sets DOCKER_HOST for a private one. Fails, with docker_reason set,
# where there can be none.
docker_start() {
    if [ -z "${DOCKER_PRIVATE-}" ] && docker_machine_engine; then
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        docker_reason="no Docker engine that can pull images, and only root can start a private one"
        return 1
    fi
    if ! has apt-get || ! grep -q '^VERSION_CODENAME=' /etc/os-release; then
        docker_reason="no Docker engine that can pull images, and a private one needs Debian or Ubuntu"
        return 1
    fi
    docker_private_engine && docker_stand_ins
}

# Whether the machine's own engine answers and has the images, or can pull them.
docker_machine_engine() {
    has docker && timeout 10 docker info >/dev/null 2>&1 || return 1
    # A client without BuildKit cannot build our image.
    docker buildx version >/dev/null 2>&1 || docker --version | grep -q ' 20\.' || return 1
    docker compose version >/dev/null 2>&1 || has docker-compose || return 1
    local image
    for image in "${docker_images[@]}"; do
        docker image inspect "$image" >/dev/null 2>&1 || timeout 120 docker pull --quiet "$image" >/dev/null 2>&1 || return 1
    done
}

# Runs "$@" with policy-rc.d in the root $1 saying that no service starts.
docker_without_services() {
    local policy=$1/usr/sbin/policy-rc.d made=
    shift
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=yes
    fi
    "$@"
    local status=$?
    [ -z "$made" ] || rm -f "$policy"
    return $status
}

docker_private_engine() {
    if [ ! -x /usr/sbin/dockerd ] || [ ! -x /usr/bin/docker-compose ] || ! has iptables || ! has debootstrap; then
        docker_without_services "" install_packages docker.io docker-compose debootstrap iptables
    fi
    # Sockets have a bound on the length of their path, so not in TMPDIR.
    docker_folder=$(mktemp -d /tmp/quartet-docker.XXXXXX)
    # The client of the same package: another one may come without BuildKit.
    mkdir "$docker_folder/bin"
    ln -s /usr/bin/docker "$docker_folder/bin/docker"
    PATH="$docker_folder/bin:$PATH"
    export DOCKER_CONFIG=$docker_folder/config
    # What it leaves mounted ends with its namespace of mounts.
    # The inner shell expands it.
    # shellcheck disable=SC2016
    unshare --net --mount bash -c 'ip link set lo up; exec /usr/sbin/dockerd --data-root "$1/data" --exec-root "$1/exec" \
        --pidfile "$1/pid" --host "unix://$1/docker.sock" --exec-opt native.cgroupdriver=cgroupfs --shutdown-timeout 5' \
        bash "$docker_folder" >"$docker_folder/log" 2>&1 &
    docker_pid=$!
    export DOCKER_HOST=unix://$docker_folder/docker.sock
    local _
    for _ in $(seq 300); do
        docker info >/dev/null 2>&1 && return
        kill -0 "$docker_pid" 2>/dev/null || break
        sleep 0.1
    done
    docker_reason="a private Docker engine did not start: $(grep -i 'level=\(error\|fatal\)\|failed' "$docker_folder/log" | tail -n 1 | cut -c1-300)"
    return 1
}

# Stops a private engine with its containers, and deletes its data. Leaves the machine's engine as it
# is.
docker_stop() {
    [ -n "${docker_folder-}" ] || return 0
    if [ -n "${docker_pid-}" ] && kill -0 "$docker_pid" 2>/dev/null; then
        local ids
        ids=$(docker ps --quiet 2>/dev/null)
        # One id per word.
        # shellcheck disable=SC2086
        [ -z "$ids" ] || docker kill $ids >/dev/null 2>&1
        kill "$docker_pid" 2>/dev/null
        wait "$docker_pid" 2>/dev/null
    fi
    rm -rf --one-file-system "$docker_folder"
    docker_folder=
}

# Runs "$@" where the published ports of the engine are reached at the loopback address.
docker_reach() {
    if [ -n "${docker_pid-}" ]; then
        nsenter --target "$docker_pid" --net "$@"
    else
        "$@"
    fi
}

# Imports the stand-ins. Their root folders are kept between runs for a week.
docker_stand_ins() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/quartet/stand-ins codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    local base=$cache/$codename-base.tar servers=$cache/$codename-servers.tar
    mkdir -p "$cache"
    if [ -z "$(find "$servers" -mtime -7 2>/dev/null)" ] || [ ! -e "$base" ]; then
        step "making base images from the packages of $codename"
        docker_make_roots "$codename" "$base" "$servers" || return 1
    fi
    if ! docker import "$base" debian:bookworm-slim >/dev/null || ! docker import "$servers" quartet-stand-in:servers >/dev/null; then
        docker_reason="the stand-ins could not be imported"
        return 1
    fi
    local image
    for image in postgres redis rabbitmq nginx; do docker_stand_in "$image" || { docker_reason="no stand-in for $image"; return 1; }; done
}

# Makes two root folders, as archives: the base, and the base with every server.
docker_make_roots() {
    local codename=$1 base=$2 servers=$3 root mirror
    root=$(mktemp -d /tmp/quartet-root.XXXXXX)
    # The mirror that apt uses for this release.
    mirror=$(apt-get indextargets --format "\$(CODENAME) \$(REPO_URI)" 'Created-By: Packages' 'Component: main' |
        sed -n "s/^$codename //p" | head -n 1)
    # What the official slim images leave out as well.
    local slim=(--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/info --exclude=./var/cache/apt
        --exclude=./var/lib/apt/lists --exclude=./usr/share/locale --exclude=./var/cache/debconf --exclude=./proc --exclude=./sys)
    if ! debootstrap --variant=minbase --include=ca-certificates "$codename" "$root" "$mirror" >"$root.log" 2>&1; then
        docker_reason="debootstrap failed: $(tail -n 1 "$root.log")"
        rm -rf "$root" "$root.log"
        return 1
    fi
    tar -C "$root" "${slim[@]}" -c . >"$base.new" && mv "$base.new" "$base"
    cp /etc/resolv.conf "$root/etc/"
    cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    mkdir -p "$root/etc/postgresql-common"
    echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
    if ! chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold postgresql redis-server rabbitmq-server nginx-light curl openssl >"$root.log" 2>&1; then
        docker_reason="the packages of the servers could not be installed: $(tail -n 1 "$root.log")"
        rm -rf --one-file-system "$root" "$root.log"
        return 1
    fi
    rm -rf "$root"/etc/nginx/sites-enabled "$root"/etc/rabbitmq/*
    tar -C "$root" "${slim[@]}" -c . >"$servers.new" && mv "$servers.new" "$servers"
    rm -rf --one-file-system "$root" "$root.log"
}

# Builds the stand-in for the image $1: the package's server, with as much of the official image's
# interface as our files use.
docker_stand_in() {
    local context=$docker_folder/$1
    mkdir -p "$context"
    "docker_entry_$1" >"$context/entry"
    chmod 755 "$context/entry"
    local tag
    for tag in "${docker_images[@]}"; do
        [ "${tag%%:*}" = "$1" ] || continue
        {
            echo 'FROM quartet-stand-in:servers'
            echo 'ENV PATH=/usr/lib/postgresql/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
            echo 'RUN ln -sfn /usr/lib/postgresql/*/bin /usr/lib/postgresql/bin'
            echo 'COPY entry /usr/local/bin/docker-entrypoint.sh'
            echo 'ENTRYPOINT ["docker-entrypoint.sh"]'
            case "$1" in
                postgres)
                    echo 'RUN install -d -o postgres -g postgres /var/lib/postgresql/data /docker-entrypoint-initdb.d'
                    echo 'VOLUME /var/lib/postgresql/data'
                    echo 'STOPSIGNAL SIGINT'
                    ;;
                rabbitmq)
                    echo 'ENV HOME=/var/lib/rabbitmq'
                    echo 'RUN install -d -o rabbitmq -g rabbitmq /var/lib/rabbitmq /etc/rabbitmq/conf.d && chown -R rabbitmq: /var/lib/rabbitmq'
                    echo 'VOLUME /var/lib/rabbitmq'
                    ;;
                redis) echo 'CMD ["redis-server"]' ;;
                nginx) echo 'CMD ["nginx", "-g", "daemon off;"]' ;;
            esac
        } >"$context/Dockerfile"
        DOCKER_BUILDKIT=0 docker build --quiet --tag "$tag" "$context" >/dev/null || return 1
    done
}

docker_entry_postgres() {
    cat <<'ENTRY'
#!/bin/bash
set -euo pipefail
data=/var/lib/postgresql/data
cd /
if [ "$(id -u)" = 0 ]; then
    chown postgres: "$data"
    install -d -o postgres -g postgres /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi
if [ ! -e "$data/PG_VERSION" ]; then
    # shellcheck disable=SC2086
    initdb --pgdata="$data" --username=postgres --pwfile=<(cat "$POSTGRES_PASSWORD_FILE") --encoding=UTF8 --locale=C.UTF-8 \
        --auth-local=trust ${POSTGRES_INITDB_ARGS-}
    echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
    pg_ctl -D "$data" -o '-c listen_addresses=' -w start
    for script in /docker-entrypoint-initdb.d/*.sh; do [ ! -e "$script" ] || bash "$script"; done
    pg_ctl -D "$data" -m fast -w stop
fi
exec postgres -D "$data" -c listen_addresses='*' "$@"
ENTRY
}

docker_entry_redis() {
    cat <<'ENTRY'
#!/bin/bash
set -euo pipefail
cd /tmp
[ "$(id -u)" != 0 ] || exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
exec "$@" --protected-mode no --bind 0.0.0.0
ENTRY
}

docker_entry_rabbitmq() {
    cat <<'ENTRY'
#!/bin/bash
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
    chown rabbitmq: /var/lib/rabbitmq
    exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups -- "$0" "$@"
fi
export RABBITMQ_CONFIG_FILES=/etc/rabbitmq/conf.d RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq/mnesia
export RABBITMQ_ENABLED_PLUGINS_FILE=/var/lib/rabbitmq/plugins RABBITMQ_LOGS=- RABBITMQ_CONF_ENV_FILE=/dev/null
echo '[rabbitmq_management].' >"$RABBITMQ_ENABLED_PLUGINS_FILE"
exec /usr/lib/rabbitmq/bin/rabbitmq-server
ENTRY
}

docker_entry_nginx() {
    printf '#!/bin/sh\nexec "$@"\n'
}
