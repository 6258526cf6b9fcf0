"""A slow disk of a test's own (tests/slowfs), which can be held: then it serves no writes, no reads or
no syncs at all, until it is released.

The program comes from the environment, as those of harness.py do: SLOWFS.
"""

import os
import re
import select
import subprocess
import unittest

from harness import program
from wire import DEADLINE, wait_for

KINDS = ("write", "read", "sync")


class SlowDisk:
    """Mounted where nobody else sees it, upon a tmpfs; gone with its process, as Disk (disks.py).

    Slow it is only if the arguments say so: a test holds it rather than to wait for it.
    """

    def __init__(self, directory, *args):
        slowfs = program("SLOWFS", "tests/slowfs/slowfs")
        if not os.path.exists(slowfs[0]):
            raise unittest.SkipTest("built without slowfs: it needs libfuse3")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            raise unittest.SkipTest("no /dev/fuse for this user")
        self.inner = os.path.join(directory, "slow")
        below = os.path.join(directory, "below")
        for path in (self.inner, below):
            os.mkdir(path)
        self.root = os.geteuid() == 0
        script = 'mount -t tmpfs -o mode=755 none "$0" >&2 && exec "$@"'
        try:
            self.holder = subprocess.Popen(
                ["unshare", "-m" if self.root else "-Urm", "sh", "-c", script, below] + slowfs
                + (list(args) or ["-w", "0"]) + [below, self.inner],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        except FileNotFoundError:
            raise unittest.SkipTest("no unshare(1)")
        if self.holder.stdout.readline() != b"ready\n":
            said = self.holder.communicate()[1].decode("utf-8", "replace")
            raise unittest.SkipTest("no FUSE here: %s" % said.strip()[-300:])
        self.path = "/proc/%d/root%s" % (self.holder.pid, self.inner)
        if not os.path.ismount(self.path):
            self.close()
            raise unittest.SkipTest("cannot look into another mount namespace")

    def enter(self, argv):
        """argv with this file system at self.inner."""
        user = [] if self.root else ["-U", "--preserve-credentials"]
        return ["nsenter", "-m"] + user + ["-t", str(self.holder.pid), "--"] + argv

    def order(self, text):
        """Its answer: {kind: {"waiting": count, "done": count, "bytes": count}}."""
        self.holder.stdin.write(text.encode() + b"\n")
        if not select.select([self.holder.stdout], [], [], DEADLINE)[0]:
            raise AssertionError("slowfs does not answer")
        fields = self.holder.stdout.readline().decode().split()
        if len(fields) != 4 * len(KINDS):
            raise AssertionError("slowfs says %r to %r" % (fields, text))
        return {fields[i]: {key: int(value) for key, value in
                            re.findall(r"(\w+)=(\d+)", " ".join(fields[i:i + 4]))}
                for i in range(0, len(fields), 4)}

    def hold(self, kind):
        return self.order("hold " + kind)

    def release(self, kind):
        return self.order("release " + kind)

    def release_all(self):
        """Also when it has ended, and holds nothing any more."""
        if self.holder.poll() is None:
            for kind in KINDS:
                self.release(kind)

    def waiting(self, kind):
        return self.order("count")[kind]["waiting"]

    def done(self, kind):
        return self.order("count")[kind]["done"]

    def wait_for(self, kind, count):
        """Until that many requests are waiting."""
        wait_for(lambda: self.waiting(kind) >= count,
                 lambda: "%d %ss to wait: %r" % (count, kind, self.order("count")))

    def forget(self, name):
        """The file's content leaves the kernel's memory: who reads it next needs the disk."""
        fd = os.open(os.path.join(self.path, name), os.O_RDWR)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.stderr.close()
        self.holder.wait()
