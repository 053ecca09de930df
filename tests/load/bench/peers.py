"""Peers: what does the same job, or a part of it."""

import base64
import hashlib
import hmac
import json
import os
import resource
import subprocess
import time

from load import Contestant, Sample
from processes import Group
from suites import Suite, call, free_address, psql

CANNED_TODO = "01890a5d-ac96-774b-bcce-b30200000001"


class Peer:
    """A program beside the product's."""

    def __init__(self, bench, name, command, address, environment=None, path="/"):
        folder = f"{bench.folder}/peers"
        os.makedirs(folder, exist_ok=True)
        environment = {"PATH": os.environ["PATH"], "HOME": folder} | (environment or {})
        log = f"{os.path.basename(command[0])}-{address.split(':')[1]}.log"
        self.name, self.address = name, address
        self.process = bench.started.start(command, environment, folder, log)
        end = time.monotonic() + 60
        while True:
            if self.process.poll() is not None or time.monotonic() > end:
                with open(f"{folder}/{log}", errors="replace") as file:
                    raise RuntimeError(f"{name} does not start: {file.read()[-600:]}")
            try:
                if path is None or call(address, "GET", path)[0]:
                    return
            except OSError:
                time.sleep(0.02)

    def contestant(self, servers=None):
        return Contestant(self.name, self.address, {"own": Group(self.process.pid)} | (servers or {}))


def constant(bench, kind, replies):
    """`hyper` or `axum` with these replies."""
    folder = f"{bench.folder}/replies"
    os.makedirs(folder, exist_ok=True)
    for name, body in replies.items():
        with open(f"{folder}/{name}.json", "wb") as file:
            file.write(body)
    address = free_address()
    command = [bench.rust_peers, kind, address, folder]
    return Peer(bench, f"{kind}, constant JSON", command, address, path=f"/api/v1/todos/{CANNED_TODO}")


def envoy(bench):
    """Envoy with its transcoder in front of the canned backend."""
    program = bench.tools.get("envoy")
    if not program:
        return None
    descriptors = f"{bench.folder}/descriptors.bin"
    with open(descriptors, "wb") as file:
        subprocess.run([bench.rust_peers, "descriptors"], stdout=file, check=True)
    address = free_address()
    socket_address = lambda address: {
        "socket_address": {"address": address.split(":")[0], "port_value": int(address.split(":")[1])}
    }
    typed = lambda name, **fields: {"@type": f"type.googleapis.com/envoy.{name}", **fields}
    filters = "extensions.filters.http"
    transcoder = typed(
        f"{filters}.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=descriptors,
        services=["quartet.todos.v1.TodoService"],
        print_options={"always_print_primitive_fields": True, "preserve_proto_field_names": True},
    )
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="in",
        route_config={
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "todos"}}]}
            ]
        },
        http_filters=[
            {"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": transcoder},
            {"name": "envoy.filters.http.router", "typed_config": typed(f"{filters}.router.v3.Router")},
        ],
    )
    http2 = typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}}
    )
    cluster = {
        "name": "todos",
        "type": "STATIC",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {
            "cluster_name": "todos",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(bench.canned)}}]}],
        },
    }
    listener = {
        "address": socket_address(address),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    settings = f"{bench.folder}/envoy.json"
    with open(settings, "w") as file:
        json.dump({"static_resources": {"listeners": [listener], "clusters": [cluster]}}, file)
    command = [program, "-c", settings, "--concurrency", "2", "--disable-hot-restart", "-l", "error"]
    return Peer(bench, "Envoy, its transcoder", command, address, path=f"/api/v1/todos/{CANNED_TODO}")


def fastapi(bench):
    """FastAPI with asyncpg, two workers, on a todos database of its own; and the people that it serves."""
    python = bench.tools.get("python")
    if not python:
        return None, None, []
    database, address, secret = bench.database("fastapi"), free_address(), "the secret of the peer's tokens"
    migrations = sorted(os.listdir(f"{bench.root}/services/todos/migrations/postgres"))
    for name in migrations:
        if name.endswith(".up.sql"):
            path = f"{bench.root}/services/todos/migrations/postgres/{name}"
            migrate = ["psql", "-q", "-v", "ON_ERROR_STOP=1", database, "-f", path]
            subprocess.run(migrate, check=True, capture_output=True)
    command = [python, "-m", "uvicorn", "app:app", "--app-dir", f"{bench.root}/tests/load/peers", "--workers", "2"]
    command += ["--host", "127.0.0.1", "--port", address.split(":")[1], "--log-level", "error", "--no-access-log"]
    environment = {"DATABASE_URL": database, "TOKEN_SECRET": secret}
    peer = Peer(bench, "FastAPI + asyncpg", command, address, environment, "/livez")
    return peer, database, lambda user: signed(secret, {"sub": user, "exp": int(time.time()) + 86_400})


def signed(secret, claims):
    """A token in the compact form of JWS, with HS256."""
    encode = lambda part: base64.urlsafe_b64encode(part).rstrip(b"=")
    text = encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + encode(json.dumps(claims).encode())
    return (text + b"." + encode(hmac.new(secret.encode(), text, hashlib.sha256).digest())).decode()


class Program(Contestant):
    """A client that makes its own load and prints, as its only number, how many requests it made."""

    def __init__(self, name, command, groups, noise):
        super().__init__(name, None, groups)
        self.command, self.noise = command, noise

    def sample(self, seconds):
        self.settle(10.0)
        self.noise.begin()
        begun, before, children = time.monotonic(), self.cpu(), ended()
        outcome = subprocess.run(self.command(seconds), capture_output=True, text=True, check=False)
        count = [line.split(":")[-1].split("/")[0] for line in outcome.stdout.splitlines() if is_count(line)]
        if outcome.returncode or not count:
            raise RuntimeError(f"{self.name}: {outcome.stdout}{outcome.stderr}")
        count, after, elapsed = int(count[0]), self.cpu(), time.monotonic() - begun
        cpu = {name: (after[name] - before[name]) / 1000 / count for name in after}
        cpu["own"] = cpu.get("own", 0) + (ended() - children) * 1e6 / count
        return Sample(cpu, count / elapsed, self.noise.end())


def is_count(line):
    return line.strip().isdigit() or line.startswith("number of transactions actually processed")


def ended():
    """CPU time of the children that have ended, in s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pgbench(bench, suite: Suite, user, noise):
    """The select of one todo by pgbench: what PostgreSQL and a client in C take for it."""
    columns = "id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at, deleted_at"
    tags = (
        "select json_agg(json_build_array(tags.id, tags.name) order by tags.name) from todo_tags "
        "join tags on tags.id = todo_tags.tag_id where todo_tags.todo_id = todos.id"
    )
    database = suite.databases["todos"]
    path = f"{bench.folder}/select.sql"
    with open(path, "w") as file:
        file.write(
            f"select {columns}, ({tags}) as tags from todos "
            f"where id = '{user.todos[0]}' and user_id = '{user.id}' and deleted_at is null;\n"
        )
    program = f"{bench.postgres_programs}/pgbench"
    command = lambda seconds: [
        # So many transactions that the connections' own cost does not show.
        *(program, "-n", "-M", "prepared", "-f", path, "-c", "8", "-j", "1"),
        *("-t", str(max(100, round(3_000 * seconds))), database),
    ]
    return Program("pgbench, the select", command, {"own": Group(), "PostgreSQL": bench.postgres}, noise)


def bare_tonic(bench, what, noise):
    command = lambda seconds: [bench.rust_peers, "call", bench.canned, str(seconds), "32", what]
    return Program("tonic, client + server", command, {"own": Group(bench.canned_pid)}, noise)


def copy_todos(database, owner, count):
    """Todos of a peer's user, with the texts of ours."""
    statement = (
        "insert into todos (id, user_id, title, description, due_at, priority, title_key, description_key, created_at, "
        f"updated_at) select gen_random_uuid(), '{owner}', 'Water the plants', "
        "'All of them, and the ones on the balcony twice.', '2030-01-01T09:00:00Z', 3, 'water the plants', "
        f"'all of them, and the ones on the balcony twice.', now() + n * interval '1 ms', now() "
        f"from generate_series(1, {count}) as n returning id"
    )
    psql(database, f"insert into feeds (user_id, head, live, completed) values ('{owner}', {count}, {count}, 0)")
    return psql(database, statement)
