"""Programs that are started, and what they cost: CPU seconds, memory, the time they take.

The CPU time of a server is that of all its processes and threads, with the children that it has waited for;
of a client, what wait4(2) says. Both are user and system time; what the kernel does for a socket
in an interrupt is counted with whoever was running.
"""

import os
import re
import resource
import signal
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 600  # seconds that one client may take


class Failure(Exception):
    """A transfer failed, or brought something else: an error of the benchmark, whatever the times."""


def wait_for(test, what, deadline=20.0, step=0.005):
    until = time.monotonic() + deadline
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > until:
            raise Failure("waited %g s for %s" % (deadline, what() if callable(what) else what))
        time.sleep(step)


# Processes as the kernel knows them

def children(pid):
    found = []
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as file:
                found += [int(word) for word in file.read().split()]
    except OSError:
        pass  # it has just ended
    return found


def tree(pid):
    """A process and all that come from it."""
    pids = [pid]
    for one in pids:
        pids += children(one)
    return pids


def cpu_seconds(pid):
    """What a process and its descendants have used, those that it has waited for in ticks of 10 ms."""
    total = 0.0
    for one in tree(pid):
        try:
            total += time.clock_gettime((~one << 3) | 2)  # what clock_getcpuclockid(3) makes
            with open("/proc/%d/stat" % one) as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += (int(fields[13]) + int(fields[14])) / TICK
        except OSError:
            pass
    return total


def anonymous_kib(pid):
    """Memory of its own: what a process has that is no file's, for the whole tree."""
    total = 0
    for one in tree(pid):
        try:
            with open("/proc/%d/status" % one) as file:
                total += int(re.search(r"^RssAnon:\s+(\d+)", file.read(), re.M)[1])
        except (OSError, TypeError):
            pass
    return total


class Peak:
    """The most memory that a server has while the block runs: looked at 50 times a second."""

    def __init__(self, pid):
        self.pid, self.kib, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while True:
            self.kib = max(self.kib, anonymous_kib(self.pid))
            if self.over.wait(0.02):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_why):
        self.over.set()
        self.thread.join()


class Others:
    """The share of all processors that went to neither us nor the server while the block ran: noise.

    Time that a virtual machine was kept waiting for (steal) is among it.
    """

    def __init__(self, server_pid):
        self.pid, self.share = server_pid, 0.0

    def _now(self):
        with open("/proc/stat") as file:
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
        busy = user + nice + system + irq + softirq + steal
        own = cpu_seconds(self.pid) if self.pid else 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            own += usage.ru_utime + usage.ru_stime
        return (busy + idle + iowait) / TICK, busy / TICK - own

    def __enter__(self):
        self.began = self._now()
        return self

    def __exit__(self, *_why):
        total, others = (now - then for now, then in zip(self._now(), self.began))
        self.share = max(0.0, others / total) if total > 0 else 0.0


# What is started

def raise_limits():
    """As many descriptors as this user may have: 10,000 connections take two programs as many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """A started server, stopped at the end; `port` is where it listens."""

    def __init__(self, argv, directory, port=None, name="server"):
        self.argv, self.port = argv, port
        self.out_path = os.path.join(directory, name + ".out")
        with open(self.out_path, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self.process.pid
        try:
            if port is None:
                self.port = int(wait_for(self._says_port, lambda: "a port: " + self.out()))
            else:
                wait_for(self._listens, lambda: "%s to listen: %s" % (argv[0], self.out()))
        except Failure:
            self.stop()
            raise
        time.sleep(0.05)  # for the workers that a master starts once it listens
        self.crew = set(tree(self.pid))

    def out(self):
        with open(self.out_path, errors="replace") as file:
            return file.read()

    def _alive(self):
        if self.process.poll() is not None:
            raise Failure("%s ended with %d: %s" % (self.argv, self.process.returncode, self.out()))

    def _says_port(self):
        self._alive()
        found = re.search(r"^listening on 127\.0\.0\.1:(\d+)$", self.out(), re.M)
        return found and found[1]

    def _listens(self):
        self._alive()
        with open("/proc/net/tcp") as file:
            return re.search(r"^\s*\d+: \S+:%04X 00000000:0000 0A" % self.port, file.read(), re.M)

    def settle(self):
        """A process that it made for a connection is gone, and counted with its parent."""
        wait_for(lambda: set(tree(self.pid)) <= self.crew, "the server to come to rest")

    def cpu(self):
        return cpu_seconds(self.pid)

    def stop(self):
        """SIGTERM, and what is left of its processes is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Client(threading.Thread):
    """One run of a client: `began` and `ended` (monotonic), `cpu` seconds, and its standard output."""

    def __init__(self, argv):
        super().__init__(daemon=True)
        self.argv, self.status, self.output = argv, None, ""
        self.began = self.ended = self.cpu = 0.0

    def run(self):
        self.began = time.monotonic()
        process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        self.output = process.stdout.read().decode("utf-8", "replace")
        _, status, usage = os.wait4(process.pid, 0)
        self.ended = time.monotonic()
        process.returncode = self.status = os.waitstatus_to_exitcode(status)
        timer.cancel()
        process.stdout.close()
        self.cpu = usage.ru_utime + usage.ru_stime

    def check(self):
        if self.status != 0:
            raise Failure("%s: exit status %s\n%s" % (" ".join(self.argv), self.status, self.output))


def run_clients(argvs):
    """All of them at once; returns them, each ended with 0."""
    clients = [Client(argv) for argv in argvs]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    for client in clients:
        client.check()
    return clients
