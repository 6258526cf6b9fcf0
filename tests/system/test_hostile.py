"""Peers and machines that mean harm, or fail: what a peer cannot make the daemon do.

Some of it needs a disk that hangs and a memory that is full: broken.c, compiled here and preloaded.
"""

import os
import re
import resource
import signal
import socket
import subprocess
import time
import unittest

from harness import Program, SystemTest, cpu_seconds, descriptors, ftxfer, sanitizers
from wire import Peer, content, read_file, request, size_message, wait_for, write_file


class TestBroken(SystemTest):
    """With orders for broken.c: self.order("hang-fsync"), self.end_order("hang-fsync")."""

    weight = 4

    def setUp(self):
        super().setUp()
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "broken.c")
        library = self.scratch("broken.so")
        compiler = os.environ.get("CC", "cc").split()
        malloc = [] if sanitizers() else ["-DWITH_MALLOC"]
        try:
            built = subprocess.run(compiler + ["-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library,
                                               source] + malloc + ["-ldl"], capture_output=True)
        except OSError:
            self.skipTest("no C compiler")
        if built.returncode != 0:
            self.skipTest("broken.c cannot be compiled: %s" % built.stderr.decode()[-500:])
        self.orders = self.scratch("orders")
        os.mkdir(self.orders)
        # A sanitizer wants to be the first library of all; what is replaced here is not its own.
        self.env = dict(os.environ, LD_PRELOAD=library, BROKEN=self.orders)
        self.env["ASAN_OPTIONS"] = ":".join(
            filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))

    def order(self, name):
        write_file(os.path.join(self.orders, name), b"")

    def end_order(self, name):
        os.unlink(os.path.join(self.orders, name))

    def broken_daemon(self, **options):
        daemon = self.daemon(popen={"env": self.env}, **options)
        self.addCleanup(self.end_orders)
        return daemon

    def end_orders(self):
        for name in os.listdir(self.orders):
            self.end_order(name)


class TestBacklog(TestBroken):
    """Work that a peer has left behind counts as its connection does, until it is done."""

    def asked_and_left(self, daemon, kind, count):
        """count peers that ask for something and go by a reset."""
        peers = [self.peer(daemon) for _ in range(count)]
        for i, peer in enumerate(peers):
            peer.send(request(kind, "n%d" % i))
            peer.wait_sent()
        for peer in peers:
            peer.reset()
        # Workers accept by themselves: who came later may be seen earlier.
        wait_for(lambda: len(re.findall("to: check_", daemon.err())) == count, "all to be seen")

    def check_full(self, daemon, count):
        for turned_away in (1, 2):
            try:
                self.assertEqual(self.peer(daemon).rest(), (b"", "reset"))
            except ConnectionError:
                pass  # so early that connecting noticed it
            self.assertEqual(daemon.ended(turned_away), ["limit"] * turned_away)
        self.end_orders()
        daemon.ended(2 + count)
        wait_for(lambda: not daemon.strays("file"), "the stages to go")
        self.upload(daemon, "after", b"x")

    def test_resets_while_the_disk_hangs(self):
        for kind in (b"U", b"D"):
            daemon = self.broken_daemon(args=["-d"], max_connections=6,
                                        root=self.root(kind.decode()))
            self.order("hang-openat")
            self.asked_and_left(daemon, kind, 6)
            self.check_full(daemon, 6)

    def test_resets_while_a_read_hangs(self):
        daemon = self.broken_daemon(max_connections=6)
        write_file(daemon.path("file"), content(100000))
        peers = [self.started_download(daemon, "file", 100000) for _ in range(6)]
        self.order("hang-preadv")
        for peer in peers:
            peer.send(b"T")
            peer.wait_sent()
        for peer in peers:
            peer.reset()
        self.check_full(daemon, 6)


class TestSlowDisk(TestBroken):
    def test_the_last_write_is_not_the_peers_idleness(self):
        daemon = self.broken_daemon(idle_timeout=1)
        peer = self.started_upload(daemon, "n", 10, b"12345")
        self.order("hang-pwritev")
        peer.send(b"67890")
        self.assertTrue(peer.is_quiet(2.5))
        self.end_orders()
        self.assertEqual(peer.rest(), (b"", "fin"))
        self.assertEqual(read_file(daemon.path("n")), b"1234567890")

    def test_a_hanging_commit_is_not_idleness_either(self):
        daemon = self.broken_daemon(idle_timeout=1)
        self.order("hang-fsync")
        peer = self.started_upload(daemon, "n", 5, b"12345")
        self.assertTrue(peer.is_quiet(2.5))
        self.assertEqual(daemon.files(), [])
        self.end_orders()
        self.assertEqual(peer.rest(), (b"", "fin"))

    def test_commits_that_wait_leave_others_their_content(self):
        """However many: else who uploads many small files keeps everybody from theirs."""
        daemon = self.broken_daemon()
        data = content(1000000)
        write_file(daemon.path("file"), data)
        reader = self.started_download(daemon, "file", len(data))
        peers = [self.started_upload(daemon, "n%d" % i, 2, b"1") for i in range(8)]
        self.order("hang-fsync")
        for peer in peers:
            peer.send(b"2")
        reader.send(b"T")
        self.assertEqual(reader.rest(), (data, "fin"))
        self.assertEqual(daemon.strays("file"), [])
        self.end_orders()
        for peer in peers:
            self.assertEqual(peer.rest(), (b"", "fin"))

    def test_a_cancelled_download_writes_nothing(self):
        """Also when all has arrived, and the commit is under way."""
        daemon = self.daemon()
        self.upload(daemon, "n", b"x")
        local = self.scratch("local")
        self.order("hang-fsync")
        client = Program(ftxfer() + ["-m", "download", "-s", daemon.where, "-v", "n", "-l", local,
                                     "-d"], self.dir, "ftxfer", env=self.env)
        self.addCleanup(client.stop, signal.SIGKILL)
        wait_for(lambda: daemon.reasons()[1:], "the daemon's end of it")  # it waits for our FIN
        client.send_signal(signal.SIGINT)
        wait_for(lambda: "cancelled" in client.err(), "the word of it")
        self.end_orders()
        self.assertEqual(client.wait(), -signal.SIGINT)
        self.assertFalse(os.path.exists(local), client.err())


class TestMemory(TestBroken):
    @unittest.skipIf(sanitizers(), "a sanitizer has its own malloc(3)")
    def test_no_memory_keeps_no_connection(self):
        daemon = self.broken_daemon(request_timeout=1, idle_timeout=1)
        self.upload(daemon, "n", b"x")
        daemon.ended(1)
        before = descriptors(daemon.pid)
        self.order("no-memory")
        for i in range(200):
            try:
                with Peer(daemon.address) as peer:
                    kind = b"D" if i % 2 else b"U"
                    peer.send(request(kind, "n%d" % i) + size_message(5) + b"12345")
                    if i % 3:
                        peer.finish()
                        self.assertNotEqual(peer.rest()[1], "open")
            except OSError:
                pass
        self.end_orders()
        wait_for(lambda: descriptors(daemon.pid) <= before, "the descriptors to be closed")
        self.upload(daemon, "after", b"x")
        for name in daemon.strays("n", "after"):
            self.assertEqual(read_file(daemon.path(name)), b"12345")


class TestLimits(SystemTest):
    @unittest.skipIf("t" in sanitizers(), "the thread sanitizer writes larger files of its own")
    def test_a_log_file_at_its_limit(self):
        """RLIMIT_FSIZE: whoever writes to it can make the kernel send SIGXFSZ."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        daemon = self.daemon(popen={"preexec_fn": limit})
        for i in range(60):
            peer = self.peer(daemon)
            peer.send(request(b"U", "n%d" % i) + size_message(100000))
            self.assertEqual(peer.rest(), (b"TF", "fin"))
            peer.close()
        self.upload(daemon, "small", b"x")
        self.assertTrue(daemon.running())
        self.assertEqual(daemon.strays("small"), [])


class TestPeers(SystemTest):
    def test_end_right_behind_the_size(self):
        """Nothing of such a connection may be left to a later deadline."""
        daemon = self.daemon(idle_timeout=1, request_timeout=1)
        for count in range(20):
            peer = self.peer(daemon)
            peer.sock.sendall(request(b"U", "n") + size_message(5))
            peer.finish()
            self.assertEqual(peer.rest(), (b"TT", "reset"))
            daemon.ended(count + 1)
        time.sleep(1.5)
        self.upload(daemon, "n", b"x")

    def test_rest_afterwards(self):
        """Peers that end in every way leave nothing that turns."""
        daemon = self.daemon(idle_timeout=1, request_timeout=1)
        write_file(daemon.path("file"), content(3000000))
        ends = 0
        for way in (Peer.reset, Peer.close, Peer.finish):
            for message in (b"", b"U", request(b"U", "n"), request(b"U", "n") + size_message(10),
                            request(b"U", "n") + size_message(10) + b"x", request(b"D", "file"),
                            request(b"D", "file") + b"T", request(b"D", "file") + b"T" * 9999):
                peer = self.peer(daemon)
                peer.send(message)
                way(peer)
                ends += 1
        daemon.ended(ends)
        spent = cpu_seconds(daemon.pid)
        time.sleep(1)
        self.assertLess(cpu_seconds(daemon.pid) - spent, 0.2)

    def unread_download(self, daemon, size):
        """One that our kernel has all of, and the peer's next to nothing."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(daemon.address)
        peer = Peer(sock=sock)
        self.addCleanup(peer.close)
        peer.send(request(b"D", "file"))
        self.assertEqual(peer.receive(9), b"T" + size_message(size))
        peer.send(b"T")
        return peer

    def test_content_that_is_not_taken_has_a_place(self):
        """The kernel's memory for it has no other limit than that of connections."""
        daemon = self.daemon(idle_timeout=4, max_connections=2)
        data = content(200000)
        write_file(daemon.path("file"), data)
        peers = [self.unread_download(daemon, len(data)) for _ in range(2)]
        peers[1].finish()
        time.sleep(3)
        self.assertEqual(daemon.reasons(), [])
        self.assertEqual(daemon.ended(2), ["idle-timeout"] * 2)
        for peer in peers:
            got, end = peer.rest()
            self.assertEqual(end, "reset")
            self.assertLess(len(got), len(data))
        peers = [self.unread_download(daemon, len(data)) for _ in range(2)]
        peers[1].finish()
        time.sleep(2.5)
        for peer in peers:
            self.assertEqual(peer.rest(), (data, "fin"))
            peer.close()
        self.assertEqual(daemon.ended(4)[2:], ["ok"] * 2)

    def test_a_stop_takes_nothing_back(self):
        """What has been sent whole, with its end, is not reset by a second signal."""
        daemon = self.daemon(args=["-d"], grace_time=60)
        data = content(60000)
        write_file(daemon.path("file"), data)
        peer = self.started_download(daemon, "file", len(data))
        peer.send(b"T")
        wait_for(lambda: "download_complete" in daemon.changes(), "all to be with the kernel")
        daemon.send_signal(signal.SIGTERM)
        wait_for(lambda: "connections still open: 1;" in daemon.err(), "the first signal")
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(5), 0)
        self.assertEqual(peer.rest(), (data, "fin"))
        self.assertEqual(daemon.reasons(), ["ok"])
