"""The slow disk itself (tests/slowfs): that it keeps what it is given, is slow as told, and can be held."""

import errno
import os
import threading
import time

from harness import SystemTest
from slowdisk import SlowDisk
from wire import content, read_file, wait_for, write_file

KIB = 1 << 10
MIB = 1 << 20


class SlowfsTest(SystemTest):
    def disk(self, *args):
        disk = SlowDisk(self.dir, *args)
        self.addCleanup(disk.close)
        self.addCleanup(disk.release_all)
        self.path = lambda name: os.path.join(disk.path, name)
        return disk

    def started(self, disk, call, *args):
        """A list that has what call(*args) returned, once it has."""
        done = []
        thread = threading.Thread(target=lambda: done.append(call(*args)), daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(disk.release_all)
        return done


class TestPassing(SlowfsTest):
    def at_rest(self, disk):
        """How many reads there were, once there are no more."""
        last = [disk.done("read"), time.monotonic()]

        def rests():
            if disk.done("read") != last[0]:
                last[:] = [disk.done("read"), time.monotonic()]
            return time.monotonic() - last[1] > 0.2
        wait_for(rests, "the disk to rest", step=0.02)
        return last[0]

    def test_content(self):
        for flags in (("-w", "0"), ("-w", "0", "-t")):
            with self.subTest(flags=flags):
                os.makedirs(self.scratch(flags[-1]))
                disk = SlowDisk(self.scratch(flags[-1]), *flags)
                self.addCleanup(disk.close)
                data = content(3 * MIB + 17)
                path = write_file(os.path.join(disk.path, "n"), data)
                self.assertEqual(read_file(path), data)
                disk.forget("n")
                before = disk.order("count")["read"]["bytes"]
                self.assertEqual(read_file(path), data)
                self.assertGreaterEqual(disk.order("count")["read"]["bytes"] - before, len(data))
                self.at_rest(disk)  # what was read ahead has come, too
                before = disk.order("count")["read"]["bytes"]
                self.assertEqual(read_file(path), data)
                # From the kernel's memory, but for a page that it may have had another use for.
                self.assertLess(disk.order("count")["read"]["bytes"] - before, len(data) / 8)
                self.assertGreaterEqual(disk.order("count")["write"]["bytes"], len(data))

    def test_pieces_of_a_page(self):
        """Also by who opened the file for writing only, when the page must be read for it."""
        disk = self.disk()
        write_file(self.path("n"), b"0123456789" * 1000)
        disk.forget("n")
        fd = os.open(self.path("n"), os.O_WRONLY)
        os.pwrite(fd, b"abc", 5000)
        os.close(fd)
        with open(self.path("n"), "ab") as file:
            file.write(b"end")
        want = bytearray(b"0123456789" * 1000 + b"end")
        want[5000:5003] = b"abc"
        disk.forget("n")
        self.assertEqual(read_file(self.path("n")), bytes(want))

    def test_names(self):
        self.disk()
        os.mkdir(self.path("d"))
        write_file(self.path("d/a"), b"x")
        os.link(self.path("d/a"), self.path("b"))
        self.assertEqual(os.stat(self.path("b")).st_nlink, 2)
        os.rename(self.path("d/a"), self.path("c"))
        self.assertEqual(sorted(os.listdir(self.path(""))), ["b", "c", "d"])
        os.rmdir(self.path("d"))
        with self.assertRaises(FileExistsError):
            os.link(self.path("b"), self.path("c"))
        with open(self.path("c"), "rb") as file:
            os.unlink(self.path("b"))
            os.unlink(self.path("c"))
            self.assertEqual((os.fstat(file.fileno()).st_size, file.read()), (1, b"x"))
        self.assertEqual(os.listdir(self.path("")), [])

    def test_many_names(self):
        self.disk()
        names = sorted("name-%d" % i for i in range(500))
        for name in names:
            write_file(self.path(name), b"")
        self.assertEqual(sorted(os.listdir(self.path(""))), names)

    def test_attributes(self):
        self.disk()
        write_file(self.path("n"), bytes(1000))
        os.truncate(self.path("n"), 10)
        os.chmod(self.path("n"), 0o600)
        os.utime(self.path("n"), (1000, 2000))
        st = os.stat(self.path("n"))
        self.assertEqual((st.st_size, st.st_mode & 0o7777, st.st_atime, st.st_mtime),
                         (10, 0o600, 1000, 2000))
        fd = os.open(self.path("n"), os.O_RDWR)
        os.posix_fallocate(fd, 0, MIB)
        self.assertEqual(os.fstat(fd).st_size, MIB)
        os.close(fd)
        self.assertGreater(os.statvfs(self.path("")).f_bavail, 0)

    def test_what_it_has_not(self):
        self.disk()
        with self.assertRaises(OSError) as caught:
            os.open(self.path(""), os.O_TMPFILE | os.O_RDWR)
        self.assertEqual(caught.exception.errno, errno.EOPNOTSUPP)
        with self.assertRaises(OSError):
            os.symlink("a", self.path("b"))


class TestSlowness(SlowfsTest):
    """Only that it is no faster: how much slower it gets is the machine's affair."""

    def test_writes(self):
        self.disk("-w", "8M", "-t")
        start = time.monotonic()
        write_file(self.path("n"), bytes(2 * MIB))
        self.assertGreaterEqual(time.monotonic() - start, 0.25)

    def test_dirty_pages(self):
        """Only the disk is slow, not who writes, until that one wants to be sure."""
        disk = self.disk("-w", "8M")
        start = time.monotonic()
        with open(self.path("n"), "wb", buffering=0) as file:
            file.write(bytes(2 * MIB))
            os.fsync(file.fileno())
        self.assertGreaterEqual(time.monotonic() - start, 0.25)
        file = open(self.path("m"), "w+b", buffering=0)
        self.addCleanup(file.close)  # waits for the disk: when that is not held any more
        disk.hold("write")
        written = self.started(disk, file.write, bytes(256 * KIB))
        wait_for(lambda: written, "a write that needs no disk")
        self.assertEqual(len(os.pread(file.fileno(), MIB, 0)), 256 * KIB)
        self.assertEqual(disk.order("count")["write"]["bytes"], 2 * MIB)

    def test_reads(self):
        disk = self.disk("-w", "0", "-r", "8M")
        write_file(self.path("n"), bytes(2 * MIB))
        disk.forget("n")
        start = time.monotonic()
        read_file(self.path("n"))
        self.assertGreaterEqual(time.monotonic() - start, 0.25)

    def test_syncs(self):
        self.disk("-w", "0", "-s", "100")
        fd = os.open(write_file(self.path("n"), b"x"), os.O_RDONLY)
        start = time.monotonic()
        os.fsync(fd)
        self.assertGreaterEqual(time.monotonic() - start, 0.1)
        os.close(fd)


class TestHolding(SlowfsTest):
    def check(self, kind, disk, call, *args):
        """call(*args) needs the disk; it ends when that is released, and not before."""
        disk.hold(kind)
        before = disk.done(kind)
        done = self.started(disk, call, *args)
        disk.wait_for(kind, 1)
        self.assertEqual((done, disk.done(kind)), ([], before))
        os.stat(self.path(""))
        write_file(self.path("other"), b"")
        disk.release(kind)
        wait_for(lambda: done, "the end of what was held")
        self.assertEqual(disk.waiting(kind), 0)

    def test_writes(self):
        self.check("write", self.disk("-w", "0", "-t"), write_file, self.path("n"), bytes(100000))

    def test_reads(self):
        disk = self.disk()
        write_file(self.path("n"), bytes(100000))
        disk.forget("n")
        self.check("read", disk, read_file, self.path("n"))

    def test_syncs(self):
        disk = self.disk()
        fd = os.open(self.path("n"), os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, fd)
        self.check("sync", disk, os.fsync, fd)

    def test_one_holds_up_no_other(self):
        disk = self.disk()
        write_file(self.path("n"), bytes(100000))
        disk.forget("n")
        disk.hold("write")
        disk.hold("sync")
        fd = os.open(self.path(""), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        self.assertEqual(len(read_file(self.path("n"))), 100000)

    def test_its_end_ends_all(self):
        disk = self.disk("-w", "0", "-t")
        disk.hold("write")

        def write():
            try:
                write_file(self.path("n"), b"x")
            except OSError as e:
                return e.errno
            return 0
        done = self.started(disk, write)
        disk.wait_for("write", 1)
        disk.server.kill()
        disk.server.wait()
        wait_for(lambda: done, "the end of what was held")
        self.assertNotEqual(done, [0])
