"""Our programs with the original ones (their model): both roles, both ways, either proxy."""

import os
import threading
import time
import unittest

import model
from harness import SLOW, SystemTest, ftxfer, mounted, run
from wire import content, read_file, write_file

SIZES = (1, 255, 256, 2047, 2048, 2049, 65536)
PAUSE = 0.002  # instead of the original 0.1 s, where that would only cost time


class OriginalTest(SystemTest):
    def model_server(self, **kwargs):
        self.made += 1
        root = self.root("model-root-%d" % self.made)
        server = model.Server(root, **kwargs)
        self.addCleanup(server.close)
        server.where = "127.0.0.1:%d" % server.port
        server.path = lambda name: os.path.join(root, name)
        return server

    def model_proxy(self, server, delay=PAUSE):
        proxy = model.Proxy(("127.0.0.1", server.port), delay=delay, seed=1)
        self.addCleanup(proxy.close)
        proxy.where = "127.0.0.1:%d" % proxy.port
        proxy.address = ("127.0.0.1", proxy.port)
        return proxy

    def model_client(self, mode, server, name, local, **kwargs):
        return model.Client(("127.0.0.1", server.port), local, name, **kwargs).run(mode)


class TestTheirClient(OriginalTest):
    """The original client and ftxferd."""

    weight = 10

    def both_ways(self, daemon, way, size):
        data = content(size)
        name, local, back = "n%d" % size, self.scratch("up", data), self.scratch("down")
        before = len(daemon.reasons())
        self.assertEqual(self.model_client("upload", way, name, local), "ok")
        self.assertEqual(daemon.ended(before + 1)[before:], ["ok"])
        self.assertEqual(read_file(daemon.path(name)), data)
        self.assertEqual(self.model_client("download", way, name, back), "ok")
        self.assertEqual(read_file(back), data)
        self.assertEqual(daemon.ended(before + 2)[before:], ["ok", "ok"])
        os.unlink(daemon.path(name))
        self.assertEqual(daemon.strays(), [])

    def sizes(self, daemon, way):
        for size in SIZES:
            with self.subTest(size=size):
                self.both_ways(daemon, way, size)

    def test_directly(self):
        daemon = self.daemon()
        self.sizes(daemon, daemon)

    def test_through_their_proxy(self):
        daemon = self.daemon()
        self.sizes(daemon, self.model_proxy(daemon))

    def test_through_stammerproxy(self):
        daemon = self.daemon()
        self.sizes(daemon, self.proxy(daemon, "--delay", str(PAUSE), "--seed", "1"))

    def test_through_their_proxy_at_its_own_pace(self):
        daemon = self.daemon()
        self.both_ways(daemon, self.model_proxy(daemon, delay=0.1), 2048)

    @unittest.skipUnless(SLOW, "takes longer than the time in which a rate is looked at")
    def test_their_proxys_pace_is_fast_enough(self):
        """5 KB/s, both ways at once, for longer than 30 s: min_rate lets it pass."""
        daemon = self.daemon()
        size = 200000
        write_file(daemon.path("down"), content(size))
        way = self.model_proxy(daemon, delay=0.1)
        local = [self.scratch("up", content(size)), self.scratch("back")]
        results = {}

        def play(mode, name, path):
            results[mode] = self.model_client(mode, way, name, path, deadline=120)
        threads = [threading.Thread(target=play, args=args, daemon=True)
                   for args in (("upload", "up", local[0]), ("download", "down", local[1]))]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertGreater(time.monotonic() - started, 31)
        self.assertEqual(results, {"upload": "ok", "download": "ok"})
        self.assertEqual(daemon.ended(2), ["ok", "ok"])
        for path in (daemon.path("up"), local[1]):
            self.assertEqual(read_file(path), content(size))

    def test_through_both_proxies(self):
        daemon = self.daemon()
        inner = self.proxy(daemon, "--delay", str(PAUSE), "--seed", "1")
        self.both_ways(daemon, self.model_proxy(inner), 5000)

    def test_empty_file(self):
        daemon = self.daemon()
        self.assertEqual(self.model_client("upload", daemon, "n", self.scratch("up", b"")), "ok")
        self.assertEqual(daemon.ended(1), ["ok"])
        self.assertEqual(read_file(daemon.path("n")), b"")
        self.assertEqual(self.model_client("download", daemon, "n", self.scratch("down")), "ok")
        self.assertEqual(daemon.ended(2), ["ok", "ok"])

    def test_refusals(self):
        daemon = self.daemon(max_file_size=10)
        os.mkdir(daemon.path("sub"))
        write_file(daemon.path("n"), b"x")
        local = self.scratch("local", b"0123456789x")
        for way in (daemon, self.model_proxy(daemon), self.proxy(daemon, "--delay", str(PAUSE))):
            for mode, name, said in (("upload", "n", "exists"), ("download", "no", "not found"),
                                     ("upload", "no/n", "rejected"), ("upload", "..", "rejected"),
                                     ("download", "sub", "rejected"), ("upload", "m", "no space")):
                with self.subTest(mode=mode, name=name, way=type(way).__name__):
                    self.assertEqual(self.model_client(mode, way, name, local), said)
        self.assertEqual(daemon.strays("sub", "n"), [])
        self.assertNotIn("ok", daemon.ended(18))

    def test_name_with_white_space(self):
        daemon = self.daemon()
        local = self.scratch("up", b"x")
        self.assertEqual(self.model_client("upload", daemon, " n\n", local), "ok")
        daemon.ended(1)
        self.assertEqual(read_file(daemon.path("n")), b"x")

    def test_name_of_255_bytes(self):
        daemon = self.daemon()
        name = "n" * 255
        self.assertEqual(self.model_client("upload", daemon, name, self.scratch("up", b"x")), "ok")
        daemon.ended(1)
        self.assertEqual(self.model_client("download", daemon, name, self.scratch("down")), "ok")
        self.assertEqual(read_file(self.scratch("down")), b"x")


class TestTheirServer(OriginalTest):
    """ftxfer and the original server."""

    weight = 10

    def both_ways(self, server, way, size):
        data = content(size)
        name, local, back = "n%d" % size, self.scratch("up", data), self.scratch("down")
        before = len(server.outcomes)
        self.transferred("upload", way, name, local)
        self.assertEqual(server.settled(before + 1)[before], "upload %s ok" % name)
        self.assertEqual(read_file(server.path(name)), data)
        self.transferred("download", way, name, back)
        self.assertEqual(read_file(back), data)
        self.assertEqual(server.settled(before + 2)[before + 1], "download %s ok" % name)

    def sizes(self, server, way):
        for size in SIZES:
            with self.subTest(size=size):
                self.both_ways(server, way, size)

    def test_directly(self):
        server = self.model_server()
        self.sizes(server, server)

    def test_through_their_proxy(self):
        server = self.model_server()
        self.sizes(server, self.model_proxy(server))

    def test_through_stammerproxy(self):
        server = self.model_server()
        self.sizes(server, self.proxy(server, "--delay", str(PAUSE), "--seed", "1"))

    def test_through_their_proxy_at_its_own_pace(self):
        server = self.model_server()
        self.both_ways(server, self.model_proxy(server, delay=0.1), 2048)

    def test_empty_file(self):
        """Theirs creates nothing; ours does."""
        server = self.model_server()
        self.transferred("upload", server, "n", self.scratch("up", b""))
        self.assertEqual(server.settled(1), ["upload n ok"])
        write_file(server.path("n"), b"")
        self.transferred("download", server, "n", self.scratch("down"))
        self.assertEqual(read_file(self.scratch("down")), b"")

    def test_refusals(self):
        server = self.model_server(space=10)
        write_file(server.path("n"), b"x")
        local = self.scratch("local", b"0123456789x")
        for way in (server, self.model_proxy(server), self.proxy(server, "--delay", str(PAUSE))):
            for mode, name, status in (("upload", "n", 73), ("download", "no", 69)):
                with self.subTest(mode=mode, name=name, way=type(way).__name__):
                    ran = self.transfer(mode, way, name, local)
                    self.assertEqual(ran.status, status, ran)

    def test_refused_size_though_it_never_closes(self):
        server = self.model_server(space=10)
        ran = self.transfer("upload", server, "n", self.scratch("local", b"0123456789x"))
        self.assertEqual(ran.status, 69, ran)

    def test_declined_for_want_of_space(self):
        """Their server takes our F and closes."""
        server = self.model_server()
        write_file(server.path("n"), bytes(2 << 20))
        there = self.root("there")
        argv = mounted(there, 1 << 20, ftxfer() + [
            "-m", "download", "-s", server.where, "-v", "n", "-l", os.path.join(there, "f")])
        self.assertEqual(run(argv).status, 74)
        self.assertEqual(server.settled(1), ["download n declined"])

    def test_reset_through_their_proxy_is_no_evidence(self):
        """It makes a reset an end of file: then only the close counts, as the page says."""
        daemon = self.daemon()
        proxy = self.model_proxy(daemon, delay=0)
        peer = self.started_upload(proxy, "n", 4, b"da")
        write_file(daemon.path("n"), b"by hand")
        peer.send(b"ta")
        self.assertEqual(peer.rest()[1], "fin")
        self.assertEqual(read_file(daemon.path("n")), b"by hand")

    def test_a_reset_reaches_us_through_ours(self):
        daemon = self.daemon()
        proxy = self.proxy(daemon, "--delay", "0")
        peer = self.started_upload(proxy, "n", 4, b"da")
        write_file(daemon.path("n"), b"by hand")
        peer.send(b"ta")
        self.assertEqual(peer.rest()[1], "reset")


if __name__ == "__main__":
    unittest.main()
