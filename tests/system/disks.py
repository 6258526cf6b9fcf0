"""Small file systems of a test's own, mounted where nobody else sees them.

A holder, a process that waits for its standard input to end, has a mount namespace of its own: the
file system is gone with it, whatever becomes of the test. Programs are started in it by enter();
the test itself looks at it from outside, through the holder's /proc/PID/root.
"""

import os
import subprocess
import time
import unittest

# name: (how it is made from the image "$1", of $2 KiB, and mounted at "$0"; who may)
KINDS = {
    "tmpfs": 'mount -t tmpfs -o size=$2k,mode=755 $3 none "$0"',
    "ext4": 'mkfs.ext4 -q -F -m 0 $3 "$1" && mount -o loop "$1" "$0"',
    # The same with blocks that only root may fill.
    "ext4-reserved": 'mkfs.ext4 -q -F -m 20 $3 "$1" && mount -o loop "$1" "$0"',
    # These cannot set space aside beforehand: they have no fallocate(2).
    "ext2": 'mkfs.ext2 -q -F -m 0 $3 "$1" && mount -t ext2 -o loop "$1" "$0"',
}


class Disk:
    """A file system of that size; SkipTest where this user or this system cannot have it."""

    def __init__(self, directory, kind, kib, extra=""):
        self.inner = os.path.join(directory, "disk")
        image = os.path.join(directory, "image")
        os.mkdir(self.inner)
        script = KINDS[kind]
        if kind != "tmpfs":
            with open(image, "wb") as file:
                file.truncate(kib << 10)
            if os.geteuid() != 0:
                raise unittest.SkipTest("only root may mount %s" % kind)
        self.root = os.geteuid() == 0
        argv = ["unshare", "-m" if self.root else "-Urm", "sh", "-c",
                "{ %s && rm -rf \"$0/lost+found\"; } >&2 && echo ready && exec cat" % script,
                self.inner, image, str(kib), extra]
        try:
            self.holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE)
        except FileNotFoundError:
            raise unittest.SkipTest("no unshare(1)")
        if self.holder.stdout.readline() != b"ready\n":
            said = self.holder.communicate()[1].decode("utf-8", "replace")
            raise unittest.SkipTest("no %s here: %s" % (kind, said.strip()[-300:]))
        self.path = "/proc/%d/root%s" % (self.holder.pid, self.inner)
        if not os.path.ismount(self.path):
            self.close()
            raise unittest.SkipTest("cannot look into another mount namespace")

    def enter(self, argv):
        """argv with this file system at self.inner."""
        user = [] if self.root else ["-U", "--preserve-credentials"]
        return ["nsenter", "-m"] + user + ["-t", str(self.holder.pid), "--"] + argv

    def free(self):
        """Bytes that anybody may fill, and files that may be made."""
        os.sync()
        v = os.statvfs(self.path)
        return v.f_bavail * v.f_frsize, v.f_favail

    def fill(self, name="filler"):
        """Somebody else takes all that is free; returns what to remove. What a file system held
        back for blocks that it had not placed yet is free again when it has, which takes its time:
        so more than once, until next to nothing is free."""
        path = os.path.join(self.path, name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        size, deadline = -1, time.monotonic() + 5
        while os.fstat(fd).st_size > size or (
                self.free()[0] > 65536 and time.monotonic() < deadline):
            size = os.fstat(fd).st_size
            for piece in (1 << 20, 1 << 12, 1 << 9):
                try:
                    while os.write(fd, bytes(piece)) == piece:
                        pass
                except OSError:
                    pass
            try:
                os.fsync(fd)
            except OSError:
                pass  # not all of it found a place: as full as can be
        os.close(fd)
        return path

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.stderr.close()
        self.holder.wait()
