"""Load, and what it costs: wrk's requests, and the CPU time of those who answer them."""

import json
import signal
import statistics
import subprocess
import time

from processes import Noise

# What a process does that waits for nothing but time takes less than this share of one processor.
QUIET = 0.08


class Sample:
    """One run of one contestant: CPU µs per request by group, requests per second, and the noise."""

    def __init__(self, cpu, rate, noise):
        self.cpu, self.rate, self.noise = cpu, rate, noise

    @property
    def together(self):
        return sum(self.cpu.values())


class Contestant:
    """Somebody who answers requests: a name, an address, and groups of processes that are measured."""

    def __init__(self, name, address, groups):
        self.name, self.address, self.groups = name, address, groups

    def cpu(self):
        return {name: group.cpu() for name, group in self.groups.items()}

    def settle(self, limit=60.0):
        """Waits until what requests have caused is done: until hardly anything runs. Returns when
        that was."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            begun, before = time.monotonic(), sum(self.cpu().values())
            time.sleep(0.25)
            taken = (sum(self.cpu().values()) - before) / 1e9
            if taken < QUIET * (time.monotonic() - begun):
                return begun
        return time.monotonic()


class Request:
    def __init__(self, method, path, token=None, body=None, headers=None):
        self.method, self.path, self.body = method, path, body
        self.headers = dict(headers or {})
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            self.headers["Content-Type"] = "application/json"

    def lua(self):
        headers = ", ".join(f"[{json.dumps(name)}] = {lua(value)}" for name, value in self.headers.items())
        body = "nil" if self.body is None else lua(json.dumps(self.body))
        return f"{{{lua(self.method)}, {lua(self.path)}, {{{headers}}}, {body}}}"


def lua(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


DONE = """
done = function(summary, latency, requests)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("RESULT %d %d %d %d\\n", summary.requests, summary.duration, errors.status, broken))
end
"""

IN_TURN = """
local given = {
REQUESTS
}
local made, at = {}, 0
init = function(args)
  for i, one in ipairs(given) do
    local headers = {}
    for name, value in pairs(wrk.headers) do headers[name] = value end
    for name, value in pairs(one[3]) do headers[name] = value end
    made[i] = wrk.format(one[1], one[2], headers, one[4])
  end
end
request = function()
  at = at % #made + 1
  return made[at]
end
"""

# Each thread has one connection and a chain of its own: the next request needs the last reply.
CHAIN = """
local tokens = {TOKENS}
local threads = 0
setup = function(thread)
  threads = threads + 1
  thread:set("token", tokens[threads])
end
request = function()
  local headers = {["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/json"}
  return wrk.format("POST", "/api/v1/auth/refresh", headers, '{"refresh_token":"' .. token .. '"}')
end
response = function(status, headers, body)
  token = string.match(body, '"refresh_token":"([^"]+)"') or token
end
"""


def in_turn(requests):
    """A script of wrk that sends these requests one after another, over and over."""
    return IN_TURN.replace("REQUESTS", ",\n".join(request.lua() for request in requests)) + DONE


def chain(tokens):
    """A script of wrk whose threads exchange refresh tokens."""
    return CHAIN.replace("TOKENS", ", ".join(map(lua, tokens))) + DONE


class Wrk:
    """Runs of wrk."""

    def __init__(self, folder, noise_of):
        self.folder, self.noise = folder, Noise(noise_of)

    def run(self, address, script, seconds, connections=32, threads=1, fails=False):
        """Requests that were answered, and the time that took. `fails`: every reply is an error."""
        path = f"{self.folder}/load.lua"
        with open(path, "w") as file:
            file.write(script)
        # wrk counts in whole seconds; an interrupt ends it earlier.
        command = ["wrk", f"-t{threads}", f"-c{connections}", "--timeout", "30", "-d600s", "-s", path]
        process = subprocess.Popen(
            [*command, f"http://{address}/"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        results = [line.split()[1:] for line in output.splitlines() if line.startswith("RESULT")]
        if not results:
            raise RuntimeError(f"wrk: {output}")
        requests, duration, statuses, broken = map(int, results[0])
        if statuses != (requests if fails else 0) or broken or not requests:
            raise RuntimeError(f"{statuses} of {requests} replies were errors, {broken} broke off:\n{output}")
        return requests, duration / 1e6

    def sample(self, contestant, script, seconds, **how):
        """One measured run. With `drains`, until all is done that the requests have caused."""
        drains, each = how.pop("drains", False), how.pop("each", 1)
        contestant.settle(10.0)
        self.noise.begin()
        begun, before = time.monotonic(), contestant.cpu()
        requests, duration = self.run(contestant.address, script, seconds, **how)
        if drains:
            duration = contestant.settle() - begun
        after = contestant.cpu()
        count = requests * each
        cpu = {name: (after[name] - before[name]) / 1000 / count for name in after}
        return Sample(cpu, count / duration, self.noise.end())


class Rounds:
    """Contestants in turn: A B, then B A, and so on, each after a warm-up."""

    def __init__(self, rounds, limit, tries, log):
        self.rounds, self.limit, self.tries, self.log = rounds, limit, tries, log

    def compare(self, contestants, run):
        """The samples of each contestant. `run(contestant)` is one of them. A run beside which others
        took more than the limit is repeated, and the quietest counts."""
        samples = {contestant.name: [] for contestant in contestants}
        for number in range(self.rounds):
            for contestant in contestants if number % 2 == 0 else reversed(contestants):
                sample = run(contestant)
                for _ in range(self.tries):
                    if sample.noise <= self.limit:
                        break
                    sample = min(sample, run(contestant), key=lambda sample: sample.noise)
                samples[contestant.name].append(sample)
                self.log(f"{contestant.name}: {sample.together:.1f} µs, {sample.rate:,.0f}/s, noise {sample.noise:.0%}")
        return samples


def median(values):
    return statistics.median(values)
