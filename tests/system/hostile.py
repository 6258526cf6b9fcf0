"""A server of protocol 2 that says what a script says, right or wrong, and a client held against it."""

import os
import re
import socket
import struct
import subprocess
import threading
import time

from harness import SystemTest, ftxfer, sanitizers, status_field
from wire import DEADLINE, read_file
from wire2 import NAMES, PREFACE, Message, encode, frame

MEMORY = 48 << 20  # bytes that a client may have at most, whatever its server says
KINDS = {"file": 1, "directory": 2, "link": 3, "other": 4}
HELLO = [("PROTOCOL_VERSION", 2), ("DIGESTS", b"\x01\x02"), ("MAX_DATA", 1 << 20),
         ("MAX_REQUESTS", 256), ("MAX_NOW", 65536)]


def entry(name, kind="file", size=0):
    """The attributes of an entry; without a name of STAT's OK."""
    attributes = [] if name is None else [("NAME", name)]
    attributes += [("KIND", KINDS[kind]), ("MTIME", (1, 0)), ("MODE", 0o644)]
    if kind == "file":
        attributes += [("SIZE", size), ("FILE_VERSION", b"version1")]
    return attributes


def page(number, *entries, cursor=None):
    attributes = [("ENTRY", encode(each)) for each in entries]
    return frame("PAGE", number, 0, encode(attributes + ([("CURSOR", cursor)] if cursor else [])))


def found(number, size, offset=0, *more):
    return frame("FILE", number, 0, encode([
        ("SIZE", size), ("MTIME", (1, 0)), ("MODE", 0o644), ("FILE_VERSION", b"version1"),
        ("OFFSET", offset)] + list(more)))


def error(number, code, text=""):
    return frame("ERROR", number, 0, encode([("CODE", code)] + ([("TEXT", text)] if text else [])))


class Conversation:
    """One connection, as the script sees it."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        sock.settimeout(DEADLINE)

    def send(self, *parts):
        self.sock.sendall(b"".join(parts))

    def read(self, size):
        while len(self.buffer) < size:
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError
            self.buffer += more
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def next(self):
        length, kind, flags, number = struct.unpack(">IBBH", self.read(8))
        payload = self.read(length)
        if NAMES.get(kind) == "DATA":
            return Message(kind, flags, number, payload)
        message = Message(kind, flags, number, payload)
        if message.type == "PING":
            self.send(frame("PONG", 0))
            return self.next()
        return message

    def greet(self, hello=None):
        self.read(len(PREFACE))
        assert self.next().type == "HELLO"
        self.send(PREFACE, frame("HELLO", 0, 0, encode(HELLO if hello is None else hello)))

    def forever(self, make):
        """make(n), n = 0, 1, 2 ..., until the client goes."""
        count = 0
        while True:
            self.send(make(count))
            count += 1


class HostileTest(SystemTest):
    """ftxfer against a script. into: the one directory where anything may be changed."""

    def setUp(self):
        super().setUp()
        self.into = self.scratch("into")
        os.mkdir(self.into)
        self.environ = dict(os.environ, XDG_CONFIG_HOME=self.scratch("config"),
                            XDG_STATE_HOME=self.scratch("state"), LC_ALL="C.UTF-8")
        os.makedirs(self.scratch("state/ftxfer"))
        self.played = 0  # how often the script was begun
        self.memory = MEMORY

    def serve(self, script, greets=True):
        """Where a server listens that plays script(conversation) with each who comes."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def play(sock):
            with sock:
                conversation = Conversation(sock)
                try:
                    if greets:
                        conversation.greet()
                    self.played += 1
                    script(conversation)
                    while sock.recv(65536):
                        pass
                except OSError:
                    pass

        def accept():
            while True:
                try:
                    sock = listener.accept()[0]
                except OSError:
                    return
                threading.Thread(target=play, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return "127.0.0.1:%d" % listener.getsockname()[1]

    def outside(self):
        """All in the scratch directory but what is in `into` and the client's own state."""
        seen = {}
        for where, dirs, names in os.walk(self.dir):
            dirs[:] = [name for name in dirs if os.path.join(where, name) not in (
                self.into, self.scratch("state"))]
            for name in dirs + names:
                path = os.path.join(where, name)
                seen[path] = os.lstat(path).st_mtime_ns if name in names else None
        return seen

    def run_client(self, *args, ends=None):
        """Runs it; ends: it is stopped after so many seconds. (status, out, err)"""
        before = self.outside()
        out, err = self.scratch("state/out"), self.scratch("state/err")
        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            process = subprocess.Popen(ftxfer() + list(args), stdin=subprocess.DEVNULL,
                                       stdout=out_file, stderr=err_file, env=self.environ)
            status = self.watch(process, ends)
        # Nobody's name but what was asked for.
        self.assertEqual(self.outside(), before)
        texts = [read_file(path) for path in (out, err)]
        for text in texts:
            self.assertNotIn(b"Sanitizer", text)
            self.assertNotIn(b"runtime error", text)
        self.assert_harmless(texts[1])
        return (status,) + tuple(text.decode() for text in texts)

    def assert_harmless(self, text):
        """To a terminal: no control characters but the ends of lines."""
        self.assertNotRegex(text, rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
        text.decode()

    def watch(self, process, ends):
        """Until its end; its memory is looked at all the while."""
        began, self.peak = time.monotonic(), 0
        while process.poll() is None:
            try:
                self.peak = max(self.peak, status_field("/proc/%d/status" % process.pid, "VmHWM"))
            except (OSError, AttributeError):
                pass
            if ends is not None and time.monotonic() - began > ends:
                process.terminate()
                ends = None
            if time.monotonic() - began > 2 * DEADLINE:
                process.kill()
                process.wait()
                self.fail("it did not end")
            time.sleep(0.005)
        if not sanitizers():
            self.assertLess(self.peak * 1024, self.memory)
        return process.returncode

    def assert_sentence(self, text, pattern):
        """A line or two for people, one of which says that."""
        lines = text.splitlines()
        self.assertRegex(text, "(?i)" + pattern)
        self.assertLessEqual(len(lines), 4, text)
        for line in lines:
            self.assertLess(len(line), 500, text)
            self.assertTrue(re.match(r"(ftxfer|\d+ )", line), line)
