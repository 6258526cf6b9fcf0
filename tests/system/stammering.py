"""What the tests of stammerproxy share: the proxy, started and stopped, and plain sockets.

The environment variable STAMMERPROXY names the binary; without it build/stammerproxy at the top of
the tree. Everything talks to loopback, on ports that the kernel chose.
"""

import errno
import os
import random
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("STAMMERPROXY") or os.path.join(TOP, "build", "stammerproxy")
PATIENCE = 30  # seconds: after that something hangs
QUIET = 0.4  # seconds without anything: what "nothing comes" means here


def random_bytes(size, seed=0):
    return random.Random(f"{seed}/{size}").randbytes(size)


def listening(family=socket.AF_INET, backlog=300):
    """A server's socket on a free port."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    sock.listen(backlog)
    return sock


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_all(sock, quiet=PATIENCE):
    """What arrives, and how it ends: "eof", "reset", or "silence" after `quiet` seconds."""
    data = bytearray()
    while True:
        if not select.select([sock], [], [], quiet)[0]:
            return bytes(data), "silence"
        try:
            part = sock.recv(65536)
        except ConnectionResetError:
            return bytes(data), "reset"
        if not part:
            return bytes(data), "eof"
        data += part


def read_exactly(sock, size):
    data = bytearray()
    while len(data) < size:
        part = sock.recv(min(65536, size - len(data)))
        if not part:
            raise EOFError(f"{len(data)} of {size} bytes")
        data += part
    return bytes(data)


def in_background(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def send_all(sock, data, finish=False):
    """Sends as far as the other side lets it. False: it was reset meanwhile."""
    try:
        sock.sendall(data)
        if finish:
            sock.shutdown(socket.SHUT_WR)
        return True
    except OSError as error:
        if error.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            raise
        return False


class Proxy:
    """A running stammerproxy. SIGTERM ends it; it must then exit with 0 (sanitizers would not)."""

    def __init__(self, server, *args, descriptors=None):
        host, port = server if isinstance(server, tuple) else server.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host

        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [BINARY, "-l", "0", "-s", f"{host}:{port}", *args],
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            preexec_fn=limit if descriptors else None,
        )
        line = self.process.stdout.readline().decode()
        match = re.fullmatch(r"listening on \[?([0-9a-f.:]+?)\]?:([0-9]+)\n", line)
        if not match:
            self.process.wait()
            raise AssertionError(f"{line!r} {self.log()}")
        self.address = match.group(1), int(match.group(2))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        status = self.stop()
        if kind is None and status != 0:
            raise AssertionError(f"exit status {status}: {self.log()}")

    def stop(self, signo=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signo)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        return status

    def log(self):
        self.stderr.seek(0)
        return self.stderr.read().decode(errors="replace")

    def wait_for_log(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.log():
            if time.monotonic() > end:
                raise AssertionError(f"no {text!r} in {self.log()}")
            time.sleep(0.01)

    def connect(self):
        sock = socket.create_connection(self.address, timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def context_switches(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Case(unittest.TestCase):
    def setUp(self):
        self.server = listening()
        self.addCleanup(self.server.close)

    def proxy(self, *args, server=None, descriptors=None):
        proxy = Proxy(server or self.server, *args, descriptors=descriptors)
        self.addCleanup(proxy.stderr.close)
        return proxy

    def pair(self, proxy):
        """Both ends of a connection through the proxy: the client's and the server's."""
        client = proxy.connect()
        self.addCleanup(client.close)
        server, _ = self.server.accept()
        self.addCleanup(server.close)
        server.settimeout(PATIENCE)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client, server
