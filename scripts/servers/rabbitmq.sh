# shellcheck shell=bash Sourced. A temporary RabbitMQ server for one run of the tests: a node with
# its own name, cookie and data, on free ports of the loopback address. Other servers of the machine
# are never touched.

rabbitmq_programs=/usr/lib/rabbitmq/bin

# Installs RabbitMQ without starting the service of the package.
rabbitmq_install() {
    [ -x "$rabbitmq_programs/rabbitmq-server" ] && return
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        made=yes
    fi
    install_packages rabbitmq-server
    [ -z "$made" ] || as_root rm -f "$policy"
}

# The user that the node runs as, and its settings.
rabbitmq_as=()
rabbitmq_settings=()

# Starts the server and sets TEST_RABBITMQ_URL, and TEST_RABBITMQ_CTL to the node's own
# `rabbitmqctl`.
rabbitmq_start() {
    rabbitmq_install
    local password port try
    rabbitmq_folder=$(mktemp -d "${TMPDIR:-/tmp}/quartet-rabbitmq.XXXXXX")
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    cat >"$rabbitmq_folder/rabbitmq.conf" <<CONF
default_user = test
default_pass = $password
# The tests need little, and a machine that runs them may have little.
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.relative = 0.3
CONF
    echo '[].' >"$rabbitmq_folder/plugins"
    if [ "$(id -u)" = 0 ]; then
        chown -R rabbitmq:rabbitmq "$rabbitmq_folder"
        rabbitmq_as=(setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups --)
    fi
    for try in 1 2 3 4 5; do
        # Three ports in a row: for clients, for tools, and for the name server.
        port=$((20000 + RANDOM % 12000))
        rabbitmq_settings=(
            HOME="$rabbitmq_folder"
            RABBITMQ_NODENAME="quartet$port@localhost"
            RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
            RABBITMQ_NODE_PORT="$port"
            RABBITMQ_DIST_PORT="$((port + 1))"
            ERL_EPMD_PORT="$((port + 2))"
            ERL_EPMD_ADDRESS=127.0.0.1
            RABBITMQ_CONFIG_FILE="$rabbitmq_folder/rabbitmq"
            RABBITMQ_CONF_ENV_FILE="$rabbitmq_folder/none"
            RABBITMQ_ENABLED_PLUGINS_FILE="$rabbitmq_folder/plugins"
            RABBITMQ_MNESIA_BASE="$rabbitmq_folder/data$try"
            RABBITMQ_LOG_BASE="$rabbitmq_folder/log"
            RABBITMQ_PID_FILE="$rabbitmq_folder/pid"
        )
        # RabbitMQ needs access to its working folder.
        cd "$rabbitmq_folder" || return
        env "${rabbitmq_settings[@]}" "${rabbitmq_as[@]}" "$rabbitmq_programs/rabbitmq-server" \
            >>"$rabbitmq_folder/server.log" 2>&1 &
        rabbitmq_pid=$!
        cd - >/dev/null || return
        if rabbitmq_answers; then
            rabbitmq_write_ctl
            export TEST_RABBITMQ_URL="amqp://test:$password@127.0.0.1:$port/%2f"
            export TEST_RABBITMQ_CTL="$rabbitmq_folder/ctl"
            return
        fi
        echo "RabbitMQ did not start on port $port (try $try)"
        rabbitmq_kill
    done
    die "RabbitMQ did not start: $(tail -n 5 "$rabbitmq_folder/server.log")"
}

# Writes the node's own tool: `$TEST_RABBITMQ_CTL list_queues`.
rabbitmq_write_ctl() {
    {
        echo '#!/bin/sh'
        printf 'cd %q && exec env' "$rabbitmq_folder"
        printf ' %q' "${rabbitmq_settings[@]}" "${rabbitmq_as[@]}" "$rabbitmq_programs/rabbitmqctl" -q
        echo ' "$@"'
    } >"$rabbitmq_folder/ctl"
    chmod 755 "$rabbitmq_folder/ctl"
}

# Whether the started server answers within a minute.
rabbitmq_answers() {
    local _
    for _ in $(seq 300); do
        kill -0 "$rabbitmq_pid" 2>/dev/null || return 1
        grep -q 'Server startup complete' "$rabbitmq_folder"/log/*.log 2>/dev/null && return
        sleep 0.2
    done
    return 1
}

# Kills the node and its name server.
rabbitmq_kill() {
    # The server's script only waits for the node, which is a process of its own.
    local node _
    node=$(cat "$rabbitmq_folder/pid" 2>/dev/null)
    kill -KILL "$rabbitmq_pid" ${node:+"$node"} 2>/dev/null
    wait "$rabbitmq_pid" 2>/dev/null
    # The name server refuses to exit while the node is registered.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        env "${rabbitmq_settings[@]}" epmd -kill 2>/dev/null | grep -q Killed && break
        sleep 0.2
    done
    rm -f "$rabbitmq_folder"/log/*.log
}

# Stops the server, if it was started, and deletes its data.
rabbitmq_stop() {
    [ -n "${rabbitmq_pid-}" ] && rabbitmq_kill
    [ -n "${rabbitmq_folder-}" ] && rm -rf "$rabbitmq_folder"
}
