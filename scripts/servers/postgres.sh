# shellcheck shell=bash Sourced. A temporary PostgreSQL server for one run of the tests, with its
# own data folder, on a free port of the loopback address. Other servers of the machine are never
# touched.

# Prints the folder of the programs of the newest PostgreSQL, if there is one.
postgres_programs() {
    local newest
    newest=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
    if [ -n "$newest" ]; then
        dirname "$newest"
    elif has initdb; then
        dirname "$(readlink -f "$(command -v initdb)")"
    else
        return 1
    fi
}

# Installs PostgreSQL without the cluster that Debian creates and starts with it.
postgres_install() {
    postgres_programs >/dev/null && return
    install_packages postgresql-common
    local settings=/etc/postgresql-common/createcluster.conf
    as_root sed -i.before-tests 's/^#\?create_main_cluster.*/create_main_cluster = false/' "$settings"
    install_packages postgresql
    as_root mv "$settings.before-tests" "$settings"
}

# Starts the server and sets TEST_POSTGRES_URL.
postgres_start() {
    postgres_install
    local programs password port try
    programs=$(postgres_programs)
    postgres_folder=$(mktemp -d "${TMPDIR:-/tmp}/quartet-postgres.XXXXXX")
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s' "$password" >"$postgres_folder/password"
    # PostgreSQL refuses to run as root. A command and no function, so that $! is the server itself.
    local as=()
    if [ "$(id -u)" = 0 ]; then
        chown -R postgres:postgres "$postgres_folder"
        as=(setpriv --reuid=postgres --regid=postgres --clear-groups --)
    fi
    # PostgreSQL needs access to its working folder.
    cd "$postgres_folder" || return
    "${as[@]}" "$programs/initdb" --pgdata="$postgres_folder/data" --username=test --pwfile="$postgres_folder/password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$postgres_folder/initdb.log" 2>&1 ||
        die "initdb failed: $(tail -n 3 "$postgres_folder/initdb.log")"
    local durability=(-c fsync=off -c synchronous_commit=off -c full_page_writes=off)
    [ -n "${TEST_POSTGRES_DURABLE-}" ] && durability=(-c fsync=on)
    for try in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 12000))
        # Durability is off, since the data is discarded after the run. A benchmark sets
        # TEST_POSTGRES_DURABLE, to measure the cost of a real server.
        "${as[@]}" "$programs/postgres" -D "$postgres_folder/data" -c listen_addresses=127.0.0.1 -c port="$port" \
            -c unix_socket_directories="$postgres_folder" "${durability[@]}" \
            -c max_connections=1000 >>"$postgres_folder/server.log" 2>&1 &
        postgres_pid=$!
        if postgres_answers "$programs" "$port"; then
            cd - >/dev/null || return
            export TEST_POSTGRES_URL="postgres://test:$password@127.0.0.1:$port/postgres"
            return
        fi
        echo "PostgreSQL did not start on port $port (try $try)"
    done
    die "PostgreSQL did not start: $(tail -n 5 "$postgres_folder/server.log")"
}

# Whether the started server answers within 30 seconds.
postgres_answers() {
    local _
    for _ in $(seq 150); do
        kill -0 "$postgres_pid" 2>/dev/null || return 1
        "$1/pg_isready" -q -h 127.0.0.1 -p "$2" && return
        sleep 0.2
    done
    return 1
}

# Stops the server, if it was started, and deletes its data.
postgres_stop() {
    if [ -n "${postgres_pid-}" ]; then
        # An immediate shutdown, since the data is discarded.
        kill -QUIT "$postgres_pid" 2>/dev/null
        wait "$postgres_pid" 2>/dev/null
    fi
    [ -n "${postgres_folder-}" ] && rm -rf "$postgres_folder"
}
