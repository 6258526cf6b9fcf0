"""Uploads that the server knows from an earlier command, and that are others all the same."""

import os
import stat

from test_commands import EXISTS, CommandTest as _CommandTest
from wire import read_file, write_file


def change(path, data):
    """Other content, of the same size and time."""
    st = os.stat(path)
    assert st.st_size == len(data)
    write_file(path, data)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


class TestKnown(_CommandTest):
    def mode(self, name):
        return stat.S_IMODE(os.stat(self.server.path(name)).st_mode)

    def test_other_content(self):
        """It is sent, and refused for its own sake; the others, and the server, have no part in that."""
        top = self.scratch("top")
        os.mkdir(top)
        for name in "abcd":
            write_file(os.path.join(top, name), name.encode() * 1000)
        self.succeeds("put", "-r", top, self.there())
        change(os.path.join(top, "b"), b"B" * 1000)
        write_file(os.path.join(top, "e"), b"new")
        for _ in range(2):
            ran = self.fails(EXISTS, 'top/b": a file of that name exists', "put", "-r", top, self.there())
            self.assertNotRegex(ran.err, "top/[^b]|digest|not one to go on with")
            self.assertEqual(read_file(self.server.path("top/e")), b"new")
        self.assertEqual(read_file(self.server.path("top/b")), b"b" * 1000)
        self.succeeds("put", "-r", "--replace", top, self.there())
        self.assertEqual(read_file(self.server.path("top/b")), b"B" * 1000)
        change(os.path.join(top, "b"), b"C" * 1000)
        self.succeeds("put", "-r", "--replace", top, self.there())
        self.assertEqual(read_file(self.server.path("top/b")), b"C" * 1000)

    def test_other_mode(self):
        here = self.scratch("n", b"secret")
        os.chmod(here, 0o644)
        self.succeeds("put", "--replace", here, self.there())
        self.assertEqual(self.mode("n"), 0o644)
        os.chmod(here, 0o600)
        self.succeeds("put", "--replace", here, self.there())
        self.assertEqual(self.mode("n"), 0o600)

    def test_attributes_that_were_not_sent_before(self):
        top = self.scratch("top")
        os.mkdir(top)
        write_file(os.path.join(top, "n"), b"data")
        os.utime(os.path.join(top, "n"), (1, 1234567890))
        for _ in range(2):
            self.succeeds("sync", "--no-attributes", top, self.there("top"))
        self.succeeds("sync", top, self.there("top"))
        self.assertEqual(os.stat(self.server.path("top/n")).st_mtime, 1234567890)
        self.assertNotIn("put", self.succeeds("sync", "-v", top, self.there("top")).err)
