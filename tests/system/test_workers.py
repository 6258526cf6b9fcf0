"""Workers: what each of them does, by the counters that -d prints at the end."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import (Program, SystemTest, conf_text, counters, descriptors, ftxferd,
                     limit_descriptors, run, status_field)
from test_activation import passing
from wire import REFUSED, Peer, content, request, wait_for, write_file

CONFIG, USAGE, UNAVAILABLE = 78, 64, 69

SENT, RECEIVED = ("sendfile", "copy-sent"), ("copy-received", "splice", "direct")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def total(lines, names):
    return sum(line[name] for line in lines for name in names)


class TestCounters(SystemTest):
    def test_each_byte_is_counted_once(self):
        """By the daemon and by the client; a refused or broken transfer moves what it moved."""
        daemon = self.daemon(args=["-d"])
        local = self.scratch("local", content(1000000))
        ran = [self.transferred("upload", daemon, "n", local, "-d")]
        ran += [self.transferred("download", daemon, "n", local, "-d") for _ in range(2)]
        self.transfer("upload", daemon, "n", local)
        self.assertEqual(len(daemon.ended(4)), 4)
        daemon.stop()
        lines = daemon.counters()
        self.assertEqual(total(lines, ["connections"]), 4)
        self.assertEqual(total(lines, RECEIVED), 1000000)
        self.assertEqual(total(lines, SENT), 2 * 1000000)
        self.assertGreater(total(lines, ["turns"]), 4)
        self.assertGreater(total(lines, ["longest-turn-us"]), 0)
        for it, names in zip(ran, (SENT, RECEIVED, RECEIVED)):
            line, = counters(it.err)
            self.assertEqual((total([line], names), total([line], SENT + RECEIVED)),
                             (1000000, 1000000))

    def test_silent_without_debug(self):
        daemon = self.daemon()
        self.upload(daemon, "n", b"x")
        daemon.stop()
        self.assertEqual(daemon.counters(), [])


class TestWorkers(SystemTest):
    """Each test with as many workers as it says, whatever the machine has."""

    weight = 4

    def counted(self, daemon, name):
        """Ends the daemon; what each worker has counted under that name."""
        self.assertEqual(daemon.stop(), 0)
        return [line[name] for line in daemon.counters()]

    def test_as_many_as_processors(self):
        daemon = self.daemon(args=["-d"], workers=None)
        expected = min(len(os.sched_getaffinity(daemon.pid)), 64)
        self.assertEqual(len(self.counted(daemon, "turns")), expected)
        one = {min(os.sched_getaffinity(0))}
        daemon = self.daemon(args=["-d"], workers=None, root=self.root("one"), popen={
            "preexec_fn": lambda: os.sched_setaffinity(0, one)})
        self.assertEqual(len(self.counted(daemon, "turns")), 1)

    def test_all_do_what_one_does(self):
        for workers in (1, 2, 4, 64):
            daemon = self.daemon(args=["-d"], workers=workers, root=self.root("r%d" % workers))
            wait_for(lambda: status_field("/proc/%d/status" % daemon.pid, "Threads") >= workers,
                     "all threads")
            data = content(300000)
            up = [self.started_upload(daemon, "n%d" % i, len(data), data[:1000])
                  for i in range(3 * workers)]
            for peer in up:
                peer.send(data[1000:])
            for i, peer in enumerate(up):
                self.assertEqual(peer.rest(), (b"", "fin"))
                self.assertEqual(self.download(daemon, "n%d" % i), data)
                peer.close()
            self.assertEqual(daemon.ended(6 * workers), ["ok"] * 6 * workers)
            connections = self.counted(daemon, "connections")
            self.assertEqual((len(connections), sum(connections)), (workers, 6 * workers))
            self.assertGreaterEqual(min(connections), 3)

    def long_ones(self, daemon, count):
        """Downloads that are all under way, and then end."""
        write_file(daemon.path("there"), content(100000))
        peers = [self.started_download(daemon, "there", 100000) for _ in range(count)]
        for peer in peers:
            peer.send(b"T")
            self.assertEqual(peer.rest()[1], "fin")
            peer.close()
        self.assertEqual(daemon.ended(count), ["ok"] * count)

    def test_long_ones_are_shared_out(self):
        """The kernel alone would share eight between two evenly a quarter of the time."""
        for run in range(8):
            daemon = self.daemon(args=["-d"], workers=2, root=self.root("r%d" % run))
            self.long_ones(daemon, 8)
            self.assertEqual(self.counted(daemon, "connections"), [4, 4])

    def test_hundreds_are_shared_out(self):
        daemon = self.daemon(args=["-d"], workers=4)
        self.long_ones(daemon, 200)
        self.assertEqual(self.counted(daemon, "connections"), [50] * 4)

    def test_short_ones_stay_where_they_came(self):
        """To hand one over costs more than to serve it."""
        daemon = self.daemon(args=["-d"], workers=2)
        write_file(daemon.path("there"), content(1024))
        count, errors = 400, []

        def many():
            try:
                for _ in range(count):
                    self.assertEqual(self.download(daemon, "there"), content(1024))
            except BaseException as e:
                errors.append(e)
        threads = [threading.Thread(target=many, daemon=True) for _ in range(8)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - started
        self.assertEqual(errors, [])
        self.assertLessEqual(sum(self.counted(daemon, "handed-over")), 2 * 64 * (2 + took))
        connections = [line["connections"] for line in daemon.counters()]
        self.assertEqual(sum(connections), 8 * count)
        self.assertGreater(min(connections), count)

    def test_inherited_sockets(self):
        """The first worker accepts, and hands over to all."""
        given = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.addCleanup(given.close)
        _, popen = passing([given], [])
        for workers in (2, 4):
            daemon = self.daemon(args=["-d"], workers=workers, root=self.root("r%d" % workers),
                                 wrap=lambda argv: passing([given], argv)[0], popen=popen)
            self.long_ones(daemon, 8)
            self.assertEqual(self.counted(daemon, "connections"), [8 // workers] * workers)
            self.assertEqual([line["handed-over"] for line in daemon.counters()],
                             [8 - 8 // workers] + [0] * (workers - 1))

    def test_a_port_that_another_has(self):
        """The same user's daemon, at rest or starting at the same moment: one of them has it."""
        for first, second in ((1, 2), (2, 1), (2, 2), (4, 64)):
            daemon = self.daemon(workers=first, root=self.root("r%d%d" % (first, second)))
            ran = self.start(daemon.port, second)
            self.assertEqual(ran.wait(), UNAVAILABLE)
            self.assertRegex(ran.err(), r"cannot listen on 127\.0\.0\.1:%d: Address already in "
                                        "use; stop what listens there" % daemon.port)
        for _ in range(10):
            port = free_port()
            both = [self.start(port, 4) for _ in range(2)]
            wait_for(lambda: not all(it.running() for it in both), "one of them to give up")
            left = [it for it in both if it.running()]
            self.assertEqual([it.wait() for it in both if it not in left], [UNAVAILABLE])
            wait_for(lambda: "listening on" in left[0].out(), "the other one to listen")
            self.upload(("127.0.0.1", port), "n", b"x")
            self.assertEqual(left[0].stop(), 0)

    def start(self, port, workers):
        self.made += 1
        name = "other-%d" % self.made
        conf = write_file(self.scratch(name + ".conf"), conf_text({
            "storage_root": self.root(name), "listen_address": ["127.0.0.1"], "workers": workers}))
        program = Program(ftxferd() + ["-f", conf, "-l", str(port)], self.dir, name)
        self.addCleanup(program.stop)
        return program

    def test_again_at_once(self):
        """Connections of the last run do not keep the next one from its port."""
        daemon = self.daemon(workers=2)
        self.upload(daemon, "n", b"x")
        self.assertEqual(daemon.stop(), 0)
        again = self.start(daemon.port, 2)
        wait_for(lambda: "listening on" in again.out() or not again.running(), "the next one")
        self.assertEqual(again.stop(), 0)

    def test_limits_are_for_all(self):
        daemon = self.daemon(workers=4, max_connections=20, max_connections_per_address=10,
                             listen_address=["127.0.0.1", "::1"])
        for host in ("127.0.0.1", "::1"):
            peers = [self.started_upload((host, daemon.port), "n%d%d" % (len(host), i), 1)
                     for i in range(10)]
            for _ in range(4):
                try:
                    self.assertEqual(self.peer((host, daemon.port)).rest()[1], "reset")
                except ConnectionError:
                    pass
            peers[0].reset()
        daemon.ended(10)
        self.assertEqual(sorted(set(daemon.reasons())), ["limit", "peer-reset"])
        self.assertEqual(daemon.reasons().count("limit"), 8)
        self.upload(daemon, "after", b"x")

    def test_descriptors_are_for_all(self):
        """Never more than there are, though each worker accepts for itself; and none is lost."""
        for workers in (2, 4):
            daemon = self.daemon(workers=workers, root=self.root("r%d" % workers), popen={
                "preexec_fn": lambda: limit_descriptors(96)})
            data = content(20000)
            write_file(daemon.path("there"), data)
            errors = []

            def many():
                try:
                    for _ in range(20):
                        self.assertEqual(self.download(daemon, "there"), data)
                except BaseException as e:
                    errors.append(e)
            threads = [threading.Thread(target=many, daemon=True) for _ in range(40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual(errors, [])
            self.assertEqual(daemon.ended(800), ["ok"] * 800)
            self.assertNotIn("cannot accept", daemon.err())
            self.assertEqual(daemon.stop(), 0)

    def test_a_place_is_for_whoever_waits(self):
        """Also for those of a worker that has no session, when another's ends."""
        conf = write_file(self.scratch("conf"), conf_text({
            "storage_root": self.root(), "listen_address": ["127.0.0.1"], "workers": 4}))
        ran = run(ftxferd() + ["-f", conf, "-l", "0"], preexec_fn=lambda: limit_descriptors(30))
        least = int(re.search(r"(\d+) are needed at least", ran.err)[1]) + 3  # its own sockets
        daemon = self.daemon(workers=4, popen={"preexec_fn": lambda: limit_descriptors(least)})
        first = self.started_upload(daemon, "first", 1)
        peers = [self.peer(daemon) for _ in range(24)]
        for i, peer in enumerate(peers):
            peer.send(request(b"D", "no"))
        wait_for(lambda: "allows no more at a time" in daemon.err(), "the only place to be taken")
        self.assertTrue(peers[0].is_quiet(0.2))
        first.reset()
        served = []

        def be_served(peer):
            served.append(peer.rest())
            peer.close()
        threads = [threading.Thread(target=be_served, args=(it,), daemon=True) for it in peers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        self.assertEqual(served, [(b"F" + REFUSED, "fin")] * len(peers))


class TestStopOfAll(SystemTest):
    def started(self, daemon):
        """Something under way on each worker: uploads that wait, and peers that have not asked."""
        at_rest = descriptors(daemon.pid)
        idle = [self.peer(daemon) for _ in range(8)]
        wait_for(lambda: descriptors(daemon.pid) == at_rest + 8, "all to be accepted")
        return [self.started_upload(daemon, "n%d" % i, 10, b"12345") for i in range(8)], idle

    def test_all_end_in_time(self):
        for workers in (1, 2, 4):
            daemon = self.daemon(args=["-d"], workers=workers, grace_time=30,
                                 root=self.root("r%d" % workers))
            up, idle = self.started(daemon)
            daemon.send_signal(signal.SIGTERM)
            for peer in idle:
                self.assertNotEqual(peer.rest()[1], "open")
            wait_for(lambda: "connections still open: 8; they have 30000 ms" in daemon.err(),
                     daemon.err)
            for i, peer in enumerate(up):
                self.assertTrue(daemon.running())
                peer.send(b"67890")
                self.assertEqual(peer.rest(), (b"", "fin"))
            self.assertEqual(daemon.wait(5), 0)
            self.assertEqual(sorted(daemon.reasons()), ["ok"] * 8 + ["shutdown"] * 8)
            self.assertEqual([line["connections"] for line in daemon.counters()],
                             [16 // workers] * workers)

    def test_none_has_longer(self):
        for grace, signals in ((1, 1), (60, 2)):
            daemon = self.daemon(workers=4, grace_time=grace, root=self.root("r%d" % grace))
            up, _ = self.started(daemon)
            daemon.send_signal(signal.SIGTERM)
            wait_for(lambda: "connections still open: 8;" in daemon.err(), "the first signal")
            if signals == 2:
                daemon.send_signal(signal.SIGTERM)
            for peer in up:
                self.assertEqual(peer.rest(), (b"", "reset"))
            self.assertEqual(daemon.wait(5), 0)
            self.assertEqual(daemon.reasons(), ["shutdown"] * 16)
            self.assertEqual(daemon.strays(), [])

    def test_while_many_come(self):
        """Whenever it comes, it ends: nobody is left on the way from one worker to another."""
        given = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.addCleanup(given.close)
        _, popen = passing([given], [])
        for at in range(8):
            inherited = {"wrap": lambda argv: passing([given], argv)[0], "popen": popen}
            daemon = self.daemon(workers=4, root=self.root("r%d" % at), grace_time=60,
                                 **(inherited if at % 2 else {}))
            address = given.getsockname() if at % 2 else daemon.address
            stop = threading.Event()

            def many():
                while not stop.is_set():
                    try:
                        peers = [Peer(address, deadline=1) for _ in range(20)]
                        for peer in peers:
                            if not stop.is_set():
                                peer.rest()
                            peer.close()
                    except OSError:
                        pass
            threads = [threading.Thread(target=many, daemon=True) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.02 * at)
            daemon.send_signal(signal.SIGTERM)
            self.assertEqual(daemon.wait(5), 0)
            stop.set()
            for thread in threads:
                thread.join()


class TestCongestion(SystemTest):
    def names(self):
        with open("/proc/sys/net/ipv4/tcp_allowed_congestion_control") as file:
            return file.read().split()

    def test_those_that_are_allowed(self):
        for name in self.names():
            daemon = self.daemon(tcp_congestion=name, workers=2, root=self.root("r" + name))
            local = self.scratch("local", content(100000))
            self.transferred("upload", daemon, "n", local, "--tcp-congestion", name)
            self.transferred("download", daemon, "n", local, "--tcp-congestion=" + name)

    @unittest.skipUnless(shutil.which("ss"), "without ss(8) nobody sees what a server's socket has")
    def test_nothing_paces_on_the_loopback(self):
        """Whatever the system has, and though it is not said; but what is said is done."""
        for option in ["", "bbr"] if "bbr" in self.names() else [""]:
            daemon = self.daemon(root=self.root("r" + option), tcp_congestion=option)
            with socket.create_connection(("127.0.0.1", daemon.port)):
                said = subprocess.run(
                    ["ss", "-tinH", "state", "established", "sport", "=", ":%d" % daemon.port],
                    stdout=subprocess.PIPE, check=True, text=True).stdout
            self.assertEqual(bool(re.search(r"\bbbr", said)), option == "bbr", said)

    def test_one_that_there_is_not(self):
        conf = write_file(self.scratch("conf"), conf_text({
            "storage_root": self.root(), "listen_address": ["127.0.0.1"],
            "tcp_congestion": "no-such"}))
        ran = run(ftxferd() + ["-f", conf, "-l", "0"])
        self.assertEqual(ran.status, CONFIG, ran)
        self.assertRegex(ran.err, "tcp_congestion no-such: .*tcp_allowed_congestion_control")
        daemon = self.daemon()
        ran = self.transfer("upload", daemon, "n", self.scratch("local", b"x"),
                            "--tcp-congestion", "no-such")
        self.assertEqual(ran.status, USAGE, ran)
        self.assertRegex(ran.err, "no-such: .*tcp_allowed_congestion_control")
        self.assertEqual(daemon.reasons(), [])


if __name__ == "__main__":
    unittest.main()
