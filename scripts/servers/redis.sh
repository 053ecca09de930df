# shellcheck shell=bash
# Sourced. A temporary Redis server for one run of the tests, in memory alone, on a free port of the
# loopback address. Other servers of the machine are never touched.

# Prints the path of the server's program. One program is all of Redis and acts by its name; Debian
# has it in redis-tools. The package redis-server would start a server of the machine's own.
redis_program() {
    if has redis-server; then
        command -v redis-server
    else
        ln -sf "$(command -v redis-check-rdb)" "$redis_folder/redis-server"
        printf '%s
' "$redis_folder/redis-server"
    fi
}

# Installs the program, if it is missing, and sets TEST_REDIS_SERVER to it.
redis_install() {
    has redis-server || need redis-check-rdb redis-tools
    redis_folder=$(mktemp -d "${TMPDIR:-/tmp}/quartet-redis.XXXXXX")
    TEST_REDIS_SERVER=$(redis_program)
    export TEST_REDIS_SERVER
}

# Starts the server and sets TEST_REDIS_URL, and TEST_REDIS_SERVER to the program.
redis_start() {
    local password port try
    redis_install
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    for try in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 12000))
        "$TEST_REDIS_SERVER" --bind 127.0.0.1 --port "$port" --dir "$redis_folder" --save '' --appendonly no \
            --requirepass "$password" >>"$redis_folder/server.log" 2>&1 &
        redis_pid=$!
        if redis_answers "$port"; then
            export TEST_REDIS_URL="redis://:$password@127.0.0.1:$port/0"
            return
        fi
        echo "Redis did not start on port $port (try $try)"
    done
    die "Redis did not start: $(tail -n 5 "$redis_folder/server.log")"
}

# Whether the started server answers on port $1 within 10 seconds.
redis_answers() {
    local _
    for _ in $(seq 100); do
        kill -0 "$redis_pid" 2>/dev/null || return 1
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    return 1
}

# Stops the server, if it was started, and deletes its data.
redis_stop() {
    if [ -n "${redis_pid-}" ]; then
        kill -KILL "$redis_pid" 2>/dev/null
        wait "$redis_pid" 2>/dev/null
    fi
    [ -n "${redis_folder-}" ] && rm -rf "$redis_folder"
}
