"""How much memory a connection may cost: 1 MiB of content under way (HACKING, rule 6) where the
disk is slow, and none where the peer is; but for listings, which have so much together."""

import os
import time
import unittest

from harness import rss_anon, sanitizers
from test_hostile import TestBroken
from test_v2 import V2Test
from wire import content, read_file, request, size_message, wait_for, write_file

MANY = 64
EACH = 1024  # KiB of content
REST = 6144  # KiB: for what a connection is besides its content, and for the allocator
READER = 8  # KiB: of one that stops, besides what all of them share
CACHE = 1536
LISTED = 64 << 10  # KiB: listings that wait for their clients, all of them (listing.h)
LISTINGS = 4  # of a connection
FILE = 16 << 20


def settled(daemon):
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


@unittest.skipIf(sanitizers(), "a sanitizer has its own malloc(3)")
class TestMemoryPerConnection(TestBroken):
    weight = 10

    def check_uploads(self, daemon, before, peers):
        grown = settled(daemon) - before
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
        before = settled(daemon)
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
        before = settled(daemon)
        peers = [self.peer(daemon) for _ in range(MANY)]
        for peer in peers:
            peer.send(request(b"D", "file") + b"T")
        for peer in peers:
            self.assertEqual(peer.receive(1), b"T")
        grown = settled(daemon) - before
        print("RssAnon: %d KiB for each of %d" % (grown // MANY, MANY))
        self.assertLess(grown, MANY * READER + CACHE)
        self.assertEqual(peers[0].rest(), (size_message(FILE) + bytes(FILE), "fin"))

    def test_requests_that_stop(self):
        """A handshake keeps no more than the little that is not due yet."""
        daemon = self.broken_daemon()
        before = settled(daemon)
        peers = [self.peer(daemon) for _ in range(MANY)]
        self.order("hang-openat")
        for i, peer in enumerate(peers):
            peer.send(request(b"U", "n%d" % i) + size_message(1 << 20))
        self.push(peers, 1 << 20, 65536)
        grown = settled(daemon) - before
        print("RssAnon: %d KiB for each of %d" % (grown // MANY, MANY))
        self.assertLess(grown, MANY * 64 + REST)
        self.end_orders()
        self.assertEqual(os.path.getsize(daemon.path("n0")) if os.path.exists(daemon.path("n0"))
                         else 0, 0)


@unittest.skipIf(sanitizers(), "a sanitizer has its own malloc(3)")
class TestListings(V2Test):
    """Clients that ask for a first page, and leave the server with the rest."""

    weight = 4

    def page(self, client, *cursor):
        page = client.ask("LIST", ("NAME", ""), *cursor)
        self.assertEqual(page.type, "PAGE", page)
        return page

    def test_listings_that_are_left(self):
        daemon = self.daemon()
        names = {b"%04d-of-those-that-there-are" % i for i in range(6000)}
        for name in names:
            write_file(daemon.path(name.decode()), b"")
        clients = [self.client(daemon) for _ in range(2 * MANY)]
        for client in clients[:8]:
            self.page(client)
        before = settled(daemon)
        pages = [[self.page(client) for _ in range(LISTINGS)] for client in clients]
        grown = settled(daemon) - before
        each = len(clients) * LISTINGS
        print("RssAnon: %d KiB for %d listings" % (grown, each))
        self.assertLess(grown, LISTED + each * READER)
        # They go on, each from where it was, whether anything was kept of it or not.
        for client, page in (clients[0], pages[0][0]), (clients[-1], pages[-1][-1]):
            found = list(page.entries)
            while page.CURSOR is not None:
                page = self.page(client, ("CURSOR", page.CURSOR))
                found += page.entries
            self.assertEqual(len(found), len(names))
            self.assertEqual({entry["NAME"] for entry in found}, names)


if __name__ == "__main__":
    unittest.main()
