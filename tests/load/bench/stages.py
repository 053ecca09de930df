"""What is measured. Each stage returns its part of the page."""

import json
import socket
import time

import growth
import page
import peers
from load import Request, Sample, chain, in_turn, median
from processes import Peak, private_bytes
from suites import PASSWORD, TODO, Embedded, GatewayAlone, Separate, call

MISSING = "00000000-0000-7000-8000-000000000404"
TODOS = "/api/v1/todos"


class Part:
    """A contestant, and how it is measured for each row; it takes part in the rows that it has."""

    def __init__(self, contestant):
        self.contestant, self.rows = contestant, {}

    def add(self, row, script, **how):
        self.rows[row] = (script, how)
        return self

    def sample(self, bench, row, seconds):
        script, how = self.rows[row]
        return bench.wrk.sample(self.contestant, script() if callable(script) else script, seconds, **how)


class ProgramPart:
    """A contestant that makes its own load."""

    def __init__(self, programs):
        self.rows = programs
        self.contestant = next(iter(programs.values()))

    def sample(self, bench, row, seconds):
        return self.rows[row].sample(seconds)


def compare(bench, stage, titles, parts):
    """The rows of a stage, each over the parts that take part in it."""
    results = []
    for row, title in titles.items():
        taking = [part for part in parts if row in part.rows]
        if not taking or not bench.wants(stage, row):
            continue
        bench.log(f"-- {title}")
        if bench.warm_up:
            for part in taking:
                part.sample(bench, row, bench.warm_up)
            # A table that was almost empty has grown meanwhile.
            bench.analyze()
        by_name = {part.contestant.name: part for part in taking}
        measured = bench.rounds.compare(
            [part.contestant for part in taking],
            lambda contestant: by_name[contestant.name].sample(bench, row, bench.seconds),
        )
        results.append((title, measured))
    return results


GATEWAY = {
    "get": "get",
    "list-50": "list of 50",
    "list-1000": "list of 1,000",
    "create": "create",
    "missing": "404 of the service",
    "no-token": "401",
}


def gateway_alone(bench):
    path = f"{TODOS}/{peers.CANNED_TODO}"
    parts, replies = [], {}

    def requests(part, token):
        part.add("get", in_turn([Request("GET", path, token)]))
        part.add("list-50", in_turn([Request("GET", f"{TODOS}?items_per_page=50", token)]))
        part.add("list-1000", in_turn([Request("GET", f"{TODOS}?items_per_page=100", token)]))
        return part.add("create", in_turn([Request("POST", TODOS, token, TODO)]))

    for build in bench.builds:
        suite = bench.suite(GatewayAlone, build)
        token = suite.users(1, 0)[0].token
        suite.wait("/readyz")
        part = requests(Part(suite.contestant()), token)
        part.add("missing", in_turn([Request("GET", f"{TODOS}/{MISSING}", token)]), fails=True)
        part.add("no-token", in_turn([Request("GET", path)]), fails=True)
        parts.append(part)
        if not replies:
            for name, at in (("get", path), ("list-20", f"{TODOS}?items_per_page=20"),
                             ("list-50", f"{TODOS}?items_per_page=50"), ("list-1000", f"{TODOS}?items_per_page=100")):
                status, replies[name] = call(suite.http, "GET", at, token=token)
                if status != 200:
                    raise RuntimeError(f"{at}: {status} {replies[name]!r}")
    envoy = peers.envoy(bench)
    if envoy:
        part = requests(Part(envoy.contestant()), None)
        parts.append(part.add("missing", in_turn([Request("GET", f"{TODOS}/{MISSING}")]), fails=True))
    for kind in ("hyper", "axum"):
        parts.append(requests(Part(peers.constant(bench, kind, replies).contestant()), None))
    tonic = {what: peers.bare_tonic(bench, what, bench.noise) for what in ("get", "list-50", "create")}
    parts.append(ProgramPart(tonic))
    results = compare(bench, "gateway", GATEWAY, parts)
    for build in bench.builds:
        bench.end(bench.suite(GatewayAlone, build))
    return results and (
        "### The gateway alone\n\nIn front of a todos service with constant replies, whose time does not count but for "
        "bare tonic, which is client and server; 32 connections of wrk, 32 calls at once for tonic.\n\n"
        + page.compared(["own"], results)
    )


WHOLE = {
    "get": "get",
    "list-20": "list of 20",
    "list-50": "list of 50",
    "create": "create, with its event",
    "login": "login",
    "refresh": "refresh",
    "job": "job, to its end: an export",
    "message": "todo of a batch of 100, with its event",
}


def whole(suite, people, contestant=None):
    """All rows of a suite."""
    some = lambda each, users=people: in_turn([Request(*given) for user in users for given in each(user)])
    part = Part(contestant or suite.contestant())
    part.add("get", some(lambda user: [("GET", f"{TODOS}/{todo}", user.token) for todo in user.todos[:20]]))
    part.add("list-20", some(lambda user: [("GET", f"{TODOS}?items_per_page=20", user.token)]))
    part.add("list-50", some(lambda user: [("GET", f"{TODOS}?items_per_page=50", user.token)]))
    part.add("create", some(lambda user: [("POST", TODOS, user.token, TODO)]), drains=True)
    login = lambda user: [("POST", "/api/v1/auth/login", None, {"username_or_email": user.name, "password": PASSWORD})]
    part.add("login", some(login), connections=4)
    part.add("refresh", lambda: chain(suite.refresh_tokens(people[:4])), connections=4, threads=4)
    job = lambda user: [("POST", "/api/v1/tasks", user.token, {"export_todos": {}})]
    part.add("job", some(job, exporters_of(suite)), drains=True)
    batch = {"todos": [TODO] * 100}
    create = lambda user: [("POST", f"{TODOS}:batchCreate", user.token, batch)]
    return part.add("message", some(create), connections=8, drains=True, each=100)


def people_of(bench, suite):
    """The users of a shared suite."""
    if not hasattr(suite, "people"):
        suite.people = suite.users(bench.users, bench.todos)
    return suite.people


def exporters_of(suite):
    """Users of a shared suite whose todos stay as many as they were, whatever the other rows create."""
    if not hasattr(suite, "exporters"):
        suite.exporters = suite.users(4, suite.bench.todos)
    return suite.exporters


def separate(bench):
    parts = []
    for build in bench.builds:
        suite = bench.suite(Separate, build)
        parts.append(whole(suite, people_of(bench, suite)))
    first = bench.suite(Separate, "this build")
    peer, database, sign = peers.fastapi(bench)
    if peer:
        gets, lists_20, lists_50, creates = [], [], [], []
        for user in people_of(bench, first):
            token, ids = sign(user.id), peers.copy_todos(database, user.id, bench.todos)
            gets += [Request("GET", f"{TODOS}/{todo}", token) for todo in ids[:20]]
            lists_20.append(Request("GET", f"{TODOS}?items_per_page=20", token))
            lists_50.append(Request("GET", f"{TODOS}?items_per_page=50", token))
            creates.append(Request("POST", TODOS, token, TODO))
        part = Part(peer.contestant({"PostgreSQL": bench.postgres}))
        part.add("get", in_turn(gets)).add("list-20", in_turn(lists_20)).add("list-50", in_turn(lists_50))
        parts.append(part.add("create", in_turn(creates)))
    select = peers.pgbench(bench, first, people_of(bench, first)[0], bench.noise)
    parts.append(ProgramPart({"get": select}))
    results = compare(bench, "separate", WHOLE, parts)
    return results and (
        f"### Five processes, PostgreSQL and RabbitMQ\n\n{bench.users} users, 32 connections (login and refresh 4, "
        "batches 8), defaults but for limits that are too wide to refuse anything. What requests cause counts until it "
        "is done. FastAPI has two workers and no gRPC, events, limits, traces or log.\n\n"
        + page.compared(["own", "PostgreSQL", "RabbitMQ"], results)
    )


def embedded(bench):
    parts = []
    for build in bench.builds:
        suite = bench.suite(Embedded, build)
        parts.append(whole(suite, people_of(bench, suite)))
    results = compare(bench, "embedded", WHOLE, parts)
    return results and (
        "### One process on SQLite\n\nThe same, without the cache of replies.\n\n" + page.compared(["own"], results)
    )


VARIED = {"get": "get", "list-20": "list of 20", "create": "create, with its event"}


def variants(bench):
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{bench.canned}"}
    redis = {"REDIS_URL": bench.redis_url}
    cases = {
        Separate: {
            # A suite of its own like the others: the shared one has more rows.
            "limits in the process": {"RATE_LIMIT_ENABLED": "true"},
            "no limits": {"RATE_LIMIT_ENABLED": "false"},
            "limits in Redis": redis | {"REDIS_KEY_PREFIX": "limits:"},
            "limits and cache in Redis": redis | {"REDIS_KEY_PREFIX": "cache:", "CACHE_ENABLED": "true"},
            "traces exported": traces,
        },
        Embedded: {
            "limits": {"RATE_LIMIT_ENABLED": "true"},
            "no limits": {"RATE_LIMIT_ENABLED": "false"},
            "limits and cache": {"CACHE_ENABLED": "true"},
            "traces exported": traces,
        },
    }
    texts = []
    for kind, name in ((Separate, "separate"), (Embedded, "embedded")):
        parts, own = [], []
        if bench.quick:
            # One suite that has it all starts faster than one for each.
            all_at_once = {name: value for settings in cases[kind].values() for name, value in settings.items()}
            cases[kind] = {"all": all_at_once | {"RATE_LIMIT_ENABLED": "true"}}
        for case, settings in cases[kind].items():
            suite = bench.suite(kind, "this build", settings)
            own.append(suite)
            contestant = suite.contestant(case)
            if kind is Separate:
                contestant.groups["Redis"] = bench.redis
            parts.append(whole(suite, people_of(bench, suite), contestant))
        titles = {"get": VARIED["get"]} if bench.quick else VARIED
        results = compare(bench, "variants", titles, parts)
        for suite in own:
            bench.end(suite)
        if results:
            shape = "five processes" if kind is Separate else "one process"
            groups = ["own", "PostgreSQL", "RabbitMQ", "Redis"] if kind is Separate else ["own"]
            texts.append(f"#### {shape}\n\n" + page.compared(groups, results))
    return texts and "### Limits, cache and traces\n\n" + "\n\n".join(texts)


GROWN = {"get": "get", "list-20": "list of 20"}


def grown(bench):
    titles = {"list-20": GROWN["list-20"]} if bench.quick else GROWN
    sizes = [10**power for power in ((3, 4) if bench.quick else (3, 4, 5, 6))]
    texts = []
    for kind, title in ((Separate, "PostgreSQL"), (Embedded, "SQLite")):
        parts = []
        suite = bench.suite(kind, "this build")
        owners = suite.users(len(sizes), 1)
        if kind is Separate:
            for owner, size in zip(owners, sizes):
                owner.todos = growth.postgres(suite.databases["todos"], owner.id, size)
        else:
            suite.stop()
            filled = growth.sqlite(suite.databases["todos"], [(owner.id, size) for owner, size in zip(owners, sizes)])
            suite.start()
            for owner, ids in zip(owners, filled):
                owner.todos = ids
        for owner, size in zip(owners, sizes):
            part = Part(suite.contestant(f"{size:,} todos"))
            part.add("get", in_turn([Request("GET", f"{TODOS}/{todo}", owner.token) for todo in owner.todos]))
            parts.append(part.add("list-20", in_turn([Request("GET", f"{TODOS}?items_per_page=20", owner.token)])))
        results = compare(bench, "growth", titles, parts)
        if results:
            groups = ["own", "PostgreSQL", "RabbitMQ"] if kind is Separate else ["own"]
            texts.append(f"#### {title}\n\n" + page.compared(groups, results))
    return texts and "### By the number of one owner's todos\n\n" + "\n\n".join(texts)


def memory(bench):
    """Private memory of each process: when idle, under load with logins, and after it."""
    rows = []
    for build in bench.builds:
        for kind in (Separate, Embedded):
            suite = bench.suite(kind, build)
            time.sleep(0.2 if bench.quick else 3)
            idle = suite.private(private_bytes)
            processes = {name: process.pid for name, process in suite.processes.items()}
            with Peak(list(processes.values())) as peak:
                part = whole(suite, people_of(bench, suite))
                for row in ("login", "get", "list-50", "create"):
                    script, how = part.rows[row]
                    how = {name: value for name, value in how.items() if name != "drains"}
                    bench.wrk.run(suite.http, script, bench.seconds, **how)
            part.contestant.settle(20)
            after = suite.private(private_bytes)
            cells = [(name, idle[name], peak.most[pid], after[name]) for name, pid in processes.items()]
            if len(cells) > 1:
                cells.append(("together", *(sum(cell[at] for cell in cells) for at in (1, 2, 3))))
            rows += [[name, build, *(f"{size / (1 << 20):.1f}" for size in sizes)] for name, *sizes in cells]
    return (
        f"### Memory\n\nPrivate MiB of each process: idle after its start, the most under load ({bench.users} "
        "registrations, logins, get, list of 50, create), and after it.\n\n"
        + page.table(["", "who", "idle", "under load", "after it"], rows)
    )


def idle_connections(bench):
    """What connections that do nothing cost in memory."""
    wanted, rows = 200 if bench.quick else 10_000, []
    for build in bench.builds:
        for kind, program in ((GatewayAlone, "gateway"), (Embedded, "quartet")):
            suite = bench.suite(kind, build)
            pid = suite.processes[program].pid
            host, port = suite.http.split(":")
            before, connections = private_bytes(pid), []
            try:
                for _ in range(wanted):
                    connection = socket.create_connection((host, int(port)))
                    connections.append(connection)
                    connection.sendall(f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                    if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                        raise RuntimeError("a connection was refused")
                time.sleep(0.2 if bench.quick else 2)
                taken = private_bytes(pid) - before
            finally:
                for connection in connections:
                    connection.close()
            rows.append([program, build, f"{taken / wanted / 1000:.1f}", f"{taken / wanted / 100:.0f}"])
            if kind is GatewayAlone:
                bench.end(suite)
    return (
        f"### Idle connections\n\nPrivate memory for each of {wanted:,} connections that have made one request and "
        "stay.\n\n" + page.table(["", "who", "kB each", "MB for 10,000"], rows)
    )


def starts(bench):
    """Time and CPU time from the start of a suite with its data to its first answer."""
    titles = {Separate: "five processes, PostgreSQL", Embedded: "one process, SQLite"}
    rows = []
    for kind, title in titles.items():
        suites = {build: bench.suite(kind, build) for build in bench.builds}
        took = {build: [] for build in suites}
        for number in range(bench.rounds.rounds):
            order = list(suites) if number % 2 == 0 else list(reversed(list(suites)))
            for build in order:
                for _ in range(1 + bench.tries):
                    suites[build].stop()
                    bench.noise.begin()
                    wall, cpu = suites[build].start()
                    noise = bench.noise.end()
                    if noise <= bench.noise_limit:
                        break
                took[build].append((wall * 1000, cpu * 1000, noise))
        for build, several in took.items():
            walls, cpus, noises = zip(*several)
            cells = [f"{median(walls):.0f}", f"{min(walls):.0f}–{max(walls):.0f}", f"{median(cpus):.0f}"]
            rows.append([title, build, *cells, f"{median(noises):.0%}"])
    return (
        "### Start\n\nFrom the start of all processes, with data, to the first `/readyz` that is 200.\n\n"
        + page.table(["", "who", "ms", "spread", "CPU ms", "noise"], rows)
    )


# Each stage, and its rows where it has any. Memory comes early, since its suites are still idle then;
# the starts come last, since they end what others measure.
STAGES = {
    "gateway": (gateway_alone, GATEWAY),
    "idle": (idle_connections, {}),
    "memory": (memory, {}),
    "separate": (separate, WHOLE),
    "embedded": (embedded, WHOLE),
    "variants": (variants, VARIED),
    "growth": (grown, GROWN),
    "start": (starts, {}),
}
