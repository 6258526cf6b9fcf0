"""What has happened to others, held up against ftxferd: a class for each, which says what it was."""

import ctypes
import os
import re
import signal
import socket
import stat
import threading
import time

from disks import Disk
from harness import SLOW, SystemTest, cpu_seconds, without_proc
from wire import Peer, REFUSED, content, read_file, request, size_message, wait_for, write_file

MIB = 1 << 20
TRIES = 1500 if SLOW else 300
INSIDE = b"T" + size_message(7) + b"inside!", "fin"
CUT = b"T" + size_message(7), "reset"  # its name came back while it was read, so it may be another


def asked(address, message):
    """What is answered to a message, and how it ends."""
    with Peer(address) as peer:
        peer.send(message)
        peer.finish()
        return peer.rest()


class Swapper:
    """A process that exchanges two names with each other, as fast as it can."""

    EXCHANGE = 2  # rename(2)

    def __init__(self, one, other):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._swap(os.fsencode(one), os.fsencode(other))
            finally:
                os._exit(1)

    def _swap(self, one, other):
        libc = ctypes.CDLL(None, use_errno=True)
        here = -100  # AT_FDCWD
        while True:
            if libc.renameat2(here, one, here, other, self.EXCHANGE) != 0:
                os.rename(one, one + b".tmp")
                os.rename(other, one)
                os.rename(one + b".tmp", other)
            if os.getppid() == 1:
                return

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def without_openat2():
    """For preexec_fn: openat2(2) is not there, as on Linux before 5.6."""
    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    def step(code, jump_true, jump_false, value):
        return (code.to_bytes(2, "little") + bytes([jump_true, jump_false])
                + value.to_bytes(4, "little"))
    openat2, enosys = 437, 38
    steps = (step(0x20, 0, 0, 0) + step(0x15, 0, 1, openat2) + step(0x06, 0, 0, 0x50000 | enosys)
             + step(0x06, 0, 0, 0x7FFF0000))
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(4, steps)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:
        os._exit(99)


class RaceTest(SystemTest):
    def together(self, play, wanted, allowed=(), tries=TRIES):
        """Four threads play until they have seen all that is wanted, and nothing that is not."""
        seen, errors, count = set(), [], [0]
        until = time.monotonic() + 20

        def some(first):
            try:
                while (count[0] < tries or not wanted <= seen) and time.monotonic() < until:
                    count[0] += 1
                    seen.add(play(4 * count[0] + first))
            except BaseException as e:
                errors.append(e)
        threads = [threading.Thread(target=some, args=(i,), daemon=True) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])
        self.assertEqual(seen - set(allowed), wanted)


class TestLinkRaces(RaceTest):
    """rsync (CVE-2024-12747): what was looked at and found to be no symbolic link had become one
    before it was opened, and so files outside the tree could be had. Later ones could be made."""

    weight = 4
    preexec = None
    outside = "outside"

    def setUp(self):
        super().setUp()
        self.server = self.daemon(popen={"preexec_fn": self.preexec})
        self.outside = self.root(self.outside)
        os.mkdir(os.path.join(self.outside, "deep"))
        for name in ("secret", "deep/secret"):
            write_file(os.path.join(self.outside, name), b"outside")

    def swap(self, name, target):
        """`name`, a file or directory beneath the root, is now itself and now a link to target."""
        link = self.server.path("link")
        os.symlink(target, link)
        swapper = Swapper(self.server.path(name), link)
        self.addCleanup(swapper.stop)

    def check_outside(self):
        self.assertEqual(sorted(os.listdir(self.outside)), ["deep", "secret"])
        self.assertEqual(os.listdir(os.path.join(self.outside, "deep")), ["secret"])
        for name in ("secret", "deep/secret"):
            self.assertEqual(read_file(os.path.join(self.outside, name)), b"outside")

    def test_a_directory_while_uploads_run(self):
        os.makedirs(self.server.path("sub/deep"))
        self.swap("sub", self.outside)

        def upload(i):
            name = "sub/%sn%d" % (("deep/", "")[i % 2], i)
            return asked(self.server.address, request(b"U", name) + size_message(5) + b"12345")
        self.together(upload, {(b"TT", "fin"), (b"E", "fin")})
        self.check_outside()

    def test_a_directory_while_downloads_run(self):
        os.makedirs(self.server.path("sub/deep"))
        for name in ("sub/secret", "sub/deep/secret"):
            write_file(self.server.path(name), b"inside!")
        self.swap("sub", self.outside)

        def download(i):
            name = "sub/%ssecret" % ("deep/", "")[i % 2]
            return asked(self.server.address, request(b"D", name) + b"T")
        self.together(download, {INSIDE, (b"E" + REFUSED, "fin")})

    def test_a_file_while_downloads_run(self):
        write_file(self.server.path("secret"), b"inside!")
        self.swap("secret", os.path.join(self.outside, "secret"))

        def download(_):
            return asked(self.server.address, request(b"D", "secret") + b"T")
        self.together(download, {INSIDE, (b"E" + REFUSED, "fin")}, {CUT})

    def test_a_link_in_the_way_of_an_upload(self):
        """It comes and goes under the very name, and leads to a name that is free outside."""
        def upload(i):
            try:
                if i % 2:
                    os.symlink(os.path.join(self.outside, "new"), self.server.path("n"))
                else:
                    os.unlink(self.server.path("n"))
            except (FileExistsError, FileNotFoundError):
                pass
            return asked(self.server.address, request(b"U", "n") + size_message(5) + b"12345")
        self.together(upload, {(b"E", "fin"), (b"F", "fin"), (b"TT", "fin")}, {(b"TT", "reset")})
        self.check_outside()


class TestLinkRacesWithin(TestLinkRaces):
    """The links lead to another directory beneath the root, which the process may reach: that none
    is followed is then all that keeps it out."""

    outside = "root/outside"


class TestLinkRacesByComponents(TestLinkRacesWithin):
    """The same where the kernel does not resolve a whole name beneath a directory for us."""

    preexec = staticmethod(without_openat2)


class TestReservedNames(SystemTest):
    """File servers have served, and let clients overwrite, the files that they themselves keep in
    the tree: halves of other people's uploads, and what tells the next start what to clean up."""

    NAMES = (".ftxferd", "./.ftxferd", ".ftxferd/named-stages", ".//.ftxferd/./named-stages",
             ".ftxferd-x", "./.ftxferd-x", " .ftxferd-x ", "sub/.ftxferd-x", "sub//./.ftxferd-x",
             "sub/.ftxferd", "sub/.ftxferd/x", ".ftxferd-d/x", ".ftxferd-", "sub/.ftxferd-d/x")

    def test_none_is_served_or_made(self):
        daemon = self.daemon()
        for directory in (".ftxferd", "sub", "sub/.ftxferd", ".ftxferd-d", "sub/.ftxferd-d"):
            os.mkdir(daemon.path(directory))
        for name in self.NAMES:
            path = daemon.path(name.strip())
            if not os.path.isdir(path):
                write_file(path, b"kept")
        before = sorted(daemon.files())
        for name in self.NAMES:
            self.assertEqual(asked(daemon.address, request(b"D", name) + b"T"),
                             (b"E" + REFUSED, "fin"))
            self.assertEqual(asked(daemon.address, request(b"U", name)), (b"E", "fin"))
        self.assertEqual(sorted(daemon.files()), before)
        self.assertEqual(set(daemon.reasons()), {"bad-name"})

    def test_what_only_resembles_one_is_a_name_like_any(self):
        daemon = self.daemon()
        names = (".ftxfer", ".ftxferd.x", "ftxferd", "x.ftxferd-x", ".ftxferdx", ".ftxfer-x")
        for name in names:
            self.upload(daemon, name, b"x")
        self.assertEqual(sorted(daemon.files()), sorted(names))


class TestDotsAndSlashes(SystemTest):
    """Servers that drop what stands at the end of a name, or a library that does it for them, have
    let one file pass for another, and checks be made on a name that was then not used."""

    STORED = {"a.": "a.", "a..": "a..", "..a": "..a", "...": "...", "a...": "a...", ".a": ".a",
              " b ": "b", "\tc\n": "c", " d.  ": "d.", "e/.": "e", "./f": "f", "sub//g": "sub/g",
              "sub/./h": "sub/h", "sub/.../i": None, "sub/ j": "sub/ j", "k /.": "k ", "-rf": "-rf",
              "~": "~", "l\\..\\m": "l\\..\\m", "%2e%2e": "%2e%2e", "CON": "CON"}
    REFUSED = ("a/", "a//", "a./", "sub/", "sub/a/", ".", "..", "./", "../", " . ", " .. ", "a/..",
               "a/../b", "sub/..", "sub/.. ", "../a", "/a", "//a", "/", "sub/ ", "./..", "...//..")

    def test_each(self):
        daemon = self.daemon()
        os.mkdir(daemon.path("sub"))
        for sent, stored in self.STORED.items():
            before = set(daemon.files())
            if stored is None:
                self.assertEqual(asked(daemon.address, request(b"U", sent)), (b"E", "fin"))
                continue
            self.upload(daemon, sent, os.fsencode(sent))
            self.assertEqual(set(daemon.files()) - before, {stored})
            self.assertEqual(self.download(daemon, sent), os.fsencode(sent))
        before = sorted(daemon.files())
        for name in self.REFUSED:
            for kind, answer in ((b"U", b"E"), (b"D", b"E" + REFUSED)):
                self.assertEqual(asked(daemon.address, request(kind, name)), (answer, "fin"), name)
        self.assertEqual(sorted(daemon.files()), before)


class TestAborts(SystemTest):
    """SFTPGo (issues 1983 and 2260): an upload that its client had broken off was taken for
    complete, so that half a file stood under the name."""

    weight = 3
    DATA = content(300000)

    def messages(self, name):
        """All that a client says, and how much of it at each stage that it may break off at."""
        whole = request(b"U", name) + size_message(len(self.DATA)) + self.DATA
        return whole, (0, 1, 255, 256, 257, 263, 264, 265, 264 + 65536, 264 + 200000,
                       len(whole) - 1)

    def check_nothing(self, daemon, name):
        wait_for(lambda: not daemon.strays(), lambda: "%s to go" % daemon.strays())
        self.upload_when_free(daemon, name, b"free")
        os.unlink(daemon.path(name))

    def test_by_the_client(self):
        daemon = self.daemon()
        for way in (Peer.finish, Peer.close, Peer.reset):
            whole, stages = self.messages("n")
            for count in stages:
                peer = self.peer(daemon)
                peer.send(whole[:count])
                way(peer)
                if way is Peer.finish:
                    self.assertIn(peer.rest(), [(b"TT"[:said], end) for said in range(3)
                                                for end in ("fin", "reset")])
                self.assertNotEqual(daemon.reason(peer), "ok")
                self.check_nothing(daemon, "n")

    def test_by_time(self):
        daemon = self.daemon(request_timeout=1, idle_timeout=1)
        whole, stages = self.messages("n%d")
        peers = []
        for i, count in enumerate(stages):
            whole = self.messages("n%d" % i)[0]
            peers.append(self.peer(daemon))
            peers[-1].send(whole[:count])
        for peer in peers:
            peer.rest()
            self.assertIn(daemon.reason(peer), ("request-timeout", "idle-timeout"))
        for i in range(len(stages)):
            self.check_nothing(daemon, "n%d" % i)

    def test_by_the_daemon(self):
        for number, grace in ((signal.SIGTERM, 0), (signal.SIGINT, 1)):
            daemon = self.daemon(grace_time=grace, root=self.root("by%d" % grace))
            peers = []
            for i, count in enumerate(self.messages("")[1]):
                peers.append(self.peer(daemon))
                peers[-1].send(self.messages("n%d" % i)[0][:count])
                peers[-1].wait_sent()
            daemon.stop(number)
            self.assertEqual(daemon.files(), [])
            for peer in peers:
                self.assertNotEqual(peer.rest()[0][2:], b"x")

    def test_by_too_many_bytes(self):
        """At once with the last one, or while the disk has the file: nothing, or all of it."""
        daemon = self.daemon()
        whole, _ = self.messages("n")
        for more in (1, 100, 200000):
            peer = self.peer(daemon)
            try:
                peer.send(whole + b"x" * more)
            except ConnectionError:
                pass
            self.assertEqual(peer.rest(), (b"TT", "reset"))
            self.assertEqual(daemon.reason(peer), "excess-bytes")
            self.check_nothing(daemon, "n")


class TestSizes(SystemTest):
    """Sizes near 2^31, 2^32, 2^63 and 2^64 have become small or negative on the way, so that too
    much was taken, or a buffer was too small."""

    SIZES = (2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 63 - 1, 2 ** 63,
             2 ** 63 + 1, 2 ** 64 - 2 ** 32, 2 ** 64 - 1)

    def test_announced(self):
        """On a disk of 8 MiB, for which each is too large."""
        disk = Disk(self.dir, "tmpfs", 8192)
        self.addCleanup(disk.close)
        for limit in (0, 2 ** 31, 2 ** 63 - 1):
            daemon = self.daemon(root=disk.path, storage_root=disk.inner, wrap=disk.enter,
                                 max_file_size=limit, max_stage_bytes=limit)
            before = disk.free()
            for size in self.SIZES:
                message = request(b"U", "n") + size_message(size) + b"12345"
                self.assertEqual(asked(daemon.address, message), (b"TF", "fin"), size)
            daemon.ended(len(self.SIZES))
            self.assertLessEqual(set(daemon.reasons()), {"no-space", "too-large", "stage-full"})
            wait_for(lambda: disk.free() == before, "the space")
            self.assertEqual(daemon.strays(), [])
            daemon.stop()

    def test_on_disk(self):
        """A file that is nothing but a hole, of the largest size that there can be."""
        disk = Disk(self.dir, "tmpfs", 8192)
        self.addCleanup(disk.close)
        daemon = self.daemon(root=disk.path, storage_root=disk.inner, wrap=disk.enter)
        for size in (2 ** 31, 2 ** 32, 2 ** 62, 2 ** 63 - 1):
            with open(daemon.path("n"), "wb") as file:
                file.truncate(size)
            peer = self.started_download(daemon, "n", size)
            peer.send(b"T")
            self.assertEqual(peer.receive(3 * MIB), bytes(3 * MIB))
            peer.reset()
            self.assertEqual(daemon.reason(peer), "peer-reset")
        self.upload(daemon, "m", b"x")


class TestLog(SystemTest):
    """Names with line feeds and escape sequences have forged lines in logs, and driven the terminal
    of whoever read them."""

    NAMES = (b"n\n2026-01-01T00:00:00.000Z ftxferd[1] info: conn=1 peer=1.2.3.4:5 op=upload"
             b" name=\"x\" bytes=1 ms=1 reason=ok",
             b"n\rfirst", b"\x1b]0;title\x07\x1b[2J\x1b[31m", b"a\x08\x08b", b"\x7f", b"\xc2\x9b31m",
             b"\xff\xfe\x80", b"\" reason=ok", b"\\x22", b"\\", "\u202e\u2066\u200f".encode(),
             "\u2028\u0085x".encode(), b"x" * 240 + b"\xe2\x82", b"%s%n%d", b"n reason=ok")
    LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ftxferd\[\d+\] "
                      r"(error|warning|info|debug): .*")

    def check(self, daemon, count):
        """Each line is one, is plain, and of each connection there is one with its reason."""
        daemon.ended(count)
        raw = read_file(daemon.err_path)
        self.assertEqual([c for c in raw if (c < 0x20 and c != 0x0A) or c == 0x7F], [])
        text = raw.decode("utf-8")
        self.assertNotRegex(text, "[\u0080-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
        lines = text.split("\n")
        self.assertEqual(lines.pop(), "")
        for line in lines:
            self.assertTrue(self.LINE.fullmatch(line), line)
        ends = re.findall(r": conn=(\d+) peer=127\.0\.0\.1:\d+ op=\w+ name=\"(?:[^\"\\]|\\x..)*\" "
                          r"bytes=\d+ ms=\d+ reason=[\w-]+\n", text)
        self.assertEqual(sorted(map(int, ends)), list(range(1, count + 1)))

    def test_names_that_are_sent(self):
        for names in ("utf8", "bytes"):
            daemon = self.daemon(names=names, args=["-d"], root=self.root(names))
            for name in self.NAMES:
                asked(daemon.address, request(b"U", name) + size_message(1) + b"x")
                asked(daemon.address, request(b"D", name) + b"T")
            self.check(daemon, 2 * len(self.NAMES))
            if names == "bytes":
                self.assertEqual(set(map(os.fsencode, os.listdir(daemon.root))), set(self.NAMES))

    def test_names_on_disk(self):
        daemon = self.daemon(args=["-d"])
        for name in self.NAMES:
            write_file(os.path.join(os.fsencode(daemon.root), name), b"x")
            asked(daemon.address, request(b"D", name) + b"T")
        self.check(daemon, len(self.NAMES))


class TestUnfinished(SystemTest):
    """tusd (issue 176): uploads that nobody went on with stayed for ever, and filled the disk."""

    def setUp(self):
        super().setUp()
        self.disk = Disk(self.dir, "tmpfs", 8192)
        self.addCleanup(self.disk.close)

    def server(self, wrap=list, **options):
        return self.daemon(root=self.disk.path, storage_root=self.disk.inner,
                           wrap=lambda argv: self.disk.enter(wrap(argv)), **options)

    def begin_three(self, daemon):
        for i in range(3):
            self.started_upload(daemon, "n%d" % i, 2 * MIB, content(MIB)).wait_sent()

    def test_left_alone(self):
        daemon = self.server(idle_timeout=4)
        before = self.disk.free()
        self.begin_three(daemon)
        self.assertLessEqual(self.disk.free()[0], before[0] - 6 * MIB)
        self.assertEqual(daemon.ended(3), ["idle-timeout"] * 3)
        wait_for(lambda: self.disk.free() == before, "all the space")
        self.upload(daemon, "n0", content(7 * MIB))

    def test_of_a_daemon_that_was_killed(self):
        """With and without names of their own; the next start has all the space."""
        for wrap in (list, lambda argv: without_proc(self.root("proc-%d" % self.made), argv)):
            before = self.disk.free()
            daemon = self.server(wrap, expect=-signal.SIGKILL)
            self.begin_three(daemon)
            self.assertLessEqual(self.disk.free()[0], before[0] - 6 * MIB)
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
            after = self.server(wrap)
            wait_for(lambda: self.disk.free() == before,
                     lambda: "the space: %r, %r" % (self.disk.free(), after.files()))
            self.upload(after, "n0", content(7 * MIB))
            os.unlink(after.path("n0"))
            after.stop()


class TestLocks(SystemTest):
    """tusd (issue 437): lock files outlived their owner; its successor had the same process number,
    as everybody in a container has, and so took them for its own and alive."""

    def test_killed_and_started_again_at_once(self):
        pid_file = self.scratch("pid")
        root = self.root()
        data = content(100000)
        for turn in range(5):
            daemon = self.daemon(expect=-signal.SIGKILL, root=root, pid_file=pid_file)
            self.assertEqual(int(read_file(pid_file)), daemon.pid)
            self.started_upload(daemon, "n%d" % turn, len(data), data[:50000])
            self.started_upload(daemon, "n%d" % (turn + 1), 5)
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
            again = self.daemon(root=root, pid_file=pid_file)
            self.assertEqual(int(read_file(pid_file)), again.pid)
            self.upload(again, "n%d" % turn, data)
            self.assertEqual(again.stop(), 0)
            self.assertFalse(os.path.exists(pid_file))

    def test_a_pid_file_of_somebody_alive(self):
        pid_file = write_file(self.scratch("pid"), b"%d\n" % os.getpid())
        daemon = self.daemon(pid_file=pid_file)
        self.assertEqual(int(read_file(pid_file)), daemon.pid)
        self.upload(daemon, "n", b"x")


class TestOtherFiles(RaceTest):
    """A FIFO among the files has stopped a server that opened it and waited for its other end."""

    MANY = 20

    def all_at_once(self, daemon, names):
        """Each many times, at once; the answers. There are fewer threads for the disk than that."""
        started = time.monotonic()
        peers = []
        for name in names:
            for _ in range(self.MANY):
                for kind in (b"D", b"U"):
                    peers.append((kind, self.peer(daemon)))
                    peers[-1][1].send(request(kind, name))
                    peers[-1][1].finish()
        for kind, peer in peers:
            if kind == b"D":
                self.assertEqual(peer.rest(), (b"E" + REFUSED, "fin"))
            else:  # F: another is just asking the same
                self.assertIn(peer.rest(), ((b"E", "fin"), (b"F", "fin")))
            peer.close()
        self.assertLess(time.monotonic() - started, 10)
        self.assertLessEqual(set(daemon.ended(len(peers))), {"not-regular", "busy"})
        for name in names:
            self.assertEqual(asked(daemon.address, request(b"U", name)), (b"E", "fin"))

    def test_fifos_and_sockets(self):
        daemon = self.daemon(pool_threads=3)
        os.mkfifo(daemon.path("fifo"))
        os.mkfifo(daemon.path("open"))
        reader = os.open(daemon.path("open"), os.O_RDWR)
        self.addCleanup(os.close, reader)
        with socket.socket(socket.AF_UNIX) as bound:
            here = os.getcwd()
            os.chdir(daemon.root)
            try:
                bound.bind("socket")
            finally:
                os.chdir(here)
        self.all_at_once(daemon, ("fifo", "open", "socket"))
        self.upload(daemon, "n", b"x")

    def test_devices(self):
        daemon = self.daemon(pool_threads=3)
        try:
            for name, minor in (("null", 3), ("zero", 5), ("full", 7)):
                os.mknod(daemon.path(name), 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        except PermissionError:
            self.skipTest("only root may make devices")
        self.all_at_once(daemon, ("null", "zero", "full"))

    def test_a_fifo_that_takes_the_place_of_a_file(self):
        """Between looking and opening."""
        daemon = self.daemon(pool_threads=3)
        write_file(daemon.path("n"), b"inside!")
        os.mkfifo(self.scratch("fifo"))
        swapper = Swapper(daemon.path("n"), self.scratch("fifo"))
        self.addCleanup(swapper.stop)

        def download(_):
            return asked(daemon.address, request(b"D", "n") + b"T")
        self.together(download, {INSIDE, (b"E" + REFUSED, "fin")}, {CUT}, 5 * TRIES)
        spent = cpu_seconds(daemon.pid)
        time.sleep(0.5)
        self.assertLess(cpu_seconds(daemon.pid) - spent, 0.1)

    def test_hard_links(self):
        """A file like any other: it is served, and never written to."""
        daemon = self.daemon()
        elsewhere = write_file(self.scratch("elsewhere"), b"kept")
        os.link(elsewhere, daemon.path("n"))
        self.assertEqual(self.download(daemon, "n"), b"kept")
        self.assertEqual(asked(daemon.address, request(b"U", "n")), (b"F", "fin"))
        os.unlink(daemon.path("n"))
        self.upload(daemon, "n", b"new")
        self.assertEqual(read_file(elsewhere), b"kept")
