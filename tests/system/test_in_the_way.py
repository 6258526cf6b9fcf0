"""sync --delete where one side has a file and the other a directory of the same name."""

import os
import pwd
import re
import signal
import subprocess
import unittest

from harness import CONFINED, ftxfer, wait_for
from test_commands import EXISTS, FORBIDDEN, NO_INPUT, REFUSED, CommandTest, Relay
from wire import DEADLINE, content, read_file, write_file

REMOVED = 12  # names by test_delete()
COULD_NOT = "what is in the way could not be removed"
MANY = 100  # more than one tree has removed at a time


class InTheWay(CommandTest):
    options = dict(CommandTest.options, sync=False)

    def setUp(self):
        super().setUp()
        self.outside = self.scratch("outside")
        os.mkdir(self.outside)
        write_file(os.path.join(self.outside, "kept"), b"kept")

    def make(self, up):
        """What is copied, what it is copied to, and the arguments that say so."""
        here, there = self.scratch("tree"), self.server.path("copy")
        self.one, self.other = (here, there) if up else (there, here)
        args = (here, self.there("copy")) if up else (self.there("copy"), here)
        for name in ("dir/sub/x", "dir/y", "file", "at-link", "dir-at-link/z", "same"):
            self.write(self.one, name, b"new " + name.encode())
        os.mkdir(os.path.join(self.one, "empty"))
        for name in ("dir", "empty", "file/sub/x", "file/y", "same", "extra/e"):
            self.write(self.other, name, b"old")
        for name, target in (("at-link", "outside/kept"), ("dir-at-link", "outside"),
                             ("file/out", "outside"), ("file/kept", "outside/kept")):
            os.symlink(self.scratch(target), os.path.join(self.other, name))
        return args

    @staticmethod
    def write(top, name, data):
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_file(path, data)

    def whole(self, top):
        """Of links, too."""
        links = [(name, os.readlink(os.path.join(at, name)))
                 for at, dirs, files in os.walk(top) for name in dirs + files
                 if os.path.islink(os.path.join(at, name))]
        return sorted(links), self.listed(top, True)

    def assert_outside_is_kept(self):
        self.assertEqual(os.listdir(self.outside), ["kept"])
        self.assertEqual(read_file(os.path.join(self.outside, "kept")), b"kept")


class Removed:
    up = None

    def test_without_delete(self):
        args = self.make(self.up)
        before = self.whole(self.other)
        ran = self.fails(EXISTS, "5 failed", "sync", *args)
        for what, names in (("a file", ("dir", "empty")), ("a directory", ("file",)),
                            ("a symbolic link", ("at-link", "dir-at-link"))):
            for name in names:
                self.assertRegex(ran.err, "/%s\": %s of that name is in the way: --delete "
                                 "would remove it" % (name, what))
        after = self.whole(self.other)
        self.assertNotEqual(after[1].pop("same"), before[1].pop("same"))
        self.assertEqual(after, before)

    def test_dry_run(self):
        args = self.make(self.up)
        before = self.whole(self.other)
        ran = self.succeeds("sync", "--delete", "-n", *args)
        self.assertEqual(self.whole(self.other), before)
        for name in ("dir", "empty", "file", "file/sub", "file/sub/x", "file/y", "file/out",
                     "file/kept", "at-link", "dir-at-link", "extra", "extra/e"):
            self.assertRegex(ran.err, "(?m)^would remove .*/%s\"?$" % name)
        for name in ("dir/sub/x", "dir/y", "file", "at-link", "dir-at-link/z"):
            self.assertRegex(ran.err, "would %s .*/%s\"? " % ("put" if self.up else "get", name))
        for name in ("dir", "dir/sub", "empty", "dir-at-link"):
            self.assertRegex(ran.err, "would mkdir .*/%s\"?\n" % name)
        self.assertNotIn("outside", ran.err)

    def test_delete(self):
        args = self.make(self.up)
        said = self.succeeds("sync", "--delete", "-n", *args).err
        ran = self.succeeds("sync", "--delete", "--json", *args)
        self.assertEqual(self.whole(self.other), self.whole(self.one))
        self.assert_outside_is_kept()
        events = self.events(ran.out)
        name = (lambda e: e.get("remote", e.get("local", "")))
        removed = [i for i, e in enumerate(events) if e["event"] == "done" and
                   e["op"] == "remove" and name(e).endswith("/file")]
        began = [i for i, e in enumerate(events) if e["event"] == "started" and
                 e["op"] in ("put", "get") and name(e).endswith("/file")]
        ended = [i for i, e in enumerate(events) if e["event"] == "done" and
                 e["op"] in ("put", "get") and name(e).endswith("/file")]
        self.assertEqual((len(began), len(ended)), (1, 1))
        self.assertEqual(events[-1]["removed"], REMOVED)
        self.assertIn("; %d would be removed" % REMOVED, said)
        self.assertLess(max(removed), began[0] if self.up else ended[0])
        self.assertTrue(self.up or began[0] < min(removed))
        ran = self.succeeds("sync", "--delete", "--json", *args)
        self.assertEqual(self.events(ran.out)[-1]["bytes_moved"], 0)

    def test_what_cannot_be_removed(self):
        """Neither is what is in its place sent; all else is."""
        args = self.make(self.up)
        self.write(self.one, "pipe", b"")
        os.mkfifo(os.path.join(self.other, "file/fifo"))
        os.mkfifo(os.path.join(self.other, "pipe"))
        ran = self.ftxfer("sync", "--delete", *args)
        self.assertNotEqual(ran.status, 0)
        self.assertRegex(ran.err, "/file\": " + COULD_NOT)
        self.assertRegex(ran.err, "/pipe\": what is in the way is neither file nor directory")
        self.assertEqual(ran.err.count("in the way"), 2, ran.err)
        self.assertTrue(os.path.isdir(os.path.join(self.other, "file")))
        for name in ("dir/sub/x", "dir/y", "same", "at-link", "dir-at-link/z"):
            self.assertEqual(read_file(os.path.join(self.other, name)),
                             b"new " + name.encode())
        self.assertFalse(os.path.islink(os.path.join(self.other, "dir-at-link")))
        self.assert_outside_is_kept()

    def test_a_dry_run_of_what_cannot_be_removed(self):
        """It says what the real one says, but for what that does."""
        args = self.make(self.up)
        for name in ("file/fifo", "extra/pipe"):
            os.mkfifo(os.path.join(self.other, name))
        before = self.whole(self.other)
        dry = self.ftxfer("sync", "--delete", "-n", *args)
        self.assertEqual(self.whole(self.other), before)
        real = self.ftxfer("sync", "--delete", *args)
        self.assertEqual(dry.status, real.status, (dry, real))
        wrong = [sorted(line for line in ran.err.splitlines() if re.match("ftxfer: \"", line))
                 for ran in (dry, real)]
        self.assertEqual(wrong[0], wrong[1])
        self.assertEqual(len(wrong[0]), 3, wrong)
        self.assertRegex(real.err, "/fifo\": .*not a regular file")
        self.assertNotRegex(dry.err, "would (put|get) .*/file ")
        self.assertNotRegex(dry.err, "would remove .*/(file|extra|fifo|pipe)\n")

    def test_many(self):
        args = self.make(self.up)
        for i in range(MANY):
            self.write(self.one, "f%d" % i, b"%d" % i)
            self.write(self.other, "f%d/a/b" % i, b"old")
            self.write(self.one, "d%d/a/b" % i, b"%d" % i)
            self.write(self.other, "d%d" % i, b"old")
        self.succeeds("sync", "--delete", "-j", "3", *args)
        self.assertEqual(self.whole(self.other), self.whole(self.one))


class TestUp(Removed, InTheWay):
    up = True

    def test_many_large(self):
        """More than one page of each, and more than a server keeps listings that may go on."""
        args = self.make(True)
        for i in range(16):
            self.write(self.one, "f%d" % i, b"%d" % i)
            os.makedirs(os.path.join(self.other, "f%d" % i))
            for number in range(1500):
                os.mknod(os.path.join(self.other, "f%d/%d" % (i, number)))
        self.succeeds("sync", "--delete", "-q", "--retry-time", "0", *args)
        self.assertEqual(self.whole(self.other), self.whole(self.one))


class TestDown(Removed, InTheWay):
    up = False

    def test_interrupted(self):
        """Until all of the file has come, what is in its way stays."""
        args = self.make(False)
        self.write(self.one, "file", content(8 << 20))
        before = self.whole(os.path.join(self.other, "file"))
        proxy = self.proxy(self.server, "--delay", "0.05")
        process = subprocess.Popen(
            ftxfer() + ["sync", "--delete", proxy.where + "/copy", args[1]], env=self.environ,
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        wait_for(lambda: any(name.startswith(".ftxferd-part-") for name in os.listdir(self.other)),
                 "some of it to come", 20)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(DEADLINE), -signal.SIGTERM)
        self.assertEqual(self.whole(os.path.join(self.other, "file")), before)
        self.succeeds("sync", "--delete", *args)
        self.assertEqual(self.whole(self.other), self.whole(self.one))


    def test_broken(self):
        """What waits for its place goes on as all else does when connections break."""
        args = self.make(False)
        self.write(self.one, "file", content(8 << 20))
        for reset in (False, True):
            subprocess.run(["rm", "-rf", os.path.join(self.other, "file")], check=True)
            self.write(self.other, "file/sub/x", b"old")
            relay = Relay(self.server.address, "down", (3000, 70000, 5000000), reset)
            self.addCleanup(relay.close)
            self.succeeds("sync", "--delete", relay.where + "/copy", args[1])
            self.assertEqual(relay.count, 4)
            self.assertEqual(self.whole(self.other), self.whole(self.one))


class TestCannotCome(InTheWay):
    """What is in the way of something that cannot come stays."""

    options = dict(InTheWay.options, max_file_size=65536)
    anybody = {"user": "nobody"} if os.geteuid() == 0 else {}

    def lock(self):
        """A file and a directory that cannot be read, where the other side has the opposite."""
        for name in ("file", "dir"):
            os.chmod(os.path.join(self.one, name), 0)
        os.chmod(self.dir, 0o755)
        self.addCleanup(os.chmod, os.path.join(self.one, "dir"), 0o700)

    def check(self, ran, *names):
        for name in names:
            self.assertRegex(ran.err, "/%s\": " % name)
        self.assertNotIn(COULD_NOT, ran.err)
        for name in ("same", "at-link", "dir-at-link/z"):
            self.assertEqual(read_file(os.path.join(self.other, name)), b"new " + name.encode())
        self.assertFalse(os.path.isdir(os.path.join(self.other, "dir")))
        self.assertEqual(read_file(os.path.join(self.other, "file/sub/x")), b"old")
        self.assert_outside_is_kept()

    def test_too_large(self):
        args = self.make(True)
        self.write(self.one, "file", bytes(65537))
        for dry in ("-n",), ():
            ran = self.fails(REFUSED, "/file\": .*larger than is allowed", "sync", "--delete", *dry, *args)
            self.assertEqual(read_file(os.path.join(self.other, "file/sub/x")), b"old")
            self.assertEqual(ran.err.count("ftxfer: \""), 1, ran)
        self.assertTrue(os.path.isdir(os.path.join(self.other, "dir")))

    def test_up(self):
        args = self.make(True)
        self.lock()
        ran = self.fails(NO_INPUT, "permission denied", "sync", "--delete", *args, **self.anybody)
        self.check(ran, "file", "dir")
        self.assertEqual(ran.err.count("ftxfer: \""), 2, ran)

    @unittest.skipIf(CONFINED, "the daemon is to be somebody who cannot read all files")
    def test_down(self):
        if self.anybody:
            self.server.stop()
            os.chmod(self.dir, 0o755)
            root = self.root("nobodys")
            os.chown(root, pwd.getpwnam("nobody").pw_uid, -1)
            self.server = self.daemon(root=root, popen=self.anybody, **self.options)
        args = [self.server.where + "/copy", self.make(False)[1]]
        self.lock()
        ran = self.ftxfer("sync", "--delete", *args)
        self.assertNotEqual(ran.status, 0)
        self.check(ran, "file", "dir")
        self.assertEqual(ran.err.count("ftxfer: \""), 2, ran)


class TestRefused(InTheWay):
    options = {"allow_replace": True}

    def test_no_right_to_remove(self):
        args = self.make(True)
        before = self.whole(self.other)
        ran = self.fails(FORBIDDEN, "allow_remove is off", "sync", "--delete", *args)
        for name in ("dir", "empty", "file", "at-link", "dir-at-link"):
            self.assertRegex(ran.err, "/%s\": %s" % (name, COULD_NOT))
        for name in ("dir", "empty", "file/y", "file/sub/x", "at-link", "dir-at-link", "extra/e"):
            self.assertRegex(ran.err, "/%s\": .*allow_remove is off" % name)
        after = self.whole(self.other)
        self.assertNotEqual(after[1].pop("same"), before[1].pop("same"))
        self.assertEqual(after, before)


if __name__ == "__main__":
    unittest.main()
