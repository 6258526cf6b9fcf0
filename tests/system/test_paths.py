"""Which way content takes, and that it arrives by each of them: the counters of -d tell."""

import os
import shutil
import tempfile
import time
import unittest

from harness import SystemTest, counters, file_system
from wire import content, read_file, write_file

MIB = 1 << 20
# Around the sizes at which something changes: a piece, a chunk, the turn of a loop, direct I/O.
SIZES = [0, 1, 4096, (256 << 10) - 1, (256 << 10) + 1, 512 << 10, MIB + 7, 3 * MIB]
LARGE = [16 * MIB, 16 * MIB + 1, 20 * MIB + 4711]


class TestPaths(SystemTest):
    def there_and_back(self, root, sizes):
        """Each size up and down again; what the daemon has counted."""
        daemon = self.daemon(args=["-d"], root=root)
        for size in sizes:
            data = content(size)
            local = self.scratch("local", data)
            self.transferred("upload", daemon, "n%d" % size, local)
            self.assertTrue(read_file(os.path.join(root, "n%d" % size)) == data)
            self.transferred("download", daemon, "n%d" % size, self.scratch("back"))
            self.assertTrue(read_file(self.scratch("back")) == data)
        daemon.stop()
        lines = daemon.counters()
        return {name: sum(line[name] for line in lines) for name in lines[0]}

    def test_on_a_disk(self):
        root = self.root()
        if file_system(root) == "tmpfs":
            self.skipTest("the tests' directory is on no disk")
        counted = self.there_and_back(root, SIZES + LARGE)
        # Large files are written past the page cache, if the file system lets them.
        self.assertEqual(counted["direct"] + counted["copy-received"], sum(SIZES + LARGE))
        if file_system(root) in ("ext2/ext3", "xfs", "btrfs"):
            self.assertEqual(counted["direct"], sum(LARGE))
        self.assertEqual(counted["copy-sent"], sum(SIZES + LARGE))

    def test_in_memory(self):
        if not os.path.isdir("/dev/shm") or file_system("/dev/shm") != "tmpfs":
            self.skipTest("no tmpfs at /dev/shm")
        root = tempfile.mkdtemp(prefix="ftxferd-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, root)
        os.chmod(root, 0o755)
        counted = self.there_and_back(root, SIZES + LARGE)
        self.assertEqual(counted["direct"], 0)
        # Large ones pass by a pipe, but for what came before its turn.
        by_pipe = sum(size for size in SIZES + LARGE if size >= MIB)
        self.assertEqual(counted["copy-received"] + counted["splice"], sum(SIZES + LARGE))
        self.assertLessEqual(counted["splice"], by_pipe)
        self.assertGreater(counted["splice"], by_pipe * 0.9)
        self.assertEqual(counted["copy-sent"], sum(SIZES + LARGE))

    def test_without_a_copy_on_the_loopback(self):
        """Large ones, both ends; and not if somebody does not want it so."""
        root = self.root()
        size = 40 * MIB + 4711
        data = content(size)
        local = self.scratch("local", data)
        for way, least, most in ("auto", 0.9, 1), ("never", 0, 0):
            daemon = self.daemon(args=["-d"], root=root, sendfile=way, splice=way)
            option = ["-d", "--sendfile=" + way, "--splice=" + way]
            up = self.transferred("upload", daemon, way, local, *option)
            self.assertTrue(read_file(daemon.path(way)) == data)
            down = self.transferred("download", daemon, way, self.scratch("back"), *option)
            self.assertTrue(read_file(self.scratch("back")) == data)
            daemon.stop()
            sent = sum(line["sendfile"] for line in daemon.counters())
            for moved in counters(up.err)[0]["sendfile"], counters(down.err)[0]["splice"], sent:
                self.assertTrue(least * size <= moved <= most * size, (way, moved))

    def test_from_the_file(self):
        """Both ways, past our memory, but for the ends of each file."""
        root = self.root()
        daemon = self.daemon(args=["-d"], root=root, sendfile="always")
        moved = 0
        for size in [100000, 512 << 10, MIB + 7, 3 * MIB, 20 * MIB + 4711]:
            data = content(size)
            local = self.scratch("local", data)
            ran = self.transferred("upload", daemon, "n%d" % size, local, "-d", "--sendfile=always")
            self.assertTrue(read_file(daemon.path("n%d" % size)) == data)
            self.transferred("download", daemon, "n%d" % size, self.scratch("back"))
            self.assertTrue(read_file(self.scratch("back")) == data)
            line, = counters(ran.err)
            self.assertEqual(line["sendfile"] + line["copy-sent"], size)
            if size < 512 << 10:
                self.assertEqual(line["sendfile"], 0)
            else:
                moved += size
                self.assertGreater(line["sendfile"], size * 0.7)
        daemon.stop()
        lines = daemon.counters()
        self.assertGreater(sum(line["sendfile"] for line in lines), moved * 0.5)

    def test_from_a_file_that_changes(self):
        """In place, when much of it has been sent: it is not ended cleanly. It is larger than what
        the peer's system can have taken unread (tcp_rmem)."""
        daemon = self.daemon()
        size = 32 * MIB
        write_file(daemon.path("n"), bytes(size))
        os.utime(daemon.path("n"), (1, 1))
        time.sleep(0.05)
        peer = self.started_download(daemon, "n", size)
        peer.send(b"T")
        self.assertEqual(peer.receive(MIB), bytes(MIB))
        with open(daemon.path("n"), "r+b") as file:
            file.seek(30 * MIB)
            file.write(b"x" * 1000)
        got, end = peer.rest()
        self.assertEqual(end, "reset")
        self.assertLess(MIB + len(got), size)
        self.assertEqual(daemon.ended(1), ["changed"])

    def test_a_file_that_changes_before_it_is_read(self):
        """All but the end of it has been sent, and acknowledged by the peer's system; but what has
        not been read yet are pages of the file still."""
        daemon = self.daemon()
        size = 32 * MIB
        write_file(daemon.path("n"), bytes(size))
        os.utime(daemon.path("n"), (1, 1))
        time.sleep(0.05)
        peer = self.started_download(daemon, "n", size)
        peer.send(b"T")
        # What remains fits into the peer's queue, whatever that is.
        read = size - 160 * 1024
        self.assertEqual(peer.receive(read), bytes(read))
        time.sleep(0.3)
        with open(daemon.path("n"), "r+b") as file:
            file.seek(size - 100 * 1024)
            file.write(b"x" * 1000)
        got, end = peer.rest()
        self.assertEqual(end, "reset")
        self.assertLess(read + len(got), size)
        self.assertEqual(daemon.ended(1), ["changed"])

    def test_a_slow_receiver(self):
        """What it does not take at once is read again, and not lost."""
        daemon = self.daemon()
        data = content(6 * MIB)
        write_file(daemon.path("n"), data)
        peer = self.started_download(daemon, "n", len(data))
        peer.send(b"T")
        got = b""
        while len(got) < len(data):
            piece = peer.sock.recv(min(77777, len(data) - len(got)))
            self.assertTrue(piece)
            got += piece
            if len(got) % 5 == 0:
                peer.is_quiet(0.01)
        self.assertTrue(got == data)
        self.assertEqual(peer.rest(), (b"", "fin"))


if __name__ == "__main__":
    unittest.main()
