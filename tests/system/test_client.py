"""What ftxfer says, and how it exits, when a transfer cannot be: against the daemon and scripts."""

import os
import signal
import socket
import threading
import unittest

from harness import Program, SystemTest, ftxfer, mounted, run, without_proc
from wire import DEADLINE, REFUSED, Peer, content, read_file, request, size_message, write_file

# sysexits.h, as ftxfer(1) lists them
USAGE, NO_INPUT, NO_HOST, REFUSED_BY_SERVER, EXISTS, IO, AGAIN, PROTOCOL = (
    64, 66, 68, 69, 73, 74, 75, 76)


class ClientTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.local = self.scratch("local", content(5000))
        self.there = self.scratch("there")
        os.mkdir(self.there)
        self.target = os.path.join(self.there, "target")

    def assert_says(self, ran, status, pattern):
        """That exit status, and one line on standard error that says why; nothing else anywhere."""
        self.assertEqual(ran.status, status, ran)
        lines = ran.err.splitlines()
        self.assertEqual(len(lines), 1, ran)
        self.assertRegex(lines[0], "(?i)" + pattern)
        self.assertEqual(ran.out, "", ran)
        self.assertEqual(os.listdir(self.there), [], "nothing is left beside the target")

    def assert_upload(self, server, name, status, pattern, *args):
        self.assert_says(self.transfer("upload", server, name, self.local, *args), status, pattern)

    def assert_download(self, server, name, status, pattern, *args):
        self.assert_says(self.transfer("download", server, name, self.target, *args), status,
                         pattern)


class TestRefusedByTheDaemon(ClientTest):
    def setUp(self):
        super().setUp()
        self.server = self.daemon(max_file_size=4000)
        os.mkdir(self.server.path("sub"))
        write_file(self.server.path("n"), b"data")

    def test_exists(self):
        self.assert_upload(self.server, "n", EXISTS, r"\bexists|in use|found on the server")
        self.assertEqual(read_file(self.server.path("n")), b"data")

    def test_not_found(self):
        self.assert_download(self.server, "no", REFUSED_BY_SERVER, r"not found|no such file")

    def test_busy(self):
        peer = self.started_upload(self.server, "m", 4)
        self.assert_upload(self.server, "m", EXISTS, r"exists|in use|busy|transfer")
        self.assert_download(self.server, "m", REFUSED_BY_SERVER, r"not found|in use|no such file")
        peer.send(b"data")
        self.assertEqual(peer.rest(), (b"", "fin"))

    def test_rejected(self):
        for name in ("..", "../x", "/etc/passwd", "sub/", "sub", ".ftxferd", "no/n", "a\x01b"):
            with self.subTest(name=name):
                self.assert_upload(self.server, name, REFUSED_BY_SERVER, r"reject|refus|server")
                self.assert_download(self.server, name, REFUSED_BY_SERVER, r"reject|refus|server")

    def test_refused_size(self):
        self.assert_upload(self.server, "m", REFUSED_BY_SERVER, r"space|large|limit|size")
        self.assertEqual(self.server.strays("sub", "n"), [])

    def test_old_target_stays(self):
        write_file(self.scratch("old"), b"old")
        ran = self.transfer("download", self.server, "no", self.scratch("old"))
        self.assertEqual(ran.status, REFUSED_BY_SERVER)
        self.assertEqual(read_file(self.scratch("old")), b"old")

    def test_quiet_still_says_why(self):
        self.assert_download(self.server, "no", REFUSED_BY_SERVER, r"not found|no such", "--quiet")

    def test_quiet_says_nothing_of_success(self):
        ran = self.transferred("download", self.server, "n", self.target, "--quiet")
        self.assertEqual((ran.out, ran.err), ("", ""))

    def test_no_terminal_no_progress(self):
        ran = self.transferred("download", self.server, "n", self.target)
        self.assertNotIn("\r", ran.err + ran.out)
        self.assertNotIn("\x1b", ran.err + ran.out)


class TestHere(ClientTest):
    """What is wrong on this side."""

    def test_no_such_local_file(self):
        def nobody(peer):
            self.assertEqual(peer.rest()[0], b"")
        server = self.script(nobody)
        self.local = self.scratch("no")
        self.assert_upload(server, "n", NO_INPUT, r"\bno\b")

    def test_local_file_is_a_directory(self):
        server = self.daemon()
        self.local = self.there
        self.assert_upload(server, "n", NO_INPUT, r"regular|directory")
        self.assertEqual(server.strays(), [])

    def test_target_is_a_directory(self):
        server = self.daemon()
        write_file(server.path("n"), b"data")
        self.target = self.there
        self.assert_download(server, "n", 73, r"directory|regular")

    def test_target_in_a_missing_directory(self):
        server = self.daemon()
        write_file(server.path("n"), b"data")
        self.target = os.path.join(self.there, "no", "target")
        self.assert_download(server, "n", 73, r"directory|create")

    def test_no_local_space(self):
        """On a file system of a MiB: the server hears an F, and the exit code is 74."""
        def offer(peer):
            self.assertEqual(peer.receive(256), request(b"D", "n"))
            peer.send(b"T" + size_message(2 << 20))
            return peer.rest()
        server = self.script(offer)
        argv = mounted(self.there, 1 << 20, ftxfer() + [
            "-m", "download", "-s", server.where, "-v", "n", "-l", self.target])
        self.assert_says(run(argv), IO, "space")
        self.assertEqual(server.end(), (b"F", "fin"))

    def test_usage(self):
        server = self.daemon()
        for args in (["--nonsense"], ["-m", "sideways"], ["-s", ""], ["-s", "127.0.0.1:99999"],
                     ["-s", "127.0.0.1:x"], ["-s", "127.0.0.1:"], ["-l", ""], ["-m"], ["stray"],
                     ["-v", "n" * 256, "-s", server.where], ["-v", "", "-s", server.where],
                     ["--timeout", "x"], ["-s", "127.0.0.1:0"]):
            with self.subTest(args=args):
                ran = run(ftxfer() + args)
                self.assertEqual(ran.status, USAGE, ran)
                self.assertEqual(ran.out, "")
                self.assertTrue(ran.err)

    def test_help_and_version(self):
        for flag in ("-h", "--help", "-?", "--usage"):
            ran = run(ftxfer() + [flag])
            self.assertEqual((ran.status, ran.err), (0, ""), flag)
            for option in ("--mode", "--server", "--server-file-name", "--client-file-name",
                           "--debug", "--quiet", "--timeout", "--connect-timeout"):
                self.assertIn(option, ran.out)
        for flag in ("-V", "--version"):
            ran = run(ftxfer() + [flag])
            self.assertEqual((ran.status, ran.err), (0, ""), flag)
            self.assertRegex(ran.out, r"ftxfer \d+\.\d+")

    def test_long_options_are_those_of_the_original(self):
        server = self.daemon()
        ran = run(ftxfer() + ["--mode", "upload", "--server", server.where, "--server-file-name",
                              "n", "--client-file-name", self.local, "--debug"])
        self.assertEqual(ran.status, 0, ran)
        self.assertEqual(read_file(server.path("n")), content(5000))


class TestReaching(ClientTest):
    def test_unknown_host(self):
        self.assert_download("host.invalid:50001", "n", NO_HOST, r"host\.invalid")
        self.assert_upload("host.invalid:50001", "n", NO_HOST, r"host\.invalid")

    def test_connection_refused(self):
        with socket.socket() as bound:  # bound, and nobody listens
            bound.bind(("127.0.0.1", 0))
            where = "127.0.0.1:%d" % bound.getsockname()[1]
            self.assert_download(where, "n", AGAIN, r"connect|refused")
            self.assert_upload(where, "n", AGAIN, r"connect|refused")

    def test_connect_timeout(self):
        """A listener whose queue is full answers nothing."""
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            others = [socket.socket() for _ in range(3)]
            for other in others:
                self.addCleanup(other.close)
                other.setblocking(False)
                other.connect_ex(full.getsockname())
            where = "127.0.0.1:%d" % full.getsockname()[1]
            self.assert_download(where, "n", AGAIN, r"time|connect", "--connect-timeout", "0.5s")


class TestScriptedServer(ClientTest):
    """A peer that does what no server should."""

    def play(self, mode, answers, then=None, args=(), take=None):
        """Answers each message in turn; `answers` is for (message size, answer) pairs."""
        def script(peer):
            for size, answer in answers:
                peer.receive(size)
                peer.send(answer)
            if take:
                peer.receive(take)
            if then:
                then(peer)
            else:
                peer.rest()
        server = self.script(script)
        local = self.local if mode == "upload" else self.target
        ran = self.transfer(mode, server, "n", local, *args)
        server.end()
        return ran

    def test_nonsense(self):
        for mode, answers in (
                ("download", [(256, b"X" + REFUSED)]), ("download", [(256, b"\0" * 9)]),
                ("download", [(256, b"t" + size_message(1))]),
                ("upload", [(256, b"X")]), ("upload", [(256, b"\0")]),
                ("upload", [(256, b"T"), (8, b"X")])):
            with self.subTest(mode=mode, answers=answers):
                self.assert_says(self.play(mode, answers), PROTOCOL, r".")

    def test_impossible_sizes(self):
        """Nonsense, or more than there can be room for: either is true."""
        for size in (1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
            with self.subTest(size=size):
                ran = self.play("download", [(256, b"T" + size_message(size))])
                self.assert_says(ran, PROTOCOL if ran.status == PROTOCOL else IO, r"space|larg|siz")

    def test_refusals(self):
        for mode, answers, status in (
                ("download", [(256, b"F" + REFUSED)], REFUSED_BY_SERVER),
                ("download", [(256, b"E" + REFUSED)], REFUSED_BY_SERVER),
                ("upload", [(256, b"F")], EXISTS), ("upload", [(256, b"E")], REFUSED_BY_SERVER),
                ("upload", [(256, b"T"), (8, b"F")], REFUSED_BY_SERVER),
                ("upload", [(256, b"T"), (8, b"E")], REFUSED_BY_SERVER)):
            with self.subTest(mode=mode, answers=answers):
                self.assert_says(self.play(mode, answers), status, r".")

    def test_refusal_that_is_reset_at_once(self):
        """The answer that lies in the socket is read before the reset is reported."""
        def refuse(peer):
            peer.wait_sent()
            peer.reset()
        ran = self.play("upload", [(256, b"F")], refuse)
        self.assert_says(ran, EXISTS, r".")

    def test_peer_leaves_early(self):
        offer = b"T" + size_message(10)
        for how in (Peer.close, Peer.reset):
            for mode, answers, take in (
                    ("download", [], 256), ("download", [(256, b"T")], None),
                    ("download", [(256, offer)], 1),
                    ("download", [(256, offer), (1, b"12345")], None),
                    ("upload", [], 256), ("upload", [(256, b"T")], 8),
                    ("upload", [(256, b"T"), (8, b"T")], 4999)):
                with self.subTest(how=how.__name__, mode=mode, answers=answers):
                    ran = self.play(mode, answers, how, take=take)
                    self.assert_says(ran, AGAIN, r"clos|reset|lost|early")

    def test_silent_peer(self):
        offer = b"T" + size_message(10)
        for mode, answers in (("download", []), ("download", [(256, offer)]),
                              ("download", [(256, offer), (1, b"12345")]),
                              ("upload", []), ("upload", [(256, b"T")])):
            with self.subTest(mode=mode, answers=answers):
                ran = self.play(mode, answers, args=("--timeout", "0.5s"))
                self.assert_says(ran, AGAIN, r"time|long|nothing")

    def test_upload_ends_with_the_close(self):
        """The server's FIN says that the file is there; a reset, or nothing, that it may not be."""
        answers = [(256, b"T"), (8, b"T")]
        ran = self.play("upload", answers, Peer.close, take=5000)
        self.assertEqual(ran.status, 0, ran)
        self.assert_says(self.play("upload", answers, Peer.reset, take=5000), AGAIN, r".")
        ran = self.play("upload", answers, take=5000, args=("--close-timeout", "0.5s"))
        self.assert_says(ran, AGAIN, r".")

    def test_end_of_file_before_the_last_byte_is_no_success(self):
        with open(self.local, "wb") as file:
            file.truncate(64 << 20)

        def leave_half(peer):
            peer.finish()
            peer.rest()
        ran = self.play("upload", [(256, b"T"), (8, b"T")], leave_half, take=1000)
        self.assert_says(ran, AGAIN, r".")

    def test_upload_never_closes_first(self):
        def patient(peer):
            self.assertTrue(peer.is_quiet(1), "the client said or ended something")
        ran = self.play("upload", [(256, b"T"), (8, b"T")], patient, take=5000)
        self.assertEqual(ran.status, 0, ran)

    def test_more_than_announced(self):
        """What is beyond the announced size never reaches a file."""
        def excess(peer):
            peer.receive(1)
            peer.send(b"0123456789" + b"x" * 50)
            peer.rest()
        ran = self.play("download", [(256, b"T" + size_message(10))], excess)
        if ran.status == 0:
            self.assertEqual(read_file(self.target), b"0123456789")
        else:
            self.assert_says(ran, PROTOCOL, r".")

    def test_old_target_stays_when_the_peer_leaves(self):
        write_file(self.target, b"old")
        ran = self.play("download", [(256, b"T" + size_message(10)), (1, b"12345")], Peer.close)
        self.assertEqual(ran.status, AGAIN, ran)
        self.assertEqual(read_file(self.target), b"old")
        self.assertEqual(os.listdir(self.there), ["target"])

    def test_killed_with_a_temporary_name(self):
        """The same where the temporary file has a name from the start."""
        self.test_killed(lambda argv: without_proc(self.root("proc"), argv))

    def test_killed(self, wrap=list):
        """A download that is ended by a signal leaves nothing beside its target."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                under_way = threading.Event()

                def script(peer):
                    peer.receive(256)
                    peer.send(b"T" + size_message(100))
                    peer.receive(1)
                    peer.send(b"some")
                    peer.wait_sent()
                    under_way.set()
                    peer.rest()
                server = self.script(script)
                client = Program(wrap(ftxfer() + ["-s", server.where, "-v", "n", "-l",
                                                  self.target]), self.dir, "killed")
                self.addCleanup(client.process.kill)
                self.assertTrue(under_way.wait(DEADLINE))
                self.assertNotEqual(client.stop(number), 0)
                self.assertEqual(os.listdir(self.there), [])
                server.end()

    def test_what_was_ignored_stays_ignored(self):
        """nohup ftxfer: what was to be ignored when it began ends no transfer."""
        under_way, heard = threading.Event(), threading.Event()

        def script(peer):
            peer.receive(256)
            peer.send(b"T" + size_message(10))
            peer.receive(1)
            peer.send(b"01234")
            peer.wait_sent()
            under_way.set()
            heard.wait(DEADLINE)
            peer.send(b"56789")
            peer.rest()
        server = self.script(script)
        client = Program(ftxfer() + ["-s", server.where, "-v", "n", "-l", self.target], self.dir,
                         "nohup", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.addCleanup(client.process.kill)
        self.assertTrue(under_way.wait(DEADLINE))
        client.send_signal(signal.SIGHUP)
        heard.set()
        self.assertEqual(client.wait(), 0, client.err())
        self.assertEqual(read_file(self.target), b"0123456789")
        server.end()


if __name__ == "__main__":
    unittest.main()
