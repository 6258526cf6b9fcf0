"""ftxferd with sockets that a service manager opened (sd_listen_fds(3)), and confined as its unit says."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import unittest

from harness import (CONFINED, Listener, SystemTest, conf_text, ftxferd, has_ipv6, may_look_into,
                     program, run, sanitizers)
from wire import Peer, content, read_file, request, wait_for, write_file

UNAVAILABLE, CONFIG = 69, 78
UNUSED = "listen_address and listen_port are not used"

# In a process of its own, which then becomes the daemon: descriptors from 3 on, and its own number.
STARTER = """
import os, sys
fds = [int(word) for word in sys.argv[1].split(",")]
for at, fd in enumerate([os.dup(fd) for fd in fds]):
    os.dup2(fd, 100 + at)
for at in range(len(fds)):
    os.dup2(100 + at, 3 + at)
    os.close(100 + at)
os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_PID=sys.argv[2] or str(os.getpid()))
os.execv(sys.argv[3], sys.argv[3:])
"""


def tcp(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family, backlog=64)


def passing(sockets, argv, pid=""):
    """argv with the sockets as from a service manager; and what Popen is to be told."""
    fds = [str(it.fileno()) for it in sockets]
    lead = [sys.executable, "-c", STARTER, ",".join(fds), pid]
    return lead + argv, {"pass_fds": [int(fd) for fd in fds]}


class ActivationTest(SystemTest):
    def socket(self, *args):
        made = tcp(*args)
        self.addCleanup(made.close)
        return made

    def activated(self, *sockets, lead=(), **kwargs):
        _, popen = passing(sockets, [])
        return self.daemon(wrap=lambda argv: list(lead) + passing(sockets, argv)[0], popen=popen,
                           **kwargs)

    def refused(self, *sockets):
        conf = write_file(self.scratch("conf"), conf_text({"storage_root": self.root()}))
        argv, popen = passing(sockets, ftxferd() + ["-f", conf])
        ran = run(argv, deadline=20, **popen)
        self.assertEqual(ran.status, CONFIG, ran)
        return ran.err

    def works(self, daemon, *addresses):
        for at, address in enumerate(addresses):
            data = content(100000 + at)
            self.upload(address, "n%d" % at, data)
            self.assertEqual(self.download(address, "n%d" % at), data)


class TestActivation(ActivationTest):
    def test_one(self):
        given = self.socket()
        daemon = self.activated(given)
        self.assertEqual(daemon.addresses(), [given.getsockname()])
        self.works(daemon, given.getsockname())

    def test_both_kinds(self):
        if not has_ipv6():
            self.skipTest("no IPv6 loopback here")
        four, six = self.socket(), self.socket("::1")
        daemon = self.activated(four, six)
        wait_for(lambda: len(daemon.addresses()) == 2, "two addresses")
        self.assertEqual(daemon.addresses(), [("127.0.0.1", four.getsockname()[1]),
                                              ("[::1]", six.getsockname()[1])])
        self.works(daemon, four.getsockname(), six.getsockname()[:2])

    def test_nothing_else_is_opened(self):
        given = self.socket()
        other = tcp()
        port = other.getsockname()[1]
        other.close()
        daemon = self.activated(given, args=["-l", str(port)])
        self.assertEqual(daemon.err().count(UNUSED), 1)
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", port))

    def test_nothing_was_chosen(self):
        given = self.socket()
        conf = write_file(self.scratch("conf"), conf_text({"storage_root": self.root()}))
        argv, popen = passing([given], ftxferd() + ["-f", conf])
        daemon = Listener(argv, self.dir, "ftxferd", **popen)
        self.addCleanup(daemon.stop)
        self.works(daemon, given.getsockname())
        self.assertNotIn(UNUSED, daemon.err())

    def test_how_the_descriptors_are(self):
        """Not blocking, whatever they were; and closed in what the daemon might start."""
        given = self.socket()
        given.setblocking(True)
        daemon = self.activated(given)
        self.assertTrue(fcntl.fcntl(given, fcntl.F_GETFL) & os.O_NONBLOCK)
        if may_look_into(daemon.pid):
            info = read_file("/proc/%d/fdinfo/3" % daemon.pid).decode()
            flags = int(info.split("flags:")[1].split()[0], 8)
            self.assertTrue(flags & os.O_CLOEXEC, info)

    def test_a_stop_leaves_the_sockets_open(self):
        """Who comes while no daemon runs is served by the next one."""
        given = self.socket()
        first = self.activated(given)
        self.works(first, given.getsockname())
        self.assertEqual(first.stop(), 0)
        with Peer(given.getsockname()) as peer:
            peer.send(request(b"D", "n0"))
            self.activated(given, root=first.root)
            self.assertEqual(peer.receive(1), b"T")

    def test_for_another_process(self):
        """What is meant for another process is left alone: the daemon opens its own."""
        given = self.socket()
        daemon = self.daemon(wrap=lambda argv: passing([given], argv, pid="1")[0],
                             popen=passing([given], [])[1])
        self.assertNotEqual(daemon.port, given.getsockname()[1])
        self.works(daemon, daemon.address)

    def test_what_makes_no_sense(self):
        """It is not passed over: our own sockets could be on addresses that are taken."""
        conf = write_file(self.scratch("conf"), conf_text({"storage_root": self.root()}))
        for pid, count in (("x", "1"), ("0", "1"), ("$$", "x"), ("$$", "0"), ("$$", "-1"),
                           ("$$", "99999999999"), ("$$", "60")):
            script = "export LISTEN_PID=%s LISTEN_FDS=%s; exec \"$@\"" % (pid, count)
            ran = run(["sh", "-c", script, "sh"] + ftxferd() + ["-f", conf], deadline=20)
            self.assertEqual(ran.status, UNAVAILABLE, (pid, count, ran))
            self.assertIn("cannot take the sockets of the service manager", ran.err)

    def test_in_the_background(self):
        given = self.socket()
        conf = write_file(self.scratch("conf"), conf_text(
            {"storage_root": self.root(), "pid_file": self.scratch("pid")}))
        argv, popen = passing([given], ftxferd() + ["-f", conf, "--daemonize"])
        ran = run(argv, deadline=20, **popen)
        self.assertEqual(ran.status, 0, ran)
        self.addCleanup(os.kill, int(read_file(self.scratch("pid"))), signal.SIGTERM)
        self.works(None, given.getsockname())

    def test_without_a_network(self):
        """In an empty network namespace, what is given works all the same."""
        lead = ["unshare", "-Urn"]
        try:
            allowed = subprocess.run(lead + ["true"], stderr=subprocess.DEVNULL).returncode == 0
        except FileNotFoundError:
            allowed = False
        if not allowed:
            self.skipTest("no network namespaces for us here")
        given = self.socket()
        self.works(self.activated(given, lead=lead), given.getsockname())


class TestWrongSockets(ActivationTest):
    def check(self, *sockets, at=3):
        self.assertIn("descriptor %d from the service manager is not a listening TCP socket" % at,
                      self.refused(*sockets))

    def test_udp(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            self.check(udp)

    def test_unix(self):
        with socket.socket(socket.AF_UNIX) as local:
            local.bind(self.scratch("socket"))
            local.listen()
            self.check(local)

    def test_not_listening(self):
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self.check(bound)

    def test_a_connection(self):
        """As with Accept=yes."""
        with socket.create_connection(self.socket().getsockname()) as connected:
            self.check(connected)

    def test_no_socket(self):
        with open(self.scratch("file"), "wb") as file:
            self.check(file)

    def test_the_second_one(self):
        with socket.socket() as bound:
            self.check(self.socket(), bound, at=4)

    def test_too_many(self):
        self.assertIn("more than 64 sockets", self.refused(*[self.socket() for _ in range(65)]))


def calls_of(variable):
    """How confine(1) is started, with the list of calls in that variable."""
    calls = os.environ.get(variable, "")
    if not os.environ.get("CONFINE") or not os.path.getsize(calls):
        raise unittest.SkipTest("no libseccomp or no systemd-analyze when this was built")
    return program("CONFINE", "") + ["-s", calls]


@unittest.skipIf(CONFINED, "it is confined already")
class TestAsTheUnit(ActivationTest):
    """All that ftxferd.service forbids, at once: what it forbids ends the daemon, or fails."""

    def confined(self, *how):
        confine = calls_of("UNIT_CALLS")
        if sanitizers():
            self.skipTest("sanitizers do what the unit forbids")
        root = self.root()
        os.chmod(self.dir, 0o755)
        if os.geteuid() == 0:
            os.chown(root, 65534, 65534)
        given = [self.socket()] + ([self.socket("::1")] if has_ipv6() else [])
        fds = [it.fileno() for it in given]
        lead = confine + ["-r", "-w", root, "-u", "65534",
                          "-l", ",".join(map(str, fds))] + list(how)
        probe = run(lead + ["/bin/true"], deadline=20, pass_fds=fds)
        if probe.status == 77:
            self.skipTest(probe.err.strip())
        self.assertEqual(probe.status, 0, probe)
        daemon = self.daemon(wrap=lambda argv: lead + argv, popen={"pass_fds": fds}, root=root,
                             args=["-F", "-d"])
        self.works(daemon, *[it.getsockname()[:2] for it in given])
        peer = self.started_upload(given[0].getsockname(), "broken-off", 1 << 20, bytes(1 << 19))
        peer.wait_sent()
        peer.reset()
        with open("/proc/%d/status" % daemon.pid) as file:
            status = file.read()
        self.assertRegex(status, r"\nSeccomp:\s+2\n")
        self.assertRegex(status, r"\nNoNewPrivs:\s+1\n")
        self.assertRegex(status, r"\nCapEff:\s+0+\n")
        self.assertEqual(daemon.stop(), 0)
        self.assertNotIn("warning", daemon.err())
        self.assertNotIn("error", daemon.err())
        return daemon

    def test_killed_for_what_is_forbidden(self):
        self.confined("-k")

    def test_refused_what_is_forbidden(self):
        self.confined()

    def test_that_it_forbids(self):
        """What this suite relies on: `id` asks for a socket, or for files, that it does not get."""
        confine = calls_of("UNIT_CALLS")
        for script, expected in (("import os; os.setuid(os.getuid())", "setuid"),
                                 ("import os; os.symlink('a', '%s')" % self.scratch("l"), "symlink"),
                                 ("import socket; socket.socket()", "socket")):
            argv = confine + ["-r", "-k", sys.executable, "-c", script]
            self.assertEqual(run(argv).status, -signal.SIGSYS, expected)
            argv.remove("-k")
            self.assertIn("Operation not permitted", run(argv).err, expected)


@unittest.skipIf(CONFINED, "it is confined already")
@unittest.skipUnless(os.geteuid() == 0, "only root can give a capability away")
class TestLowPort(SystemTest):
    """The recipe for a port below 1024 in own-sockets.conf."""

    @staticmethod
    def free_port():
        for port in range(1023, 511, -1):
            try:
                with socket.create_server(("127.0.0.1", port)):
                    return port
            except OSError:
                pass
        raise unittest.SkipTest("no port below 1024 is free, or none is for us")

    def check(self, *how):
        if sanitizers():
            self.skipTest("sanitizers do what the unit forbids")
        lead = calls_of("LOW_PORT_CALLS") + ["-u", "65534", "-b"]
        probe = run(lead + ["/bin/cat", "/proc/self/status"], deadline=20)
        if probe.status == 77:
            self.skipTest(probe.err.strip())
        self.assertRegex(probe.out, r"\nCapEff:\s+0+400\n")
        root, port = self.root(), self.free_port()
        os.chmod(self.dir, 0o755)
        os.chown(root, 65534, 65534)
        daemon = self.daemon(wrap=lambda argv: lead + list(how) + argv, root=root,
                             args=["-F", "-l", str(port)])
        self.assertEqual(daemon.addresses(), [("127.0.0.1", port)])
        self.upload(daemon, "n", b"x")
        status = read_file("/proc/%d/status" % daemon.pid).decode()
        for kind in ("Inh", "Prm", "Eff", "Amb"):
            self.assertRegex(status, r"\nCap%s:\s+0+\n" % kind)
        self.assertEqual(daemon.stop(), 0)

    def test_killed_for_what_is_forbidden(self):
        self.check("-k")

    def test_refused_what_is_forbidden(self):
        self.check()


if __name__ == "__main__":
    unittest.main()
