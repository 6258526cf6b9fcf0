"""One name and many hands: exactly one upload of it wins, and a download is of one version, or ends
in a reset, whatever is done to the file on the disk meanwhile."""

import mmap
import os
import socket
import threading
import time

from harness import SLOW, SystemTest
from wire import Peer, REFUSED, content, read_file, request, size_message, wait_for, write_file

CLIENTS = 200
ROUNDS = 6 if SLOW else 2
BIG = 8 << 20  # more than all buffers on the way hold


class TestOneWins(SystemTest):
    weight = 4

    def race(self, daemon, name, size, ways):
        """All clients at once upload their own content; returns (who, answers, end) of each."""
        gate = threading.Barrier(CLIENTS)
        results = [None] * CLIENTS

        def play(i):
            try:
                with Peer(daemon.address) as peer:
                    gate.wait(20)
                    results[i] = ways[i % len(ways)](peer, name, content(size, i))
            except (AssertionError, OSError) as e:
                results[i] = str(e)
        threads = [threading.Thread(target=play, args=(i,), daemon=True) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)
        self.assertNotIn(None, results)
        return results

    @staticmethod
    def politely(peer, name, data):
        """Says nothing before the answer to what it said last."""
        said = b""
        for message in (request(b"U", name), size_message(len(data)), data):
            peer.send(message)
            if message is data:
                break
            answer = peer.receive(1)
            said += answer
            if answer != b"T":
                break
        rest, end = peer.rest()
        return said + rest, end

    @staticmethod
    def at_once(peer, name, data):
        """Says all that it has to say, then listens."""
        try:
            peer.send(request(b"U", name) + size_message(len(data)) + data)
        except ConnectionError:
            pass
        return peer.rest()

    def assert_one_winner(self, daemon, name, size, results):
        winners = [i for i, result in enumerate(results) if result == (b"TT", "fin")]
        self.assertEqual(len(winners), 1, results)
        self.assertEqual(read_file(daemon.path(name)), content(size, winners[0]))
        for result in results[:winners[0]] + results[winners[0] + 1:]:
            self.assertIn(result, ((b"F", "fin"), (b"F", "reset"), (b"", "reset")))

    def rounds(self, size, *ways):
        daemon = self.daemon()
        for turn in range(ROUNDS):
            name = "n%d" % turn
            self.assert_one_winner(daemon, name, size, self.race(daemon, name, size, ways))
            daemon.ended(CLIENTS * (turn + 1))
        self.assertEqual(sorted(daemon.files()), ["n%d" % turn for turn in range(ROUNDS)])
        self.assertEqual(daemon.reasons().count("ok"), ROUNDS)
        self.assertLessEqual(set(daemon.reasons()), {"ok", "busy", "exists"})

    def test_small(self):
        self.rounds(1000, self.politely)

    def test_large(self):
        self.rounds(300000, self.politely)

    def test_all_said_at_once(self):
        self.rounds(1000, self.at_once, self.politely)

    def test_losers_may_have_it_when_the_winner_breaks_off(self):
        """A name whose upload failed is free again, for exactly one of those who ask next."""
        daemon = self.daemon()
        for turn in range(ROUNDS):
            name = "n%d" % turn
            self.started_upload(daemon, name, 1000, b"x").reset()
            wait_for(lambda: len(daemon.reasons()) > turn * (CLIENTS + 1), "the end of it")
            # Its disk job may still run: then all are told that it is busy.
            results = self.race(daemon, name, 1000, [self.politely])
            winners = [i for i, result in enumerate(results) if result == (b"TT", "fin")]
            self.assertLessEqual(len(winners), 1)
            self.assertEqual(daemon.strays(), ["n%d" % turn for turn in range(turn)] +
                             [name] * len(winners))
            if not winners:
                self.upload_when_free(daemon, name, b"x")
            daemon.ended((CLIENTS + 1) * (turn + 1))

    def test_upload_and_downloads_of_one_name(self):
        """Before it is there: refused. Afterwards: whole. Nothing in between."""
        daemon = self.daemon()
        data = content(2000000)
        seen = []
        done = threading.Event()

        def look():
            while not done.is_set() or not seen[-1:] == ["whole"]:
                with Peer(daemon.address) as peer:
                    peer.send(request(b"D", "n") + b"T")
                    answer = peer.receive(9)
                    rest, end = peer.rest()
                    if answer == b"F" + REFUSED:
                        seen.append("refused" if (rest, end) == (b"", "fin") else (rest, end))
                    else:
                        right = (answer, rest, end) == (b"T" + size_message(len(data)), data, "fin")
                        seen.append("whole" if right else (answer, len(rest), end))
                time.sleep(0.001)
        threads = [threading.Thread(target=look, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        peer = self.started_upload(daemon, "n", len(data))
        for at in range(0, len(data), 100000):
            peer.send(data[at:at + 100000])
            time.sleep(0.005)
        self.assertEqual(peer.rest(), (b"", "fin"))
        done.set()
        for thread in threads:
            thread.join(20)
        self.assertEqual(set(seen), {"refused", "whole"})


class TestOnDisk(SystemTest):
    """What is done to a file by other programs while clients download it."""

    weight = 8

    def setUp(self):
        super().setUp()
        self.server = self.daemon()
        self.old, self.new = content(BIG, 1), content(BIG, 2)
        self.path = self.server.path("n")

    def under_way(self, data=None):
        """A download of n that has begun, and cannot go on for want of room: its peer is slow."""
        write_file(self.path, self.old if data is None else data)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.connect(self.server.address)
        peer = Peer(sock=sock)
        self.addCleanup(peer.close)
        peer.send(request(b"D", "n"))
        self.assertEqual(peer.receive(9), b"T" + size_message(BIG))
        peer.send(b"T")
        self.first = peer.receive(100000)
        return peer

    def assert_whole(self, peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BIG)
        rest, end = peer.rest()
        peer.close()
        self.assertEqual(((self.first + rest) == self.old, len(rest) + 100000, end),
                         (True, BIG, "fin"))
        self.assertEqual(self.server.reason(peer), "ok")

    def assert_cut(self, peer):
        rest, end = peer.rest()
        self.assertEqual(end, "reset")
        self.assertLess(len(rest) + 100000, BIG)
        self.assertEqual(self.server.reason(peer), "changed")

    def test_shrinks(self):
        for size in (0, 1, 100000, BIG // 2, BIG - 1):
            peer = self.under_way()
            os.truncate(self.path, size)
            self.assert_cut(peer)

    def test_shrinks_and_grows_back(self):
        peer = self.under_way()
        os.truncate(self.path, 0)
        write_file(self.path, self.new)
        self.assert_cut(peer)

    def test_grows(self):
        peer = self.under_way()
        with open(self.path, "ab") as file:
            file.write(b"x")
        self.assert_cut(peer)

    def test_rewritten_in_place(self):
        for at in (0, BIG // 2, BIG - 1):
            peer = self.under_way()
            with open(self.path, "r+b") as file:
                file.seek(at)
                file.write(self.new[at:])
            self.assert_cut(peer)

    def test_rewritten_and_its_time_set_back(self):
        peer = self.under_way()
        before = os.stat(self.path)
        with open(self.path, "r+b") as file:
            file.write(self.new)
        os.utime(self.path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.assert_cut(peer)

    def test_rewritten_through_a_mapping(self):
        peer = self.under_way()
        with open(self.path, "r+b") as file, mmap.mmap(file.fileno(), BIG) as mapped:
            mapped[BIG - 1] ^= 1
        self.assert_cut(peer)

    def test_replaced(self):
        peer = self.under_way()
        write_file(self.server.path("other"), self.new)
        os.rename(self.server.path("other"), self.path)
        self.assert_whole(peer)
        self.assertEqual(self.download(self.server, "n"), self.new)

    def test_removed_and_renamed(self):
        for change in (os.unlink, lambda path: os.rename(path, path + "2"),
                       lambda path: os.link(path, path + "3")):
            peer = self.under_way()
            change(self.path)
            self.assert_whole(peer)

    def test_removed_and_uploaded_anew(self):
        """The name is busy until its download has ended; nothing gets between the two files."""
        peer = self.under_way()
        os.unlink(self.path)
        other = self.peer(self.server)
        other.send(request(b"U", "n"))
        self.assertEqual(other.rest(), (b"F", "fin"))
        self.assertEqual(self.server.reason(other), "busy")
        self.assert_whole(peer)
        self.upload_when_free(self.server, "n", self.new)
        self.assertEqual(self.download(self.server, "n"), self.new)

    def test_changed_before_it_is_confirmed(self):
        write_file(self.path, self.old)
        peer = self.started_download(self.server, "n", BIG)
        with open(self.path, "r+b") as file:
            file.write(self.new[:100])
        peer.send(b"T")
        self.assertEqual(peer.rest(), (b"", "reset"))
        self.assertEqual(self.server.reason(peer), "changed")
