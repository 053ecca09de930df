"""`make bench`: what requests cost, ours and peers', side by side in one run.

scripts/bench.sh builds, starts the servers, and runs this. In reading order: `processes` (CPU time, memory and the
noise of others), `load` (wrk, samples, rounds), `suites` (the product in its shapes), `peers`, `growth`, `stages`
(what is measured) and `page` (the tables).
"""

import os
import platform
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import page
from load import Rounds, Wrk
from peers import Peer
from processes import CPUS, Group, Noise, Started
from stages import STAGES
from suites import free_address, psql


class Bench:
    """One run: what it measures, with what, and how long."""

    def __init__(self, environment):
        get = environment.get
        self.quick = bool(get("QUICK"))
        self.root = environment["BENCH_ROOT"]
        self.builds = {"this build": environment["PROGRAMS"]}
        if get("BASELINE_PROGRAMS"):
            self.builds["baseline"] = environment["BASELINE_PROGRAMS"]
        self.rust_peers = environment["BENCH_PEERS"]
        self.only = [part for part in get("ONLY", "").split(",") if part]
        self.seconds = float(get("BENCH_SECONDS") or (0.5 if self.quick else 4))
        self.warm_up = 0 if self.quick else 1.5
        rounds = int(get("ROUNDS") or (1 if self.quick else 5))
        noise = float(get("NOISE") or 0.10)
        tries = int(get("TRIES") or (0 if self.quick else 3))
        self.noise_limit, self.tries = noise, tries
        self.rounds = Rounds(rounds, noise, tries, self.log)
        self.postgres = Group(int(environment["BENCH_POSTGRES_PID"]))
        self.rabbitmq = Group(int(environment["BENCH_RABBITMQ_PID"]))
        self.redis = Group(int(environment["BENCH_REDIS_PID"]))
        self.postgres_programs = environment["BENCH_POSTGRES_PROGRAMS"]
        self.postgres_url = environment["TEST_POSTGRES_URL"]
        self.rabbitmq_url = environment["TEST_RABBITMQ_URL"]
        self.rabbitmq_ctl = environment["TEST_RABBITMQ_CTL"]
        self.redis_url = environment["TEST_REDIS_URL"]
        self.started = Started()
        self.missing, self.tools, self.suites = [], {}, {}
        self.databases = []
        if not self.quick:
            self.find_tools(get("BENCH_TOOLS", ""))
        self.users, self.todos = (4, 50) if self.quick else (32, 50)

    def find_tools(self, folder):
        python = f"{folder}/bin/python"
        for name, probe in (("python", "import fastapi, asyncpg, uvicorn"), ("envoy", "import envoy")):
            found = os.path.exists(python) and subprocess.run([python, "-c", probe], capture_output=True, check=False)
            if not found or found.returncode:
                self.missing.append({"python": "FastAPI + asyncpg", "envoy": "Envoy"}[name])
            elif name == "python":
                self.tools[name] = python
            else:
                code = "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))"
                path = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
                os.chmod(path, 0o755)
                self.tools[name] = path

    def log(self, text):
        print(f"    {text}", flush=True)

    def wants(self, stage, row):
        """Whether `ONLY` has the stage, the row, or `stage/row`."""
        return not self.only or not {stage, row, f"{stage}/{row}"}.isdisjoint(self.only)

    def run(self):
        with tempfile.TemporaryDirectory(prefix="quartet-bench.") as self.folder:
            try:
                self.wrk = Wrk(self.folder, [self.postgres, self.rabbitmq, self.redis, self.rest()])
                self.noise = Noise([self.postgres, self.rabbitmq, self.redis, self.rest()])
                self.canned = free_address()
                command = [self.rust_peers, "backend", self.canned]
                canned = Peer(self, "the canned backend", command, self.canned, path=None)
                self.canned_pid = canned.process.pid
                begun, parts, failed = time.monotonic(), [], []
                for name, (stage, rows) in STAGES.items():
                    if not any(self.wants(name, row) for row in (*rows, name)):
                        continue
                    print(f"==> {name}, after {time.monotonic() - begun:.0f} s", flush=True)
                    try:
                        text = stage(self)
                    except Exception:  # The other stages count all the same.
                        traceback.print_exc()
                        failed.append(name)
                        continue
                    if text:
                        print(text, flush=True)
                        parts.append(text)
                return parts, failed
            finally:
                self.started.stop_all()

    def rest(self):
        """Everything that this run has started and that still runs."""
        started = self.started

        class Running(Group):
            def __init__(self):
                super().__init__()

            def cpu(self):
                return Group(*(process.pid for process in started.all)).cpu()

        return Running()

    def suite(self, kind, build, settings=None):
        """A suite of this kind and build, which several stages may share."""
        key = (kind, build, tuple(sorted((settings or {}).items())))
        if key not in self.suites:
            self.suites[key] = kind(self, self.builds[build], build, settings)
        return self.suites[key]

    def end(self, suite):
        suite.stop()
        self.suites = {key: other for key, other in self.suites.items() if other is not suite}

    def database(self, name):
        name = f"bench_{name}_{secrets.token_hex(4)}"
        psql(self.postgres_url, f"create database {name}")
        self.databases.append(f"{self.postgres_url.rsplit('/', 1)[0]}/{name}")
        return self.databases[-1]

    def analyze(self):
        """Does now what the server does by itself within a minute: plans that were made for a table of a few
        rows are made anew for those that it has meanwhile."""
        for database in self.databases:
            psql(database, "vacuum analyze")

    def vhost(self):
        name = f"bench-{secrets.token_hex(4)}"
        base = self.rabbitmq_url.rsplit("/", 1)[0]
        user = base.split("//")[1].split(":")[0]
        for arguments in (["add_vhost", name], ["set_permissions", "-p", name, user, ".*", ".*", ".*"]):
            subprocess.run([self.rabbitmq_ctl, *arguments], check=True, capture_output=True)
        return f"{base}/{name}"

    def about(self):
        revision = subprocess.run(
            ["git", "-C", self.root, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        with open("/proc/cpuinfo") as file:
            models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        baseline = os.environ.get("BASELINE")
        lines = [
            f"{time.strftime('%Y-%m-%d')}, revision {revision}"
            + (f", baseline {baseline}" if baseline else "")
            + f"; {CPUS} × {models[0] if models else platform.machine()}, load {os.getloadavg()[0]:.1f} at the end. "
            + f"Medians of {self.rounds.rounds} runs of {self.seconds:g} s, after a warm-up, in turn; a run beside "
            + f"which others took more than {self.noise_limit:.0%} of all processors was repeated, at most "
            + f"{self.tries} times, and the quietest counts."
        ]
        if self.missing:
            lines.append(f"Peers that could not be had here: {', '.join(self.missing)}.")
        return "\n".join(lines)


def main():
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    bench = Bench(os.environ)
    parts, failed = bench.run()
    text = "\n\n".join([bench.about(), *parts])
    output = os.environ.get("OUTPUT")
    if bench.quick:
        print(f"\n{len(parts)} tables; the figures of a quick run mean nothing")
    elif bench.only or failed:
        print(f"\n{text}\n\ndocs/performance.md stays as it is, since not everything was measured")
    else:
        page.write(f"{bench.root}/docs/performance.md", text)
    if output:
        with open(output, "w") as file:
            file.write(text + "\n")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


main()
