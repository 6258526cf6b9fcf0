"""What the daemon refuses: the letter, the end of the connection, the reason in the log, and that
nothing is left behind. How ftxfer tells a person is in test_client.py."""

import os
import socket
import threading
import unittest

from harness import Listener, SystemTest, conf_text, descriptors, ftxferd, mounted
from wire import Peer, REFUSED, content, read_file, request, size_message, wait_for, write_file

KINDS = (b"U", b"D")


class RefusalTest(SystemTest):
    def assert_refused(self, daemon, message, letter, reasons, kind=None):
        """Sends a request: its answer is `letter`, then FIN; its log line says one of reasons."""
        kind = kind or message[:1]
        peer = self.peer(daemon)
        peer.send(message)
        answer = letter + (REFUSED if kind == b"D" else b"")
        self.assertEqual(peer.rest(), (answer, "fin"))
        peer.close()
        reason = daemon.reason(peer)
        self.assertIn(reason, (reasons,) if isinstance(reasons, str) else reasons)

    def assert_size_refused(self, daemon, name, size, reasons):
        peer = self.peer(daemon)
        peer.send(request(b"U", name))
        self.assertEqual(peer.receive(1), b"T")
        peer.send(size_message(size))
        self.assertEqual(peer.rest(), (b"F", "fin"))
        peer.close()
        self.assertIn(daemon.reason(peer), reasons)

    def assert_free(self, daemon, name="n"):
        """Nothing is left of earlier tries, and the name can be uploaded."""
        self.assertEqual(daemon.strays(), [])
        self.upload(daemon, name, b"free")
        self.assertEqual(read_file(daemon.path(name)), b"free")


class TestNames(RefusalTest):
    def assert_bad(self, fields, kinds=KINDS):
        daemon = self.daemon()
        os.mkdir(daemon.path("sub"))
        write_file(daemon.path("n"), b"x")
        for field in fields:
            for kind in kinds:
                with self.subTest(field=field, kind=kind):
                    message = request(kind, None, field.ljust(255, b"\0"))
                    self.assert_refused(daemon, message, b"E", "bad-name")
        self.assertEqual(daemon.strays("sub", "n"), [])
        self.assertEqual(os.listdir(self.dir).count("x"), 0)

    def test_empty(self):
        self.assert_bad((b"", b" ", b" \t\r\n\v\f ", b" " * 255, b".", b" . ", b"././."))

    def test_absolute(self):
        self.assert_bad((b"/", b"//", b"/n", b"//n", b"/etc/passwd", b" /n"))

    def test_climbing(self):
        self.assert_bad((b"..", b"../x", b"../root/n", b"sub/..", b"sub/../n", b"sub/../../x",
                         b"a/..", b"./..", b".//../x", b"sub/..//n", b" ..", b"../" * 85))

    def test_trailing_slash(self):
        self.assert_bad((b"n/", b"sub/", b"new/", b"sub//", b"sub/n/", b"./", b"n/ "[:2]))

    def test_nul_inside(self):
        self.assert_bad((b"n\0x", b"\0n", b"n\0\0x", b"\0" * 254 + b"n", b"new\0" + b"x" * 251,
                         b"n\0 ", b"n\0\n", b"n" * 253 + b"\0n"))

    def test_control_characters(self):
        inside = [b"a%cb" % byte for byte in list(range(1, 32)) + [127]]
        self.assert_bad(inside + [b"\x01", b"n\x7f", b"\x1b[31mn", b"a \n b", b"sub/\nn",
                                  b"n\xc2\x85", b"\xc2\x9b31mn"], (b"U",))

    def test_no_utf8(self):
        self.assert_bad((b"\xff", b"caf\xe9", b"a\xc0\xafb", b"\xc0\xae\xc0\xae/n",
                         b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"n\xe6\x96"), (b"U",))

    def test_too_deep(self):
        daemon = self.daemon(max_depth=3)
        os.makedirs(daemon.path("a/b/c/d"))
        for name in ("a/b/c/n", "./a//b/./c/n"):
            self.upload(daemon, name, b"data")
            self.assertEqual(self.download(daemon, name), b"data")
            os.unlink(daemon.path(name))
        write_file(daemon.path("a/b/c/d/n"), b"data")
        for kind in KINDS:
            self.assert_refused(daemon, request(kind, "a/b/c/d/n"), b"E", "too-deep")

    def test_reserved(self):
        self.assert_bad((b".ftxferd", b"./.ftxferd", b"sub/.ftxferd", b".ftxferd/n",
                         b"sub/.ftxferd/n", b" .ftxferd ", b".ftxferd-", b".ftxferd-0123456789",
                         b"sub/.ftxferd-x", b".ftxferd-x/n"))


class TestKindsOfFiles(RefusalTest):
    def setUp(self):
        super().setUp()
        self.server = daemon = self.daemon()
        os.mkdir(daemon.path("sub"))
        write_file(daemon.path("n"), b"x")
        write_file(daemon.path("sub/n"), b"x")
        write_file(self.scratch("outside"), b"secret")
        os.mkfifo(daemon.path("fifo"))
        with socket.socket(socket.AF_UNIX) as bound:
            here = os.getcwd()
            os.chdir(daemon.root)  # a socket's path has 107 bytes at most
            try:
                bound.bind("socket")
            finally:
                os.chdir(here)
        for link, target in (("link", "n"), ("dangling", "no"), ("out", "../outside"),
                             ("dir", "sub"), ("up", ".."), ("abs", self.scratch("outside")),
                             ("loop", "loop")):
            os.symlink(target, daemon.path(link))
        self.before = sorted(daemon.files())

    def assert_each(self, names, kinds, letter, reasons):
        for name in names:
            for kind in kinds:
                with self.subTest(name=name, kind=kind):
                    self.assert_refused(self.server, request(kind, name), letter, reasons)
        self.assertEqual(sorted(self.server.files()), self.before)
        self.assertEqual(read_file(self.scratch("outside")), b"secret")

    def test_not_regular(self):
        self.assert_each(("sub", "fifo", "socket"), KINDS, b"E", "not-regular")

    def test_symlinks(self):
        self.assert_each(("link", "dangling", "out", "abs", "dir", "up", "loop"), KINDS, b"E",
                         "not-regular")

    def test_symlinked_parents(self):
        names = ("dir/n", "dir/new", "up/outside", "up/new", "loop/n", "dangling/n")
        self.assert_each(names, KINDS, b"E", ("no-parent", "not-regular", "bad-name"))

    def test_missing_directory(self):
        self.assert_each(("no/n", "no/no/n", "sub/no/n"), KINDS, b"E", "no-parent")

    def test_parent_is_a_file(self):
        self.assert_each(("n/n", "sub/n/n", "fifo/n"), KINDS, b"E", ("no-parent", "not-regular"))

    def test_not_found(self):
        self.assert_each(("no", "sub/no", "./no", " no "), (b"D",), b"F", "not-found")

    def test_exists(self):
        self.assert_each(("n", "sub/n", "./n", "sub//n", " n "), (b"U",), b"F", "exists")


class TestBusy(RefusalTest):
    def test_upload_of_a_name_being_uploaded(self):
        daemon = self.daemon()
        os.mkdir(daemon.path("sub"))
        first = self.started_upload(daemon, "sub/n", 4)
        for name in ("sub/n", "sub//n", "./sub/n", " sub/./n "):
            self.assert_refused(daemon, request(b"U", name), b"F", "busy")
        first.send(b"data")
        self.assertEqual(first.rest(), (b"", "fin"))
        self.assertEqual(read_file(daemon.path("sub/n")), b"data")
        self.assert_refused(daemon, request(b"U", "sub/n"), b"F", "exists")

    def test_a_name_is_taken_from_the_answer_on(self):
        daemon = self.daemon()
        first = self.peer(daemon)
        first.send(request(b"U", "n"))
        self.assertEqual(first.receive(1), b"T")
        self.assert_refused(daemon, request(b"U", "n"), b"F", "busy")
        self.assert_refused(daemon, request(b"D", "n"), b"F", ("busy", "not-found"))
        first.close()
        daemon.ended(3)
        self.assert_free(daemon)

    def test_download_of_a_name_being_uploaded(self):
        daemon = self.daemon()
        first = self.started_upload(daemon, "n", 4, b"da")
        self.assert_refused(daemon, request(b"D", "n"), b"F", ("busy", "not-found"))
        first.send(b"ta")
        self.assertEqual(first.rest(), (b"", "fin"))
        self.assertEqual(self.download(daemon, "n"), b"data")

    def test_upload_of_a_name_being_downloaded(self):
        daemon = self.daemon()
        write_file(daemon.path("n"), b"data")
        first = self.started_download(daemon, "n", 4)
        self.assert_refused(daemon, request(b"U", "n"), b"F", ("busy", "exists"))
        os.unlink(daemon.path("n"))
        self.assert_refused(daemon, request(b"U", "n"), b"F", "busy")
        first.send(b"T")
        self.assertEqual(first.rest(), (b"data", "fin"))
        first.close()
        daemon.ended(3)
        self.assert_free(daemon)

    def test_two_downloads_are_no_conflict(self):
        daemon = self.daemon()
        write_file(daemon.path("n"), b"data")
        peers = [self.started_download(daemon, "n", 4) for _ in range(3)]
        for peer in peers:
            peer.send(b"T")
            self.assertEqual(peer.rest(), (b"data", "fin"))

    def test_refused_uploads_do_not_disturb_downloads(self):
        """That somebody asks to upload an existing name does not make it busy for its readers."""
        daemon = self.daemon()
        write_file(daemon.path("n"), b"data")
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                with Peer(daemon.address) as peer:
                    peer.send(request(b"U", "n"))
                    if peer.rest() != (b"F", "fin"):
                        return
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(300):
                self.assertEqual(self.download(daemon, "n"), b"data")
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)

    def test_uploads_in_the_same_instant_one_wins(self):
        daemon = self.daemon()
        count, rounds = 8, 25
        for turn in range(rounds):
            peers = [Peer(daemon.address) for _ in range(count)]
            start = threading.Barrier(count)
            answers = []

            def ask(peer):
                start.wait()
                peer.send(request(b"U", "n%d" % turn))
                answers.append((peer.receive(1), peer))
            threads = [threading.Thread(target=ask, args=(peer,)) for peer in peers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(letter for letter, _ in answers), [b"F"] * (count - 1) + [b"T"])
            winner = next(peer for letter, peer in answers if letter == b"T")
            winner.send(size_message(4))
            self.assertEqual(winner.receive(1), b"T")
            winner.send(b"data")
            self.assertEqual(winner.rest(), (b"", "fin"))
            for peer in peers:
                peer.close()
        self.assertEqual(len(daemon.strays()), rounds)


class TestSizes(RefusalTest):
    HUGE = ((1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 62)

    def test_over_the_limit(self):
        daemon = self.daemon(max_file_size="1M")
        for size in (1048577, 5 << 30) + self.HUGE:
            with self.subTest(size=size):
                self.assert_size_refused(daemon, "n", size, ("too-large",))
        data = content(1048576)
        self.upload(daemon, "n", data)
        self.assertEqual(read_file(daemon.path("n")), data)

    def test_over_the_space(self):
        daemon = self.daemon()
        for size in self.HUGE:
            with self.subTest(size=size):
                self.assert_size_refused(daemon, "n", size, ("no-space", "too-large"))
        self.assert_free(daemon)

    def test_promised_space(self):
        """On 16 MiB of its own: what one upload was promised is not there for others."""
        root = self.root()
        conf = write_file(self.scratch("conf"), conf_text(
            {"storage_root": root, "listen_address": ["127.0.0.1"], "grace_time": 1}))
        argv = mounted(root, 16 << 20, ftxferd() + ["-f", conf, "-l", "0"])
        daemon = Listener(argv, self.dir, "small")
        self.addCleanup(daemon.stop)
        mib = 1 << 20

        def refused(size):
            peer = self.peer(daemon)
            peer.send(request(b"U", "refused"))
            self.assertEqual(peer.receive(1), b"T")
            peer.send(size_message(size))
            self.assertEqual(peer.rest(), (b"F", "fin"))
            peer.close()
        refused(17 * mib)
        first = self.started_upload(daemon, "first", 10 * mib)
        refused(10 * mib)
        second = self.started_upload(daemon, "second", 5 * mib)
        second.close()
        first.send(content(10 * mib))
        self.assertEqual(first.rest(), (b"", "fin"))
        first.close()
        daemon.ended(4)
        refused(10 * mib)
        self.upload(daemon, "third", content(5 * mib))
        self.assertEqual(self.download(daemon, "first"), content(10 * mib))
        self.assertEqual(self.download(daemon, "third"), content(5 * mib))


class TestBytes(RefusalTest):
    def test_unknown_first_byte(self):
        daemon = self.daemon()
        for byte in range(256):
            if byte not in b"DU\xf7":
                peer = self.peer(daemon)
                peer.send(bytes([byte]))
                self.assertEqual(peer.rest(), (b"", "fin"), byte)
                peer.close()
        self.assertEqual(set(daemon.ended(253)), {"protocol-error"})

    def test_unknown_first_byte_of_much(self):
        daemon = self.daemon()
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(100000), b"u" * 256, b"d" * 256):
            peer = self.peer(daemon)
            peer.send(data)
            data, end = peer.rest()
            self.assertEqual(data, b"")
            self.assertNotEqual(end, "open")
        self.assertEqual(set(daemon.ended(4)), {"protocol-error"})

    def test_more_than_announced(self):
        """Reset, nothing published, whatever the segments."""
        daemon = self.daemon()
        for size, data in ((10, b"x" * 11), (1, b"xx"), (5, b"x" * 100000), (0, b"x"),
                           (300000, content(300001))):
            with self.subTest(size=size, sent=len(data)):
                peer = self.peer(daemon)
                peer.send(request(b"U", "n") + size_message(size) + data)
                answers, end = peer.rest()
                self.assertTrue(b"TT".startswith(answers), answers)
                self.assertEqual(end, "reset")
                self.assertEqual(daemon.reason(peer), "excess-bytes")
                wait_for(lambda: not daemon.strays(), "the stage to go")
        self.assert_free(daemon)

    def test_more_than_announced_a_moment_later(self):
        daemon = self.daemon()
        peer = self.started_upload(daemon, "n", 10, b"x" * 5)
        peer.wait_sent()
        peer.send(b"x" * 6)
        self.assertEqual(peer.rest(), (b"", "reset"))
        self.assertEqual(daemon.ended(1), ["excess-bytes"])
        self.assert_free(daemon)

    def test_fewer_than_announced(self):
        daemon = self.daemon()
        for size, data in ((10, b"x" * 9), (1, b""), (300000, content(299999))):
            with self.subTest(size=size):
                peer = self.started_upload(daemon, "n", size, data)
                peer.finish()
                self.assertNotEqual(peer.rest()[1], "open")
                self.assertEqual(daemon.reason(peer), "peer-closed")
                wait_for(lambda: not daemon.strays(), "the stage to go")
        self.assert_free(daemon)

    def test_confirmation(self):
        daemon = self.daemon()
        write_file(daemon.path("n"), b"data")
        for letter, reason in ((b"F", "declined"), (b"X", "protocol-error"),
                               (b"\0", "protocol-error"), (b"t", "protocol-error")):
            with self.subTest(letter=letter):
                peer = self.started_download(daemon, "n", 4)
                peer.send(letter)
                data, end = peer.rest()
                peer.close()
                self.assertEqual(data, b"")
                self.assertNotEqual(end, "open")
                self.assertEqual(daemon.reason(peer), reason)


class TestStageBytes(RefusalTest):
    def test_together(self):
        """What unfinished uploads were promised, until they have ended, however that is."""
        daemon = self.daemon(max_stage_bytes=100000)
        first = self.started_upload(daemon, "first", 60000, content(60000)[:-1])
        self.assert_size_refused(daemon, "n", 40001, ("stage-full",))
        second = self.started_upload(daemon, "second", 40000)
        self.assert_size_refused(daemon, "n", 1, ("stage-full",))
        first.send(content(60000)[-1:])
        self.assertEqual(first.rest(), (b"", "fin"))
        self.assert_size_refused(daemon, "n", 60001, ("stage-full",))
        self.upload(daemon, "third", content(60000))
        second.close()

        def fits():
            peer = self.peer(daemon)
            peer.send(request(b"U", "n") + size_message(100000))
            return peer if peer.receive(2) == b"TT" else peer.close()

        last = wait_for(fits, "the stage to go")
        last.send(content(100000))
        self.assertEqual(last.rest(), (b"", "fin"))


class TestHowARefusalEnds(RefusalTest):
    def test_answer_is_not_lost_behind_early_content(self):
        """The peer has sent on, so a plain close would reset, and might destroy the answer."""
        daemon = self.daemon(max_file_size=1000)
        write_file(daemon.path("n"), b"x")
        size = 500000
        for name, answer in (("n", b"F"), ("..", b"E"), ("new", b"TF")):
            with self.subTest(name=name):
                peer = self.peer(daemon)
                peer.send(request(b"U", name) + size_message(size) + content(size))
                peer.wait_sent()
                self.assertEqual(peer.rest(), (answer, "fin"))
                peer.close()

    def test_the_server_closes_though_the_peer_does_not(self):
        daemon = self.daemon()
        before = descriptors(daemon.pid)
        peers = [self.peer(daemon) for _ in range(5)]
        for peer in peers:
            peer.send(request(b"D", "no"))
            self.assertEqual(peer.rest(), (b"F" + REFUSED, "fin"))
        wait_for(lambda: descriptors(daemon.pid) <= before, "the server's close", 8)
        self.assertEqual(daemon.ended(5), ["not-found"] * 5)

    def test_a_peer_that_sends_for_ever_is_cut(self):
        daemon = self.daemon()
        before = descriptors(daemon.pid)
        peer = self.peer(daemon)
        peer.send(request(b"U", ".."))
        with self.assertRaises(ConnectionError):
            while True:
                peer.send(bytes(65536))
        wait_for(lambda: descriptors(daemon.pid) <= before, "the server's close", 8)


class TestLimits(RefusalTest):
    def assert_reset(self, daemon, **kwargs):
        try:
            with Peer(daemon.address, **kwargs) as peer:
                self.assertEqual(peer.rest(), (b"", "reset"))
        except ConnectionResetError:
            pass

    def test_max_connections(self):
        daemon = self.daemon(max_connections=3)
        write_file(daemon.path("n"), b"data")
        held = [self.started_download(daemon, "n", 4) for _ in range(3)]
        for _ in range(3):
            self.assert_reset(daemon)
        self.assertEqual(daemon.ended(3), ["limit"] * 3)
        held[0].send(b"T")
        self.assertEqual(held[0].rest(), (b"data", "fin"))
        held[0].close()
        daemon.ended(4)
        self.assertEqual(self.download(daemon, "n"), b"data")
        for peer in held[1:]:
            peer.send(b"T")
            self.assertEqual(peer.rest(), (b"data", "fin"))

    def test_max_connections_per_address(self):
        daemon = self.daemon(max_connections_per_address=2, listen_address=["127.0.0.1", "::1"])
        write_file(daemon.path("n"), b"data")
        # Whatever of this machine's loopback addresses they come from.
        held = [self.started_download(daemon, "n", 4, source="127.0.0.%d" % i) for i in (2, 3)]
        self.assert_reset(daemon, source="127.0.0.4")
        self.assertEqual(daemon.ended(1), ["limit"])
        self.assertEqual(self.download(("::1", daemon.port), "n"), b"data")
        held[0].close()
        daemon.ended(3)
        self.assertEqual(self.download(daemon, "n", source="127.0.0.4"), b"data")


if __name__ == "__main__":
    unittest.main()
