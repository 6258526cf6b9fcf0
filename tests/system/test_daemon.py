"""ftxferd as a process: start, signals, timeouts, descriptors, restart, states, rest."""

import os
import re
import signal
import time
import unittest

from harness import (SystemTest, conf_text, cpu_seconds, ftxferd, has_ipv6, listening_ports,
                     may_look_into, run, sanitizers, switches, without_proc)
from wire import Peer, content, read_file, request, wait_for, write_file

AGAIN = 75


class TestStart(SystemTest):
    def test_one_port_for_all_addresses(self):
        if not has_ipv6():
            self.skipTest("no IPv6 loopback here")
        daemon = self.daemon(listen_address=["127.0.0.1", "::1", "127.0.0.2"])
        wait_for(lambda: len(daemon.addresses()) == 3, "three addresses")
        hosts, ports = zip(*daemon.addresses())
        self.assertEqual([host.strip("[]") for host in hosts], ["127.0.0.1", "::1", "127.0.0.2"])
        self.assertEqual(len(set(ports)), 1)
        if may_look_into(daemon.pid):
            self.assertEqual(listening_ports(daemon.pid), set(ports))
        for host in ("127.0.0.1", "::1", "127.0.0.2"):
            self.upload((host, daemon.port), "n-" + host, b"x")

    def test_second_daemon_on_the_same_root(self):
        first = self.daemon()
        ran = run(ftxferd() + ["-f", first.conf, "-l", "0"])
        self.assertEqual(ran.status, AGAIN, ran)
        self.assertRegex(ran.err, r"(?i)another|in use|already|lock")
        self.upload(first, "n", b"x")

    def test_daemonize(self):
        root, pid_file = self.root(), self.scratch("pid")
        conf = write_file(self.scratch("conf"), conf_text({
            "storage_root": root, "listen_address": ["127.0.0.1"], "pid_file": pid_file}))
        ran = run(ftxferd() + ["-f", conf, "-l", "0", "--daemonize"], deadline=20)
        pid = int(read_file(pid_file))
        self.addCleanup(self.kill, pid)
        self.assertEqual(ran.status, 0, ran)
        port = int(re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", ran.out).group(1))
        self.upload(("127.0.0.1", port), "n", b"x")  # at once: the parent returns when it listens
        self.assertNotEqual(os.getsid(pid), os.getsid(0))
        if may_look_into(pid):
            self.assertEqual(listening_ports(pid), {port})
            self.assertEqual(os.readlink("/proc/%d/cwd" % pid), "/")
            self.assertEqual({os.readlink("/proc/%d/fd/%d" % (pid, fd)) for fd in range(3)},
                             {"/dev/null"})
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not self.alive(pid), "the daemon's end")
        self.assertFalse(os.path.exists(pid_file))

    def test_daemonize_that_fails_says_so(self):
        conf = write_file(self.scratch("conf"), conf_text({
            "storage_root": self.scratch("missing"), "pid_file": self.scratch("pid")}))
        ran = run(ftxferd() + ["-f", conf, "-l", "0", "--daemonize"], deadline=20)
        self.assertNotEqual(ran.status, 0, ran)
        self.assertIn(self.scratch("missing"), ran.err)

    def test_foreground_beats_daemonize(self):
        daemon = self.daemon(args=["-F"], daemonize=True)
        self.assertEqual(os.getsid(daemon.pid), os.getsid(0))

    @staticmethod
    def alive(pid):
        """A zombie that nobody waits for is at its end."""
        try:
            with open("/proc/%d/stat" % pid) as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    @staticmethod
    def kill(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class TestStop(SystemTest):
    def test_at_rest(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            daemon = self.daemon(grace_time=30, root=self.root("root%d" % number))
            self.upload(daemon, "n", b"x")
            started = time.monotonic()
            self.assertEqual(daemon.stop(number), 0)
            self.assertLess(time.monotonic() - started, 5)

    def test_under_nohup(self):
        daemon = self.daemon(
            popen={"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)})
        daemon.send_signal(signal.SIGHUP)
        self.upload(daemon, "n", b"x")
        self.assertTrue(daemon.running())
        self.assertEqual(daemon.stop(), 0)

    def test_who_has_asked_for_nothing_is_not_waited_for(self):
        daemon = self.daemon(grace_time=30)
        peer = self.peer(daemon)
        started = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        self.assertNotEqual(peer.rest()[1], "open")
        self.assertEqual(daemon.wait(5), 0)
        self.assertLess(time.monotonic() - started, 5)

    def test_transfers_get_their_time(self):
        daemon = self.daemon(grace_time=30)
        data = content(20000000)
        write_file(daemon.path("there"), data)
        up = self.started_upload(daemon, "n", 10, b"12345")
        down = self.started_download(daemon, "there", len(data))
        down.send(b"T")
        got = down.receive(1000)
        daemon.send_signal(signal.SIGTERM)
        wait_for(lambda: not self.accepts(daemon), "the listener's close")
        self.assertTrue(daemon.running())
        rest, end = down.rest()
        self.assertEqual((got + rest, end), (data, "fin"))
        down.close()
        up.send(b"67890")
        self.assertEqual(up.rest(), (b"", "fin"))
        self.assertEqual(daemon.wait(5), 0)
        self.assertEqual(read_file(daemon.path("n")), b"1234567890")

    def test_time_is_up(self):
        daemon = self.daemon(grace_time=1)
        up = self.started_upload(daemon, "n", 10, b"12345")
        started = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(up.rest(), (b"", "reset"))
        self.assertGreater(time.monotonic() - started, 0.8)
        self.assertEqual(daemon.wait(5), 0)
        self.assertEqual(daemon.strays(), [])
        self.assertEqual(daemon.reasons(), ["shutdown"])

    def test_without_grace(self):
        daemon = self.daemon(grace_time=0)
        up = self.started_upload(daemon, "n", 10, b"12345")
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(up.rest(), (b"", "reset"))
        self.assertEqual(daemon.wait(5), 0)
        self.assertEqual(daemon.strays(), [])

    def test_download_whose_time_is_up(self):
        """A reset, so that what has arrived is not taken for the file."""
        daemon = self.daemon(grace_time=0)
        write_file(daemon.path("n"), bytes(64 << 20))
        peer = self.started_download(daemon, "n", 64 << 20)
        peer.send(b"T")
        peer.receive(1000)
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(peer.rest()[1], "reset")
        self.assertEqual(daemon.wait(5), 0)
        self.assertEqual(daemon.reasons(), ["shutdown"])

    def test_second_signal_ends_them_at_once(self):
        daemon = self.daemon(grace_time=60)
        up = self.started_upload(daemon, "n", 10, b"12345")
        daemon.send_signal(signal.SIGTERM)
        wait_for(lambda: not self.accepts(daemon), "the listener's close")
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(up.rest(), (b"", "reset"))
        self.assertEqual(daemon.wait(5), 0)
        self.assertEqual(daemon.strays(), [])

    @staticmethod
    def accepts(daemon):
        try:
            Peer(daemon.address).close()
            return True
        except OSError:
            return False


class TestTimeouts(SystemTest):
    """That the real clock drives them. When each passes, to the millisecond and by moved time:
    tests/unit/test_server.c, test_machine_time.c, test_machine_rate.c, tests/pair."""

    weight = 4

    def ends_after(self, daemon, peer, seconds, reason):
        started = time.monotonic()
        self.assertNotEqual(peer.rest()[1], "open")
        took = time.monotonic() - started
        self.assertEqual(daemon.reason(peer), reason)
        self.assertGreater(took, seconds - 0.3)
        self.assertLess(took, seconds + 4)

    def test_request_timeout(self):
        daemon = self.daemon(request_timeout=1, idle_timeout=30)
        peer = self.peer(daemon)
        peer.send(request(b"U", "n")[:255])
        self.ends_after(daemon, peer, 1, "request-timeout")

    def test_idle_upload(self):
        daemon = self.daemon(idle_timeout=1)
        peer = self.started_upload(daemon, "n", 10, b"12345")
        self.ends_after(daemon, peer, 1, "idle-timeout")
        wait_for(lambda: not daemon.strays(), "the stage to go")
        self.upload(daemon, "n", b"free")

    def test_idle_download(self):
        daemon = self.daemon(idle_timeout=1)
        write_file(daemon.path("n"), bytes(64 << 20))
        peer = self.started_download(daemon, "n", 64 << 20)
        peer.send(b"T")
        self.assertEqual(daemon.ended(1, 10), ["idle-timeout"])
        self.assertLess(len(peer.rest()[0]), 64 << 20)


class TestStages(SystemTest):
    """What is uploaded is not seen before it is whole, and nothing is left when it fails."""

    @staticmethod
    def wrap(argv):
        return argv

    def server(self, **kwargs):
        return self.daemon(wrap=self.wrap, **kwargs)

    def test_whole(self):
        daemon = self.server()
        os.mkdir(daemon.path("sub"))
        for name in ("n", "sub/n", "n" * 255):
            self.upload(daemon, name, content(100000))
            self.assertEqual(read_file(daemon.path(name)), content(100000))
            self.assertEqual(os.stat(daemon.path(name)).st_nlink, 1)
        self.assertEqual(daemon.strays("sub", "n", "sub/n", "n" * 255), [])

    def test_broken_off(self):
        daemon = self.server()
        os.mkdir(daemon.path("sub"))
        for leave in (Peer.close, Peer.reset):
            for name in ("n", "sub/n"):
                peer = self.started_upload(daemon, name, 300000, content(200000))
                peer.wait_sent()
                leave(peer)
                self.assertIn(daemon.reason(peer), ("peer-closed", "peer-reset"))
                wait_for(lambda: not daemon.strays("sub"), "the stage to go")

    def test_not_published(self):
        daemon = self.server()
        peer = self.started_upload(daemon, "n", 10, b"x" * 5)
        write_file(daemon.path("n"), b"by hand")
        peer.send(b"x" * 5)
        self.assertEqual(peer.rest(), (b"", "reset"))
        wait_for(lambda: not daemon.strays("n"), "the stage to go")
        self.assertEqual(read_file(daemon.path("n")), b"by hand")

    def test_killed(self):
        """The name is absent, what was staged is swept, and the name can be used."""
        daemon = self.server(expect=-signal.SIGKILL)
        os.mkdir(daemon.path("sub"))
        for name in ("n", "sub/n"):
            self.started_upload(daemon, name, 3000000, content(2000000)).wait_sent()
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        self.assertFalse(os.path.exists(daemon.path("n")))
        after = self.server(root=daemon.root)
        wait_for(lambda: not after.strays("sub"), lambda: "the sweep: %s" % after.files(), 5)
        for name in ("n", "sub/n"):
            self.upload(after, name, b"x")
        self.assertEqual(after.strays("sub", "n", "sub/n"), [])


class TestNamedStages(TestStages):
    """The same where a stage must have a name from the start."""

    def wrap(self, argv):
        self.made += 1
        return without_proc(self.root("proc-%d" % self.made), argv)

    def test_it_has_a_name_of_the_daemons_own(self):
        daemon = self.server()
        self.started_upload(daemon, "n", 10, b"x" * 5)
        name, = daemon.strays()
        self.assertTrue(name.startswith(".ftxferd-"), name)
        for kind in (b"U", b"D"):
            peer = self.peer(daemon)
            peer.send(request(kind, name))
            self.assertEqual(peer.rest()[0][:1], b"E")
            peer.close()


class TestDebug(SystemTest):
    """-d says each state by the protocol's own names, in order."""

    UPLOAD = ("client_connect check_upload send_check_upload check_file_upload_size "
              "prepare_file_upload_size_response send_file_upload_size_response uploading "
              "upload_complete").split()
    DOWNLOAD = ("client_connect check_download send_check_download check_download_confirmation "
                "downloading download_complete").split()
    CLIENT_UPLOAD = ("init_upload send_check_file_upload check_upload prepare_upload_file_size "
                     "send_file_upload_size_response process_upload_file_size_response uploading "
                     "upload_complete").split()
    CLIENT_DOWNLOAD = ("init_download send_check_file_download check_download "
                       "prepare_download_confirmation confirm_download downloading "
                       "download_complete").split()

    def assert_states(self, program, expected):
        found = re.findall(r"changed status to: (\w+)", program)
        self.assertIn(found, (expected, expected[1:]))  # the first is no change, strictly

    def test_whole_transfers(self):
        daemon = self.daemon(args=["-d"])
        local = self.scratch("local", b"data")
        for mode, server, client in (("upload", self.UPLOAD, self.CLIENT_UPLOAD),
                                     ("download", self.DOWNLOAD, self.CLIENT_DOWNLOAD)):
            before = len(daemon.err())
            ran = self.transferred(mode, daemon, "n", local, "-d")
            daemon.ended(1 if mode == "upload" else 2)
            self.assert_states(ran.err + ran.out, client)
            self.assert_states(daemon.err()[before:], server)

    def test_refusals(self):
        daemon = self.daemon(args=["-d"])
        write_file(daemon.path("n"), b"x")
        for mode, name, server, client in (
                ("upload", "n", ["client_connect", "check_upload", "upload_complete"],
                 self.CLIENT_UPLOAD[:3] + ["upload_complete"]),
                ("download", "no", ["client_connect", "check_download", "download_complete"],
                 self.CLIENT_DOWNLOAD[:4] + ["download_complete"])):
            before, ends = len(daemon.err()), len(daemon.reasons())
            ran = self.transfer(mode, daemon, name, self.scratch("local", b"x"), "-d")
            daemon.ended(ends + 1)
            self.assert_states(ran.err + ran.out, client)
            self.assert_states(daemon.err()[before:], server)

    def test_silent_without_it(self):
        daemon = self.daemon()
        ran = self.transferred("upload", daemon, "n", self.scratch("local", b"data"))
        daemon.ended(1)
        self.assertNotIn("changed status", daemon.err() + ran.err + ran.out)

    def test_names_cannot_forge_a_line(self):
        daemon = self.daemon(args=["-d"])
        peer = self.peer(daemon)
        peer.send(request(b"U", "n\nreason=forged \x1b[31m\u202e"))
        self.assertEqual(peer.rest(), (b"E", "fin"))
        peer.close()
        self.assertEqual(daemon.ended(1), ["bad-name"])
        for raw in ("\x1b", "\u202e", "\nreason"):
            self.assertNotIn(raw, daemon.err())


class TestRest(SystemTest):
    weight = 15

    def test_no_context_switch(self):
        """Neither fresh, nor after transfers: in 10 s the daemon is not once awake."""
        if "t" in sanitizers():
            self.skipTest("the thread sanitizer never rests")
        fresh, used = self.daemon(root=self.root("fresh")), self.daemon(root=self.root("used"))
        self.upload(used, "n", content(100000))
        self.download(used, "n")
        self.peer(used).close()
        self.transfer("upload", used, "..", self.scratch("local", b"x"))
        used.ended(4)
        for daemon in (fresh, used):
            self.settle(daemon)
        before = [switches(fresh.pid), switches(used.pid)]
        time.sleep(10)
        self.assertEqual([switches(fresh.pid), switches(used.pid)], before)

    @staticmethod
    def settle(daemon):
        """What a transfer leaves to do afterwards may take some seconds, but must end."""
        last = [switches(daemon.pid), time.monotonic()]

        def quiet():
            now = switches(daemon.pid)
            if now != last[0]:
                last[:] = [now, time.monotonic()]
            return time.monotonic() - last[1] > 1
        wait_for(quiet, "a second without a context switch", 10, step=0.1)


if __name__ == "__main__":
    unittest.main()
