"""Large transfers that are interrupted: they end complete and equal, and little is sent again.

What was sent again is what stammerproxy has forwarded in all, less the size. Of how many points, how
large, and where they are:

    FTXFER_TEST_INTERRUPTIONS=100   of each transfer; a few unless given
    FTXFER_TEST_INTERRUPTION_SIZE   in MiB: 256 with a number given, else less
    FTXFER_TEST_SEED                as an earlier run has printed it
"""

import hashlib
import os
import random
import re
import signal
import statistics
import subprocess
import threading
import time
import unittest

from harness import Daemon, Listener, Program, SystemTest, ftxfer, stammerproxy
from wire import write_file

MIB = 1 << 20
COUNT = int(os.environ.get("FTXFER_TEST_INTERRUPTIONS", "0"))
SIZE = int(os.environ.get("FTXFER_TEST_INTERRUPTION_SIZE", "256" if COUNT else "64")) * MIB + 12345
SEED = int(os.environ.get("FTXFER_TEST_SEED") or random.SystemRandom().getrandbits(32))
MEDIAN, WORST = 2 * MIB, 8 * MIB
PATIENCE = 240  # seconds: a stall alone takes 45 until the client gives it up
KINDS = ("cut", "reset", "client", "server")
STALLS = 20  # one of so many is a stall: these take their time


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(MIB), b""):
            found.update(piece)
    return found.digest()


def largest(directory, prefix):
    """Bytes of the largest of these files, which may be on its way."""
    most = -1
    for entry in os.scandir(directory):
        try:
            if entry.name.startswith(prefix):
                most = max(most, entry.stat().st_size)
        except FileNotFoundError:
            pass
    return most


def daemon_again(directory, root, port, name, **options):
    """A daemon on a port that another one had, which some connection may have meanwhile."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return Daemon(directory, root, args=("-l", str(port)), name=name, **options)
        except AssertionError as error:
            if port == 0 or "in use" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


class Place:
    """A server, a client's directory, and the proxy between them, with a fault or without."""

    def __init__(self, test, name):
        self.test, self.name = test, name
        self.dir = test.scratch(name)
        self.root = os.path.join(self.dir, "root")
        self.here = os.path.join(self.dir, "here")
        for path in (self.dir, self.root, self.here):
            os.mkdir(path)
        self.serial = 0
        self.proxy = self.client = None
        self.server = self.start_server()
        self.environ = dict(os.environ, XDG_STATE_HOME=os.path.join(self.dir, "state"),
                            XDG_CONFIG_HOME=os.path.join(self.dir, "config"))
        test.addCleanup(self.stop)

    def start_server(self, port=0):
        self.serial += 1
        return daemon_again(self.dir, self.root, port, "ftxferd-%d" % self.serial,
                            allow_replace=True, allow_remove=True)

    def kill_server(self, pause=0.05):
        port = self.server.port
        self.server.process.kill()
        self.server.process.wait()
        time.sleep(pause)
        self.server = self.start_server(port)

    def start_proxy(self, *args):
        self.serial += 1
        self.proxy = Listener(stammerproxy() + ["-d", "-l", "0", "-s", self.server.where, "--delay",
                                                "0", "--buffer", "64k"] + list(args),
                              self.dir, "proxy-%d" % self.serial)

    def end_proxy(self):
        """Bytes that it has forwarded each way: (up, down)."""
        self.proxy.stop()
        found = re.findall(r" up=(\d+) down=(\d+) ", self.proxy.err())
        self.proxy = None
        return tuple(sum(int(pair[way]) for pair in found) for way in (0, 1))

    def start_client(self, *args):
        self.serial += 1
        self.client = Program(ftxfer() + list(args), self.dir, "ftxfer-%d" % self.serial,
                              env=self.environ)
        return self.client

    def kill_client(self):
        self.client.process.kill()
        self.client.process.wait()

    def stop(self):
        if self.client is not None and self.client.running():
            self.kill_client()
        if self.proxy is not None:
            self.proxy.stop()
        self.test.assertEqual(self.server.stop(), 0, self.server.err()[-2000:])

    def interrupt_large(self, command, progress, kind, point, pause=None):
        """From another place than its own: what pause does is done while nothing moves."""
        self.start_client(*command)
        while self.client.running() and progress() < point:
            time.sleep(0.0005)
        if kind == "server":
            port = self.server.port
            self.server.process.kill()
            self.server.process.wait()
            pause()
            self.server = self.start_server(port)
        else:
            self.kill_client()
            self.test.assertEqual(self.client.process.returncode, -signal.SIGKILL)
            pause()
            self.start_client(*command)
        return self.client.wait(PATIENCE)


class Interrupted(SystemTest):
    """One transfer and one interruption after the other; the kinds take turns."""

    __test__ = False
    weight = 100
    way = None

    def setUp(self):
        super().setUp()
        self.random = random.Random("%d/%s" % (SEED, self.way))
        self.again, self.errors, self.lock = {}, [], threading.Lock()
        self.source = self.scratch("source")
        with open(self.source, "wb") as file:
            for _ in range(0, SIZE, MIB):
                file.write(self.random.randbytes(min(MIB, SIZE - file.tell())))
        os.utime(self.source, (1, 1234567890))
        self.digest = digest(self.source)

    def interrupt(self, place, kind, point):
        """One transfer, interrupted once. Returns the bytes sent again; None: it was too late."""
        fault = ("--faulty", "1", "--%s-after" % kind, "%s:%d" % (self.way, point))
        place.start_proxy(*(fault if kind in ("cut", "reset", "stall") else ()))
        command = self.begin(place)
        client = place.start_client(*command)
        if kind in ("client", "server"):
            while client.running() and self.progress(place) < point:
                time.sleep(0.0005)
            met = client.running()
            if kind == "server":
                place.kill_server()
            else:
                place.kill_client()
                met = client.process.returncode == -signal.SIGKILL
                client = place.start_client(*command) if met else client
        status = client.wait(PATIENCE)
        moved = place.end_proxy()[self.way == "down"]
        if kind == "client" and not met:
            return None
        self.assertEqual(status, 0, client.err())
        self.check(place)
        return moved - SIZE if kind not in ("client", "server") or met else None

    def play(self, place, plan):
        for kind, point in plan:
            try:
                again = self.interrupt(place, kind, point)
            except Exception as error:  # of a thread: told at the end
                self.errors.append("%s at %d: %r" % (kind, point, error))
                return
            if again is None:  # it had ended before
                if len(plan) > 2 * (COUNT or 8):
                    self.errors.append("%s: never in time" % kind)
                    return
                plan.append((kind, point // 2))
                continue
            with self.lock:
                self.again.setdefault(kind, []).append(again)

    def campaign(self):
        count = COUNT or 8
        points = [self.random.randrange(SIZE) for _ in range(count)]
        stalls = [("stall", point) for point in points[:count // STALLS]]
        others = [(KINDS[i % len(KINDS)], point)
                  for i, point in enumerate(points[count // STALLS:])]
        threads = [threading.Thread(target=self.play, args=(Place(self, name), plan))
                   for name, plan in (("stalls", stalls), ("others", others))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = sorted(again for each in self.again.values() for again in each)
        print("%s of %d MiB, seed %d: %d interruptions" % (self.way, SIZE // MIB, SEED, len(found)))
        for kind, each in sorted(self.again.items()):
            print("    %-6s %3d times: median %8d, worst %8d bytes sent again" % (
                kind, len(each), statistics.median(each), max(each)), flush=True)
        self.assertEqual(self.errors, [], "seed %d" % SEED)
        self.assertEqual(len(found), count)
        print("    in all: median %d, worst %d" % (statistics.median(found), found[-1]), flush=True)
        self.assertLessEqual(statistics.median(found), MEDIAN, "seed %d" % SEED)
        self.assertLessEqual(found[-1], WORST, "seed %d" % SEED)


class TestUploads(Interrupted):
    __test__ = True
    way = "up"

    def begin(self, place):
        for name in os.listdir(place.root):
            if not name.startswith("."):
                os.remove(os.path.join(place.root, name))
        place.target = "n%d" % place.serial
        return "put", "--json", self.source, "%s/%s" % (place.proxy.where, place.target)

    def progress(self, place):
        return largest(place.root, ".ftxferd-")

    def check(self, place):
        self.assertEqual(digest(os.path.join(place.root, place.target)), self.digest)
        self.assertEqual([name for name in os.listdir(place.root) if name.startswith(".ftxferd-")],
                         [])

    def test_interrupted_anywhere(self):
        self.campaign()


class TestDownloads(Interrupted):
    __test__ = True
    way = "down"

    def begin(self, place):
        if not os.path.exists(os.path.join(place.root, "n")):
            os.link(self.source, os.path.join(place.root, "n"))
        for name in os.listdir(place.here):
            os.remove(os.path.join(place.here, name))
        return "get", "--json", "%s/n" % place.proxy.where, "-o", os.path.join(place.here, "n")

    def progress(self, place):
        return largest(place.here, ".ftxferd-part-")

    def check(self, place):
        self.assertEqual(digest(os.path.join(place.here, "n")), self.digest)
        self.assertEqual(os.listdir(place.here), ["n"])

    def test_interrupted_anywhere(self):
        self.campaign()


class TestOtherContent(SystemTest):
    """What was kept is of other content than what is there now, of the same size: it is begun anew."""

    weight = 40
    size = 24 * MIB + 77

    def content(self, seed):
        return random.Random(seed).randbytes(self.size)

    def change(self, path, how):
        """Other content from the beginning on; `how`: what else of it changes."""
        before = os.stat(path)
        write_file(path, self.content(2))
        if how == "same time":
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        else:
            os.utime(path, (1, 1234567891))

    def check_events(self, client, kind="client"):
        """None says that anything was there already; a fresh client finds out before it sends."""
        self.assertNotRegex(client.out(), r'"resumed":[1-9]')
        if kind == "client":
            self.assertNotIn('"retrying"', client.out())

    def each(self, *kinds):
        for kind in kinds or ("client", "server"):
            for how in ("same time", "other time"):
                place = Place(self, "%s-%s" % (kind, how.replace(" ", "-")))
                source = write_file(os.path.join(place.dir, "source"), self.content(1))
                os.utime(source, (1, 1234567890))
                place.start_proxy("--latency", "1ms", "--buffer", "16k")
                yield place, source, kind, how

    def test_uploads(self):
        for place, source, kind, how in self.each():
            status = place.interrupt_large(
                ("put", "--json", source, place.proxy.where + "/n"),
                lambda: largest(place.root, ".ftxferd-"), kind, self.size // 3,
                lambda: self.change(source, how))
            self.assertEqual(status, 0, place.client.err())
            self.assertEqual(digest(os.path.join(place.root, "n")), digest(source))
            self.check_events(place.client, kind)

    def test_downloads(self):
        for place, source, kind, how in self.each():
            there = os.path.join(place.root, "n")
            os.rename(source, there)
            status = place.interrupt_large(
                ("get", "--json", place.proxy.where + "/n", "-o", os.path.join(place.here, "n")),
                lambda: largest(place.here, ".ftxferd-part-"), kind, self.size // 3,
                lambda: self.change(there, how))
            self.assertEqual(status, 0, place.client.err())
            self.assertEqual(digest(os.path.join(place.here, "n")), digest(there))
            self.check_events(place.client, kind)
            self.assertEqual(os.listdir(place.here), ["n"])

    def test_parts(self):
        """What is kept of a download, or of an upload, is changed itself, and is as large.

        Also where the server goes on, which remembers the digest of what it has written itself.
        """
        for place, source, kind, how in self.each("client"):
            there = os.path.join(place.root, "there")
            os.link(source, there)
            killed = how == "same time"
            for command, where, prefix, made in (
                    (("get", place.proxy.where + "/there", "-o", os.path.join(place.here, "n")),
                     place.here, ".ftxferd-part-", os.path.join(place.here, "n")),
                    (("put", source, place.proxy.where + "/n"),
                     place.root, ".ftxferd-", os.path.join(place.root, "n"))):
                def spoil():
                    if killed:
                        place.kill_server()
                    else:
                        self.wait_for_rest(lambda: largest(where, prefix))
                    names = [name for name in os.listdir(where) if name.startswith(prefix)]
                    self.assertEqual(len(names), 1)
                    with open(os.path.join(where, names[0]), "r+b") as file:
                        file.seek(12345)
                        file.write(b"spoilt")
                status = place.interrupt_large(
                    command[:1] + ("--json",) + command[1:], lambda: largest(where, prefix), kind,
                    self.size // 3, spoil)
                self.assertEqual(status, 0, place.client.err())
                self.assertEqual(digest(made), digest(source))
                self.check_events(place.client)

    @staticmethod
    def wait_for_rest(size):
        """The server has written all that it had, and knows that its client is gone."""
        last, since = size(), time.monotonic()
        while time.monotonic() - since < 1:
            time.sleep(0.02)
            if size() != last:
                last, since = size(), time.monotonic()


class TestManyFiles(SystemTest):
    """A server goes away and returns in the middle of many files: little is sent again."""

    weight = 60
    count = 10000 if COUNT else 1000
    size = 4096
    # What is on its way when it goes: the 256 requests that a connection has at most.
    again = 5 * MIB // 4

    def setUp(self):
        super().setUp()
        self.tree = self.scratch("tree")
        bits = random.Random(SEED)
        for number in range(self.count):
            where = os.path.join(self.tree, "d%d" % (number % 10))
            os.makedirs(where, exist_ok=True)
            write_file(os.path.join(where, "f%d" % number), bits.randbytes(self.size))

    def check_same(self, other):
        for number in range(self.count):
            name = os.path.join("d%d" % (number % 10), "f%d" % number)
            with open(os.path.join(self.tree, name), "rb") as one:
                with open(os.path.join(other, name), "rb") as two:
                    self.assertEqual(one.read(), two.read(), name)

    def play(self, place, way, command, where):
        """Bytes of that way without and with an interruption."""
        moved = []
        for kills in (0, 1):
            place.start_proxy("--delay", "2ms", "--buffer", "16k")  # or it is over too soon
            client = place.start_client(*command(place.proxy.where))
            while kills and client.running():
                time.sleep(0.01)
                if sum(len(names) for _, _, names in os.walk(where)) >= self.count // 2:
                    place.kill_server()
                    break
            self.assertTrue(not kills or client.running(), "it had ended before")
            self.assertEqual(client.wait(PATIENCE), 0, client.err())
            self.check_same(os.path.join(where, "tree"))
            moved.append(place.end_proxy()[way == "down"])
            os.rename(os.path.join(where, "tree"), self.scratch("%s-%d" % (way, kills)))
        print("%s: %d files of %d bytes: %d bytes, %d with an interruption: %d again" % (
            way, self.count, self.size, moved[0], moved[1], moved[1] - moved[0]), flush=True)
        self.assertLessEqual(moved[1] - moved[0], self.again)

    def test_uploads(self):
        place = Place(self, "up")
        self.play(place, "up", lambda server: ("put", "-r", self.tree, server + "/"), place.root)

    def test_downloads(self):
        place = Place(self, "down")
        os.rename(self.tree, os.path.join(place.root, "tree"))
        self.tree = os.path.join(place.root, "tree")
        self.play(place, "down", lambda server: ("get", "-r", server + "/tree", "-o", place.here),
                  place.here)


if __name__ == "__main__":
    unittest.main()
