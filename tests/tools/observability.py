"""Compares dashboards, alerts and records with the metrics that a running suite exposes.

    observability.py FOLDER    FOLDER has the programs `quartet` and `gateway`

It starts `quartet`, and a `gateway` of its own in front of it (whose calls go over the network),
makes some traffic, has a Prometheus scrape both, and fails for a query

- on a metric, a label or a value of a label that neither process exposes, or
- that returns nothing, although all of its metrics are exposed.

Some metrics and values appear only after an event that this check does not cause, such as a retry or
a dead letter. Of those, the names in EVENTS count as there if docs/operations.md declares them.

TEST_REDIS_URL is a Redis for the gateway.
"""

import glob
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

# Metrics that need a fault: a broken call, a used-up budget, an overload, a failing Redis, a stolen token,
# a reader of logs that stands still.
EVENTS = {
    "rpc_client_retries_total",
    "rpc_client_retries_withheld_total",
    "rpc_client_shed_calls_total",
    "redis_failures_total",
    "auth_refresh_reuses_total",
    "log_lines_lost_total",
    # Of PostgreSQL.
    "db_client_connection_count",
    "db_client_connection_max",
}
# What Prometheus itself adds, and what every series has then.
OF_PROMETHEUS = {"up": set()}
TARGET_LABELS = {"job", "instance"}
# The codes of gRPC and of HTTP; most of them need a fault.
CODES = set(
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED "
    "FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED".split()
)
NEEDS_A_FAULT = {
    "rpc_response_status_code": CODES,
    "http_response_status_code": {str(code) for code in range(100, 600)},
}
WORDS = set("and or unless by without on ignoring group_left group_right bool offset inf nan".split())
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{((?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*)\})?")
MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"((?:[^\"\\]|\\.)*)\"")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")


def declared(path):
    """The metrics of the table in the operations guide: name → (labels, words of the row)."""
    metrics = {}
    for line in open(path, encoding="utf-8"):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        names = re.findall(r"`([a-z_]+)`", cells[0])
        if line.startswith("| `") and len(cells) == 3 and all("_" in n or n == "jobs" for n in names):
            labels = set(re.findall(r"`([a-z_]+)`", cells[1]))
            for name in names:
                metrics[name] = (labels, set(re.findall(r"`(\w+)`", cells[2])))
    return metrics


def exposed(text):
    """The series of a scrape: name → labels of each."""
    metrics = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels = re.match(r"([^{ ]+)(?:\{(.*)\})? ", line).groups()
            metrics.setdefault(name, []).append(
                dict(re.findall(r"(\w+)=\"((?:[^\"\\]|\\.)*)\"", labels or ""))
            )
    return metrics


def matches(value, operator, text):
    """Whether a label's `value` passes a matcher."""
    equal = re.fullmatch(text, value) if "~" in operator else value == text
    return bool(equal) != operator.startswith("!")


def base(name):
    return re.sub(r"_(bucket|count|sum)$", "", name)


def parts(query):
    """The metrics of a query with their matchers, and the labels that it groups by."""
    groups = {
        label.strip() for inner in GROUPING.findall(query) for label in inner.split(",") if label.strip()
    }
    rest = GROUPING.sub(" ", re.sub(r"\[[^\]]*\]", " ", query))
    metrics = []
    for match in SELECTOR.finditer(rest):
        name, matchers = match.groups()
        after = rest[match.end() :].lstrip()
        number = re.search(r"[\d.]$", rest[: match.start()])
        if name in WORDS or after.startswith("(") and matchers is None or number:
            continue
        metrics.append((name, MATCHER.findall(matchers or "")))
    return metrics, groups


def queries(root):
    """Every query: (where, query, labels of its legend, kind)."""
    for path in sorted(glob.glob(f"{root}/deploy/grafana/dashboards/*.json")):
        dashboard = json.load(open(path, encoding="utf-8"))
        name = os.path.basename(path)
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                query, label = re.match(r"label_values\((.*), (\w+)\)$", variable["query"]).groups()
                yield f"{name}, variable {variable['name']}", query, {label}, "panel"
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                query = target["expr"].replace("$__rate_interval", "10s")
                query = re.sub(r"\$\{?\w+\}?", ".*", query)
                yield f"{name}, {panel['title']}", query, legend, "panel"
    for path in sorted(glob.glob(f"{root}/deploy/observability/alerts/*.yaml")):
        for group in yaml.safe_load(open(path, encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                where = f"{os.path.basename(path)}, {rule.get('alert') or rule['record']}"
                summary = rule.get("annotations", {}).get("summary", "")
                yield where, rule["expr"], set(re.findall(r"\$labels\.(\w+)", summary)), "rule"
                runbook = rule.get("annotations", {}).get("runbook_url")
                if "alert" in rule and not (runbook and os.path.isfile(f"{root}/{runbook}")):
                    problem(where, f"its runbook {runbook} does not exist")


problems = []


def problem(where, text):
    problems.append(f"{where}: {text}")


def compare(root, live, table):
    """Compares every query with what is live and declared. Returns how many there are, and the panels whose metrics are all live."""
    records = {}
    for path in glob.glob(f"{root}/deploy/observability/alerts/*.yaml"):
        for group in yaml.safe_load(open(path, encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    records[rule["record"]] = {label: set() for label in parts(rule["expr"])[1]}
    found, panels = 0, []
    for where, query, legend, kind in queries(root):
        found += 1
        metrics, groups = parts(query)
        if not metrics:
            problem(where, "no metric is in the query")
        known, sure = set(TARGET_LABELS), True
        for name, matchers in metrics:
            if name in records:
                known |= set(records[name])
                continue
            if name in OF_PROMETHEUS:
                continue
            labels, words = table.get(name) or table.get(base(name), (set(), set()))
            series = live.get(name, [])
            if series:
                labels = labels.union(*series)
            elif name not in EVENTS:
                problem(where, f"no process exposes `{name}`")
                continue
            elif name not in table:
                problem(where, f"docs/operations.md does not declare `{name}`")
                continue
            known |= labels
            for label, operator, value in matchers:
                if label not in labels | TARGET_LABELS:
                    problem(where, f"`{name}` has no label `{label}`")
                elif label not in TARGET_LABELS and value not in ("", ".*"):
                    there = {one.get(label, "") for one in series} | words | NEEDS_A_FAULT.get(label, set())
                    plain = "~" not in operator or re.fullmatch(r"[\w|]+", value)
                    for one in value.split("|") if plain else [value]:
                        if not any(matches(text, "=~" if "~" in operator else "=", one) for text in there):
                            problem(
                                where,
                                f'no series of `{name}` has {label}="{one}", and docs/operations.md does not name it',
                            )
            # Returns data if each of its metrics has a series that passes all matchers.
            matchers = [matcher for matcher in matchers if matcher[0] not in TARGET_LABELS]
            sure &= any(
                all(matches(one.get(label, ""), op, text) for label, op, text in matchers) for one in series
            )
        for label in (groups | legend) - known - {"le"}:
            problem(where, f"none of its metrics has the label `{label}`")
        if kind == "panel":
            panels.append((where, query, sure))
    return found, panels


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(url, body=None, token=None, method=None):
    request = urllib.request.Request(url, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until(what, seconds, check):
    end = time.monotonic() + seconds
    while True:
        try:
            if check():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            sys.exit(f"error: {what} was not there within {seconds} s")
        time.sleep(0.2)


class Suite:
    """`quartet` with a gateway in front of it and a Prometheus that scrapes both."""

    def __init__(self, root, programs, folder):
        self.folder, self.processes = folder, []
        http, rpc, metrics, front, front_metrics, self.prometheus = (free_port() for _ in range(6))
        self.scrapes = {"quartet": metrics, "gateway": front_metrics}
        self.url = f"http://127.0.0.1:{front}/api/v1"
        common = {
            "PATH": os.environ["PATH"],
            "SERVICE_TOKEN_SECRET": secrets.token_hex(32),
            "LOG_FORMAT": "json",
            "RATE_LIMITS": "register=3/1m",
            "REDIS_TIMEOUT": "500ms",
        }
        services = f"http://127.0.0.1:{rpc}"
        redis = os.environ.get("TEST_REDIS_URL")
        redis = {"REDIS_URL": redis, "REDIS_KEY_PREFIX": "observability:"} if redis else {}
        self.start(
            [f"{programs}/quartet"],
            common
            | redis
            | {
                "DATA_DIR": f"{folder}/data",
                "HTTP_ADDRESS": f"127.0.0.1:{http}",
                "GRPC_ADDRESS": f"127.0.0.1:{rpc}",
                "METRICS_ADDRESS": f"127.0.0.1:{metrics}",
            },
        )
        self.start(
            [f"{programs}/gateway"],
            common
            | redis
            | {f"{name}_URL": services for name in ("AUTH", "USERS", "TODOS", "JOBS")}
            | {"HTTP_ADDRESS": f"127.0.0.1:{front}", "METRICS_ADDRESS": f"127.0.0.1:{front_metrics}"},
        )
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{root}/deploy/observability/alerts/*.yaml"],
            "scrape_configs": [
                # The suite in one process stands for the services, under the name of one of them.
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for job, port in (("todos", metrics), ("gateway", front_metrics))
            ],
        }
        with open(f"{folder}/prometheus.yaml", "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file)
        self.start(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yaml",
                f"--storage.tsdb.path={folder}/prometheus",
                f"--web.listen-address=127.0.0.1:{self.prometheus}",
            ],
            {"PATH": os.environ["PATH"]},
        )
        until("the gateway", 60, lambda: call(f"http://127.0.0.1:{front}/readyz")[0] == 200)
        until("Prometheus", 30, lambda: call(f"http://127.0.0.1:{self.prometheus}/-/ready")[0] == 200)

    def start(self, command, environment):
        log = open(f"{self.folder}/log", "ab")
        self.processes.append(
            subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)
        )

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def user(self):
        name = "ada" + secrets.token_hex(3)
        person = {
            "name": "Ada",
            "username": name,
            "email": f"{name}@example.org",
            "password": "correct horse battery",
        }
        call(f"{self.url}/auth/register", person)
        sign_in = {"username_or_email": name, "password": person["password"]}
        return sign_in, json.loads(call(f"{self.url}/auth/login", sign_in)[1])

    def traffic(self, seconds):
        """Every kind of traffic that a panel shows without a fault, for some seconds, so that there are rates."""
        sign_in, tokens = self.user()
        token = tokens["access_token"]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            _, todo = call(f"{self.url}/todos", {"title": "Water the plants"}, token)
            todo = f"{self.url}/todos/{json.loads(todo)['id']}"
            call(todo, token=token)
            call(todo, {"title": "Water them now"}, token, "PATCH")
            call(todo, token=token, method="DELETE")
            call(f"{self.url}/todos", token=token)
            call(f"{self.url}/todos", token=token)
            call(f"{self.url}/todos", {"title": ""}, token)
            # No WebSocket, but a request to its route.
            call(f"{self.url}/ws", token=token)
            call(f"{self.url}/tasks", {"export_todos": {"format": "FILE_FORMAT_CSV"}}, token)
            call(f"{self.url}/auth/login", sign_in)
            call(f"{self.url}/auth/login", sign_in | {"password": "wrong"})
            _, refreshed = call(f"{self.url}/auth/refresh", {"refresh_token": tokens["refresh_token"]})
            tokens = json.loads(refreshed)
            call(f"{self.url}/auth/refresh", {"refresh_token": "none"})
            call(
                f"{self.url}/auth/password:request-reset",
                {"email": sign_in["username_or_email"] + "@example.org"},
            )
            # More registrations than the limit that is set for them.
            call(f"{self.url}/auth/register", {"name": "", "username": "", "email": "", "password": ""})
            time.sleep(0.5)

    def scrape(self):
        live = {}
        for port in self.scrapes.values():
            for name, series in exposed(call(f"http://127.0.0.1:{port}/metrics")[1]).items():
                live.setdefault(name, []).extend(series)
        return live

    def query(self, query):
        url = f"http://127.0.0.1:{self.prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        status, answer = call(url)
        answer = json.loads(answer)
        return (status == 200, answer["data"]["result"] if status == 200 else answer.get("error"))


def main():
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
    programs = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="quartet-observability.") as folder:
        suite = Suite(root, programs, folder)
        try:
            suite.traffic(15)
            live = suite.scrape()
            if "TEST_REDIS_URL" not in os.environ:
                EVENTS.update({"redis_up", "rate_limited_total", "cache_lookups_total"})
            found, panels = compare(root, live, declared(f"{root}/docs/operations.md"))
            shown = 0
            for where, query, sure in panels:
                good, result = suite.query(query)
                if not good:
                    problem(where, f"Prometheus refuses the query: {result}")
                elif sure and not result:
                    problem(where, f"the query returns nothing: {query}")
                shown += bool(good and result)
        finally:
            suite.stop()
    for line in problems:
        print(line)
    print(
        f"queries of dashboards, alerts and records: {found}; of {len(panels)} of dashboards, {shown} returned data; problems: {len(problems)}"
    )
    sys.exit(bool(problems))


main()
