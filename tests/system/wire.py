"""Protocol 1 by hand: raw peers and scripted servers; waiting, and content to send.

Nothing here starts a program: see harness.py.
"""

import errno
import fcntl
import hashlib
import os
import socket
import struct
import termios
import threading
import time

REQUEST = 256
REFUSED = bytes(8)  # the size field of a download answer that is not T
DEADLINE = 20.0  # seconds that anything ordinary may take, on a busy machine, under a sanitizer


# Waiting: by looking, until a deadline, never by sleeping for a guess.

def wait_for(test, what, deadline=DEADLINE, step=0.005):
    """The first true value of test(); AssertionError when there is none in time."""
    until = time.monotonic() + deadline
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > until:
            what = what() if callable(what) else what
            raise AssertionError("waited %g s for %s" % (deadline, what))
        time.sleep(step)


# Content

def content(size, seed=1):
    """size bytes that are the same each time and do not repeat with any power of two."""
    block = hashlib.sha256(b"%d" % seed).digest() * 31 + b"-"
    return (block * (size // len(block) + 1))[:size]


def write_file(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def sha256_file(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        block = bytearray(1 << 20)
        while True:
            count = file.readinto(block)
            if not count:
                return digest.hexdigest()
            digest.update(memoryview(block)[:count])


# Protocol 1 by hand

def request(kind, name, field=None):
    """256 bytes; `field` is the whole name field where it is to be wrong."""
    if field is None:
        field = os.fsencode(name).ljust(REQUEST - 1, b"\0")
    assert len(kind + field) == REQUEST, len(field)
    return kind + field


def size_message(size):
    return struct.pack(">Q", size)


def reset_when_closed(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close_at_once(sock, reset=False):
    """Whoever waits for it in another thread does so no longer."""
    if reset:
        reset_when_closed(sock)
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


class Peer:
    """A raw end of a connection."""

    def __init__(self, address=None, sock=None, source=None, deadline=DEADLINE):
        if sock is None:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(deadline)
            try:
                if source:
                    sock.bind((source, 0))
                sock.connect(address)
            except OSError:
                sock.close()
                raise
        self.sock = sock
        self.was_reset = False  # and send() heard of it
        self.port = sock.getsockname()[1]
        sock.settimeout(deadline)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        """The kernel tells of a reset once: who hears of it here must remember it."""
        try:
            self.sock.sendall(data)
        except ConnectionError:
            self.was_reset = True
            raise

    def send_bytewise(self, data):
        """Each byte in a segment of its own, and acknowledged, before the next."""
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
            self.wait_sent()

    def wait_sent(self):
        """Until the other side's kernel has it all."""
        wait_for(lambda: struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4)))[0]
                 == 0, "an empty send queue", step=0.0005)

    def receive(self, size):
        """Exactly size bytes, or AssertionError that says what came."""
        data = b""
        try:
            while len(data) < size:
                part = self.sock.recv(size - len(data))
                if not part:
                    raise AssertionError("%d bytes were due, then FIN came: %r" % (size, data[:64]))
                data += part
        except OSError as e:
            raise AssertionError("%d bytes were due, then %s: %r" % (size, e, data[:64]))
        return data

    def rest(self):
        """All that comes until the other side ends, and how it did: "fin", "reset" or "open"."""
        data = []
        try:
            while True:
                part = self.sock.recv(1 << 18)
                if not part:
                    return b"".join(data), "reset" if self.was_reset else "fin"
                data.append(part)
        except ConnectionError:
            return b"".join(data), "reset"
        except socket.timeout:
            return b"".join(data), "open"

    def is_quiet(self, seconds):
        """True when nothing comes, and nothing ends, for that long."""
        self.sock.settimeout(seconds)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
            return False
        except socket.timeout:
            return True
        except ConnectionError:
            return False
        finally:
            self.sock.settimeout(DEADLINE)

    def finish(self):
        """Half-close: nothing more will be sent. After a reset there is nothing left to close."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as e:
            if e.errno != errno.ENOTCONN:
                raise

    def reset(self):
        reset_when_closed(self.sock)
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_why):
        self.close()


class Script:
    """A server made of one function, called with a Peer for each connection, one by one."""

    def __init__(self, play, times=1):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.where = "127.0.0.1:%d" % self.port
        self.result, self.error = None, None
        self.play, self.times = play, times
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            for _ in range(self.times):
                with Peer(sock=self.listener.accept()[0]) as peer:
                    self.result = self.play(peer)
        except BaseException as e:  # shown by the test that made us
            self.error = e

    def end(self):
        """What play() returned; raises what it raised."""
        self.thread.join(DEADLINE)
        error = self.error or (AssertionError("nobody came") if self.thread.is_alive() else None)
        if error:
            raise error
        return self.result

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
