"""A disk that does not answer holds up nobody but those who wait for it.

The disk is a real file system that is held (slowdisk.py): there a system call of the daemon waits in the
kernel. It is not measured how long others take, but seen that they get what they want while it is held.
"""

import os
import time

from harness import SystemTest, cpu_seconds, descriptors, limit_descriptors
from slowdisk import SlowDisk
from wire import DEADLINE, content, read_file, request, reset_when_closed, wait_for, write_file
from wire2 import PREFACE, Client, encode, frame

SMALL = 1024
SMALLS = 100
SIZE = 1 << 20
MANY = 8  # more than the daemon has threads for the disk


class SlowDiskTest(SystemTest):
    weight = 4
    flags = ()
    disk = {}  # how it is made, besides

    def setUp(self):
        super().setUp()
        self.disk = SlowDisk(self.dir, "-w", "0", *self.flags, **self.disk)
        self.addCleanup(self.disk.close)
        write_file(self.path("small"), content(SMALL))
        read_file(self.path("small"))

    def path(self, name):
        return os.path.join(self.disk.path, name)

    def server(self, **options):
        """It has had an upload: what it does once only, with the directory, is done."""
        server = self.daemon(root=self.disk.path, storage_root=self.disk.inner,
                             wrap=self.disk.enter, **options)
        self.addCleanup(self.disk.release_all)
        self.upload(server, "first", b"x")
        return server

    def check_served(self, server, kind, held):
        """While requests of `held` peers wait for the disk: others are served, and nothing turns."""
        before = self.disk.order("count")[kind]
        for i in range(SMALLS):
            self.assertEqual(self.download(server, "small"), content(SMALL))
        handshake = self.started_upload(server, "handshake", SIZE)
        spent = cpu_seconds(server.pid)
        self.assertTrue(held[0].is_quiet(0.5))
        self.assertLess(cpu_seconds(server.pid) - spent, 0.1)
        for peer in held:
            self.assertTrue(peer.is_quiet(0.001))
        now = self.disk.order("count")[kind]
        self.assertEqual(now["done"], before["done"])
        self.assertGreaterEqual(now["waiting"], before["waiting"])
        handshake.reset()


class HeldWrites(SlowDiskTest):
    flags = ("-t",)

    def held(self, server, count):
        peers = [self.started_upload(server, "n%d" % i, SIZE) for i in range(count)]
        self.disk.hold("write")
        for i, peer in enumerate(peers):
            peer.send(content(SIZE // 4, i))
        self.disk.wait_for("write", 1)
        return peers

    def check(self, count):
        server = self.server()
        peers = self.held(server, count)
        self.check_served(server, "write", peers)
        self.disk.release("write")
        for i, peer in enumerate(peers):
            peer.send(content(SIZE, i)[SIZE // 4:])
            self.assertEqual(peer.rest(), (b"", "fin"))
            self.assertEqual(read_file(self.path("n%d" % i)), content(SIZE, i))


class TestHeldWrites(HeldWrites):
    """Each write(2) waits for the disk, as it does when there are too many dirty pages."""

    def test_one(self):
        self.check(1)

    def test_the_sender_is_kept_waiting(self):
        """What it sends piles up nowhere."""
        server = self.server()
        size = 64 << 20
        peer = self.started_upload(server, "n", size)
        self.disk.hold("write")
        peer.sock.settimeout(1)
        sent = 0
        with self.assertRaises(TimeoutError):
            while sent < size:
                sent += peer.sock.send(bytes(1 << 16))
        self.check_served(server, "write", [peer])
        peer.reset()


class HeldSyncs(SlowDiskTest):
    def held(self, server, count):
        peers = [self.started_upload(server, "n%d" % i, SIZE) for i in range(count)]
        self.disk.hold("sync")
        for i, peer in enumerate(peers):
            peer.send(content(SIZE, i))
        self.disk.wait_for("sync", 1)
        return peers

    def check(self, count):
        server = self.server()
        peers = self.held(server, count)
        self.check_served(server, "sync", peers)
        for i, peer in enumerate(peers):
            self.assertFalse(os.path.exists(self.path("n%d" % i)))
        self.disk.release("sync")
        for i, peer in enumerate(peers):
            self.assertEqual(peer.rest(), (b"", "fin"))
            self.assertEqual(read_file(self.path("n%d" % i)), content(SIZE, i))


class TestHeldSyncs(HeldSyncs):
    def test_one(self):
        self.check(1)


class TestHeldSyncsOfOneClient(SlowDiskTest):
    """What is being made durable keeps nobody's memory, and no place of what is still to come."""
    flags = ("-t",)
    count = 20  # more than the daemon has threads for the disk, and a connection has memory for

    def client(self, server):
        client = Client(server.address)
        self.addCleanup(client.close)
        self.disk.hold("sync")
        return client

    def check(self, client, data, done):
        """All of it is with the disk's file system, and none of it has its name."""
        wait_for(lambda: self.disk.order("count")["write"]["bytes"] - done >= self.count * len(data),
                 lambda: "all to be written: %r" % self.disk.order("count"))
        self.assertEqual([n for n in os.listdir(self.path("")) if n.startswith("n")], [])
        self.disk.release("sync")
        results = [client.next() for _ in range(self.count)]
        self.assertEqual([r.type for r in results], ["OK"] * self.count)
        for i in range(self.count):
            self.assertEqual(read_file(self.path("n%d" % i)), data)

    def wait_for_go(self, client, number):
        """And not for as long as the server says that it is at work."""
        due = time.monotonic() + DEADLINE
        message = client.next()
        while message.type == "WORKING":
            self.assertLess(time.monotonic(), due, "no GO for request %d" % number)
            message = client.next()
        self.assertEqual((message.type, message.id), ("GO", number))

    def test_small_files(self):
        client, data = self.client(self.server()), content(256 << 10)
        done = self.disk.order("count")["write"]["bytes"]
        for i in range(self.count):
            client.send(client.put_frames(i + 1, "n%d" % i, data))
        self.check(client, data, done)

    def test_large_files(self):
        client, data = self.client(self.server()), content(SIZE)
        done = self.disk.order("count")["write"]["bytes"]
        for i in range(self.count):
            number = client.request("PUT", ("NAME", "n%d" % i), ("SIZE", SIZE), ("DIGEST_KIND", 2))
            self.wait_for_go(client, number)
            client.data(number, data)
            client.end(number, data)
        self.check(client, data, done)


class TestHeldSyncsOfFewDescriptors(SlowDiskTest):
    """The connection has but one file open at a time: others wait for what is being published."""
    flags = ("-t",)

    def test_they_wait(self):
        server = self.server(workers=2, popen={"preexec_fn": lambda: limit_descriptors(64)})
        client, data = Client(server.address), content(SMALL)
        self.addCleanup(client.close)
        self.disk.hold("sync")
        head = client.request("PUT", ("NAME", "head"), ("SIZE", SIZE), ("DIGEST_KIND", 2))
        self.assertEqual(client.result(head).type, "GO")
        client.data(head, content(SIZE))
        client.end(head, content(SIZE))
        self.disk.wait_for("sync", 1)
        for number, name in ((100, "cancelled"), (101, "waits")):
            client.send(client.put_frames(number, name, data))
        self.assertEqual(client.ask("CANCEL", ("TARGET", 100)).type, "OK")
        self.assertEqual(client.result(100).code, "CANCELLED")
        self.disk.release("sync")
        self.assertEqual([client.result(n).type for n in (head, 101)], ["OK"] * 2)
        self.assertEqual([n for n in ("head", "cancelled", "waits") if os.path.exists(self.path(n))],
                         ["head", "waits"])


    def put(self, server, name, data):
        """By a client that asks for nothing else."""
        client = Client(server.address, hello=False)
        self.addCleanup(client.close)
        client.send(PREFACE + frame("HELLO", 0, 0, encode([
            ("PROTOCOL_VERSION", 2), ("DIGESTS", b"\x01\x02"), ("MAX_DATA", 1 << 20)]))
            + client.put_frames(1, name, data))
        return client

    def is_written(self, size):
        due = time.monotonic() + 1
        while time.monotonic() < due and self.disk.order("count")["write"]["bytes"] < size:
            time.sleep(0.005)
        return time.monotonic() < due

    def test_those_who_have_left(self):
        """Their files are open until they are published: so they keep their places."""
        server = self.server(workers=1, request_timeout=60,
                             popen={"preexec_fn": lambda: limit_descriptors(64)})
        data, done = content(10000), self.disk.order("count")["write"]["bytes"]
        self.disk.hold("sync")
        for count in range(1, 40):
            client = self.put(server, "n%d" % count, data)
            if not self.is_written(done + count * len(data)):
                break
            reset_when_closed(client.socket)
            client.close()
            server.ended(1 + count)
        self.assertGreater(count, 5)
        self.assertIn("limit of open files allows no more", server.err())
        self.disk.release("sync")
        self.assertEqual([client.expect_preface(), client.next().type, client.next().type],
                         [None, "HELLO", "OK"])
        client.close()
        server.ended(1 + count)
        self.assertLessEqual(set(server.reasons()), {"ok", "peer-reset", "peer-closed"})
        wait_for(lambda: all(os.path.exists(self.path("n%d" % i)) for i in range(1, count + 1)),
                 "all to be published")

    @staticmethod
    def is_taken(server):
        try:
            Client(server.address).close()
        except ConnectionError:
            return False
        return True

    def test_those_who_have_left_count(self):
        """What they have sent has memory until it is written: so they count as connections."""
        server = self.server(max_connections_per_address=4)
        self.disk.hold("write")
        self.disk.hold("sync")
        for i in range(4):
            client = self.put(server, "n%d" % i, content(10000))
            client.send(frame("PING", 0))
            client.expect_preface()
            while client.next().type != "PONG":
                pass
            reset_when_closed(client.socket)
            client.close()
            server.ended(2 + i)
        self.assertFalse(self.is_taken(server))
        self.disk.release_all()
        wait_for(lambda: self.is_taken(server), "a place")
        for i in range(4):
            wait_for(lambda i=i: os.path.exists(self.path("n%d" % i)), "it to be published")
            self.assertEqual(read_file(self.path("n%d" % i)), content(10000))


class TestCancelledOnAHeldDisk(SlowDiskTest):
    """What is cancelled has its file open until a thread of the pool closes it, and its share till then."""
    disk = {"kib": 65536}
    count = 100

    def test_few_descriptors(self):
        server = self.server(workers=1, pool_threads=3, popen={
            "preexec_fn": lambda: limit_descriptors(64)})
        blocker, client = Client(server.address), Client(server.address)
        self.addCleanup(blocker.close)
        self.addCleanup(client.close)
        self.disk.hold("write")
        self.disk.hold("sync")
        blocker.send(blocker.put_frames(1, "blocker", b"data"))
        wait_for(lambda: self.disk.waiting("write") + self.disk.waiting("sync") > 0, "it to wait")
        for i in range(1, 2 * self.count, 2):
            client.send(frame("GET", i, 0, encode([("NAME", "small")])) +
                        frame("CANCEL", i + 1, 0, encode([("TARGET", i)])))
        for i in range(1, 2 * self.count, 2):
            self.assertEqual(client.result(i).code, "CANCELLED")
        self.assertLess(descriptors(server.pid), 40)
        self.disk.release_all()
        client.last = 2 * self.count
        self.assertEqual(client.get("small")[1], content(SMALL))
        self.assertNotRegex(server.err(), r"reason=descriptors|allows no more|Too many open")


class HeldReads(SlowDiskTest):
    """With -t, since the kernel reads, of a file with dirty pages, what is written a part of."""

    flags = ("-t",)

    def held(self, server, count):
        for i in range(count):
            write_file(self.path("n%d" % i), content(SIZE, i))
            self.disk.forget("n%d" % i)
        self.disk.hold("read")
        peers = [self.started_download(server, "n%d" % i, SIZE) for i in range(count)]
        for peer in peers:
            peer.send(b"T")
        self.disk.wait_for("read", 1)
        return peers

    def check(self, count):
        server = self.server()
        peers = self.held(server, count)
        self.check_served(server, "read", peers)
        if count == 1:  # it does not hold up a whole upload, either
            self.upload(server, "after", content(SIZE))
        self.disk.release("read")
        for i, peer in enumerate(peers):
            self.assertEqual(peer.rest(), (content(SIZE, i), "fin"))


class TestHeldReads(HeldReads):
    def test_one(self):
        self.check(1)


class ManyTest:
    """On an ext4, where what is in memory is read without waiting: so it does not matter how many
    others wait, nor that there are more of them than threads. It has no journal, which would wait,
    and one group of blocks, all about which is known."""

    disk = {"kib": 65536, "mkfs": "-b 4096 -O ^has_journal"}

    def test_many(self):
        self.check(MANY)


class TestManyHeldWrites(ManyTest, HeldWrites):
    """There are too many dirty pages: more than 1 MiB."""


class TestManyHeldSyncs(ManyTest, HeldSyncs):
    pass


class TestManyHeldReads(ManyTest, HeldReads):
    pass
