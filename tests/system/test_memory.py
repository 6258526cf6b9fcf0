"""How much memory a connection may cost: 1 MiB of content under way (HACKING, rule 6) where the
disk is slow, and none where the peer is."""

import os
import time
import unittest

from harness import rss_anon, sanitizers
from test_hostile import TestBroken
from wire import content, read_file, request, size_message, wait_for

MANY = 64
EACH = 1024  # KiB of content
REST = 6144  # KiB: for what a connection is besides its content, and for the allocator
READER = 8  # KiB: of one that stops, besides what all of them share
CACHE = 1536
FILE = 16 << 20


@unittest.skipIf(sanitizers(), "a sanitizer has its own malloc(3)")
class TestMemoryPerConnection(TestBroken):
    weight = 10

    def settled(self, daemon):
        """RssAnon, once it does not change any more."""
        last, since = rss_anon(daemon.pid), time.monotonic()

        def rests():
            nonlocal last, since
            now = rss_anon(daemon.pid)
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since > 0.5
        wait_for(rests, "the memory to be at rest", step=0.05)
        return last

    def check_uploads(self, daemon, before, peers):
        grown = self.settled(daemon) - before
        print("RssAnon: %d KiB for each of %d" % (grown // len(peers), len(peers)))
        self.assertLess(grown, len(peers) * EACH + REST)
        # It is about what is under way: at least one of the two buffers is full.
        self.assertGreater(grown, len(peers) * EACH // 2)

    def push(self, peers, size, piece):
        """Sends up to size bytes to each, in such pieces, until none takes any more."""
        data, sent = content(piece), [0] * len(peers)
        for peer in peers:
            peer.sock.setblocking(False)
        quiet = time.monotonic()
        while time.monotonic() - quiet < 0.5:
            for i, peer in enumerate(peers):
                for _ in range(1024):
                    try:
                        if sent[i] == size:
                            break
                        sent[i] += peer.sock.send(
                            data[sent[i] % piece:][:size - sent[i]])
                        quiet = time.monotonic()
                    except BlockingIOError:
                        break
            time.sleep(0.01)
        return sent

    def uploads(self, count, piece):
        daemon = self.broken_daemon()
        before = self.settled(daemon)
        peers = [self.started_upload(daemon, "n%d" % i, FILE) for i in range(count)]
        self.order("hang-pwritev")
        sent = self.push(peers, FILE, piece)
        self.assertLess(max(sent), FILE)
        self.check_uploads(daemon, before, peers)
        self.end_orders()
        self.assertEqual(daemon.reasons(), [])
        return daemon, peers, sent

    def test_a_disk_that_hangs(self):
        daemon, peers, sent = self.uploads(MANY, 65536)
        block = content(65536)
        rest = (block * (FILE // len(block)))[sent[0] % len(block):][:FILE - sent[0]]
        peers[0].sock.settimeout(20)
        peers[0].send(rest)
        self.assertEqual(peers[0].rest(), (b"", "fin"))
        self.assertTrue(read_file(daemon.path("n0")) == block * (FILE // len(block)))

    def test_a_disk_that_hangs_and_small_segments(self):
        self.uploads(4, 100)

    def test_readers_that_stop(self):
        daemon = self.broken_daemon()
        with open(daemon.path("file"), "wb") as file:
            file.truncate(FILE)
        before = self.settled(daemon)
        peers = [self.peer(daemon) for _ in range(MANY)]
        for peer in peers:
            peer.send(request(b"D", "file") + b"T")
        for peer in peers:
            self.assertEqual(peer.receive(1), b"T")
        grown = self.settled(daemon) - before
        print("RssAnon: %d KiB for each of %d" % (grown // MANY, MANY))
        self.assertLess(grown, MANY * READER + CACHE)
        self.assertEqual(peers[0].rest(), (size_message(FILE) + bytes(FILE), "fin"))

    def test_requests_that_stop(self):
        """A handshake keeps no more than the little that is not due yet."""
        daemon = self.broken_daemon()
        before = self.settled(daemon)
        peers = [self.peer(daemon) for _ in range(MANY)]
        self.order("hang-openat")
        for i, peer in enumerate(peers):
            peer.send(request(b"U", "n%d" % i) + size_message(1 << 20))
        self.push(peers, 1 << 20, 65536)
        grown = self.settled(daemon) - before
        print("RssAnon: %d KiB for each of %d" % (grown // MANY, MANY))
        self.assertLess(grown, MANY * 64 + REST)
        self.end_orders()
        self.assertEqual(os.path.getsize(daemon.path("n0")) if os.path.exists(daemon.path("n0"))
                         else 0, 0)


if __name__ == "__main__":
    unittest.main()
