"""What a running ftxferd has given up: as the kernel says, and as its log does."""

import os
import pwd
import re
import signal
import socket
import unittest

from harness import (CONFINED, SystemTest, conf_text, ftxferd, in_namespace, run, sanitizers,
                     without_proc)
from wire import content, read_file, wait_for, write_file

NO_USER, CANNOT_CREATE, NO_PERMISSION = 67, 73, 77
ROOT = os.geteuid() == 0
OVER_OTHERS = 1 << 1  # CAP_DAC_OVERRIDE


class PrivilegesTest(SystemTest):
    def statuses(self, pid):
        """Of each thread: some of this is theirs, not the process's."""
        tasks = "/proc/%d/task" % pid
        wait_for(lambda: len(os.listdir(tasks)) > 1, "a second thread")
        for task in os.listdir(tasks):
            text = read_file("%s/%s/status" % (tasks, task)).decode()
            yield dict(re.findall(r"^(\w+):\s*(.*?)\s*$", text, re.M))

    def assert_bare(self, daemon):
        """No capability, no core, nobody looks into it."""
        for status in self.statuses(daemon.pid):
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assertEqual(status["CapEff"].strip("0"), "")
            self.assertEqual(status["CapPrm"].strip("0"), "")
        self.assert_closed(daemon)

    def assert_closed(self, daemon):
        with open("/proc/%d/limits" % daemon.pid) as limits:
            self.assertRegex(limits.read(), r"Max core file size +0 +0 ")
        if not sanitizers():
            self.assertEqual(os.stat("/proc/%d/fd" % daemon.pid).st_uid, 0, "proc(5), dumpable")


class TestOrdinaryUser(PrivilegesTest):
    """Whoever runs the tests; root's daemons stay root."""

    def test_given_up(self):
        daemon = self.daemon(args=["-d"])
        for status in self.statuses(daemon.pid):
            self.assertEqual(status["NoNewPrivs"], "1")
            if ROOT:
                self.assertEqual(int(status["CapPrm"], 16), OVER_OTHERS)
                self.assertEqual(int(status["CapEff"], 16), OVER_OTHERS)
        self.assert_closed(daemon)
        if not ROOT:
            self.assert_bare(daemon)
        self.assertEqual(daemon.err().count("Landlock"), 1)
        self.assertEqual(daemon.err().count("stays root"), 1 if ROOT else 0)

    def test_said_in_the_log(self):
        """In the background that is syslog(3): to the terminal goes what keeps it from starting."""
        pid_file, log = self.scratch("pid"), self.scratch("log")
        conf = write_file(self.scratch("conf"), conf_text({
            "storage_root": self.root(), "listen_address": ["127.0.0.1"], "pid_file": pid_file}))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
            syslog.bind(log)
            os.chmod(log, 0o666)
            syslog.settimeout(20)
            argv = in_namespace("""
                mount -t tmpfs none "$0" && for it in null zero urandom; do
                    : >"$0/$it" && mount --bind "/dev/$it" "$0/$it"; done &&
                ln -s "$1" "$0/log" && mount --rbind "$0" /dev && shift""",
                [self.root("dev"), log], ftxferd() + ["-f", conf, "-l", "0", "--daemonize", "-d"])
            ran = run(argv, deadline=20)
            self.addCleanup(os.kill, int(read_file(pid_file)), signal.SIGTERM)
            self.assertEqual(ran.status, 0, ran)
            said = b""
            while b"Landlock" not in said:
                said += syslog.recv(4096)
        self.assertEqual(said.count(b"stays root"), 1 if ROOT or "-Urm" in argv else 0)
        self.assertNotIn("Landlock", ran.err)
        self.assertNotIn("stays root", ran.err)

    def test_the_user_does_not_matter(self):
        if ROOT:
            self.skipTest("started by root")
        self.daemon(user="no-such-user")


@unittest.skipUnless(ROOT, "only root can become somebody else")
@unittest.skipIf(CONFINED, "a unit starts it as the user that it stays")
class TestRoot(PrivilegesTest):
    def setUp(self):
        super().setUp()
        os.chmod(self.dir, 0o755)
        self.nobody = pwd.getpwnam("nobody")

    def nobodys(self, name):
        path = self.root(name)
        os.chown(path, self.nobody.pw_uid, self.nobody.pw_gid)
        return path

    def given_up(self, **kwargs):
        return self.daemon(root=self.nobodys("root"), user="nobody", **kwargs)

    def works(self, daemon):
        data = content(300000)
        for name in ("n", "n" * 255):
            self.upload(daemon, name, data)
            self.assertEqual(self.download(daemon, name), data)
            self.assertEqual(os.stat(daemon.path(name)).st_uid, self.nobody.pw_uid)

    def test_given_up(self):
        daemon = self.given_up()
        uid, gid = ("\t".join([str(n)] * 4) for n in (self.nobody.pw_uid, self.nobody.pw_gid))
        for status in self.statuses(daemon.pid):
            self.assertEqual(status["Uid"], uid)
            self.assertEqual(status["Gid"], gid)
            self.assertIn(status["Groups"], ("", str(self.nobody.pw_gid)))
        self.assert_bare(daemon)
        self.works(daemon)

    def test_named_stages(self):
        """These need the daemon's own directory, and a sweep when one has died."""
        def wrap(argv):
            self.made += 1
            argv = without_proc(self.root("proc-%d" % self.made), argv)
            if "-Urm" in argv:
                self.skipTest("only in a user namespace are we allowed to mount a file system")
            return argv
        daemon = self.given_up(wrap=wrap, expect=-signal.SIGKILL)
        self.started_upload(daemon, "n", 1000, bytes(500)).wait_sent()
        wait_for(lambda: daemon.strays(), "the stage")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        after = self.given_up(wrap=wrap)
        wait_for(lambda: not after.strays(), lambda: "the sweep: %s" % after.files(), 5)
        self.works(after)

    def test_root_serves_what_is_others(self):
        """By the one capability that it keeps."""
        root = self.nobodys("root")
        daemon = self.daemon(root=root, user="root")
        theirs = write_file(daemon.path("theirs"), b"x")
        os.mkdir(daemon.path("dir"))
        for path, mode in ((theirs, 0o600), (daemon.path("dir"), 0o700), (root, 0o700)):
            os.chown(path, self.nobody.pw_uid, self.nobody.pw_gid)
            os.chmod(path, mode)
        self.assertEqual(self.download(daemon, "theirs"), b"x")
        self.upload(daemon, "dir/n", b"y")
        self.assertEqual(self.download(daemon, "dir/n"), b"y")

    def test_a_storage_that_only_root_can_reach(self):
        """It was opened before."""
        os.chmod(self.dir, 0o700)
        self.works(self.given_up())

    def test_pid_file(self):
        """It goes, where the user may remove it; else that is said."""
        for name, removed in (("own", True), ("roots", False)):
            where = self.nobodys(name) if removed else self.root(name)
            path = os.path.join(where, "pid")
            daemon = self.given_up(pid_file=path)
            self.assertEqual(int(read_file(path)), daemon.pid)
            self.assertEqual(daemon.stop(), 0)
            self.assertEqual(os.path.exists(path), not removed)
            self.assertEqual(daemon.err().count("stays behind"), 0 if removed else 1)

    def test_a_pid_file_that_leads_elsewhere(self):
        """Whoever may write to its directory must not make root write anywhere else, nor wait."""
        precious = write_file(self.scratch("precious"), b"precious")
        for make in (os.symlink, os.link, lambda _, path: os.mkfifo(path)):
            path = os.path.join(self.nobodys(make.__name__.strip("<>")), "pid")
            make(precious, path)
            was = os.lstat(path)
            conf = write_file(self.scratch("conf"), conf_text({
                "listen_address": ["127.0.0.1"], "pid_file": path, "user": "nobody",
                "storage_root": self.nobodys("root-" + make.__name__.strip("<>"))}))
            ran = run(ftxferd() + ["-f", conf, "-l", "0"], deadline=20)
            self.assertEqual(ran.status, CANNOT_CREATE, ran)
            self.assertIn("pid_file " + path, ran.err)
            self.assertEqual(read_file(precious), b"precious")
            self.assertTrue(os.path.samestat(os.lstat(path), was))

    def refused(self, status, **options):
        """It does not start; nothing is left of it. Returns what it said."""
        pid_file = self.scratch("pid")
        conf = write_file(self.scratch("conf"), conf_text(
            {"listen_address": ["127.0.0.1"], "pid_file": pid_file, **options}))
        for args in ([], ["--daemonize"]):
            ran = run(ftxferd() + ["-f", conf, "-l", "0"] + args, deadline=20)
            self.assertEqual(ran.status, status, ran)
            self.assertEqual(ran.out, "")
            self.assertFalse(os.path.exists(pid_file))
        return ran.err

    def test_no_such_user(self):
        self.assertIn("there is no user no-such-user", self.refused(
            NO_USER, storage_root=self.root(), user="no-such-user"))

    def test_a_storage_that_is_not_the_users(self):
        self.assertIn("the user nobody may not write to it", self.refused(
            NO_PERMISSION, storage_root=self.root(), user="nobody"))


if __name__ == "__main__":
    unittest.main()
