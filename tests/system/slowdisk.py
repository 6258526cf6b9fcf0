"""A slow disk (tests/slowfs), which can be held: then it serves no writes, no reads or no syncs at all,
until it is released. For the system tests, and for bench/.

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
# An image on the slow file system "$1" is the disk, of $2 KiB; the kernel may have $3 dirty bytes for it.
EXT4 = """
truncate -s "$2"k "$1/image"
mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0 $4 "$1/image"
loop=$(losetup --direct-io=on -f --show "$1/image")
mount "$loop" "$0" || { losetup -d "$loop"; exit 1; }
losetup -d "$loop"
knobs=/sys/class/bdi/$(mountpoint -d "$0")
rm -rf "$0/lost+found"
echo 1 >"$knobs/strict_limit"
echo "$3" >"$knobs/max_bytes"
"""


class SlowDisk:
    """Mounted where nobody else sees it, upon a tmpfs; gone with its process, as Disk (disks.py).

    slowfs itself, with these arguments; as it is without any, it is not slow: a test holds it rather
    than to wait for it. With `kib`, a disk of that size behind an ext4, which has what FUSE lacks: unnamed
    files, reads that do not wait (RWF_NOWAIT), a close(2) that does not either.
    """

    def __init__(self, directory, *args, kib=0, dirty=1 << 20, mkfs=""):
        self.slowfs = program("SLOWFS", "tests/slowfs/slowfs")
        if not os.path.exists(self.slowfs[0]):
            raise unittest.SkipTest("built without slowfs: it needs libfuse3")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            raise unittest.SkipTest("no /dev/fuse for this user")
        self.root = os.geteuid() == 0
        if kib and not self.root:
            raise unittest.SkipTest("only root may mount ext4")
        below, slow, self.inner = (os.path.join(directory, name) for name in
                                   ("below", "slow", "disk" if kib else "slow"))
        for path in {below, slow, self.inner}:
            os.mkdir(path)
        self.processes, self.mounted = [], False
        try:
            self._start(below, slow, list(args) or ["-w", "0"])
            if kib:
                self._mount(EXT4, self.inner, slow, str(kib), str(dirty), mkfs)
                self.mounted = True
        except BaseException:
            self.close()
            raise

    def _start(self, below, slow, args):
        self.holder = self._popen(["unshare", "-m" if self.root else "-Urm", "sh", "-c",
                                   'mount -t tmpfs -o mode=755 none "$0" && echo ready && exec cat',
                                   below])
        self.path = "/proc/%d/root%s" % (self.holder.pid, self.inner)
        self.server = self._popen(self.enter(self.slowfs + args + [below, slow]))
        if not os.path.ismount("/proc/%d/root%s" % (self.holder.pid, slow)):
            raise unittest.SkipTest("cannot look into another mount namespace")

    def _popen(self, argv):
        try:
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, bufsize=0)
        except FileNotFoundError as e:
            raise unittest.SkipTest("no %s" % e.filename)
        self.processes.append(process)
        if process.stdout.readline() != b"ready\n":
            said = process.communicate()[1].decode("utf-8", "replace")
            raise unittest.SkipTest("no FUSE here: %s" % said.strip()[-300:])
        return process

    def _mount(self, script, *args):
        done = subprocess.run(self.enter(["sh", "-ec", script, *args]), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            said = done.stdout.decode("utf-8", "replace")
            raise unittest.SkipTest("no such disk here: %s" % said.strip()[-300:])

    def enter(self, argv):
        """argv with this file system at self.inner."""
        user = [] if self.root else ["-U", "--preserve-credentials"]
        return ["nsenter", "-m"] + user + ["-t", str(self.holder.pid), "--"] + argv

    def order(self, text):
        """Its answer: {kind: {"waiting": count, "done": count, "bytes": count}}."""
        self.server.stdin.write(text.encode() + b"\n")
        if not select.select([self.server.stdout], [], [], DEADLINE)[0]:
            raise AssertionError("slowfs does not answer")
        fields = self.server.stdout.readline().decode().split()
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
        if self.server.poll() is None:
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
        if self.mounted:
            self.release_all()
            subprocess.run(self.enter(["umount", self.inner]), stderr=subprocess.DEVNULL)
        for process in reversed(self.processes):
            for stream in (process.stdin, process.stdout, process.stderr):
                stream.close()
            process.wait()
