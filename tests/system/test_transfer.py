"""Whole files of every size, both ways, directly and through stammerproxy; names, local targets."""

import os
import shutil
import socket
import stat
import threading
import time
import unittest

from harness import SLOW, SystemTest, ftxfer, has_ipv6, run
from wire import content, read_file, sha256_file, wait_for, write_file

SMALL = (0, 1, 255, 256, 2047, 2048, 2049, 65536)
MIB = 1 << 20
GIB = 1 << 30
FAST = ("--delay", "0", "--buffer", "262144")
BRIEF = ("--delay", "0.002", "--seed", "1")


class TransferTest(SystemTest):
    def both_ways(self, daemon, way, name, size):
        source = self.scratch("source", content(size))
        back = self.scratch("back")
        self.transferred("upload", way, name, source)
        self.assertEqual(sha256_file(daemon.path(name)), sha256_file(source))
        self.transferred("download", way, name, back)
        self.assertEqual(sha256_file(back), sha256_file(source))
        self.assertEqual(daemon.strays(name), [])
        os.unlink(back)
        os.unlink(daemon.path(name))


class TestSizes(TransferTest):
    weight = 10

    def test_directly(self):
        daemon = self.daemon()
        for size in SMALL + (5 * MIB, 5 * MIB + 1):
            with self.subTest(size=size):
                self.both_ways(daemon, daemon, "n%d" % size, size)
        self.assertEqual(set(daemon.reasons()), {"ok"})

    def test_through_the_proxy(self):
        daemon = self.daemon()
        proxy = self.proxy(daemon, *BRIEF)
        for size in SMALL:
            with self.subTest(size=size):
                self.both_ways(daemon, proxy, "n%d" % size, size)

    def test_through_the_proxy_with_large_fragments(self):
        daemon = self.daemon()
        proxy = self.proxy(daemon, *FAST)
        for size in (5 * MIB, 5 * MIB + 1):
            with self.subTest(size=size):
                self.both_ways(daemon, proxy, "n%d" % size, size)

    def test_with_the_pauses_of_the_original(self):
        daemon = self.daemon()
        self.both_ways(daemon, self.proxy(daemon, "--seed", "1"), "n", 2048)

    def test_many_sizes_around_its_buffers(self):
        daemon = self.daemon()
        for shift in (12, 14, 16, 18, 20):
            for size in ((1 << shift) - 1, 1 << shift, (1 << shift) + 1):
                with self.subTest(size=size):
                    data = content(size, shift)
                    self.upload(daemon, "n%d" % size, data)
                    self.assertEqual(read_file(daemon.path("n%d" % size)), data)
                    self.assertEqual(self.download(daemon, "n%d" % size), data)


class TestThreeGiB(TransferTest):
    """Larger than 31 bits say, so nothing may be counted in an int."""

    weight = 100
    SIZE = 3 * GIB

    def setUp(self):
        if not SLOW:
            self.skipTest("FTXFER_TEST_SLOW=0")
        super().setUp()
        free = shutil.disk_usage(self.dir).free
        if free < 8 * GIB:
            self.skipTest("%d GiB free in %s, 8 are needed" % (free // GIB, self.dir))

    def sparse(self, path):
        """Marks at places where a counter might break; zeros between them."""
        with open(path, "wb") as file:
            file.truncate(self.SIZE)
            for at in (0, GIB - 5, 2 * GIB - 7, 2 * GIB + 4096, self.SIZE - 10):
                file.seek(at)
                file.write(b"%10d" % at)
        return path

    def assert_same(self, one, other):
        """Byte for byte; as sure as a digest, and faster than two of them."""
        self.assertEqual(os.path.getsize(one), os.path.getsize(other))
        with open(one, "rb", buffering=0) as first, open(other, "rb", buffering=0) as second:
            left, right = bytearray(MIB), bytearray(MIB)
            for at in range(0, self.SIZE, MIB):
                first.readinto(left)
                second.readinto(right)
                if left != right:
                    self.fail("they differ in the MiB at %d" % at)

    def both_ways(self, daemon, way, name, size):
        source, back = self.sparse(self.scratch("source")), self.scratch("back")
        self.transferred("upload", way, name, source, deadline=300)
        self.assert_same(source, daemon.path(name))
        os.truncate(daemon.path(name), 0)  # give the space back; now served sparse
        self.sparse(daemon.path(name))
        self.transferred("download", way, name, back, deadline=300)
        self.assert_same(source, back)
        self.assertEqual(daemon.strays(name), [])

    def test_directly(self):
        daemon = self.daemon()
        self.both_ways(daemon, daemon, "n", self.SIZE)

    def test_through_the_proxy(self):
        daemon = self.daemon()
        self.both_ways(daemon, self.proxy(daemon, *FAST), "n", self.SIZE)


class TestNames(TransferTest):
    def assert_is(self, daemon, name, path):
        """An upload as `name` stands at `path`, and both spellings fetch it."""
        data = content(300, len(name))
        self.transferred("upload", daemon, name, self.scratch("source", data))
        self.assertEqual(read_file(daemon.path(path)), data)
        for spelling in (name, path):
            self.transferred("download", daemon, spelling, self.scratch("back"))
            self.assertEqual(read_file(self.scratch("back")), data)
        self.assertEqual(daemon.strays(path, "sub", "sub/deep"), [])
        os.unlink(daemon.path(path))

    def test_spellings(self):
        daemon = self.daemon()
        os.makedirs(daemon.path("sub/deep"))
        for name, path in (
                ("plain", "plain"), ("sub/n", "sub/n"), ("sub/deep/n", "sub/deep/n"),
                ("sub//n", "sub/n"), ("./n", "n"), ("sub/./n", "sub/n"), (".//.//sub///n", "sub/n"),
                (" n", "n"), ("n \t\r\n\v\f", "n"), ("\n\t n m \f", "n m"), ("sub/ n", "sub/ n"),
                ("-n", "-n"), ("..n", "..n"), ("n..", "n.."), ("...", "..."),
                (".hidden", ".hidden"), (".ftxferdx", ".ftxferdx"), ("n\\m", "n\\m"),
                ("%s%n", "%s%n"), ("n/.", "n"),
                ("\u00fc\u4e2d\U0001f600", "\u00fc\u4e2d\U0001f600")):
            with self.subTest(name=name):
                self.assert_is(daemon, name, path)

    def test_bytes_that_are_not_utf8(self):
        daemon = self.daemon(names="bytes")
        for name in (b"\xff\xfe\x80n", b"a\nb\x1b[2J\x7fc"):
            self.upload(daemon, name, b"data")
            self.assertEqual(read_file(os.fsencode(daemon.root) + b"/" + name), b"data")
        daemon.stop()
        daemon = self.daemon()  # another setting: what is there is there
        for name in (b"\xff\xfe\x80n", b"a\nb\x1b[2J\x7fc"):
            self.assertEqual(self.download(daemon, name), b"data")

    def test_255_bytes(self):
        daemon = self.daemon()
        self.assert_is(daemon, "n" * 255, "n" * 255)
        os.mkdir(daemon.path("sub"))
        self.assert_is(daemon, "sub/" + "n" * 251, "sub/" + "n" * 251)
        self.assert_is(daemon, " " + "n" * 253 + " ", "n" * 253)

    def test_servers_may_be_named(self):
        daemon = self.daemon(listen_address=["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"])
        write_file(daemon.path("n"), b"x")
        hosts = ["127.0.0.1"] + (["[::1]"] if has_ipv6() else [])
        try:
            socket.getaddrinfo("localhost", None)
            hosts.append("localhost")
        except OSError:
            pass  # a system without /etc/hosts
        for host in hosts:
            with self.subTest(host=host):
                self.transferred("download", "%s:%d" % (host, daemon.port), "n",
                                 self.scratch("back"))


class TestModes(TransferTest):
    def mode(self, path):
        return "%04o" % stat.S_IMODE(os.lstat(path).st_mode)

    def test_published(self):
        for option, mask, expected in ((None, 0o022, "0640"), (None, 0o077, "0640"),
                                       ("0604", 0o077, "0604")):
            with self.subTest(option=option, mask=mask):
                root = self.root("root%s%o" % (option, mask))
                daemon = self.daemon(root=root, file_mode=option, popen={"umask": mask})
                self.upload(daemon, "n", b"x")
                self.upload(daemon, "empty", b"")
                self.assertEqual(self.mode(daemon.path("n")), expected)
                self.assertEqual(self.mode(daemon.path("empty")), expected)

    def test_downloaded(self):
        daemon = self.daemon()
        write_file(daemon.path("n"), b"x")
        for mask, expected in ((0o022, "0644"), (0o077, "0600"), (0, "0666")):
            with self.subTest(mask=mask):
                back = self.scratch("back%o" % mask)
                self.transferred("download", daemon, "n", back, umask=mask)
                self.assertEqual(self.mode(back), expected)


class TestLocalTargets(TransferTest):
    """What a download does to what stands at its target."""

    def setUp(self):
        super().setUp()
        self.server = self.daemon()
        self.data = content(100000)
        write_file(self.server.path("n"), self.data)
        self.there = self.scratch("there")
        os.mkdir(self.there)

    def local(self, name):
        return os.path.join(self.there, name)

    def test_existing_file_is_replaced_with_a_notice(self):
        local = write_file(self.local("f"), b"old")
        kept = self.local("other-link")
        os.link(local, kept)
        ran = self.transferred("download", self.server, "n", local)
        self.assertRegex(ran.err, r"(?i)exists|overwrit|replac")
        self.assertEqual(read_file(local), self.data)
        self.assertEqual(read_file(kept), b"old", "replaced, not written into")
        self.assertEqual(sorted(os.listdir(self.there)), ["f", "other-link"])

    def test_no_notice_for_a_new_one(self):
        ran = self.transferred("download", self.server, "n", self.local("f"))
        self.assertNotRegex(ran.err, r"(?i)overwrit|replac")
        self.assertEqual(os.listdir(self.there), ["f"])

    def test_symlink_is_replaced_at_its_target(self):
        os.mkdir(self.local("far"))
        write_file(self.local("far/f"), b"old")
        os.symlink("far/f", self.local("link"))
        self.transferred("download", self.server, "n", self.local("link"))
        self.assertEqual(os.readlink(self.local("link")), "far/f")
        self.assertEqual(read_file(self.local("far/f")), self.data)
        self.assertEqual(os.listdir(self.local("far")), ["f"])

    def test_dangling_symlink(self):
        os.symlink("f", self.local("link"))
        self.transferred("download", self.server, "n", self.local("link"))
        self.assertTrue(os.path.islink(self.local("link")))
        self.assertEqual(read_file(self.local("f")), self.data)

    def test_dev_null_is_written_through(self):
        null = "/dev/null"
        if os.access("/dev", os.W_OK):  # a mistake would replace the machine's own
            null = self.local("null")
            os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        self.transferred("download", self.server, "n", null)
        self.assertTrue(stat.S_ISCHR(os.lstat(null).st_mode))

    def test_pipe_is_written_through(self):
        pipe = self.local("pipe")
        os.mkfifo(pipe)
        got = []
        reader = threading.Thread(target=lambda: got.append(read_file(pipe)), daemon=True)
        reader.start()
        self.transferred("download", self.server, "n", pipe)
        reader.join(20)
        self.assertEqual(got, [self.data])
        self.assertTrue(stat.S_ISFIFO(os.lstat(pipe).st_mode))

    def test_standard_output(self):
        write_file(self.server.path("text"), b"some text\n" * 20000)
        ran = self.transferred("download", self.server, "text", "/dev/stdout", "--quiet")
        self.assertEqual(ran.out, "some text\n" * 20000)

    def test_pipe_of_a_slow_reader(self):
        data = content(3 * MIB)
        write_file(self.server.path("big"), data)
        pipe, got = self.local("pipe"), []
        os.mkfifo(pipe)

        def read_slowly():
            with open(pipe, "rb", buffering=0) as file:
                time.sleep(0.3)
                part = file.read(100000)
                while part:
                    got.append(part)
                    time.sleep(0.001)
                    part = file.read(100000)
        reader = threading.Thread(target=read_slowly, daemon=True)
        reader.start()
        self.transferred("download", self.server, "big", pipe)
        reader.join(20)
        self.assertEqual(b"".join(got), data)

    def test_name_of_255_bytes(self):
        self.transferred("download", self.server, "n", self.local("f" * 255))
        self.assertEqual(os.listdir(self.there), ["f" * 255])

    def test_relative_names_and_the_defaults(self):
        write_file(self.server.path("server.txt"), b"defaults")
        ran = run(ftxfer() + ["-s", self.server.where], cwd=self.there)
        self.assertEqual(ran.status, 0, ran)
        self.assertEqual(read_file(self.local("client.txt")), b"defaults")

    def test_source_is_a_symlink(self):
        write_file(self.local("f"), b"data")
        os.symlink("f", self.local("link"))
        self.transferred("upload", self.server, "m", self.local("link"))
        self.assertEqual(read_file(self.server.path("m")), b"data")


class TestWhatIsServed(TransferTest):
    def test_replaced_while_it_is_downloaded(self):
        """The file that was there at the T is the one that is served."""
        daemon = self.daemon()
        data = content(8 * MIB)
        write_file(daemon.path("n"), data)
        peer = self.started_download(daemon, "n", len(data))
        os.rename(write_file(daemon.path("other"), b"new"), daemon.path("n"))
        peer.send(b"T")
        self.assertEqual(peer.rest(), (data, "fin"))

    def test_a_file_that_shrinks_is_never_passed_for_whole(self):
        daemon = self.daemon()
        write_file(daemon.path("n"), content(64 * MIB))
        peer = self.started_download(daemon, "n", 64 * MIB)
        peer.send(b"T")
        peer.receive(1000)
        os.truncate(daemon.path("n"), MIB)
        data, end = peer.rest()
        self.assertLess(len(data) + 1000, 64 * MIB)
        self.assertEqual(end, "reset")
        self.assertNotEqual(daemon.ended(1), ["ok"])

    def test_the_name_appears_only_when_it_is_whole(self):
        daemon = self.daemon()
        data = content(300000)
        peer = self.started_upload(daemon, "n", len(data), data[:-1])
        peer.wait_sent()
        self.assertFalse(os.path.exists(daemon.path("n")))
        peer.send(data[-1:])
        self.assertEqual(peer.rest(), (b"", "fin"))
        self.assertEqual(read_file(daemon.path("n")), data)

    def test_a_name_made_by_hand_meanwhile_is_not_replaced(self):
        daemon = self.daemon()
        peer = self.started_upload(daemon, "n", 10, b"12345")
        write_file(daemon.path("n"), b"by hand")
        peer.send(b"67890")
        self.assertEqual(peer.rest()[1], "reset")
        self.assertEqual(daemon.ended(1), ["exists"])
        self.assertEqual(read_file(daemon.path("n")), b"by hand")
        wait_for(lambda: not daemon.strays("n"), "the stage to go")


if __name__ == "__main__":
    unittest.main()
