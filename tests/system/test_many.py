"""Many clients: none waits for another, and none leaves anything behind."""

import os
import random
import socket
import threading
import time
import unittest

from harness import SLOW, SystemTest, descriptors, rss_anon, sanitizers
from wire import (REFUSED, Peer, content, read_file, request, reset_when_closed, size_message,
                  wait_for, write_file)

CHURN_THREADS = 6
WARM_UP, MORE = 2000, 20000 if SLOW else 2000
RSS_LIMIT = 256  # KiB


class TestTogether(SystemTest):
    weight = 10

    def test_one_stalls_and_the_others_go_on(self):
        """At each state one peer stops; transfers beside it take no longer than alone."""
        daemon = self.daemon()
        write_file(daemon.path("there"), bytes(64 << 20))
        self.peer(daemon)
        self.peer(daemon).send(b"D")
        self.peer(daemon).send(request(b"U", "stalled")[:200])
        self.started_upload(daemon, "stalled", 1000, b"x")
        self.started_download(daemon, "there", 64 << 20)
        self.started_download(daemon, "there", 64 << 20).send(b"T")
        data = content(200000)
        started = time.monotonic()
        for i in range(20):
            self.upload(daemon, "n%d" % i, data)
            self.assertEqual(self.download(daemon, "n%d" % i), data)
        self.assertLess(time.monotonic() - started, 10)

    def test_two_hundred_at_once(self):
        """All are under way together before the first of them ends."""
        daemon = self.daemon()
        write_file(daemon.path("there"), content(50000))
        up = [self.started_upload(daemon, "n%d" % i, 1000, content(500, i)) for i in range(100)]
        down = [self.started_download(daemon, "there", 50000) for _ in range(100)]
        for peer in down:
            peer.send(b"T")
        for i, peer in enumerate(up):
            peer.send(content(1000, i)[500:])
        for peer in up:
            self.assertEqual(peer.rest(), (b"", "fin"))
            peer.close()
        for peer in down:
            self.assertEqual(peer.rest(), (content(50000), "fin"))
            peer.close()
        for i in range(100):
            self.assertEqual(read_file(daemon.path("n%d" % i)), content(1000, i))
        self.assertEqual(daemon.ended(200), ["ok"] * 200)

    def test_a_hundred_through_the_proxy(self):
        daemon = self.daemon()
        proxy = self.proxy(daemon, "--delay", "0.001", "--seed", "1")
        up = [self.started_upload(proxy, "n%d" % i, 5000) for i in range(100)]
        for i, peer in enumerate(up):
            peer.send(content(5000, i))
        for i, peer in enumerate(up):
            self.assertEqual(peer.rest(), (b"", "fin"))
            self.assertEqual(read_file(daemon.path("n%d" % i)), content(5000, i))

    def test_a_fast_one_does_not_starve_the_others(self):
        """While an upload and a download run flat out, small requests are answered soon."""
        daemon = self.daemon()
        size = (1 if SLOW else 0.1) * (1 << 30)
        with open(daemon.path("there"), "wb") as file:
            file.truncate(int(size))
        stop = threading.Event()

        def upload():
            with Peer(daemon.address) as peer:
                peer.send(request(b"U", "big"))
                peer.receive(1)
                peer.send(size_message(int(size) * 4))
                if peer.receive(1) == b"T":
                    block = bytes(1 << 20)
                    while not stop.is_set():
                        peer.send(block)

        def download():
            with Peer(daemon.address) as peer:
                peer.send(request(b"D", "there") + b"T")
                while not stop.is_set() and peer.sock.recv(1 << 20):
                    pass
        threads = [threading.Thread(target=play, daemon=True) for play in (upload, download)]
        for thread in threads:
            thread.start()
        slowest = 0
        for _ in range(100):
            started = time.monotonic()
            with Peer(daemon.address) as peer:
                peer.send(request(b"D", "no"))
                self.assertEqual(peer.rest(), (b"F" + REFUSED, "fin"))
            slowest = max(slowest, time.monotonic() - started)
        stop.set()
        for thread in threads:
            thread.join(20)
        self.assertLess(slowest, 2)


class Churn:
    """Connections of mixed outcome, by several threads; each knows what must come of it."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.errors = []
        self.count = 0

    def run(self, count):
        each = count // CHURN_THREADS
        threads = [threading.Thread(target=self._many, args=(each, self.count + i), daemon=True)
                   for i in range(CHURN_THREADS)]
        self.count += CHURN_THREADS
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        return each * CHURN_THREADS

    def _many(self, count, seed):
        dice = random.Random(seed)
        plays = [self.upload] * 3 + [self.download] * 5 + [self.refused] * 5 + [
            self.wrong_byte, self.wrong_byte, self.vanish_upload, self.vanish_upload,
            self.vanish_download, self.half_request, self.excess]
        try:
            for turn in range(count):
                play = dice.choice(plays)
                # Each thread from an address of its own: ports in TIME_WAIT do not run out.
                sock = socket.socket()
                sock.settimeout(20)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.bind(("127.0.0.%d" % (2 + seed % 200), 0))
                with sock:
                    sock.connect(self.daemon.address)
                    play(sock, "n-%d-%d" % (seed, turn), dice)
        except BaseException as e:
            self.errors.append(e)

    @staticmethod
    def expect(sock, data):
        got = b""
        while len(got) < len(data):
            part = sock.recv(len(data) - len(got))
            if not part:
                break
            got += part
        if got != data:
            raise AssertionError("%r was due, %r came" % (data[:20], got[:20]))

    @staticmethod
    def expect_end(sock):
        if sock.recv(1) != b"":
            raise AssertionError("something came where FIN was due")

    def begin(self, sock, name, size):
        sock.sendall(request(b"U", name))
        self.expect(sock, b"T")
        sock.sendall(size_message(size))
        self.expect(sock, b"T")

    def upload(self, sock, name, dice):
        size = dice.choice((0, 1, 100, 5000))
        self.begin(sock, name, size)
        sock.sendall(content(size))
        self.expect_end(sock)
        os.unlink(self.daemon.path(name))

    def download(self, sock, _name, _dice):
        sock.sendall(request(b"D", "there") + b"T")
        self.expect(sock, b"T" + size_message(20000) + content(20000))
        self.expect_end(sock)

    def refused(self, sock, name, dice):
        kind, wrong, answer = dice.choice((
            (b"U", "taken", b"F"), (b"U", "../x", b"E"), (b"U", "no/" + name, b"E"),
            (b"D", "no", b"F" + REFUSED), (b"D", "sub", b"E" + REFUSED)))
        sock.sendall(request(kind, wrong))
        self.expect(sock, answer)
        self.expect_end(sock)

    def wrong_byte(self, sock, _name, _dice):
        sock.sendall(b"?")
        self.expect_end(sock)

    def vanish_upload(self, sock, name, dice):
        self.begin(sock, name, 100000)
        sock.sendall(content(dice.choice((0, 1, 50000))))
        if dice.random() < 0.5:
            reset_when_closed(sock)

    def vanish_download(self, sock, _name, dice):
        sock.sendall(request(b"D", "there") + dice.choice((b"", b"T")))
        self.expect(sock, b"T" + size_message(20000))
        if dice.random() < 0.5:
            reset_when_closed(sock)

    def half_request(self, sock, _name, dice):
        sock.sendall(request(b"U", "half")[:dice.randrange(256)])
        if dice.random() < 0.5:
            reset_when_closed(sock)

    def excess(self, sock, name, _dice):
        self.begin(sock, name, 10)
        sock.sendall(b"x" * 11)
        try:
            self.expect_end(sock)
            raise AssertionError("FIN after excess bytes")
        except ConnectionResetError:
            pass


class TestChurn(SystemTest):
    weight = 90

    def test_nothing_is_left_of_thousands(self):
        """After a warm-up of mixed outcome, more leave neither memory nor descriptors behind."""
        daemon = self.daemon()
        os.mkdir(daemon.path("sub"))
        write_file(daemon.path("there"), content(20000))
        write_file(daemon.path("taken"), b"")
        churn = Churn(daemon)
        fresh = descriptors(daemon.pid)
        total = self.churn(daemon, churn, WARM_UP, 0, fresh)
        memory = rss_anon(daemon.pid)
        total = self.churn(daemon, churn, MORE, total, fresh)
        grown = rss_anon(daemon.pid) - memory
        self.assertEqual(daemon.strays("sub", "there", "taken"), [])
        self.upload(daemon, "n", b"x")
        self.assertEqual(self.download(daemon, "there"), content(20000))
        print("RssAnon grew by %d KiB" % grown)
        if SLOW and not sanitizers():
            self.assertLess(grown, RSS_LIMIT, "KiB of RssAnon more")

    def churn(self, daemon, churn, count, total, fresh):
        total += churn.run(count)
        wait_for(lambda: descriptors(daemon.pid) <= fresh,
                 lambda: "%d descriptors, not %d" % (fresh, descriptors(daemon.pid)), 10, 0.1)
        wait_for(lambda: len(daemon.reasons()) >= total,
                 lambda: "%d ends of connections, not %d" % (total, len(daemon.reasons())), 10, 0.3)
        self.assertEqual(len(daemon.reasons()), total)
        return total


if __name__ == "__main__":
    unittest.main()
