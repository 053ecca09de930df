#!/usr/bin/env python3
"""What a flood of logins from one address does to everybody else.

100 connections from one address try passwords of other people's accounts for 20 s. Meanwhile 60 people log in
from addresses of their own, one every third of a second, and somebody who is signed in reads a todo. Prints how
many of the 60 passed, and the latency of the reads before and during the flood. Everything has its defaults but
the address of the proxy that X-Forwarded-For is believed of.

    cargo build --release --workspace --bin quartet && tests/load/login_flood.py target/release/quartet
"""

import http.client
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

CONNECTIONS, SECONDS, PEOPLE = 100, 20, 60
PASSWORD = "correct horse battery"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(connection, method, path, body=None, address="192.0.2.1", token=None):
    headers = {"Content-Type": "application/json", "X-Forwarded-For": address}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    reply = connection.getresponse()
    return reply.status, reply.read()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main():
    program, folder, port = os.path.abspath(sys.argv[1]), tempfile.mkdtemp(), free_port()
    settings = {"HTTP_ADDRESS": f"127.0.0.1:{port}", "GRPC_ADDRESS": f"127.0.0.1:{free_port()}"}
    settings |= {"TRUSTED_PROXIES": "127.0.0.1", "LOG_FILTER": "error", "CACHE_ENABLED": "false", "RATE_LIMIT_USER": "1000000/1m"}
    suite = subprocess.Popen([program], cwd=folder, env=settings, stdout=subprocess.DEVNULL)
    try:
        measure(port)
    finally:
        suite.terminate()
        suite.wait()


def flood_from_one_address(port, end, answers):
    """A process of its own, so that it does not hold up those who measure."""
    statuses = {}

    def one(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < end:
            body = {"username_or_email": f"person{number % PEOPLE}", "password": "wrong password"}
            status, _ = call(connection, "POST", "/api/v1/auth/login", body, address="198.51.100.7")
            statuses[status] = statuses.get(status, 0) + 1

    threads = [threading.Thread(target=one, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(statuses)


def measure(port):
    connect = lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(100):
        try:
            if call(connect(), "GET", "/readyz")[0] == 200:
                break
        except OSError:
            time.sleep(0.1)
    people, connection = [], connect()
    for number in range(PEOPLE):
        name = f"person{number}"
        body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        status, reply = call(connection, "POST", "/api/v1/auth/register", body, address=f"203.0.113.{number}")
        assert status == 201, reply
        people.append((name, json.loads(reply)["access_token"]))
    token = people[0][1]
    status, reply = call(connection, "POST", "/api/v1/todos", {"title": "Water the plants"}, token=token)
    todo = "/api/v1/todos/" + json.loads(reply)["id"]

    def read(until):
        connection, took = connect(), []
        while time.monotonic() < until:
            begun = time.monotonic()
            status, reply = call(connection, "GET", todo, address="203.0.113.0", token=token)
            assert status == 200, reply
            took.append((time.monotonic() - begun) * 1000)
            time.sleep(0.01)
        return took

    quiet = read(time.monotonic() + SECONDS / 2)
    end, answers = time.monotonic() + SECONDS, multiprocessing.Queue()
    flood = multiprocessing.Process(target=flood_from_one_address, args=(port, end, answers))
    loud = multiprocessing.Queue()
    reader = multiprocessing.Process(target=lambda: loud.put(read(end)))
    flood.start()
    reader.start()
    passed, logins = 0, []
    for number, (name, _) in enumerate(people):
        begun = time.monotonic()
        body = {"username_or_email": name, "password": PASSWORD}
        status, reply = call(connect(), "POST", "/api/v1/auth/login", body, address=f"203.0.113.{number}")
        passed += status == 200
        if status != 200:
            print(name, status, reply[:200])
        logins.append((time.monotonic() - begun) * 1000)
        time.sleep(max(0, SECONDS / PEOPLE - (time.monotonic() - begun)))
    answers, loud = answers.get(), loud.get()
    flood.join()
    reader.join()
    print(f"the flood: {sum(answers.values())} answers, by status {dict(sorted(answers.items()))}")
    print(f"logins from other addresses: {passed} of {PEOPLE} passed, median {percentile(logins, 0.5):.0f} ms, longest {max(logins):.0f} ms")
    for name, took in (("quiet", quiet), ("during the flood", loud)):
        print(f"reads, {name}: {len(took)}, median {percentile(took, 0.5):.1f} ms, p99 {percentile(took, 0.99):.1f} ms")


main()
