"""Processes that are measured: their CPU time, their memory, and what everybody else took meanwhile."""

import os
import resource
import subprocess
import threading
import time

CPUS = os.cpu_count() or 1
TICK = os.sysconf("SC_CLK_TCK")


def clock(pid):
    """CPU time that a process has taken, in ns, its ended threads included; 0 where it has ended."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return 0


def children():
    """The children of every process, by its id."""
    by_parent = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            by_parent.setdefault(parent, []).append(int(name))
    return by_parent


def tree(root):
    """A process and all that descend from it."""
    by_parent, found, at = children(), [root], 0
    while at < len(found):
        found += by_parent.get(found[at], [])
        at += 1
    return found


class Group:
    """Processes whose CPU time is counted together: these, and all that descend from them."""

    def __init__(self, *roots):
        self.roots = roots

    def pids(self):
        return [pid for root in self.roots for pid in tree(root)]

    def cpu(self):
        """CPU time so far, in ns. Of children that ended, what their parents keep, to a tick."""
        return sum(clock(pid) for pid in self.pids()) + sum(map(reaped, self.roots))


def reaped(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return (int(fields[13]) + int(fields[14])) * 1_000_000_000 // TICK


def private_bytes(pid):
    """Memory that a process alone has written. Pages of its program's file, which the system can drop,
    do not count."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) << 10 for line in file if line.startswith("Private_Dirty"))
    except OSError:
        return 0


def busy():
    """Time that all processors were at work or taken by the hypervisor, in s."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, interrupts, soft, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + interrupts + soft + steal) / TICK


class Noise:
    """The share of all processors that others took: whoever is not of this run."""

    def __init__(self, ours):
        self.ours = ours

    def begin(self):
        self.begun = (time.monotonic(), busy(), self.taken())

    def end(self):
        then, busy_then, ours_then = self.begun
        elapsed = time.monotonic() - then
        others = busy() - busy_then - (self.taken() - ours_then)
        return max(0.0, others / (elapsed * CPUS))

    def taken(self):
        waited_for = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = waited_for.ru_utime + waited_for.ru_stime
        return sum(group.cpu() for group in self.ours) / 1e9 + time.process_time() + ended


class Started:
    """The programs that this run has started; they end with it."""

    def __init__(self):
        self.all = []

    def start(self, command, environment, folder, log):
        with open(os.path.join(folder, log), "ab") as file:
            process = subprocess.Popen(
                command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file
            )
        self.all.append(process)
        return process

    def stop(self, processes):
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.all.remove(process)

    def stop_all(self):
        self.stop(list(self.all))


class Peak:
    """The most private memory that processes had while something ran."""

    def __init__(self, pids):
        self.pids, self.most, self.over = pids, {pid: 0 for pid in pids}, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.over.wait(0.2):
            for pid in self.pids:
                self.most[pid] = max(self.most[pid], private_bytes(pid))

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
