"""Suites of the product that are measured: as separate processes, as one process, as a gateway alone."""

import http.client
import json
import os
import secrets
import socket
import subprocess
import time

from load import Contestant
from processes import Group

SERVICES = ("auth", "users", "todos", "jobs")
PASSWORD = "correct horse battery"
TODO = {
    "title": "Water the plants",
    "description": "All of them, and the ones on the balcony twice.",
    "due_at": "2030-01-01T09:00:00Z",
    "priority": "PRIORITY_HIGH",
}
# So wide that nothing is refused; they are counted all the same.
WIDE = {
    "RATE_LIMIT_USER": "1000000/1s",
    "RATE_LIMIT_ADDRESS": "1000000/1s",
    "RATE_LIMITS": "register=1000000/1s,login=1000000/1s,refresh=1000000/1s",
    "TODOS_PER_USER": "100000000",
    "JOBS_UNFINISHED_PER_USER": "1000000",
    "SESSIONS_PER_USER": "100000",
    # A run lasts longer than a token of the default.
    "ACCESS_TOKEN_TTL": "12h",
}


def free_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


class Suite:
    """A running suite. `programs` is the folder of its programs."""

    def __init__(self, bench, programs, name, settings=None):
        self.bench, self.programs, self.name = bench, programs, name
        self.folder = f"{bench.folder}/{secrets.token_hex(4)}"
        os.mkdir(self.folder)
        self.http = free_address()
        self.settings = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder,
            "HTTP_ADDRESS": self.http,
            "GRPC_ADDRESS": free_address(),
            "SERVICE_TOKEN_SECRET": "the service secret of the benchmark",
            "CACHE_ENABLED": "false",
        }
        self.settings |= WIDE
        self.databases = {}
        self.shape(settings or {})
        self.settings |= settings or {}
        self.processes = {}
        self.start()

    def shape(self, settings):
        raise NotImplementedError

    def start(self):
        """Starts the programs, and returns how long the first answer took, in s, and the CPU time."""
        begun = time.monotonic()
        for name in self.names:
            program = f"{self.programs}/{name}"
            self.processes[name] = self.bench.started.start([program], self.settings, self.folder, f"{name}.log")
        self.wait("/readyz")
        return time.monotonic() - begun, self.own().cpu() / 1e9

    def stop(self):
        self.bench.started.stop(list(self.processes.values()))
        self.processes = {}

    def wait(self, path, limit=120.0):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} has ended: {self.tail(name)}")
            try:
                if call(self.http, "GET", path)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.002)
        raise RuntimeError(f"{self.name} is not ready: {[self.tail(name) for name in self.processes]}")

    def tail(self, name):
        with open(f"{self.folder}/{name}.log", errors="replace") as file:
            return file.read()[-500:]

    def own(self):
        return Group(*(process.pid for process in self.processes.values()))

    def private(self, measure):
        return {name: measure(process.pid) for name, process in self.processes.items()}

    def contestant(self, name=None):
        return Contestant(name or self.name, self.http, {"own": self.own()} | self.servers())

    def servers(self):
        return {}

    def users(self, count, todos):
        """Registers users with so many todos each."""
        people = []
        for _ in range(count):
            name = "u" + secrets.token_hex(8)
            body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
            reply = expect(201, self.http, "POST", "/api/v1/auth/register", body)
            people.append(User(name, reply["access_token"]))
        for user in people:
            path = "/api/v1/todos:batchCreate"
            for begin in range(0, todos, 50):
                body = {"todos": [TODO] * min(50, todos - begin)}
                reply = expect(201, self.http, "POST", path, body, user.token)
                user.todos += [todo["id"] for todo in reply["data"]]
            if todos:
                user.id = reply["data"][0]["user_id"]
        return people

    def refresh_tokens(self, people):
        tokens = []
        for user in people:
            body = {"username_or_email": user.name, "password": PASSWORD}
            tokens.append(expect(200, self.http, "POST", "/api/v1/auth/login", body)["refresh_token"])
        return tokens


class User:
    def __init__(self, name, token):
        self.name, self.token, self.todos, self.id = name, token, [], None


class Separate(Suite):
    """Five processes on PostgreSQL and RabbitMQ."""

    names = (*SERVICES, "gateway")

    def shape(self, settings):
        self.settings["RABBITMQ_URL"] = self.bench.vhost()
        for service in SERVICES:
            address, upper = free_address(), service.upper()
            self.databases[service] = self.bench.database(service)
            self.settings[f"{upper}_DATABASE_URL"] = self.databases[service]
            self.settings[f"{upper}_GRPC_ADDRESS"] = address
            self.settings[f"{upper}_URL"] = f"http://{address}"

    def servers(self):
        return {"PostgreSQL": self.bench.postgres, "RabbitMQ": self.bench.rabbitmq}


class Embedded(Suite):
    """One process on SQLite."""

    names = ("quartet",)

    def shape(self, settings):
        self.databases["todos"] = f"{self.folder}/data/todos.db"


class GatewayAlone(Suite):
    """A gateway in front of a canned todos service. Auth and users are real, and not measured."""

    names = ("auth", "users", "gateway")

    def shape(self, settings):
        for service in ("auth", "users"):
            address, upper = free_address(), service.upper()
            self.settings[f"{upper}_DATABASE_URL"] = f"sqlite://{self.folder}/{service}.db"
            self.settings[f"{upper}_GRPC_ADDRESS"] = address
            self.settings[f"{upper}_URL"] = f"http://{address}"
        self.settings["TODOS_URL"] = self.settings["JOBS_URL"] = f"http://{self.bench.canned}"

    def own(self):
        return Group(self.processes["gateway"].pid)


def call(address, method, path, body=None, token=None):
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def expect(status, address, method, path, body=None, token=None):
    got, reply = call(address, method, path, body, token)
    if got != status:
        raise RuntimeError(f"{method} {path}: {got} {reply[:300]!r}")
    return json.loads(reply)


def psql(url, *statements):
    command = ["psql", "-qAt", "-v", "ON_ERROR_STOP=1", url]
    for statement in statements:
        command += ["-c", statement]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
