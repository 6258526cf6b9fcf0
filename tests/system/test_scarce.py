"""Too many at once: for the descriptors that there are, or only to be in the way of the others."""

import re
import resource
import select
import socket
import threading
import time
import unittest

from harness import (SLOW, SystemTest, conf_text, cpu_seconds, descriptors, ftxferd,
                     limit_descriptors, rss_anon, run, sanitizers)
from wire import (REFUSED, Peer, content, read_file, request, reset_when_closed, size_message,
                  wait_for, write_file)
from wire2 import PARENTS, Client

OS_ERROR = 71
REST = 0.4  # seconds, a moment in which a daemon is looked at


class ScarceTest(SystemTest):
    def assert_rests(self, daemon):
        """It uses next to no processor time, once it is done with what it had begun: that may take
        some of these moments, but what spins does so in each of them."""
        spent = []
        while not spent or spent[-1] >= 0.1 * REST:
            self.assertLess(len(spent), 5, "seconds in each %g s: %s" % (REST, spent))
            before = cpu_seconds(daemon.pid)
            time.sleep(REST)
            spent.append(cpu_seconds(daemon.pid) - before)

    def together(self, plays):
        """Each function in a thread of its own; they must all come to an end."""
        errors = []

        def run_one(play):
            try:
                play()
            except BaseException as e:
                errors.append(e)
        threads = [threading.Thread(target=run_one, args=(play,), daemon=True) for play in plays]
        for thread in threads:
            thread.start()
        return threads, errors


class TestDescriptors(ScarceTest):
    weight = 8
    IDLE, UP, DOWN = 40, 30, 30

    def hundred(self, daemon, data):
        """Plays of a hundred clients: some that only come, and some that want to be served."""
        def idle():
            with Peer(daemon.address, deadline=40) as peer:
                peer.rest()

        def upload(i):
            return lambda: self.upload(daemon, "up%d" % i, data, deadline=40)

        def download():
            self.assertEqual(self.download(daemon, "there", deadline=40), data)
        plays = []
        for i in range(self.IDLE):
            plays += [idle] + ([upload(i)] if i < self.UP else []) + [download] * (i < self.DOWN)
        return plays

    def requests(self, address, i, content_of):
        """One client of version 2 that asks for all that takes descriptors, reads nothing for a
        while, and then all answers. Returns how often it was told to try again."""
        client = Client(address)
        self.addCleanup(client.close)
        heads, waiting, again = {}, set(), 0
        for k in range(20):
            number = client.new_id()
            size = 200000 if k % 10 == 0 else 1000
            client.send(client.put_frames(number, "d%d/now%d" % (i, k), content_of[:size],
                                          flags=PARENTS))
            waiting.add(number)
        for k in range(6):
            number = client.request("PUT", ("NAME", "head%d-%d" % (i, k)), ("SIZE", 70000),
                                    ("DIGEST_KIND", 2))
            heads[number] = content_of[:70000]
            waiting.add(number)
        for k in range(8):
            for kind, attributes, flags in (
                    ("GET", [("NAME", "there"), ("DIGEST_KIND", 2)], 0), ("LIST", [("NAME", "")], 0),
                    ("DIGEST", [("NAME", "there"), ("DIGEST_KIND", 2)], 1),
                    ("STAT", [("NAME", "there")], 0)):
                waiting.add(client.request(kind, *attributes, flags=flags))
        time.sleep(1)
        while waiting:
            message = client.next()
            if message.type == "GO":
                client.data(message.id, heads[message.id])
                client.end(message.id, heads[message.id])
            elif message.type not in ("FILE", "DATA", "WORKING"):
                if message.type == "ERROR":
                    self.assertEqual(message.code, "OVERLOADED", message)
                    again += 1
                waiting.remove(message.id)
        client.half_close()
        self.assertIsNone(client.next())
        return again

    def test_many_requests_with_128_descriptors(self):
        """What each asks for waits for its turn, or is to be asked again; there are always enough."""
        daemon = self.daemon(args=["-d"], workers=2, popen={
            "preexec_fn": lambda: limit_descriptors(128)})
        data = content(300000)
        write_file(daemon.path("there"), data)
        at_rest = descriptors(daemon.pid)
        answered = []
        threads, errors = self.together([
            lambda i=i: answered.append(self.requests(daemon.address, i, data)) for i in range(14)])
        for thread in threads:
            thread.join(60)
        self.assertEqual((errors, len(answered)), ([], 14))
        self.assertLess(sum(answered), 14, "they wait, as a rule")
        self.assertNotRegex(daemon.err(), r"reason=descriptors|allows no more|Too many open")
        wait_for(lambda: descriptors(daemon.pid) <= at_rest + 4, "all descriptors to be closed")

    def test_one_request_at_a_time(self):
        """No more than that is sure. What would stand in the way of its own end does not wait."""
        daemon = self.daemon(workers=2, popen={"preexec_fn": lambda: limit_descriptors(64)})
        client = Client(daemon.address)
        self.addCleanup(client.close)
        head = client.request("PUT", ("NAME", "head"), ("SIZE", 5), ("DIGEST_KIND", 2))
        self.assertEqual(client.result(head).type, "GO")
        second = client.request("PUT", ("NAME", "second"), ("SIZE", 6), ("DIGEST_KIND", 2))
        listing = client.request("LIST", ("NAME", ""))
        for size in (100, 100000):
            self.assertEqual(client.put_now("now", bytes(size)).code, "OVERLOADED")
        self.assertEqual(client.ask("STAT", ("NAME", "")).type, "OK")
        self.assertEqual(client.kept, [])
        client.data(head, b"hello")
        client.end(head, b"hello")
        self.assertEqual(client.result(head).type, "OK")
        self.assertEqual(client.result(second).type, "GO")
        client.data(second, b"second")
        client.end(second, b"second")
        self.assertEqual(client.result(second).type, "OK")
        self.assertEqual(client.result(listing).type, "PAGE")
        for size in (100, 100000):
            self.assertEqual(client.put_now("now%d" % size, bytes(size)).type, "OK")

    def test_reset_in_the_middle_of_a_download(self):
        """Each has its place, and gives it back once: there are always as many as there were."""
        daemon = self.daemon(workers=1, popen={"preexec_fn": lambda: limit_descriptors(64)})
        write_file(daemon.path("there"), bytes(32 << 20))
        for i in range(20):
            client = Client(daemon.address)
            client.request("GET", ("NAME", "there"), ("DIGEST_KIND", 2))
            self.assertEqual(client.next().type, "FILE")
            reset_when_closed(client.socket)
            client.close()
            peer = self.started_download(daemon, "there", 32 << 20)
            peer.send(b"T" * (i % 2))
            peer.reset()
        self.assertEqual(daemon.ended(40), ["peer-reset"] * 40)
        self.upload(daemon, "n", b"x")

    def test_a_hundred_clients_with_64_descriptors(self):
        """Those for whom there is no room wait, at no cost, and are served when others leave."""
        daemon = self.daemon(workers=2, pool_threads=8, request_timeout=3, popen={
            "preexec_fn": lambda: limit_descriptors(64)})
        data = content(300000)
        write_file(daemon.path("there"), data)
        at_rest = descriptors(daemon.pid)
        first = [self.started_upload(daemon, "first%d" % i, 10, b"x") for i in range(4)]
        first += [self.started_download(daemon, "there", len(data)) for _ in range(4)]
        threads, errors = self.together(self.hundred(daemon, data))
        wait_for(lambda: "limit of open files allows no more" in daemon.err(), "it to be full")
        for peer in first[4:]:
            peer.send(b"T")
        time.sleep(0.2)
        self.assert_rests(daemon)
        self.assertLessEqual(descriptors(daemon.pid), 64)
        for peer in first[:4]:
            peer.reset()
        for peer in first[4:]:
            self.assertEqual(peer.rest(), (data, "fin"))
            peer.close()
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])
        daemon.ended(108)
        self.assertEqual(daemon.reasons().count("ok"), self.UP + self.DOWN + 4)
        for i in range(self.UP):
            self.assertEqual(read_file(daemon.path("up%d" % i)), data)
        self.assertEqual(daemon.strays("there", *["up%d" % i for i in range(self.UP)]), [])
        wait_for(lambda: descriptors(daemon.pid) <= at_rest, "all descriptors to be closed")
        self.assert_rests(daemon)
        self.assertLessEqual(daemon.err().count("\n"), 108 + 5, "it floods its log")

    def test_all_listeners_are_one_crowd(self):
        """What descriptors allow, they allow in all; and no listener takes every place. The kernel
        deals a worker its share by chance: so there are many, that none runs out of them."""
        hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        daemon = self.daemon(workers=2, listen_address=hosts, request_timeout=60, popen={
            "preexec_fn": lambda: limit_descriptors(64)})
        most = int(re.search(r"\(64\) allows (\d+) connections", daemon.err()).group(1))
        waiting = []
        for i in range(50):
            for host in hosts:
                peer = self.peer((host, daemon.port))
                peer.send(request(b"U", "%s-%d" % (host, i)))
                waiting.append((peer, host))
        served = []

        def count(seconds=0):
            ready = select.select([peer.sock for peer, _ in waiting], [], [], seconds)[0]
            for it in [it for it in waiting if it[0].sock in ready]:
                self.assertEqual(it[0].receive(1), b"T")
                waiting.remove(it)
                served.append(it)
            return len(served)
        for ended in range(30):
            wait_for(lambda: count() >= most + ended, "the places to be taken")
            self.assertEqual(count(0.1), most + ended)
            served[ended][0].reset()
        late = [host for _, host in served[most:]]
        for host in hosts:
            self.assertGreaterEqual(late.count(host), 29 // 3)

    def few_left(self, daemon, count):
        """From here on it may open no more than that many descriptors in addition."""
        limit = descriptors(daemon.pid) + count
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, 4096))
        self.addCleanup(self.enough, daemon)

    def enough(self, daemon):
        if daemon.running():
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (4096, 4096))

    @unittest.skipIf(sanitizers(), "a sanitizer opens files of its own")
    def test_none_is_left_at_each_step(self):
        """Fewer than was thought at the start, as when the whole system runs out of them."""
        daemon = self.daemon(popen={"preexec_fn": lambda: limit_descriptors(4096)})
        data = content(300000)
        write_file(daemon.path("there"), data)
        at_rest = descriptors(daemon.pid)
        for count in range(5):
            self.few_left(daemon, count)
            for kind, name in ((b"U", "n%d" % count), (b"D", "there")):
                with Peer(daemon.address) as peer:
                    peer.send(request(kind, name))
                    if count == 0:
                        self.assertTrue(peer.is_quiet(0.5))
                        continue
                    answer = peer.receive(1)
                    if answer == b"E":
                        self.assertIn(peer.rest(), ((b"", "fin"), (REFUSED, "fin")))
                    elif kind == b"U":
                        self._finish_upload(peer, data)
                    else:
                        peer.send(b"T")
                        self.assertEqual(peer.rest(), (size_message(len(data)) + data, "fin"))
            self.enough(daemon)
            wait_for(lambda: descriptors(daemon.pid) <= at_rest, "all descriptors to be closed")
        self.assertEqual(read_file(daemon.path("n4")), data)
        self.assertLessEqual(set(daemon.files()), {"there", "n2", "n3", "n4"})
        reasons = daemon.ended(10)
        # The two that were not even accepted have gone when one worker or the other sees them.
        self.assertLessEqual(reasons.count("peer-closed"), 2)
        self.assertEqual(set(reasons) - {"peer-closed"}, {"ok", "descriptors"})
        self.assertEqual(daemon.err().count("cannot accept connections for now"), 1)

    @unittest.skipIf(sanitizers(), "a sanitizer opens files of its own")
    def test_one_word_about_it(self):
        """Also where it finds one now and then, and none the next time."""
        daemon = self.daemon(popen={"preexec_fn": lambda: limit_descriptors(4096)})
        self.few_left(daemon, 2)

        def refused():
            for _ in range(20):
                with Peer(daemon.address) as peer:
                    peer.send(request(b"D", "no"))
                    self.assertIn(peer.rest()[0][:1], (b"F", b"E"))
        threads, errors = self.together([refused] * 10)
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])
        daemon.ended(200)
        self.assertEqual(daemon.err().count("cannot accept connections for now"), 1)

    def test_too_few_to_start(self):
        """Said in one sentence; and what is just enough is enough to be served."""
        root = self.root()
        conf = write_file(self.scratch("conf"), conf_text({
            "storage_root": root, "listen_address": ["127.0.0.1"], "workers": 2}))
        least = None
        for count in (8, 12, 16, 20, 24):
            ran = run(ftxferd() + ["-f", conf, "-l", "0"],
                      preexec_fn=lambda: limit_descriptors(count))
            self.assertEqual(ran.status, OS_ERROR, ran)
            self.assertRegex(ran.err, r"^\S+ ftxferd\[\d+\] error: the limit of open files \(%d\) is "
                                      r"too low: (\d+) are needed at least; raise .*\n$" % count)
            least = int(re.search(r"(\d+) are needed", ran.err)[1])
        for threads in (4, 64):
            daemon = self.daemon(workers=2, pool_threads=threads, popen={
                "preexec_fn": lambda: limit_descriptors(least)})
            data = content(300000)
            self.upload(daemon, "n%d" % threads, data)
            self.assertEqual(self.together(
                [lambda: self.assertEqual(self.download(daemon, "n%d" % threads), data)] * 10)[1],
                [])
            daemon.ended(11)
            self.assertEqual(daemon.reasons(), ["ok"] * 11)
            self.assertEqual(daemon.stop(), 0)


class TestHalfOpen(ScarceTest):
    """A thousand clients that come and do not go on, in each state that they can stop in."""

    weight = 40
    COUNT = 1000
    SIZE = 4 << 20

    def setUp(self):
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 4 * self.COUNT:
            self.skipTest("the limit of open files here is %d" % hard)
        if soft < 2 * self.COUNT:
            resource.setrlimit(resource.RLIMIT_NOFILE, (2 * self.COUNT, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def served(self, daemon, name):
        """Seconds that an upload and a download by the real client take."""
        started = time.monotonic()
        local = self.scratch("local")
        data = content(500000)
        self.transferred("upload", daemon, name, write_file(local, data))
        self.transferred("download", daemon, name, local)
        self.assertEqual(read_file(local), data)
        return time.monotonic() - started

    def half_open(self, daemon, count, messages, answers, source="127.0.0.1"):
        peers = []
        for i in range(count):
            sock = socket.socket()
            sock.settimeout(20)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            sock.bind((source, 0))
            sock.connect(daemon.address)
            peers.append(Peer(sock=sock))
            self.addCleanup(sock.close)
            for message, answer in zip(messages(i), answers):
                peers[-1].send(message)
                if answer:
                    peers[-1].receive(answer)
        return peers

    def stop_in(self, messages, answers=(0,), count=COUNT, memory=32 << 10,
                reason="request-timeout"):
        patience = 6 if sanitizers() else 3
        daemon = self.daemon(request_timeout=patience, idle_timeout=patience,
                             max_connections_per_address=0)
        write_file(daemon.path("there"), bytes(self.SIZE))
        at_rest = min(self.served(daemon, "r%d" % i) for i in range(2))
        before = descriptors(daemon.pid), rss_anon(daemon.pid)
        peers = self.half_open(daemon, count, messages, answers)
        self.assertLess(self.served(daemon, "under"), 5 * at_rest + 1)
        grown = rss_anon(daemon.pid) - before[1]
        if not sanitizers():
            self.assertLess(grown * 1024, count * memory + (8 << 20))
        self.assert_rests(daemon)
        self.assertLess(daemon.reasons().count(reason), count // 2, "it rests when they are gone")
        daemon.ended(4 + 2 + count)
        self.assertEqual(daemon.reasons().count(reason), count, set(daemon.reasons()))
        for peer in peers:
            peer.close()
        wait_for(lambda: descriptors(daemon.pid) <= before[0], "all descriptors to be closed")
        self.assertEqual(daemon.strays("there", "r0", "r1", "under"), [])

    def test_nothing_sent(self):
        self.stop_in(lambda i: [b""])

    def test_part_of_a_request(self):
        self.stop_in(lambda i: [request(b"UD"[i % 2:][:1], "n%d" % i)[:1 + i % 255]])

    def test_no_size(self):
        self.stop_in(lambda i: [request(b"U", "n%d" % i), size_message(1)[:i % 8]], (1, 0))

    def test_no_confirmation(self):
        self.stop_in(lambda i: [request(b"D", "there")], (9,))

    def test_no_content(self):
        self.stop_in(lambda i: [request(b"U", "n%d" % i), size_message(1000)], (1, 1),
                     reason="idle-timeout")

    def test_part_of_the_content(self):
        self.stop_in(lambda i: [request(b"U", "n%d" % i), size_message(1000), b"x" * (i % 1000)],
                     (1, 1, 0), reason="idle-timeout")

    def test_content_is_not_read(self):
        """The memory for each is bounded, here by half a megabyte."""
        self.stop_in(lambda i: [request(b"D", "there"), b"T"], (9, 0),
                     self.COUNT if SLOW else 200, 512 << 10, reason="idle-timeout")

    def test_with_a_limit_for_each_address(self):
        """They come from one address, and the limit is for them; another has the room it had."""
        daemon = self.daemon(request_timeout=4, max_connections_per_address=100,
                             max_connections=150, listen_address=["127.0.0.1", "::1"])
        others = ("::1", daemon.port)
        peers = []
        for _ in range(self.COUNT):
            try:
                peers.append(Peer(others))
                self.addCleanup(peers[-1].close)
            except ConnectionError:
                pass  # turned away before it knew that it was connected
        wait_for(lambda: daemon.reasons().count("limit") == self.COUNT - 100, "the others to go")
        self.assertLess(self.served(daemon, "n"), 5)
        daemon.ended(self.COUNT + 2)
        self.assertEqual(daemon.reasons().count("request-timeout"), 100)
        self.upload(others, "m", b"x")
