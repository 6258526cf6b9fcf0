"""Many small files, and many directories, with names that programs trip over: there and back."""

import json
import os
import stat
import tempfile
import unittest

from harness import SLOW
from test_commands import REFUSED
from test_rounds import RoundsTest
from wire import content, read_file, write_file

FILES, DIRECTORIES = (10000, 1000) if SLOW else (500, 150)
SIZE = 4096
MEMORY = "/dev/shm"

# Components; each of them becomes many, by a number behind or before it.
ODD = [it.encode() for it in (
    " ", "a b", " first", "last ", "-", "-rf", "--help", "-o", "ü", "日本語", "e\u0301", "\u202etxt",
    "😀", "'", "''", '"', '"q"', "`id`", "%", "%20", "%2F", "100%", "%s%n", "*", "?", "[a]", "[", "]",
    "[!a]", "{a,b}", "\\", "\\\\", "a\\b", "\\n", "\\*", "$HOME", "$(id)", ";", "&", "|", "!", "#", "~",
    "~root", ".hidden", "...", "..x", "a:b", ":", "host:", "@", "u@h", "=", "<>", ",", "^", "con.",
    "ftx:", "+", "x" * 255, "ü" * 127)]
BYTES = [b"new\nline", b"\n", b"\t", b"\r", b"\x01\x1b[31m", b"\x7f", b"\xff", b"caf\xe9",
         b"\xed\xa0\x80", b"\xc0\xaf", b"\xf8" * 255, b"\xc2\x85", b"\xfe\n\xff"]


def component(odd, number):
    """One of its kind: as long as a name can be, if that is."""
    count = b"%d" % number
    if len(odd) > 250:
        wide = 2 if odd[:1] == "ü".encode()[:1] else 1
        odd = odd[:(255 - len(count)) // wide * wide]
    return odd + count if number % 2 else count + odd


def tree(top, kinds, files=FILES, directories=DIRECTORIES):
    """So many of each, beneath top (bytes): names, modes, times and content are all different."""
    os.mkdir(top)
    places = [top]
    for number in range(directories):
        odd = kinds[number % len(kinds)]
        name = odd if number < len(kinds) else component(odd, number)
        # Half of them beside each other, the others within each other, eight deep at most.
        parent = top if number % 2 == 0 else places[number // 2 if number % 16 else 0]
        where = os.path.join(parent, name)
        if len(where) - len(top) > 3500 or os.path.lexists(where):
            where = os.path.join(top, b"_%d" % number)
        os.mkdir(where)
        places.append(where)
    for number in range(files):
        name = component(kinds[(number // 7) % len(kinds)], number)
        full = os.path.join(places[number % len(places)], name)
        write_file(full, number.to_bytes(4, "big") * (SIZE // 4))
        os.utime(full, ns=(0, (1500000000 + number) * 10 ** 9 + 1001 * number))
        os.chmod(full, (0o644, 0o600, 0o640, 0o755, 0o444)[number % 5])
    for number, where in enumerate(places[1:]):
        os.chmod(where, (0o755, 0o750, 0o700, 0o711)[number % 4])
    return len(places) - 1


def listed(top):
    """All that there is beneath top (bytes), with modes; of files also time and content."""
    found = {}
    for at, dirs, files in os.walk(top):
        for name in dirs:
            full = os.path.join(at, name)
            found[os.path.relpath(full, top)] = stat.S_IMODE(os.lstat(full).st_mode)
        for name in files:
            full = os.path.join(at, name)
            st = os.lstat(full)
            found[os.path.relpath(full, top)] = (
                stat.S_IMODE(st.st_mode), st.st_mtime_ns, read_file(full))
    return found


class OddNamesTest(RoundsTest):
    def assert_same(self, one, other):
        one, other = listed(os.fsencode(one)), listed(os.fsencode(other))
        self.assertEqual(sorted(set(one) ^ set(other))[:20], [])
        self.assertEqual([(name, one[name][:2] if isinstance(one[name], tuple) else oct(one[name]),
                           other[name][:2] if isinstance(other[name], tuple) else oct(other[name]))
                          for name in one if one[name] != other[name]][:20], [])

    def events(self, text):
        """Names may hold what Python takes for the end of a line, too."""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def summary(self):
        return self.events(self.out)[-1]

    def assert_nothing_sent(self, *args):
        """A sync that finds all the same: nothing goes over the wire but listings."""
        self.rounds("sync", "--json", *args)
        it = self.summary()
        self.assertEqual((it["event"], it["failed"], it["bytes_moved"]), ("summary", 0, 0))
        self.assertLessEqual(it["done"], 1)  # that the directory itself is there
        return it["skipped"]


class TestMany(OddNamesTest):
    """In memory, where there is some: names are what is looked at here, not disks."""
    options = dict(OddNamesTest.options, names="bytes", max_depth=64)
    weight = 40 if SLOW else 10

    def setUp(self):
        was = tempfile.tempdir
        tempfile.tempdir = MEMORY if os.access(MEMORY, os.W_OK) else None
        try:
            super().setUp()
        finally:
            tempfile.tempdir = was

    def test_there_and_back(self):
        top = self.scratch("odd")
        directories = tree(os.fsencode(top), ODD + BYTES)
        self.rounds("put", "-r", "--json", top, "{}/")
        self.assertEqual(self.summary()["done"], FILES + directories + 1)
        self.assert_same(top, self.server.path("odd"))
        back = self.scratch("back")
        self.rounds("get", "-r", "{}/odd", "-o", back)
        self.assert_same(top, back)
        names = listed(os.fsencode(top))
        listings = sum(len(name) + 32 for name in names if not isinstance(names[name], tuple)) + 1000
        self.assertEqual(self.assert_nothing_sent(top, "{}/odd"), FILES)
        self.assertLess(sum(up for up, _ in self.turns), listings)
        self.assertEqual(self.assert_nothing_sent("{}/odd", back), FILES)
        self.assertLess(sum(up for up, _ in self.turns), listings)


class TestOddNames(OddNamesTest):
    options = TestMany.options
    weight = 20

    def test_other_commands(self):
        """Those that take a tree, or a name as it stands."""
        top = self.scratch("odd")
        tree(os.fsencode(top), ODD + BYTES, 300, 160)
        self.rounds("sync", top, "{}/odd")
        self.assert_same(top, self.server.path("odd"))
        back = self.scratch("back")
        self.rounds("sync", "{}/odd", back)
        self.assert_same(top, back)
        self.rounds("verify", "--json", top, "{}/odd")
        self.assertEqual((self.summary()["done"], self.summary()["failed"]), (300, 0))
        self.rounds("ls", "-R", "--json", "{}/odd")
        self.assertEqual(self.entries(), {b"odd/" + it for it in listed(os.fsencode(top))})
        self.rounds("ls", "-R", "{}/odd")
        for name, what in listed(os.fsencode(top)).items():
            self.assertIn(name + (b"\n" if isinstance(what, tuple) else b"/\n"),
                          os.fsencode(self.out))
        self.rounds("rm", "-r", "{}/odd")
        self.assertEqual(os.listdir(self.server.root + "/."), [".ftxferd"]
                         if os.path.exists(self.server.path(".ftxferd")) else [])

    def entries(self):
        """The names that --json told of, as bytes."""
        return {bytes.fromhex(it["remote_hex"]) if "remote_hex" in it else it["remote"].encode()
                for it in self.events(self.out) if it["event"] == "entry"}

    def written(self, name, url=True):
        """Bytes of a name as a person has to write it."""
        if url:
            return b"".join(b"%%%02X" % c for c in name)
        return b"".join(b"\\" + bytes([c]) if bytes([c]) in b"*?[]\\" else bytes([c]) for c in name)

    def test_each_by_itself(self):
        """As an argument, written in either way: put, stat, sum, get, mv, a pattern, rm."""
        os.mkdir(self.server.path("d"))
        for number, name in enumerate(ODD + BYTES):
            with self.subTest(name=name):
                here, data = self.scratch("here"), content(100 + number, number)
                write_file(here, data)
                plain = os.fsencode(self.where) + b"/d/" + self.written(name, False)
                url = b"ftx://" + os.fsencode(self.where) + b"/d/" + self.written(name)
                full = os.fsencode(self.server.path("d")) + b"/" + name
                self.succeeds("put", here, plain)
                self.assertEqual(read_file(full), data)
                self.assertIn("file, %d bytes" % len(data), self.succeeds("stat", url).out)
                self.assertEqual(self.succeeds("sum", url).out.split("  ")[0],
                                 self.succeeds("sum", plain).out.split("  ")[0])
                out = os.fsencode(self.scratch("out"))
                os.makedirs(out, exist_ok=True)
                self.succeeds("get", url, "-o", out)
                self.assertEqual(read_file(out + b"/" + name), data)
                self.succeeds("mv", url, self.there("d/other"))
                self.succeeds("mv", self.there("d/other"), plain)
                pattern = os.fsencode(self.where) + b"/d/" + self.written(name, False)[:-1] + b"*"
                if name[-1:] not in b"*?[]\\" and not name.startswith(b"."):
                    os.remove(out + b"/" + name)
                    self.succeeds("get", pattern, "-o", out)
                    self.assertEqual(os.listdir(out), [name])
                self.succeeds("rm", url)
                self.assertEqual(os.listdir(self.server.path("d")), [])
                for left in os.listdir(out):
                    os.remove(out + b"/" + left)


class TestRefusedNames(OddNamesTest):
    options = dict(OddNamesTest.options, names="utf8", max_depth=64)
    weight = 5

    def test_named_and_the_rest_done(self):
        top = self.scratch("odd")
        tree(os.fsencode(top), ODD + BYTES, 400, 160)
        names = listed(os.fsencode(top))
        bad = {name for name in names if not self.is_allowed(name)}
        self.assertTrue(100 < len(bad) < len(names) - 100)
        self.rounds("put", "-r", "--json", top, "{}/", status=REFUSED)
        prefix = len(os.fsencode(top)) + 1
        failed = [it for it in self.events(self.out) if it["event"] == "failed"]
        named = {(bytes.fromhex(it["local_hex"]) if "local_hex" in it
                  else it["local"].encode())[prefix:] for it in failed if it["local"] != top}
        self.assertEqual(named, bad)
        there = listed(os.fsencode(self.server.path("odd")))
        self.assertEqual(there, {name: names[name] for name in set(names) - bad})

    def test_in_words(self):
        top = self.scratch("odd")
        os.mkdir(top)
        write_file(top + "/good", b"good")
        for number, name in enumerate(BYTES):
            write_file(os.fsencode(top) + b"/" + name, b"%d" % number)
        ran = self.ftxfer("put", "-r", top, self.there())
        self.assertEqual(ran.status, REFUSED, ran)
        lines = [line for line in ran.err.splitlines() if "name" in line]
        self.assertEqual(len(lines), len(BYTES), ran.err)
        self.assertRegex(ran.err, r"1 file, .*%d failed" % len(BYTES))
        self.assertEqual(read_file(self.server.path("odd/good")), b"good")

    def test_what_is_there_is_listed_and_fetched(self):
        """Whatever may be made: who has put it there by other means is to get it back."""
        tree(os.fsencode(self.server.path("odd")), ODD + BYTES, 100, 80)
        back = self.scratch("back")
        self.rounds("get", "-r", "{}/odd", "-o", back)
        self.assert_same(back, self.server.path("odd"))

    def is_allowed(self, name):
        try:
            text = name.decode()
        except UnicodeDecodeError:
            return False
        return not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)


if __name__ == "__main__":
    unittest.main()
