"""Servers that mean harm: what the real client does, prints, writes and costs then."""

import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

from harness import SLOW, ftxfer, sanitizers
from hostile import HostileTest, entry, error, found, page
from wire import DEADLINE, content, read_file, write_file
from wire2 import CODES, encode, frame, sha256

REFUSED, EXISTS, LOCAL, AGAIN, PROTOCOL, BAD_DATA, INTERNAL = 69, 73, 74, 75, 76, 65, 70
TREE = 700 << 20  # bytes: with names up to the limit, which is 256 MiB of them
DIRECTORY = encode(entry(None, "directory"))


def lists(*pages):
    """A server for which each name is a directory with those pages: functions of the id."""
    def script(conversation):
        said = 0
        while True:
            message = conversation.next()
            if message.type == "STAT":
                conversation.send(frame("OK", message.id, 0, DIRECTORY))
            elif message.type == "LIST":
                conversation.send(pages[min(said, len(pages) - 1)](message.id))
                said += 1
            else:
                conversation.send(error(message.id, CODES["NOT_FOUND"]))
    return script


def answers(kind, *parts):
    """Says that to the first request of this kind; functions of the id."""
    def script(conversation):
        while True:
            message = conversation.next()
            if message.type == kind:
                conversation.send(*(part(message.id) for part in parts))
                return
            conversation.send(frame("OK", message.id, 0, encode(entry(None))))
    return script


def always(kind, *parts):
    """The same, to each."""
    def script(conversation):
        while True:
            message = conversation.next()
            if message is None:
                return
            if message.type == kind:
                conversation.send(*(part(message.id) for part in parts))
            elif message.type == "STAT":
                conversation.send(frame("OK", message.id, 0, encode(entry(None))))
    return script


class BreachTest(HostileTest):
    def breach(self, script, *args, status=PROTOCOL, pattern=".", greets=True):
        """For people and for programs: that exit status, and why."""
        ran, out, err = self.run_client(*(args[:1] + ("--retry-time", "0") + self.named(
            script, args[1:], greets)))
        self.assertEqual(ran, status, (out, err))
        self.assert_sentence(err, pattern)
        ran, out, err = self.run_client(*(args[:1] + ("--retry-time", "0", "--json") + self.named(
            script, args[1:], greets)))
        events = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((ran, err), (status, ""), (out, err))
        self.assertEqual((events[-1]["event"], events[-1]["exit"]), ("summary", status), out)
        self.assertGreater(self.played, 1)

    def named(self, script, args, greets):
        where = self.serve(script, greets)
        return tuple(arg.replace("SERVER", where).replace("INTO", self.into) for arg in args)

    def nothing(self):
        self.assertEqual(os.listdir(self.into), [])


LS, STAT = ("ls", "SERVER/d"), ("stat", "SERVER/d")
GET, PUT = ("get", "SERVER/f", "-o", "INTO/f"), ("put", "INTO/../here", "SERVER/f")


class TestBreaches(BreachTest):
    def setUp(self):
        super().setUp()
        self.data = content(3000)
        write_file(self.scratch("here"), self.data)

    def test_openings(self):
        """What answers is no such server, or one that cannot count."""
        def says(*parts):
            def script(conversation):
                conversation.read(8)
                conversation.send(*parts)
            return script

        def hello(**other):
            attributes = [(name, other.get(name, value)) for name, value in (
                ("PROTOCOL_VERSION", 2), ("DIGESTS", b"\x01"), ("MAX_DATA", 65536),
                ("MAX_REQUESTS", 16), ("MAX_NOW", 65536))]
            return b"\xf7FTX\r\n\x1a\n" + frame("HELLO", 0, 0, encode(
                [each for each in attributes if each[1] is not None]))

        for said in (b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(8), b"\xf7FTX\n\r\x1a\n" + bytes(8),
                     b"\xff" * 4096, hello(PROTOCOL_VERSION=1), hello(PROTOCOL_VERSION=3),
                     hello(DIGESTS=b"\x02"), hello(DIGESTS=b""), hello(DIGESTS=None),
                     hello(MAX_DATA=0), hello(MAX_DATA=65537), hello(MAX_DATA=2 << 20),
                     hello(MAX_REQUESTS=0), hello(MAX_NOW=1), hello() + hello()[8:],
                     hello()[:8] + frame("OK", 1), hello()[:8] + frame("HELLO", 1)):
            with self.subTest(said=said[:60]):
                self.breach(says(said), *STAT, greets=False)

    def test_frames(self):
        """Lengths that are not to be believed, messages that are none, results nobody asked for."""
        huge = struct.pack(">IBBH", 0xffffffff, 0x50, 0, 1)
        for name, said in {
                "length": lambda i: huge,
                "length of data": lambda i: struct.pack(">IBBH", 0x7fffffff, 0x43, 0, i),
                "data unasked": lambda i: frame("DATA", i, 0, b"x"),
                "unknown type": lambda i: frame(0x7f, i),
                "a request": lambda i: frame("PUT", i, 0, DIRECTORY),
                "unknown flag": lambda i: frame("OK", i, 0x80, DIRECTORY),
                "attribute beyond": lambda i: frame("OK", i, 0, DIRECTORY + b"\0\x10\xff\xff"),
                "attribute twice": lambda i: frame("OK", i, 0, DIRECTORY + DIRECTORY),
                "attribute missing": lambda i: frame("OK", i, 0, b""),
                "critical attribute": lambda i: frame("OK", i, 0, DIRECTORY + b"\xf0\0\0\0"),
                "another's id": lambda i: frame("OK", i + 1, 0, DIRECTORY),
                "id of a cancel": lambda i: frame("OK", 0x4001, 0, b""),
                "id 0": lambda i: frame("OK", 0, 0, DIRECTORY),
                "twice": lambda i: frame("OK", i, 0, DIRECTORY) * 2,
                "page": lambda i: page(i), "go": lambda i: frame("GO", i, 0, encode([("OFFSET", 0)])),
                "file": lambda i: found(i, 1), "end": lambda i: frame("END", i),
                "pong": lambda i: frame("PONG", 0),
                "hello": lambda i: frame("HELLO", 0, 0, b""),
        }.items():
            with self.subTest(said=name):
                if name == "twice":  # the first one counts; the second has nobody to hear it
                    self.run_client("stat", self.serve(answers("STAT", said)) + "/d")
                    continue
                self.breach(answers("STAT", said), *STAT)

    def test_before_it_is_asked(self):
        for said in (frame("OK", 1, 0, DIRECTORY), error(1, CODES["NOT_FOUND"]), found(1, 3),
                     frame("DATA", 1, 0, b"abc"), page(1)):
            with self.subTest(said=said):
                def script(conversation):
                    conversation.read(8)
                    conversation.send(b"\xf7FTX\r\n\x1a\n", said)
                self.breach(script, *STAT, greets=False)

    def test_names(self):
        """In a listing a name is one component, and none that leads anywhere else."""
        for name in (b"..", b".", b"", b"/", b"/etc/passwd", b"../x", b"a/../../x", b"a/b", b"x\0y",
                     b"n" * 256):
            with self.subTest(name=name):
                said = lists(lambda i: page(i, entry("fine", "other"), entry(name)))
                self.breach(said, *LS)
                self.breach(said, "get", "-r", "SERVER/d", "-o", "INTO/")
                self.breach(said, "sync", "SERVER/d", "INTO")
                self.nothing_but_directories()

    def nothing_but_directories(self):
        for where, _, names in os.walk(self.into):
            self.assertEqual(names, [], where)

    def test_content(self):
        """More than was said, or less; or not what the digests say."""
        stored = [("DIGEST", sha256(b"0123456789"))]
        right = encode([("DIGEST", sha256(b"0123456789"))])
        wrong = encode([("DIGEST", sha256(b"012345678x"))])

        def data(text):
            return lambda i: frame("DATA", i, 0, text)

        for name, status, parts in (
                ("more", PROTOCOL, [data(b"0123456789a")]),
                ("more, in blocks", PROTOCOL, [data(bytes(8192))]),
                ("more, later", PROTOCOL, [data(b"0123456789"), data(b"a")]),
                ("less", PROTOCOL, [data(b"012345678"), lambda i: frame("END", i, 0, right)]),
                ("none", PROTOCOL, [lambda i: frame("END", i, 0, right)]),
                ("empty", PROTOCOL, [data(b""), lambda i: frame("END", i, 0, right)]),
                ("no digest", PROTOCOL, [data(b"0123456789"), lambda i: frame("END", i)]),
                ("other kind", BAD_DATA, [data(b"0123456789"), lambda i: frame(
                    "END", i, 0, encode([("DIGEST", b"\x01" + bytes(16))]))]),
                ("aborted", PROTOCOL, [data(b"01234"), lambda i: frame("END", i, 1)]),
                ("wrong", BAD_DATA, [data(b"0123456789"), lambda i: frame("END", i, 0, wrong)]),
                ("damaged", BAD_DATA, [data(b"012345678x"), lambda i: frame("END", i, 0, right)])):
            with self.subTest(name=name):
                self.breach(answers("GET", lambda i: found(i, 10), *parts), "get", "--digest", "sha256",
                            *GET[1:], status=status)
                self.nothing()
        self.breach(answers("GET", lambda i: found(i, 10, 0, *stored), data(b"012345678x"),
                            lambda i: frame("END", i)), "get", "--digest", "sha256", *GET[1:],
                    status=BAD_DATA, pattern="digest")
        self.breach(answers("GET", lambda i: found(i, 10, 5)), *GET)
        self.breach(answers("GET", lambda i: found(i, 10) * 2), *GET)
        self.nothing()

    def test_a_file_of_all_sizes(self):
        """Nobody has that much room; it is looked at before anything is made."""
        self.breach(answers("GET", lambda i: found(i, 2 ** 63 - 1)), *GET, status=LOCAL,
                    pattern="space|large")
        self.breach(answers("GET", lambda i: found(i, 2 ** 63)), *GET)
        self.nothing()

    def test_uploads(self):
        """Offsets that cannot be, receipts for something else."""
        go = lambda i: frame("GO", i, 0, encode([("OFFSET", 0)]))  # noqa: E731
        write_file(self.scratch("here"), content(300000, 1))
        for name, parts in {
                "have more": [lambda i: frame("HAVE", i, 0, encode([("OFFSET", 2 ** 40)]))],
                "have odd": [lambda i: frame("HAVE", i, 0, encode([("OFFSET", 4097)]))],
                "have none": [lambda i: frame("HAVE", i, 0, encode([("OFFSET", 0)]))],
                "go beyond": [lambda i: frame("GO", i, 0, encode([("OFFSET", 4096)]))],
                "go far": [lambda i: frame("GO", i, 0, encode([("OFFSET", 2 ** 63)]))],
                "go twice": [go, go],
                "have after go": [go, lambda i: frame("HAVE", i, 0, encode([("OFFSET", 4096)]))],
                "end": [lambda i: frame("END", i)],
                "file": [lambda i: found(i, 1)],
        }.items():
            with self.subTest(name=name):
                self.breach(answers("PUT", *parts), *PUT)

    def test_receipts(self):
        write_file(self.scratch("here"), b"data")

        def receipt(name=b"f", size=4, digest=sha256(b"data"), flags=0, version=b"version1"):
            return lambda i: frame("OK", i, flags, encode(
                [("NAME", name), ("SIZE", size), ("DIGEST", digest), ("TIME", (1, 0))] +
                ([("FILE_VERSION", version)] if version else [])))

        # It may be of other content that went by that id, long ago: so there are other ids to try.
        self.breach(always("PUT", receipt(digest=sha256(b"Data"))), "put", "--digest", "sha256", *PUT[1:],
                    status=BAD_DATA, pattern="digest")
        for said in (receipt(size=5), receipt(version=None),
                     receipt(digest=b"\x01" + bytes(16)), receipt(flags=0x40),
                     receipt(version=b"short"), lambda i: frame("OK", i, 0, b"")):
            with self.subTest(said=said(1)):
                self.breach(answers("PUT", said), "put", "--digest", "sha256", *PUT[1:])

    def test_words(self):
        """What a server says to people reaches a terminal harmless, and in bounds."""
        for text in ("\x1b[31mred\x1b[0m", "two\nlines\r\n", "\x00\x07\x7f", "\u009b2J", "x" * 1024):
            with self.subTest(text=text[:20]):
                script = answers("STAT", lambda i: error(i, CODES["FORBIDDEN"], text))
                status, out, err = self.run_client("stat", self.serve(script) + "/d")
                self.assertEqual((status, out), (77, ""), err)
                self.assertNotIn("\u009b", err)
                self.assertEqual(len(err.splitlines()), 1, err)
        self.breach(answers("STAT", lambda i: error(i, 199, "?")), *STAT, status=REFUSED)
        self.breach(answers("STAT", lambda i: error(i, 5, "?")), *STAT, status=REFUSED)

    def test_names_on_a_terminal(self):
        """Where all bytes are allowed in names, they are shown quoted."""
        names = (b"a\nb", b"\x1b[2Jc", b"\xff\xfe", b"tab\t", b"\x7f", "\u009bx".encode(), b"-rf", b" ")
        script = lists(lambda i: page(i, *(entry(name) for name in names)))
        for args in (("ls",), ("ls", "-l"), ("ls", "-R")):
            master, slave = pty.openpty()
            with open(master, "rb", 0) as terminal:
                status = subprocess.run(
                    ftxfer() + list(args) + [self.serve(script) + "/d"], stdin=slave, stdout=slave,
                    stderr=slave, env=dict(self.environ, TERM="xterm"), check=False).returncode
                os.close(slave)
                shown = b"".join(iter(lambda: self.hear(terminal), b"")).replace(b"\r\n", b"\n")
            self.assertEqual(status, 0, shown)
            self.assert_harmless(re.sub(rb"\r\x1b\[K|\x1b\[[0-9;]*m", b"", shown))
            self.assertEqual(len(shown.splitlines()), len(names), shown)
        status, out, err = self.run_client("ls", "--json", self.serve(script) + "/d")
        found_names = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len([event for event in found_names if event["event"] == "entry"]), 8)

    @staticmethod
    def hear(terminal):
        try:
            return terminal.read(65536)
        except OSError:  # nobody has it any more
            return b""


class TestListings(HostileTest):
    def sends(self, conversation, message):
        conversation.send(found(message.id, 1), frame("DATA", message.id, 0, b"x"),
                          frame("END", message.id, 0, encode([("DIGEST", sha256(b"x"))])))
        self.asked.append(dict(message.attributes)["NAME"])

    def until(self, conversation, kind):
        """Files are sent meanwhile."""
        while (message := conversation.next()).type != kind:
            self.sends(conversation, message)
        return message

    def test_begun_again(self):
        """What is listed comes at once; it is fetched once, though the server begins anew."""
        def script(conversation):
            entries = [entry(name, size=1) for name in ("b", "a", "c", "d")]
            conversation.send(frame("OK", conversation.next().id, 0, DIRECTORY))
            conversation.send(page(conversation.next().id, *entries[:2], cursor=b"x"))
            expired = self.until(conversation, "LIST")
            while len(self.asked) < 2:
                self.sends(conversation, conversation.next())
            conversation.send(error(expired.id, CODES["CURSOR_EXPIRED"]))
            conversation.send(page(self.until(conversation, "LIST").id, *entries[1:]))
            while True:
                self.sends(conversation, conversation.next())

        self.asked = []
        ran, out, err = self.run_client("get", "-r", "--digest", "sha256", self.serve(script) + "/d",
                                        "-o", self.into + "/")
        self.assertEqual((ran, self.asked), (0, [b"d/b", b"d/a", b"d/c", b"d/d"]), (out, err))
        self.assertEqual(sorted(os.listdir(self.into + "/d")), ["a", "b", "c", "d"])

    def names_twice(self, pages, *args):
        """d has those pages, each directory in it a file; which names were asked for."""
        def script(conversation):
            said = 0
            while True:
                message = conversation.next()
                if message.type == "STAT":
                    conversation.send(frame("OK", message.id, 0, DIRECTORY))
                elif message.type == "LIST" and message.NAME == b"":
                    conversation.send(page(message.id, entry("d", "directory")))
                elif message.type == "LIST" and message.NAME != b"d":
                    self.asked.append(message.NAME)
                    conversation.send(page(message.id, entry("inner", size=1)))
                elif message.type == "LIST":
                    said += 1
                    conversation.send(page(message.id, *pages[said - 1],
                                           cursor=b"x" if said < len(pages) else None))
                else:
                    self.sends(conversation, message)

        self.asked = []
        ran, out, err = self.run_client(args[0], "--json", "--digest", "sha256", *(
            arg.replace("SERVER", self.serve(script)) for arg in args[1:]))
        events = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((ran, events[-1]["failed"]), (0, 0), (out, err))
        self.assertEqual(sorted(set(self.asked)), sorted(self.asked))
        return self.asked

    def test_the_same_name_twice(self):
        """In one page or in two; also a directory. What came first is what it is."""
        f, many = entry("f", size=1), [entry("n%d" % i, size=1) for i in range(150)]
        d, d_file, f_dir = entry("e", "directory"), entry("e", size=1), entry("f", "directory")
        for number, (count, pages) in enumerate((
                (1, [[f, f]]), (1, [[f], [f]]), (2, [[f, many[0], f_dir], [f]]), (2, [[d, d]]),
                (2, [[d], [d_file], [d]]), (150, [many, many[::-1]]),
                (150, [many[i:i + 7] for i in range(0, 150, 3)]))):
            for way, args in (("get", ("-r", "SERVER/d", "-o")), ("get", ("-r", "SERVER/d/*", "-o")),
                              ("sync", ("SERVER/",)), ("sync", ("--checksum", "SERVER/d"))):
                into = os.path.join(self.into, "%d-%d" % (number, len(os.listdir(self.into))))
                if "--checksum" in args or "SERVER/d/*" in args:
                    os.mkdir(into)
                with self.subTest(number=number, args=args):
                    self.assertEqual(len(self.names_twice(pages, way, *args, into)), count)

    def test_comes_further(self):
        """A line that breaks now and then: what comes further each time is not given up."""
        def script(conversation):
            for number in range(self.played):
                message = conversation.next()
                conversation.send(page(message.id, entry("%d" % number, "other"),
                                       cursor=b"x" if number < 3 else None))
                if number == 3:
                    return
            time.sleep(1.2)  # longer than is tried while nothing moves
            conversation.sock.shutdown(socket.SHUT_RDWR)

        ran, out, err = self.run_client("sync", "-q", "--retry-time", "1",
                                        self.serve(script) + "/d", self.into)
        self.assertEqual((ran, self.played), (0, 4), (out, err))

    def test_stays_on_its_connection(self):
        """The next page is asked for where its cursor is known, however much is to do there."""
        pages = [(["a%d" % i for i in range(10)], b"x"), (["b"], b"y"), (["c"], None)]

        def answer(conversation, first):
            message = conversation.next()
            if message.type == "STAT":
                conversation.send(frame("OK", message.id, 0, DIRECTORY))
            elif message.type == "LIST":
                listed.append(first)
                if listed == [True, True]:
                    others.wait(DEADLINE)
                    time.sleep(0.3)  # until the client has heard that the others are done
                names, cursor = pages[min(len(listed), 3) - 1]
                conversation.send(page(message.id, *(entry(name, size=1) for name in names),
                                       cursor=cursor))
            elif first and len(listed) < 3:
                waiting.append(message)
            else:
                self.sends(conversation, message)
                if len(self.asked) >= 4:
                    others.set()

        def script(conversation):
            first = self.played == 1
            while True:
                answer(conversation, first)
                while first and len(listed) == 3 and waiting:
                    self.sends(conversation, waiting.pop())

        self.asked, listed, waiting, others = [], [], [], threading.Event()
        ran, out, err = self.run_client("get", "-r", "-j", "2", "--digest", "sha256",
                                        self.serve(script) + "/d", "-o", self.into + "/")
        self.assertEqual((ran, listed), (0, [True] * 3), (out, err))
        self.assertEqual(len(os.listdir(self.into + "/d")), 12)


class TestWithoutEnd(BreachTest):
    """Servers that never come to an end, or to the point. Memory is bounded, see hostile.py."""

    @staticmethod
    def endless(conversation, cursor, count):
        number = 0
        while True:
            message = conversation.next()
            if message.type == "STAT":
                conversation.send(frame("OK", message.id, 0, DIRECTORY))
            elif message.type == "LIST":
                number += 1
                conversation.send(page(message.id, *(
                    entry("n%d-%d" % (number, i), "file", 1) for i in range(count)),
                    cursor=cursor(number)))
            elif message.type == "GET":  # it never comes
                pass

    def stopped(self, script, *args, seconds=3):
        """It goes on until it is told to stop; then it ends, and says so."""
        status, out, err = self.run_client(*args, ends=seconds)
        self.assertIn(status, (-signal.SIGTERM, PROTOCOL), (out[-500:], err[-500:]))
        return out

    def test_lists(self):
        """New names on and on; the same page on and on. All of a directory is in memory, to be sorted."""
        self.memory = TREE
        for cursor in (lambda number: b"%d" % number, lambda number: b"same"):
            where = self.serve(lambda c: self.endless(c, cursor, 500)) + "/d"
            out = self.stopped(None, "ls", "--json", where)
            events = [json.loads(line) for line in out.splitlines()]
            self.assertEqual(events[-1]["event"], "summary")

    def test_takes_nothing(self):
        """Of a large directory here no more is known than a server that answers nothing has room for."""
        def script(conversation):
            while True:
                message = conversation.next()
                if message.type == "MKDIR":
                    conversation.send(frame("OK", message.id))
        peaks = []
        for count in (6000, 30000):
            top = self.scratch("state/many%d" % count)
            os.mkdir(top)
            for number in range(count):
                os.mknod(os.path.join(top, "%05d" % number + "n" * 100))
            self.stopped(None, "put", "-r", top, self.serve(script) + "/")
            peaks.append(self.peak)
        if not sanitizers():
            self.assertLess(peaks[1], peaks[0] + 2048)  # KiB

    def test_trees(self):
        """What is compared is all in memory, up to a limit; then it is too large."""
        def script(conversation):
            number = 0
            while True:
                message = conversation.next()
                if message.type == "STAT":
                    conversation.send(frame("OK", message.id, 0, DIRECTORY))
                elif message.type == "LIST":
                    number += 1
                    conversation.send(many[:6], struct.pack(">H", message.id),
                                      many[8:].replace(b"#" * 8, b"%08d" % number))
        many = page(0, *(entry("#" * 8 + "%03d" % i + "n" * 240, "other") for i in range(200)),
                    cursor=b"x")
        self.memory = TREE
        for args in (("get", "-rq"), ("sync",)):
            with self.subTest(args=args):
                more = ("-o", self.into + "/") if args[0] == "get" else (self.into,)
                status, out, err = self.run_client(*args, self.serve(script) + "/d", *more)
                self.assertEqual(status, INTERNAL, (out, err))
                self.assert_sentence(err, "more entries than memory is for|too large")

    def test_pages_without_entries(self):
        self.breach(lambda c: self.endless(c, lambda number: b"same", 0), *LS)

    def test_deeper_and_deeper(self):
        script = lists(lambda i: page(i, entry("d", "directory")))
        for args in (("ls", "-R"), ("get", "-r")):
            more = ("-o", self.into + "/") if args[0] == "get" else ()
            status, out, err = self.run_client(*args, self.serve(script) + "/d", *more)
            self.assertNotEqual(status, 0)
            self.assertLess(status, 80)
            self.assertIn("\n", err)

    def test_a_flood(self):
        """Messages that mean nothing, as fast as they can be sent."""
        for name, said in {"working": lambda i: frame("WORKING", i) * 4096,
                           "pong": lambda i: frame("PONG", 0) * 4096}.items():
            with self.subTest(said=name):
                def script(conversation):
                    message = conversation.next()
                    conversation.forever(lambda count: said(message.id))
                self.stopped(None, "stat", "--json", self.serve(script) + "/d", seconds=2)

    def test_a_file_without_end(self):
        """DATA on and on, to nobody: the first that nobody asked for ends it."""
        def script(conversation):
            message = conversation.next()
            conversation.send(found(message.id, 1 << 20))
            conversation.forever(lambda count: frame("DATA", message.id, 0, bytes(65536)))
        status, out, err = self.run_client("get", self.serve(script) + "/f", "-o", self.into + "/f")
        self.assertEqual(status, PROTOCOL, err)
        self.nothing()

    @unittest.skipUnless(SLOW, "FTXFER_TEST_SLOW=0")
    def test_silence(self):
        """At each place where an answer is due: 45 seconds, and then it is over."""
        cases = {
            "preface": (lambda c: c.read(8), False),
            "hello": (lambda c: c.send(b"\xf7FTX\r\n\x1a\n"), False),
            "answer": (lambda c: c.next(), True),
            "content": (lambda c: c.send(found(c.next().id, 10)), True),
        }
        ended = {}

        def play(name, script, greets):
            ended[name] = self.in_silence(name, script, greets)

        threads = [threading.Thread(target=play, args=(name,) + case)
                   for name, case in cases.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(ended), set(cases))
        for name, (status, seconds) in ended.items():
            with self.subTest(name=name):
                self.assertEqual(status, AGAIN)
                self.assertLess(seconds, 60)

    def in_silence(self, name, script, greets):
        began = time.monotonic()
        ran = subprocess.run(
            ftxfer() + ["get", "--retry-time", "0", self.serve(script, greets) + "/f", "-o",
                        os.path.join(self.into, name)], stdin=subprocess.DEVNULL,
            capture_output=True, env=self.environ, timeout=90)
        return ran.returncode, time.monotonic() - began


if __name__ == "__main__":
    unittest.main()
