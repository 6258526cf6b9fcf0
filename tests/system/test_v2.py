"""Protocol 2 as ftxferd serves it, to a client that is written by hand (wire2.py)."""

import os
import signal
import socket
import time
import unittest

from harness import SystemTest
from wire import content, read_file, wait_for, write_file
from wire2 import (ABORT, BARRIER, Client, CREATE_OR_SAME, EXISTED, NOW, PARENTS, REPLACE,
                   REPLACE_OR_SAME, SAME, SUPERSEDED, encode, frame, new_upload_id, sha256)

MIB = 1 << 20


class V2Test(SystemTest):
    def client(self, daemon, **arguments):
        client = Client(daemon.address, **arguments)
        self.addCleanup(client.close)
        return client

    def assert_error(self, message, code):
        self.assertEqual((message.type, message.code), ("ERROR", code), message)

    def assert_ok(self, message, flags=0):
        self.assertEqual(message.type, "OK", message)
        self.assertEqual(message.flags & ~0x08, flags, message)

    def assert_receipt(self, message, name, data, flags=0):
        self.assert_ok(message, flags)
        self.assertEqual(message.NAME, name.encode())
        self.assertEqual(message.SIZE, len(data))
        self.assertEqual(message.DIGEST, sha256(data))
        self.assertLess(abs(message.TIME[0] - time.time()), 60)
        self.assertTrue(8 <= len(message.FILE_VERSION) <= 32)

    def assert_no_stages(self, daemon):
        self.assertEqual([name for name in daemon.files() if ".ftxferd-" in name], [])


class TestConnection(V2Test):
    def test_hello(self):
        client = self.client(self.daemon())
        self.assertEqual(client.hello.PROTOCOL_VERSION, 2)
        self.assertEqual(client.hello.MAX_DATA, MIB)
        self.assertGreaterEqual(client.hello.MAX_REQUESTS, 16)
        self.assertIn(b"ftxferd", client.hello.AGENT)
        client.send(frame("PING", 0, 0, encode([("TOKEN", b"tick")])))
        self.assertEqual(client.next().TOKEN, b"tick")
        client.half_close()
        self.assertIsNone(client.next())

    def test_all_in_one_segment(self):
        daemon = self.daemon()
        client = Client(daemon.address, hello=False)
        self.addCleanup(client.close)
        early = client.put_frames(1, "a.txt", b"hello") + frame(
            "STAT", 2, BARRIER, encode([("NAME", "a.txt")]))
        client = self.client(daemon, early=early)
        receipt = client.next()
        self.assert_receipt(receipt, "a.txt", b"hello")
        found = client.next()
        self.assertEqual((found.id, found.KIND, found.SIZE), (2, 1, 5))
        self.assertEqual(found.FILE_VERSION, receipt.FILE_VERSION)
        self.assertEqual(found.DIGEST, sha256(b"hello"))
        self.assertEqual(read_file(daemon.path("a.txt")), b"hello")

    def test_breaches(self):
        daemon = self.daemon()
        for data, code in (
                (frame("HELLO", 0), "PROTOCOL"),
                (frame("STAT", 0, 0, encode([("NAME", "")])), "ID_IN_USE"),
                (frame("DATA", 7, 0, b"x"), "PROTOCOL"),
                (frame("END", 7), "PROTOCOL"),
                (frame("PONG", 0), "PROTOCOL"),
                (frame(0x0a, 0), "UNSUPPORTED"),
                (frame("PING", 0, 1), "UNSUPPORTED"),
                (b"\x00\x01\x00\x01\x13\x00\x00\x01", "PROTOCOL")):
            with self.subTest(data=data):
                client = self.client(daemon)
                client.send(data)
                error = client.next()
                self.assert_error(error, code)
                self.assertEqual(error.id, 0)
                self.assertIsNone(client.next())

    def test_request_errors(self):
        client = self.client(self.daemon())
        self.assert_error(client.ask("STAT"), "MALFORMED")
        self.assert_error(client.ask(0x3f), "UNSUPPORTED")
        self.assert_error(client.ask("STAT", ("NAME", "x"), flags=0x04), "UNSUPPORTED")
        self.assert_error(client.ask("STAT", ("NAME", "../x")), "BAD_NAME")
        self.assert_error(client.ask("STAT", ("NAME", "none")), "NOT_FOUND")
        self.assert_error(client.ask("CANCEL", ("TARGET", 99)), "TOO_LATE")
        self.assertEqual(client.ask("STAT", ("NAME", "")).KIND, 2)

    def test_max_requests(self):
        """Exactly as many as were announced, and those are answered; one more costs only itself."""
        for most in (16, 17, 256, 4096):
            with self.subTest(most=most):
                client = self.client(self.daemon(root=self.root("r%d" % most), max_requests=most))
                self.assertEqual(client.hello.MAX_REQUESTS, most)
                put = client.request("PUT", ("NAME", "x"), ("SIZE", 1), ("DIGEST_KIND", 2))
                self.assertEqual(client.result(put).type, "GO")
                stats = [client.request("STAT", ("NAME", ""), flags=BARRIER)
                         for _ in range(most - 1)]
                for _ in range(2):
                    self.assert_error(client.ask("STAT", ("NAME", "")), "TOO_MANY")
                self.assert_ok(client.ask("CANCEL", ("TARGET", put)))
                self.assert_error(client.result(put), "CANCELLED")
                for number in stats:
                    self.assert_ok(client.result(number))
                for number in range(most - 1):  # the END of the PUT is owed
                    client.request("STAT", ("NAME", ""))
                client.end(put, flags=ABORT)
                for number in range(most - 1):
                    self.assert_ok(client.next())
                self.assert_ok(client.ask("STAT", ("NAME", "")))

    def test_now_and_barriers(self):
        """PUT with NOW behind a barrier that waits for a PUT: its content would stand in the way."""
        for what, before, flags in (("behind one that waits", BARRIER, 0), ("with one", 0, BARRIER),
                                    ("with none", 0, 0), ("behind one that has passed", None, 0)):
            with self.subTest(what=what):
                client = self.client(self.daemon(root=self.root(what)))
                if before is None:
                    self.assert_ok(client.ask("STAT", ("NAME", ""), flags=BARRIER))
                put = client.request("PUT", ("NAME", "x"), ("SIZE", 1), ("DIGEST_KIND", 2))
                self.assertEqual(client.result(put).type, "GO")
                stat = client.request("STAT", ("NAME", ""), flags=before or 0)
                now = client.new_id()
                client.send(client.put_frames(now, "y", b"y", flags=flags))
                if before or flags:
                    message = client.result(0)
                    self.assert_error(message, "PROTOCOL")
                    self.assertEqual(message.TARGET, now)
                    continue
                self.assert_ok(client.result(now))
                self.assert_ok(client.result(stat))
                client.data(put, b"x")
                client.end(put, b"x")
                self.assert_ok(client.result(put))

    def unread_get(self, daemon):
        """A GET of 8 MiB whose first frame of DATA is under way, and stands."""
        write_file(daemon.path("f"), content(8 * MIB))
        client = self.client(daemon)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        number = client.request("GET", ("NAME", "f"), ("DIGEST_KIND", 2))
        self.assertEqual(client.result(number).type, "FILE")
        self.assertTrue(client.fill(8 + 4096))
        return client, number

    def test_a_breach_within_content_that_is_not_taken(self):
        """It does not keep the connection from its idle_timeout."""
        daemon = self.daemon(idle_timeout=1)
        client, _ = self.unread_get(daemon)
        client.send(frame(0x7f, 5))
        self.assertEqual(daemon.ended(1, 10), ["idle-timeout"])

    def test_a_breach_within_content_that_is_cut_short(self):
        """The frame is completed, and it is the connection's ERROR that follows."""
        daemon = self.daemon(sendfile="never")
        client, number = self.unread_get(daemon)
        os.truncate(daemon.path("f"), 4096)
        client.send(frame(0x7f, 5))
        got, end = client.next(), client.next()
        self.assertEqual((got.type, got.id), ("DATA", number))
        self.assertEqual(got.payload[:4096], content(8 * MIB)[:4096])
        self.assertEqual(got.payload[-4096:], bytes(4096))
        self.assert_error(end, "UNSUPPORTED")
        self.assertEqual(end.id, 0)
        self.assertIsNone(client.next())

    def test_auth_ends_it(self):
        client = self.client(self.daemon())
        client.send(frame("AUTH", 1) + frame("STAT", 2, 0, encode([("NAME", "")])))
        self.assert_error(client.result(1), "UNSUPPORTED")
        self.assert_error(client.result(2), "UNAUTHENTICATED")
        self.assert_error(client.result(0), "UNAUTHENTICATED")
        self.assertIsNone(client.next())

    def test_goodbye(self):
        daemon = self.daemon()
        client = self.client(daemon)
        number = client.request("PUT", ("NAME", "last"), ("SIZE", 5), ("DIGEST_KIND", 2))
        self.assertEqual(client.result(number).type, "GO")
        daemon.send_signal(15)
        self.assertEqual(client.next().type, "GOODBYE")
        self.assert_error(client.ask("STAT", ("NAME", "")), "SHUTTING_DOWN")
        client.data(number, b"hello")
        client.end(number, b"hello")
        self.assert_receipt(client.result(number), "last", b"hello")
        client.half_close()
        self.assertIsNone(client.next())
        daemon.wait()
        self.assertEqual(read_file(daemon.path("last")), b"hello")


class TestNames(V2Test):
    def test_defaults_allow_nothing(self):
        daemon = self.daemon()
        write_file(daemon.path("a"), b"a")
        client = self.client(daemon)
        self.assert_error(client.ask("REMOVE", ("NAME", "a")), "FORBIDDEN")
        self.assert_error(client.ask("RENAME", ("NAME", "a"), ("TO", "b")), "FORBIDDEN")
        self.assert_error(client.put_now("a", b"b", ("POLICY", REPLACE)), "FORBIDDEN")
        self.assert_error(client.put("a", b"b", ("POLICY", REPLACE)), "FORBIDDEN")
        self.assertEqual(read_file(daemon.path("a")), b"a")

    def test_changes(self):
        daemon = self.daemon(allow_rename=True, allow_remove=True)
        write_file(daemon.path("a"), b"a")
        client = self.client(daemon)
        self.assert_ok(client.ask("MKDIR", ("NAME", "d")))
        self.assert_ok(client.ask("MKDIR", ("NAME", "d")), EXISTED)
        self.assert_error(client.ask("MKDIR", ("NAME", "x/y")), "NO_PARENT")
        self.assert_ok(client.ask("MKDIR", ("NAME", "x/y"), flags=PARENTS))
        version = client.ask("STAT", ("NAME", "a")).FILE_VERSION
        self.assert_error(
            client.ask("RENAME", ("NAME", "a"), ("TO", "d/b"), ("IF_VERSION", b"x" * 16)), "CHANGED")
        renamed = client.ask("RENAME", ("NAME", "a"), ("TO", "d/b"), ("IF_VERSION", version))
        self.assert_ok(renamed)
        self.assertEqual(client.ask("STAT", ("NAME", "d/b")).FILE_VERSION, renamed.FILE_VERSION)
        self.assert_error(client.ask("REMOVE", ("NAME", "d")), "IS_DIRECTORY")
        self.assert_error(client.ask("REMOVE", ("NAME", "d"), flags=0x01), "NOT_EMPTY")
        self.assert_error(client.ask("REMOVE", ("NAME", "d/b"), flags=0x01), "NOT_DIRECTORY")
        self.assert_ok(client.ask("REMOVE", ("NAME", "d/b")))
        self.assert_ok(client.ask("REMOVE", ("NAME", "d"), flags=0x01))
        self.assertEqual(sorted(n for n in os.listdir(daemon.path("")) if n[0] != "."), ["x"])

    def test_busy(self):
        daemon = self.daemon(allow_rename=True, allow_remove=True)
        os.mkdir(daemon.path("d"))
        client = self.client(daemon)
        number = client.request("PUT", ("NAME", "d/n"), ("SIZE", 1), ("DIGEST_KIND", 2))
        self.assertEqual(client.result(number).type, "GO")
        self.assert_error(client.put_now("d/n", b"x"), "BUSY")
        self.assert_error(client.ask("REMOVE", ("NAME", "d/n")), "BUSY")
        self.assert_error(client.ask("RENAME", ("NAME", "z"), ("TO", "d/n")), "BUSY")
        self.assert_error(client.ask("REMOVE", ("NAME", "d"), flags=0x01), "BUSY")
        self.assert_ok(client.ask("CANCEL", ("TARGET", number)))
        self.assert_error(client.result(number), "CANCELLED")
        client.end(number, flags=ABORT)
        self.assert_ok(client.ask("REMOVE", ("NAME", "d"), flags=0x01))

    def test_list(self):
        daemon = self.daemon()
        names = {"f%04d" % i for i in range(1500)}
        for name in names:
            write_file(daemon.path(name), b"x")
        os.symlink("f0000", daemon.path("link"))
        client = self.client(daemon)
        client.put_now("sum", b"content")
        found, cursor = [], []
        while True:
            page = client.ask("LIST", ("NAME", ""), *cursor, flags=0x01)
            self.assertEqual(page.type, "PAGE")
            found += page.entries
            if page.CURSOR is None:
                break
            cursor = [("CURSOR", page.CURSOR)]
        kinds = {entry["NAME"].decode(): entry for entry in found}
        self.assertEqual(len(found), len(kinds))
        self.assertEqual(set(kinds), names | {"link", "sum"})
        self.assertEqual(kinds["link"]["KIND"], 3)
        self.assertNotIn("SIZE", kinds["link"])
        self.assertEqual(kinds["sum"]["SIZE"], 7)
        self.assertEqual(kinds["sum"]["DIGEST"], sha256(b"content"))
        self.assert_error(client.ask("LIST", ("NAME", ""), *cursor), "CURSOR_EXPIRED")
        self.assert_error(client.ask("LIST", ("NAME", "sum")), "NOT_DIRECTORY")

    def test_digest(self):
        daemon = self.daemon()
        data = content(3 * MIB)
        write_file(daemon.path("f"), data)
        client = self.client(daemon)
        made = client.ask("DIGEST", ("NAME", "f"), ("DIGEST_KIND", 2))
        self.assertEqual((made.DIGEST, made.SIZE), (sha256(data), len(data)))
        made = client.ask("DIGEST", ("NAME", "f"), ("DIGEST_KIND", 2), ("OFFSET", 5), ("LENGTH", 7))
        self.assertEqual(made.DIGEST, sha256(data[5:12]))
        self.assert_error(client.ask("DIGEST", ("NAME", "f"), ("OFFSET", 4 * MIB)), "BAD_RANGE")
        self.assert_error(client.ask("DIGEST", ("NAME", "")), "BAD_NAME")


class TestPut(V2Test):
    def test_sizes(self):
        daemon = self.daemon()
        client = self.client(daemon)
        for size in (0, 1, 4096, 65536, 65537, 300000, MIB):
            for how in (client.put_now, client.put):
                with self.subTest(size=size, how=how.__name__):
                    name = "%s-%d" % (how.__name__, size)
                    data = content(size)
                    self.assert_receipt(how(name, data), name, data)
                    self.assertEqual(read_file(daemon.path(name)), data)
                    found = client.ask("STAT", ("NAME", name))
                    self.assertEqual((found.SIZE, found.DIGEST), (size, sha256(data)))
        self.assert_no_stages(daemon)

    def test_large(self):
        daemon = self.daemon()
        client = self.client(daemon)
        data = content(20 * MIB + 12345)
        for step in (MIB, 65536, 4096 * 3):
            name = "large-%d" % step
            self.assert_receipt(client.put(name, data, step=step), name, data)
            self.assertEqual(read_file(daemon.path(name)), data)

    def test_each_byte_is_in_the_log(self):
        """Also those that were written long before the END came."""
        daemon = self.daemon()
        client = self.client(daemon)
        data = content(3 * MIB + 93)
        number = client.request("PUT", ("NAME", "n"), ("SIZE", len(data)), ("DIGEST_KIND", 2))
        self.assertEqual(client.result(number).OFFSET, 0)
        client.data(number, data)
        time.sleep(0.3)
        client.send(frame("END", number, 0, encode([("DIGEST", sha256(data))])))
        self.assert_receipt(client.result(number), "n", data)
        client.close()
        daemon.ended(1)
        self.assertIn(" op=v2 bytes=%d " % len(data), daemon.err())

    def test_streams(self):
        daemon = self.daemon(max_file_size="100M")
        client = self.client(daemon)
        for size in (0, 5, 4096, MIB, 2 * MIB + 1, 70 * MIB + 17):
            with self.subTest(size=size):
                name = "s%d" % size
                data = content(size)
                number = client.request("PUT", ("NAME", name), ("DIGEST_KIND", 2))
                self.assertEqual(client.result(number).OFFSET, 0)
                client.data(number, data)
                client.send(frame("END", number, 0, encode([
                    ("DIGEST", sha256(data)), ("SIZE", size)])))
                self.assert_receipt(client.result(number), name, data)
                self.assertEqual(read_file(daemon.path(name)), data)
                # What was promised beyond it is given back; a few blocks are the file system's.
                self.assertLessEqual(os.stat(daemon.path(name)).st_blocks * 512, size + 65536)
        number = client.request("PUT", ("NAME", "n"), ("DIGEST_KIND", 2))
        client.result(number)
        client.data(number, bytes(101 * MIB))
        client.end(number, flags=ABORT)
        self.assert_error(client.result(number), "TOO_LARGE")
        number = client.request("PUT", ("NAME", "n"), ("DIGEST_KIND", 2))
        client.result(number)
        client.data(number, b"12345")
        client.send(frame("END", number, 0, encode([("DIGEST", sha256(b"12345")), ("SIZE", 6)])))
        self.assert_error(client.result(number), "SIZE_MISMATCH")
        self.assert_no_stages(daemon)

    def test_attributes(self):
        daemon = self.daemon()
        client = self.client(daemon)
        for how in (client.put_now, client.put):
            name = how.__name__
            receipt = how(name, b"x", ("MTIME", (1000000000, 5000)), ("MODE", 0o604))
            self.assert_receipt(receipt, name, b"x")
            found = client.ask("STAT", ("NAME", name))
            self.assertEqual((found.MTIME, found.MODE), ((1000000000, 5000), 0o604))
            self.assertEqual(found.FILE_VERSION, receipt.FILE_VERSION)

    def test_refusals(self):
        daemon = self.daemon(max_file_size=1000000)
        write_file(daemon.path("f"), b"f")
        os.mkdir(daemon.path("d"))
        client = self.client(daemon)
        self.assertEqual(client.hello.MAX_FILE, 1000000)
        for how in (client.put_now, client.put):
            with self.subTest(how=how.__name__):
                self.assert_error(how("f", b"new"), "EXISTS")
                self.assert_error(how("d", b"new"), "EXISTS")
                self.assert_error(how("x/y", b"new"), "NO_PARENT")
                self.assert_error(how("a/../y", b"new"), "BAD_NAME")
                self.assert_error(how("a\x01", b"new"), "BAD_NAME")
                self.assert_error(how("l", bytes(1000001)), "TOO_LARGE")
        self.assertEqual(read_file(daemon.path("f")), b"f")
        self.assert_no_stages(daemon)

    def test_wrong_content(self):
        daemon = self.daemon()
        client = self.client(daemon)
        for size in (5, 200000):
            data = content(size)
            number = client.request("PUT", ("NAME", "n"), ("SIZE", size), ("DIGEST_KIND", 2))
            client.result(number)
            client.data(number, data)
            client.end(number, data[1:])
            self.assert_error(client.result(number), "DIGEST_MISMATCH")
            number = client.request("PUT", ("NAME", "n"), ("SIZE", size + 1), ("DIGEST_KIND", 2),
                                    flags=NOW)
            client.data(number, data)
            client.end(number, data)
            self.assert_error(client.result(number), "SIZE_MISMATCH")
            number = client.request("PUT", ("NAME", "n"), ("SIZE", size - 1), ("DIGEST_KIND", 2),
                                    flags=NOW)
            client.data(number, data)
            client.end(number, data)
            self.assert_error(client.result(number), "SIZE_MISMATCH")
            number = client.request("PUT", ("NAME", "n"), ("SIZE", size), ("DIGEST_KIND", 2),
                                    flags=NOW)
            client.data(number, data)
            client.end(number, flags=ABORT)
            self.assert_error(client.result(number), "CANCELLED")
        self.assert_receipt(client.put_now("n", b"at last"), "n", b"at last")
        self.assert_no_stages(daemon)

    def test_policies(self):
        daemon = self.daemon(allow_replace=True)
        client = self.client(daemon)
        first = client.put_now("n", b"one")
        same = client.put_now("n", b"one", ("POLICY", CREATE_OR_SAME), ("DIGEST", sha256(b"one")))
        self.assert_receipt(same, "n", b"one", SAME)
        self.assertEqual(same.FILE_VERSION, first.FILE_VERSION)
        self.assert_error(client.put("n", b"two", ("POLICY", CREATE_OR_SAME),), "MALFORMED")
        self.assert_error(client.put_now("n", b"two", ("POLICY", CREATE_OR_SAME),
                                         ("DIGEST", sha256(b"two"))), "EXISTS")
        self.assert_error(client.put_now("n", b"two", ("POLICY", REPLACE),
                                         ("IF_VERSION", b"y" * 16)), "CHANGED")
        second = client.put_now("n", b"two", ("POLICY", REPLACE),
                                ("IF_VERSION", first.FILE_VERSION))
        self.assert_receipt(second, "n", b"two")
        self.assertEqual(read_file(daemon.path("n")), b"two")
        self.assert_error(client.put_now("gone", b"two", ("POLICY", REPLACE),
                                         ("IF_VERSION", first.FILE_VERSION)), "CHANGED")
        third = client.put_now("n", b"six", ("POLICY", REPLACE_OR_SAME), ("DIGEST", sha256(b"six")))
        self.assert_receipt(third, "n", b"six")
        os.mkdir(daemon.path("d"))
        self.assert_error(client.put_now("d", b"two", ("POLICY", REPLACE)), "IS_DIRECTORY")
        write_file(daemon.path("foreign"), b"by others")
        same = client.put_now("foreign", b"by others", ("POLICY", CREATE_OR_SAME),
                              ("DIGEST", sha256(b"by others")))
        self.assert_receipt(same, "foreign", b"by others", SAME)
        self.assertEqual(client.ask("STAT", ("NAME", "foreign")).FILE_VERSION, same.FILE_VERSION)
        attributes = [("MTIME", (1234567890, 0)), ("MODE", 0o600)]
        for policy, mtime in ((CREATE_OR_SAME, None), (REPLACE_OR_SAME, (1234567890, 0))):
            same = client.put_now("foreign", b"by others", ("POLICY", policy),
                                  ("DIGEST", sha256(b"by others")), *attributes)
            self.assert_receipt(same, "foreign", b"by others", SAME)
            found = client.ask("STAT", ("NAME", "foreign"))
            self.assertEqual(found.FILE_VERSION, same.FILE_VERSION)
            self.assertEqual(found.MTIME == (1234567890, 0), mtime is not None)
        self.assertEqual((found.MODE, found.DIGEST), (0o600, sha256(b"by others")))
        self.assert_no_stages(daemon)

    def test_parents(self):
        daemon = self.daemon()
        client = self.client(daemon)
        self.assert_receipt(client.put_now("a/b/c", b"x", flags=PARENTS), "a/b/c", b"x")
        self.assert_receipt(client.put("d/e/f", b"x", flags=PARENTS), "d/e/f", b"x")
        self.assertEqual(read_file(daemon.path("a/b/c")), b"x")
        self.assertEqual(read_file(daemon.path("d/e/f")), b"x")
        self.assert_error(client.put_now("a/b/c/d", b"x", flags=PARENTS), "NO_PARENT")

    def test_many(self):
        """All at once, without waiting for any answer."""
        daemon = self.daemon()
        client = self.client(daemon)
        data = content(4096)
        for base in range(0, 1000, 200):
            out = b"".join(client.put_frames(i + 1, "m%d" % (base + i), data) for i in range(200))
            client.send(out)
            results = {}
            while len(results) < 200:
                message = client.next()
                results[message.id] = message
            for number, message in results.items():
                self.assert_receipt(message, "m%d" % (base + number - 1), data)
        self.assertEqual(len([n for n in os.listdir(daemon.path("")) if n[0] == "m"]), 1000)

    def test_too_many_heads(self):
        client = self.client(self.daemon())
        numbers = [client.request("PUT", ("NAME", "h%d" % i), ("SIZE", 3), ("DIGEST_KIND", 2))
                   for i in range(17)]
        self.assert_error(client.result(numbers[16]), "TOO_MANY")
        for number in numbers[:16]:
            self.assertEqual(client.result(number).type, "GO")
            client.data(number, b"abc")
            client.end(number, b"abc")
        for i, number in enumerate(numbers[:16]):
            self.assert_receipt(client.result(number), "h%d" % i, b"abc")

    def test_a_broken_connection_leaves_nothing(self):
        daemon = self.daemon()
        client = self.client(daemon)
        number = client.request("PUT", ("NAME", "n"), ("SIZE", MIB), flags=NOW)
        client.send(frame("DATA", number, 0, bytes(MIB))[:300000])
        client.close()
        wait_for(lambda: "op=v2" in daemon.err(), "its end")
        self.assertFalse(os.path.exists(daemon.path("n")))
        self.assert_receipt(self.client(daemon).put_now("n", b"x"), "n", b"x")


class TestKnownAgain(V2Test):
    """Uploads with an UPLOAD_ID, of which something was lost on the way."""

    def head(self, client, data, key, *more, name="n"):
        return client.request("PUT", ("NAME", name), ("SIZE", len(data)), ("UPLOAD_ID", key),
                              *(more or [("DIGEST_KIND", 2)]))

    def kept(self, daemon):
        """Bytes in the one file that is not published."""
        names = [name for name in daemon.files() if os.path.basename(name).startswith(".ftxferd-")]
        return os.path.getsize(daemon.path(names[0])) if len(names) == 1 else 0

    def begun(self, daemon, data, key, sent):
        """A client that has sent so much of it, all of which is written."""
        client = self.client(daemon)
        number = self.head(client, data, key)
        self.assertEqual(client.result(number).type, "GO")
        client.data(number, data[:sent])
        wait_for(lambda: self.kept(daemon) >= sent, "what was sent")
        return client, number

    def finish(self, client, number, data, offset):
        """From the HAVE that is due to the receipt."""
        have = client.result(number)
        self.assertEqual((have.type, have.OFFSET), ("HAVE", offset))
        client.send(frame("PREFIX", number, 0, encode(
            [("OFFSET", offset), ("DIGEST", sha256(data[:offset]))])))
        go = client.result(number)
        self.assertEqual((go.type, go.OFFSET), ("GO", offset))
        client.data(number, data[offset:])
        client.end(number, data)
        return client.result(number)

    def check_resumed(self, daemon, data, key, offset):
        client = self.client(daemon)
        self.assert_receipt(self.finish(client, self.head(client, data, key), data, offset),
                            "n", data)
        self.assertEqual(read_file(daemon.path("n")), data)
        self.assertEqual(daemon.strays("n"), [])

    def test_a_broken_connection(self):
        daemon = self.daemon()
        for end in (Client.close, Client.half_close):
            with self.subTest(end=end.__name__):
                data, key = content(3 * MIB + 77), new_upload_id()
                client, _ = self.begun(daemon, data, key, 2 * MIB)
                end(client)
                self.check_resumed(daemon, data, key, 2 * MIB)
                os.unlink(daemon.path("n"))

    def test_the_daemon_ends(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(signal=number):
                data, key = content(3 * MIB + 77), new_upload_id()
                root = self.root("root-%d" % number)
                daemon = self.daemon(expect=-number if number == signal.SIGKILL else 0, root=root)
                client, _ = self.begun(daemon, data, key, 2 * MIB)
                daemon.send_signal(number)
                daemon.wait()
                client.close()
                self.check_resumed(self.daemon(root=root), data, key, 2 * MIB)

    def test_content_has_changed(self):
        daemon = self.daemon()
        data, key = content(2 * MIB), new_upload_id()
        client, _ = self.begun(daemon, data, key, MIB)
        client.close()
        data = b"!" + data[1:]
        client = self.client(daemon)
        number = self.head(client, data, key)
        self.assertEqual(client.result(number).OFFSET, MIB)
        client.send(frame("PREFIX", number, 0, encode(
            [("OFFSET", MIB), ("DIGEST", sha256(data[:MIB]))])))
        go = client.result(number)
        self.assertEqual((go.type, go.OFFSET), ("GO", 0))
        client.data(number, data)
        client.end(number, data)
        self.assert_receipt(client.result(number), "n", data)
        self.assertEqual(read_file(daemon.path("n")), data)

    def test_begins_anew(self):
        """Without a digest of the client's nobody waits for that of the server's."""
        daemon = self.daemon()
        data, key = content(25 * MIB), new_upload_id()
        client, _ = self.begun(daemon, data, key, 24 * MIB)
        client.close()
        client = self.client(daemon)
        number = self.head(client, data, key)
        self.assertEqual(client.result(number).OFFSET, 24 * MIB)
        client.send(frame("PREFIX", number, 0, encode([("OFFSET", 24 * MIB)])))
        go = client.result(number)
        self.assertEqual((go.type, go.OFFSET), ("GO", 0))
        client.data(number, data)
        client.end(number, data)
        self.assert_receipt(client.result(number), "n", data)
        self.assertEqual(read_file(daemon.path("n")), data)

    def test_the_last_answer_is_lost(self):
        data = {"head": content(2 * MIB), "small": b"small", "now": content(300000)}
        keys = {name: new_upload_id() for name in data}
        root, receipts = self.root(), []
        # Of the same daemon, of one after a crash, and of one after a quiet end.
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
            daemon = self.daemon(expect=-number if number == signal.SIGKILL else 0, root=root)
            for _ in range(2):
                client = self.client(daemon)
                found = {}
                for name, all_of_it in data.items():
                    if name == "head" and receipts:
                        asked = self.head(client, all_of_it, keys[name], name=name)
                        found[name] = client.result(asked)  # no GO: nothing is to be sent
                    else:
                        put = client.put if name == "head" else client.put_now
                        found[name] = put(name, all_of_it, ("UPLOAD_ID", keys[name]))
                    self.assert_receipt(found[name], name, all_of_it)
                receipts.append({name: r.attributes for name, r in found.items()})
                client.close()
            self.assertEqual(daemon.strays(*data), [])
            daemon.send_signal(number)
            daemon.wait()
        for receipt in receipts[1:]:
            self.assertEqual(receipt, receipts[0])

    def test_superseded(self):
        root, key, data = self.root(), new_upload_id(), b"once"
        daemon = self.daemon(root=root, allow_remove=True)
        client = self.client(daemon)
        self.assert_receipt(client.put_now("n", data, ("UPLOAD_ID", key)), "n", data)
        self.assert_ok(client.ask("REMOVE", ("NAME", "n")))
        for turn in range(2):
            for put in (client.put, client.put_now):
                receipt = put("n", data, ("UPLOAD_ID", key))
                self.assert_ok(receipt, SUPERSEDED)
                self.assertEqual((receipt.SIZE, receipt.DIGEST), (len(data), sha256(data)))
                self.assertIsNone(receipt.FILE_VERSION)
            self.assertFalse(os.path.exists(daemon.path("n")))
            client.close()
            self.assertEqual(daemon.stop(), 0)
            if turn == 0:
                daemon = self.daemon(root=root)
                client = self.client(daemon)

    def test_published_before_it_is_the_same(self):
        daemon = self.daemon(allow_replace=True)
        client = self.client(daemon)
        data = b"the same"
        same = [("DIGEST", sha256(data))]
        for put in (client.put, client.put_now):
            with self.subTest(put=put.__name__):
                name = put.__name__
                make = [("POLICY", CREATE_OR_SAME), ("UPLOAD_ID", new_upload_id())] + same
                first = client.put_now(name, data, *make)
                self.assert_receipt(first, name, data)
                self.assertEqual(put(name, data, *make).attributes, first.attributes)
                make[1] = ("UPLOAD_ID", new_upload_id())
                self.assert_receipt(put(name, data, *make), name, data, SAME)
                # What it replaced had that version; what it has put there has not.
                write_file(daemon.path(name), b"other")
                replace = [("POLICY", REPLACE_OR_SAME), ("UPLOAD_ID", new_upload_id()),
                           ("IF_VERSION", client.ask("STAT", ("NAME", name)).FILE_VERSION)] + same
                first = client.put_now(name, data, *replace)
                self.assert_receipt(first, name, data)
                self.assertEqual(put(name, data, *replace).attributes, first.attributes)
                replace[1] = ("UPLOAD_ID", new_upload_id())
                self.assert_error(put(name, data, *replace), "CHANGED")
        self.assertEqual(daemon.strays("put", "put_now"), [])

    def test_taken_over(self):
        daemon = self.daemon(workers=2)
        for _ in range(4):
            data, key = content(3 * MIB + 77), new_upload_id()
            old, number = self.begun(daemon, data, key, 2 * MIB)
            self.check_resumed(daemon, data, key, 2 * MIB)
            self.assert_error(old.result(number), "TAKEN_OVER")
            old.end(number, flags=ABORT)
            self.assert_receipt(old.put_now("m", b"m"), "m", b"m")
            self.assert_error(old.put_now("n", b"n", ("UPLOAD_ID", new_upload_id())), "EXISTS")
            os.unlink(daemon.path("m"))
            os.unlink(daemon.path("n"))

    def test_many_are_asked_for_again(self):
        daemon = self.daemon()
        keys = [new_upload_id() for _ in range(200)]
        receipts = []
        for _ in range(2):
            client = self.client(daemon)
            client.send(b"".join(
                client.put_frames(i + 1, "s%d" % i, b"%d" % i, ("UPLOAD_ID", key))
                for i, key in enumerate(keys)))
            found = {i: client.result(i + 1) for i in range(200)}
            for i, receipt in found.items():
                self.assert_receipt(receipt, "s%d" % i, b"%d" % i)
            receipts.append([found[i].attributes for i in range(200)])
        self.assertEqual(receipts[0], receipts[1])


class TestGet(V2Test):
    def test_sizes(self):
        daemon = self.daemon()
        for max_data in (65536, MIB):
            client = self.client(daemon, max_data=max_data)
            for size in (0, 1, 65536, 65537, 3 * MIB + 5, 40 * MIB):
                with self.subTest(size=size, max_data=max_data):
                    data = content(size)
                    write_file(daemon.path("f"), data)
                    file, got, end = client.get("f")
                    self.assertEqual((file.SIZE, file.OFFSET, file.DIGEST), (size, 0, None))
                    self.assertEqual(got, data)
                    self.assertEqual((end.type, end.flags, end.DIGEST), ("END", 0, sha256(data)))

    def test_stored_digest(self):
        daemon = self.daemon()
        client = self.client(daemon)
        for size in (10, 40 * MIB):
            data = content(size)
            name = "f%d" % size
            receipt = client.put(name, data)
            file, got, end = client.get(name)
            self.assertEqual(got, data)
            self.assertEqual((file.DIGEST, file.FILE_VERSION), (sha256(data), receipt.FILE_VERSION))
            self.assertEqual((end.type, end.DIGEST), ("END", None))

    def test_ranges(self):
        daemon = self.daemon()
        data = content(MIB)
        client = self.client(daemon)
        client.put("f", data)
        for offset, length in ((0, 10), (5, 100000), (MIB, None), (MIB - 1, 99), (70000, None)):
            with self.subTest(offset=offset, length=length):
                more = [] if length is None else [("LENGTH", length)]
                file, got, end = client.get("f", ("OFFSET", offset), *more)
                wanted = data[offset:] if length is None else data[offset:offset + length]
                self.assertEqual(got, wanted)
                self.assertEqual((file.OFFSET, end.DIGEST), (offset, sha256(wanted)))
        self.assert_error(client.get("f", ("OFFSET", MIB + 1))[0], "BAD_RANGE")

    def test_refusals(self):
        daemon = self.daemon()
        os.mkdir(daemon.path("d"))
        os.symlink("d", daemon.path("l"))
        write_file(daemon.path("f"), b"f")
        client = self.client(daemon)
        self.assert_error(client.get("none")[0], "NOT_FOUND")
        self.assert_error(client.get("none/x")[0], "NOT_FOUND")
        self.assert_error(client.get("d")[0], "IS_DIRECTORY")
        self.assert_error(client.get("l")[0], "NOT_REGULAR")
        self.assert_error(client.get("f", ("IF_VERSION", b"z" * 16))[0], "CHANGED")

    def test_resume(self):
        daemon = self.daemon()
        data = content(MIB)
        client = self.client(daemon)
        version = client.put("f", data).FILE_VERSION
        for more in ([("FILE_VERSION", version)],):
            file, got, end = client.get("f", ("RESUME", 70000), *more)
            self.assertEqual((file.OFFSET, got, end.DIGEST), (70000, data[70000:], None))
        number = client.request("GET", ("NAME", "f"), ("RESUME", 7), ("DIGEST", sha256(data)))
        self.assertEqual(client.result(number).OFFSET, 7)
        self.assertEqual(client.content(number)[0], data[7:])
        number = client.request("GET", ("NAME", "f"), ("RESUME", 7), ("DIGEST", sha256(b"")))
        self.assertEqual(client.result(number).OFFSET, 0)
        self.assertEqual(client.content(number)[0], data)
        for prefix, offset in ((data[:5000], 5000), (b"x" * 5000, 0), (None, 0)):
            number = client.request(
                "GET", ("NAME", "f"), ("RESUME", 5000), ("DIGEST_KIND", 2))
            file = client.result(number)
            self.assertEqual((file.flags, file.OFFSET), (1, None))
            digest = [] if prefix is None else [("DIGEST", sha256(prefix))]
            client.send(frame("PREFIX", number, 0, encode([("OFFSET", 5000)] + digest)))
            go = client.result(number)
            self.assertEqual((go.type, go.OFFSET), ("GO", offset))
            self.assertEqual(client.content(number)[0], data[offset:])

    def test_many(self):
        daemon = self.daemon()
        client = self.client(daemon)
        for i in range(100):
            client.put_now("m%d" % i, content(4096, i))
        numbers = [client.request("GET", ("NAME", "m%d" % i)) for i in range(100)]
        for i, number in enumerate(numbers):
            self.assertEqual(client.result(number).type, "FILE")
            self.assertEqual(client.content(number)[0], content(4096, i))

    def test_both_ways(self):
        """Content comes while other content goes."""
        daemon = self.daemon()
        client = self.client(daemon)
        down, up = content(30 * MIB, 1), content(30 * MIB, 2)
        write_file(daemon.path("down"), down)
        get = client.request("GET", ("NAME", "down"))
        put = client.request("PUT", ("NAME", "up"), ("SIZE", len(up)), ("DIGEST_KIND", 2))
        got = b""
        out = b"".join(frame("DATA", put, 0, up[at:at + MIB]) for at in range(0, len(up), MIB))
        out += frame("END", put, 0, encode([("DIGEST", sha256(up))]))
        client.socket.setblocking(False)
        gone, messages = False, []
        deadline = time.monotonic() + 60
        while len([m for m in messages if m.type in ("OK", "END")]) < 2:
            self.assertLess(time.monotonic(), deadline)
            try:
                client.buffer += client.socket.recv(1 << 20)
            except BlockingIOError:
                time.sleep(0.001)
            while len(client.buffer) >= 8 and len(client.buffer) >= 8 + int.from_bytes(
                    client.buffer[:4], "big"):
                message = client.next()
                messages.append(message)
                if message.type == "DATA":
                    got += message.payload
                gone = gone or message.type == "GO"
            if gone and out:
                try:
                    out = out[client.socket.send(out[:MIB]):]
                except BlockingIOError:
                    pass
        client.socket.settimeout(20)
        self.assertEqual(got, down)
        self.assertEqual(read_file(daemon.path("up")), up)

    def test_changed(self):
        daemon = self.daemon()
        data = content(60 * MIB)
        write_file(daemon.path("f"), data)
        client = self.client(daemon)
        number = client.request("GET", ("NAME", "f"))
        self.assertEqual(client.result(number).type, "FILE")
        self.assertEqual(client.result(number).type, "DATA")
        os.truncate(daemon.path("f"), 2 * MIB)
        got, end = client.content(number)
        self.assertEqual((end.type, end.flags, end.DIGEST), ("END", 0x02, None))
        self.assertEqual(client.ask("STAT", ("NAME", "f")).SIZE, 2 * MIB)

    def test_cancel(self):
        daemon = self.daemon()
        write_file(daemon.path("f"), content(60 * MIB))
        client = self.client(daemon)
        number = client.request("GET", ("NAME", "f"))
        self.assertEqual(client.result(number).type, "FILE")
        cancel = client.request("CANCEL", ("TARGET", number))
        got, end = client.content(number)
        self.assert_error(end, "CANCELLED")
        self.assert_ok(client.result(cancel))
        self.assertLess(len(got), 60 * MIB)


if __name__ == "__main__":
    unittest.main()
