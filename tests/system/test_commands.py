"""The commands of ftxfer, as a person uses them, with the real daemon: protocol 2."""

import hashlib
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import threading
import time
import unittest
import urllib.parse

from harness import SystemTest, ftxfer, run
from wire import DEADLINE, close_at_once, content, read_file, wait_for, write_file

USAGE, BAD_DATA, NO_INPUT, REFUSED, EXISTS, AGAIN, PROTOCOL, FORBIDDEN = (
    64, 65, 66, 69, 73, 75, 76, 77)
PREFACE = b"\xf7FTX\r\n\x1a\n"


class CommandTest(SystemTest):
    options = {"allow_replace": True, "allow_rename": True, "allow_remove": True}

    def setUp(self):
        super().setUp()
        self.server = self.daemon(**self.options)
        self.where = self.server.where
        self.environ = dict(os.environ, XDG_CONFIG_HOME=self.scratch("config"),
                            XDG_STATE_HOME=self.scratch("state"), LC_ALL="C.UTF-8")

    def ftxfer(self, *args, **kwargs):
        kwargs.setdefault("env", self.environ)
        return run(ftxfer() + list(args), **kwargs)

    def succeeds(self, *args, **kwargs):
        ran = self.ftxfer(*args, **kwargs)
        self.assertEqual(ran.status, 0, ran)
        return ran

    def fails(self, status, pattern, *args, **kwargs):
        ran = self.ftxfer(*args, **kwargs)
        self.assertEqual(ran.status, status, ran)
        self.assertRegex(ran.err, "(?i)" + pattern)
        return ran

    def there(self, path=""):
        return "%s/%s" % (self.where, path)

    def tree(self, name="tree"):
        """Odd names, an empty directory, modes and times."""
        top = self.scratch(name)
        for path in ("", "sub", "sub/deep", "empty", "with space", "ü", "-dash"):
            os.mkdir(os.path.join(top, path))
        for number, path in enumerate(("a", "sub/b c", "sub/deep/-x", "ü/é", "-dash/*", "zero",
                                       "with space/%20", "sub/a:b")):
            full = os.path.join(top, path)
            write_file(full, content(number * 1000, number + 1))
            os.chmod(full, 0o640)
            os.utime(full, ns=(10 ** 9, (1500000000 + number) * 10 ** 9 + number))
        write_file(os.path.join(top, "large"), content(3 * 1024 * 1024 + 17, 99))
        return top

    def assert_same_trees(self, one, other, attributes=True):
        self.assertEqual(self.listed(one, attributes), self.listed(other, attributes))

    def listed(self, top, attributes):
        found = {}
        for at, dirs, files in os.walk(top):
            for name in dirs:
                if os.path.islink(os.path.join(at, name)):
                    continue
                found[os.path.relpath(os.path.join(at, name), top)] = "directory"
            for name in files:
                full = os.path.join(at, name)
                st = os.lstat(full)
                if stat.S_ISREG(st.st_mode):
                    found[os.path.relpath(full, top)] = (
                        hashlib.sha256(read_file(full)).hexdigest(),
                        (stat.S_IMODE(st.st_mode), st.st_mtime_ns) if attributes else None)
        return found

    def events(self, text):
        return [json.loads(line) for line in text.splitlines()]


class TestOneFile(CommandTest):
    def test_there_and_back(self):
        for size in (0, 1, 4096, 65536, 1 << 20, (1 << 20) + 1, 5000000):
            with self.subTest(size=size):
                name = "n%d" % size
                here = self.scratch(name, content(size))
                os.chmod(here, 0o604)
                os.utime(here, (1, 1234567890))
                self.succeeds("put", here, self.there(name))
                self.assertEqual(read_file(self.server.path(name)), content(size))
                back = self.scratch("back")
                self.succeeds("get", self.there(name), "-o", back)
                self.assertEqual(read_file(back), content(size))
                st = os.stat(back)
                self.assertEqual((stat.S_IMODE(st.st_mode), st.st_mtime), (0o604, 1234567890))

    def test_create_and_replace(self):
        one, two = self.scratch("one", b"one"), self.scratch("two", b"two!")
        self.succeeds("put", one, self.there("n"))
        self.fails(EXISTS, "exists.*--replace", "put", two, self.there("n"))
        self.assertEqual(read_file(self.server.path("n")), b"one")
        self.succeeds("put", "--replace", two, self.there("n"))
        self.assertEqual(read_file(self.server.path("n")), b"two!")

    def test_where_it_goes(self):
        here = self.scratch("name", b"data")
        os.mkdir(self.server.path("d"))
        self.succeeds("put", here, self.there("d"))     # a directory
        self.succeeds("put", here, self.there())        # the root
        self.succeeds("put", here, self.there("d/as"))  # itself
        self.fails(REFUSED, "-p", "put", here, self.there("no/"))
        self.succeeds("put", "-p", here, self.there("new/"))
        for name in ("d/name", "name", "d/as", "new/name"):
            self.assertEqual(read_file(self.server.path(name)), b"data", name)

    def test_a_local_name_with_a_colon(self):
        os.mkdir(self.scratch("a:"))
        write_file(self.scratch("a:") + "/b", b"data")
        self.succeeds("put", "./a:/b", self.there("n"), cwd=self.dir)
        self.assertEqual(read_file(self.server.path("n")), b"data")

    def test_refusals(self):
        here = self.scratch("here", b"data")
        os.mkdir(self.server.path("d"))
        self.fails(NO_INPUT, "no such file", "put", self.scratch("none"), self.there("n"))
        self.fails(NO_INPUT, "-r", "put", self.dir, self.there("n"))
        self.fails(REFUSED, "no such file", "get", self.there("none"), "-o", self.scratch("x"))
        self.fails(REFUSED, "-r", "get", self.there("d"), "-o", self.scratch("x"))
        self.fails(REFUSED, "not allowed", "put", here, self.there("a/../b"))
        self.fails(EXISTS, "directory", "get", self.there("none"), "-o", self.scratch("no/x"))
        self.assertFalse(os.path.exists(self.scratch("x")))

    def test_standard_output(self):
        write_file(self.server.path("n"), content(3000000))
        ran = subprocess.run(ftxfer() + ["get", self.there("n"), "-o", "-"], env=self.environ,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(ran.stdout, content(3000000))
        # A pattern stands for one file there, or for none.
        os.makedirs(self.server.path("d"))
        write_file(self.server.path("d/one"), b"1")
        for pattern in ("d/o*", "*/one", "[d]/?ne"):
            self.assertEqual(self.succeeds("get", self.there(pattern), "-o", "-").out, "1")
        write_file(self.server.path("d/other"), b"2")
        ran = self.fails(USAGE, "more than one file matches", "get", self.there("d/o*"), "-o", "-")
        self.assertEqual(ran.out, "")
        ran = self.fails(REFUSED, "no name.*matches", "get", self.there("x*"), "-o", "-")
        self.assertEqual(ran.out, "")

    def test_standard_input(self):
        ran = subprocess.run(ftxfer() + ["put", "-", self.there("n")], env=self.environ,
                             input=content(3000001), stderr=subprocess.PIPE, timeout=DEADLINE)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(read_file(self.server.path("n")), content(3000001))


class TestTrees(CommandTest):
    def test_there_and_back(self):
        tree = self.tree()
        os.symlink("a", os.path.join(tree, "link"))
        os.symlink("/etc", os.path.join(tree, "way-out"))
        os.mkfifo(os.path.join(tree, "fifo"))
        ran = self.succeeds("put", "-r", tree, self.there())
        for name in ("link", "way-out", "fifo"):
            self.assertRegex(ran.err, "skipped.*" + name)
        for jobs in ("1", "4"):
            back = self.scratch("back" + jobs)
            os.mkdir(back)
            self.succeeds("get", "-r", "-j", jobs, self.there("tree"), "-o", back)
            self.assert_same_trees(tree, os.path.join(back, "tree"))

    def test_links_on_the_server_are_not_followed(self):
        os.mkdir(self.server.path("d"))
        os.symlink("/etc/passwd", self.server.path("d/file"))
        os.symlink("/etc", self.server.path("d/dir"))
        ran = self.succeeds("get", "-r", self.there("d"), "-o", self.scratch("d"))
        self.assertRegex(ran.err, "skipped.*d/dir.*link")
        self.assertEqual(os.listdir(self.scratch("d")), [])

    def links(self, name):
        """A directory with a link `name` to each of those, and where each leads to."""
        top = self.scratch("links")
        subprocess.run(["rm", "-rf", top], check=True)
        os.makedirs(os.path.join(top, "far/dir"))
        os.mkfifo(os.path.join(top, "far/fifo"))
        write_file(os.path.join(top, "far/file"), b"old")
        for to in ("file", "new", "none/new", "dir", "fifo"):
            os.mkdir(os.path.join(top, to.replace("/", "-")))
            os.symlink("../far/" + to, os.path.join(top, to.replace("/", "-"), name))
        return top

    def far(self, top, other=()):
        """Each link is there still, and where they lead to there is only this."""
        names = dict({"file": b"old"}, **dict(other))
        found = {os.path.relpath(os.path.join(at, name), top + "/far"): read_file(
            os.path.join(at, name)) for at, _, files in os.walk(top + "/far") for name in files
            if name != "fifo"}
        self.assertEqual(found, names)
        for name in os.listdir(top):
            self.assertTrue(name == "far" or [entry.name for entry in os.scandir(
                os.path.join(top, name)) if entry.is_symlink()], name)

    def test_links_that_the_user_names(self):
        """What they lead to is meant: a file, one that is not there yet, a directory."""
        write_file(self.server.path("f"), b"data")
        for name, args in (("link", ("-o", "%s/link")), ("f", ("-o", "%s")), ("f", ("-o", "%s/")),
                           ("f", ())):
            def get(to):
                cwd = None if args else os.path.join(top, to)
                return [["get", self.there("f")] + [arg.replace("%s", os.path.join(top, to))
                                                    for arg in args], cwd]
            with self.subTest(args=args):
                top = self.links(name)
                for to, made in (("file", "file"), ("new", "new")):
                    words, cwd = get(to)
                    self.succeeds(*words, cwd=cwd)
                    self.assertEqual(read_file(os.path.join(top, "far", made)), b"data")
                words, cwd = get("none-new")
                self.fails(EXISTS, "the directory does not exist", *words, cwd=cwd)
                words, cwd = get("dir")
                if name == "link":
                    self.succeeds(*words, cwd=cwd)
                else:
                    self.fails(EXISTS, "not a regular file", *words, cwd=cwd)
                    words, cwd = get("fifo")  # a device is meant only by -o
                    self.fails(EXISTS, "not a regular file", *words, cwd=cwd)
                self.far(top, [("file", b"data"), ("new", b"data")] +
                         ([("dir/f", b"data")] if name == "link" else []))

    def test_links_that_the_server_names(self):
        """Nobody meant them: what a pattern or a directory brings is not written elsewhere."""
        for to in ("file", "new", "none-new", "dir", "fifo"):
            os.mkdir(self.server.path(to))
            write_file(self.server.path(to + "/f"), b"data")
        for args in (("get", self.there("%s/*"), "-o", "%s"), ("get", "-r", self.there("%s"), "-o", "."),
                     ("get", "-r", self.there("%s/f"), "-o", "%s"), ("sync", self.there("%s"), "%s"),
                     ("get", "-r", self.there("*"), "-o", ".")):
            with self.subTest(args=args):
                top = self.links("f")
                for to in ("file", "new", "none-new", "dir", "fifo"):
                    self.fails(EXISTS, "not a regular file|symbolic link", *(
                        arg.replace("%s", to) for arg in args), cwd=top)
                self.far(top)

    def test_links_to_directories_in_a_tree(self):
        """Nor is one that a tree's directory would be."""
        os.makedirs(self.server.path("d/sub"))
        write_file(self.server.path("d/sub/f"), b"data")
        for name, args in (("d/sub", ("get", "-r", self.there("d"), "-o", ".")),
                           ("d", ("get", "-r", self.there("d"), "-o", ".")),
                           ("d/sub", ("sync", self.there("d"), "d"))):
            for to in ("far", "new"):
                with self.subTest(name=name, args=args, to=to):
                    top = self.scratch("trees")
                    subprocess.run(["rm", "-rf", top], check=True)
                    os.makedirs(os.path.join(top, "far"))
                    os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
                    os.symlink(os.path.join(top, to), os.path.join(top, name))
                    self.fails(EXISTS, "", *args, cwd=top)
                    self.assertEqual(os.listdir(os.path.join(top, "far")), [])
                    self.assertFalse(os.path.exists(os.path.join(top, "new")))
                    self.assertTrue(os.path.islink(os.path.join(top, name)))

    def test_patterns(self):
        for name in ("a.txt", "b.txt", "c.dat", ".h.txt", "x/1.txt", "y/1.txt", "y/2"):
            os.makedirs(os.path.dirname(self.server.path(name)), exist_ok=True)
            write_file(self.server.path(name), name.encode())
        into = self.scratch("into")
        os.mkdir(into)
        self.succeeds("get", self.there("*.txt"), "-o", into)
        self.assertEqual(sorted(os.listdir(into)), ["a.txt", "b.txt"])
        self.succeeds("get", self.there("[xz]/?.txt"), self.there("c.dat"), "-o", into)
        self.assertEqual(sorted(os.listdir(into)), ["1.txt", "a.txt", "b.txt", "c.dat"])
        self.assertEqual(read_file(os.path.join(into, "1.txt")), b"x/1.txt")
        self.fails(REFUSED, "no name.*matches", "get", self.there("q*"), "-o", into)

    def test_sync(self):
        tree = self.tree()
        self.succeeds("sync", tree, self.there("copy"))
        self.assert_same_trees(tree, self.server.path("copy"))
        for args in ((), ("-c",)):
            ran = self.succeeds("sync", *args, "--json", tree, self.there("copy"))
            self.assertEqual(self.events(ran.out)[-1]["bytes_moved"], 0)
        write_file(os.path.join(tree, "a"), b"changed")
        write_file(os.path.join(tree, "sub/new"), b"new")
        os.remove(os.path.join(tree, "zero"))
        write_file(self.server.path("copy/extra"), b"extra")
        os.makedirs(self.server.path("copy/old/er"))
        write_file(self.server.path("copy/old/er/file"), b"old")
        before = self.listed(self.server.path("copy"), True)
        ran = self.succeeds("sync", "-n", "--delete", tree, self.there("copy"))
        self.assertEqual(self.listed(self.server.path("copy"), True), before)
        for name in ("put.*/a", "put.*sub/new", "remove.*extra", "remove.*old/er/file"):
            self.assertRegex(ran.err, "would " + name)
        self.succeeds("sync", tree, self.there("copy"))
        self.assertTrue(os.path.exists(self.server.path("copy/extra")))
        ran = self.succeeds("sync", "--delete", tree, self.there("copy"))
        self.assertRegex(ran.err, "^ftxfer: 0 files, .*; 5 removed")
        self.assert_same_trees(tree, self.server.path("copy"))
        # And the other way.
        write_file(self.server.path("copy/a"), b"again!")
        write_file(os.path.join(tree, "mine"), b"mine")
        os.mkdir(os.path.join(tree, "own"))
        self.succeeds("sync", "--delete", self.there("copy"), tree)
        self.assert_same_trees(tree, self.server.path("copy"))

    def test_checksum_sees_what_time_and_size_do_not(self):
        tree = self.tree()
        self.succeeds("sync", tree, self.there("copy"))
        full = os.path.join(tree, "sub/b c")
        st = os.stat(full)
        write_file(full, content(st.st_size, 77))
        os.utime(full, ns=(st.st_atime_ns, st.st_mtime_ns))
        self.succeeds("sync", tree, self.there("copy"))
        self.assertNotEqual(read_file(full), read_file(self.server.path("copy/sub/b c")))
        self.fails(BAD_DATA, "b c.*differs", "verify", tree, self.there("copy"))
        self.succeeds("sync", "-c", tree, self.there("copy"))
        self.assertEqual(read_file(full), read_file(self.server.path("copy/sub/b c")))
        self.succeeds("verify", tree, self.there("copy"))

    def test_verify_changes_nothing(self):
        tree = self.tree()
        self.succeeds("sync", tree, self.there("copy"))
        os.remove(self.server.path("copy/zero"))
        write_file(self.server.path("copy/more"), b"")
        before = self.listed(self.server.path("copy"), True), self.listed(tree, True)
        ran = self.fails(BAD_DATA, "zero.*not on the server", "verify", tree, self.there("copy"))
        self.assertRegex(ran.err, "more.*on the server only")
        self.assertEqual((self.listed(self.server.path("copy"), True), self.listed(tree, True)),
                         before)

    def test_get_where_something_else_is(self):
        """The name that is in the way is the one that is said, and the rest comes."""
        for name in ("A/a/b/x", "A/a/c", "A/file", "A/z/y"):
            os.makedirs(os.path.dirname(self.server.path(name)), exist_ok=True)
            write_file(self.server.path(name), name.encode())
        into = self.scratch("into")
        os.makedirs(os.path.join(into, "A/a/c"))
        write_file(os.path.join(into, "A/a/b"), b"mine")
        for _ in range(2):
            ran = self.fails(EXISTS, "\"into/A/a/b\": it is to be a directory", "get", "-r",
                             self.there("A"), "-o", "into", cwd=self.dir)
            self.assertRegex(ran.err, "\"into/A/a/c\": .*not a regular file")
            self.assertIn("2 files", ran.err)
            self.assertIn("2 failed", ran.err)
            self.assertEqual(read_file(os.path.join(into, "A/a/b")), b"mine")
            for name in ("A/file", "A/z/y"):
                self.assertEqual(read_file(os.path.join(into, name)), name.encode())
        os.rename(os.path.join(into, "A/file"), os.path.join(into, "B"))
        self.fails(EXISTS, "\"into/B\": ", "get", "-r", self.there("A"), "-o", "into/B",
                   cwd=self.dir)

    def test_names_of_the_servers_own(self):
        tree = self.tree()
        os.makedirs(os.path.join(tree, "sub/.FTXferd/in"))
        for name in (".ftxferd-n", "sub/.ftxferd-part-x", "sub/deep/.Ftxferd-part-x",
                     "sub/.FTXferd/in/it", ".ftxferdn"):
            write_file(os.path.join(tree, name), b"data")
        before = self.listed(tree, True)
        for args in (("put", "-rp", tree + "/.", self.there("copy")),
                     ("sync", tree, self.there("copy")), ("sync", "-n", tree, self.there("copy")),
                     ("sync", "--delete", tree, self.there("copy")),
                     ("verify", tree, self.there("copy"))):
            with self.subTest(args=args):
                ran = self.succeeds(*args)
                for name in ("/.ftxferd-n", "sub/.FTXferd", "sub/deep/.Ftxferd-part-x"):
                    self.assertRegex(ran.err, "(?m)^skipped \".*%s\": that name is the server's own$"
                                     % name)
                self.assertEqual(ran.err.count("the server's own"), 3, ran)
                self.assertTrue(os.path.exists(self.server.path("copy/.ftxferdn")))
                self.assertFalse(os.path.exists(self.server.path("copy/.ftxferd-n")))
        ran = self.succeeds("sync", "--delete", self.there("copy"), tree)
        self.assertNotIn("own", ran.err)
        self.assertEqual(self.listed(tree, True), before)

    def test_verify_leaves_out_the_same_on_both_sides(self):
        tree = self.tree()
        self.succeeds("sync", tree, self.there("copy"))
        for number, top in enumerate((tree, self.server.path("copy"))):
            os.symlink("a", os.path.join(top, "link%d" % number))
            os.symlink("a", os.path.join(top, "both"))
            os.mkfifo(os.path.join(top, "sub/fifo%d" % number))
        ran = self.succeeds("verify", tree, self.there("copy"))
        for name, why in (("link0", "a symbolic link"), ("link1", "a symbolic link"),
                          ("both", "a symbolic link"), ("fifo0", "neither file nor directory"),
                          ("fifo1", "neither file nor directory")):
            self.assertRegex(ran.err, "(?m)^skipped \".*%s\": %s$" % (name, why))
        self.assertIn("5 skipped", ran.err)
        for number, top in enumerate((tree, self.server.path("copy"))):
            write_file(os.path.join(top, "link%d" % (1 - number)) + ".new", b"data")
            os.rename(os.path.join(top, "link%d" % (1 - number)) + ".new",
                      os.path.join(top, "link%d" % (1 - number)))
        ran = self.fails(BAD_DATA, "link0\": it is a symbolic link here, and a file on the server",
                         "verify", tree, self.there("copy"))
        self.assertRegex(ran.err, "link1\": it is a file here, and a symbolic link on the server")
        self.assertIn("2 failed", ran.err)

    def test_what_fails_is_named_and_the_rest_done(self):
        tree = self.tree()
        os.makedirs(self.server.path("tree/sub"))
        write_file(self.server.path("tree/sub/b c"), b"other")
        ran = self.fails(EXISTS, "sub/b c.*exists", "put", "-r", tree, self.there())
        self.assertRegex(ran.err, r"8 files.*1 failed")
        self.assertEqual(read_file(self.server.path("tree/sub/b c")), b"other")
        self.assertTrue(os.path.exists(self.server.path("tree/ü/é")))


class TestNames(CommandTest):
    options = dict(CommandTest.options, names="bytes")

    def test_ls_stat_sum(self):
        os.mkdir(self.server.path("d"))
        write_file(self.server.path("d/n"), b"data")
        write_file(self.server.path("a"), b"")
        self.assertEqual(self.succeeds("ls", self.there()).out, "a\nd/\n")
        self.assertEqual(self.succeeds("ls", "-R", self.there()).out, "a\nd/\nd/n\n")
        self.assertRegex(self.succeeds("ls", "-l", self.there("d")).out,
                         r"^-r\S{8} +4 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d n\n$")
        self.assertRegex(self.succeeds("stat", self.there("d/n")).out, "^d/n: file, 4 bytes, mode")
        self.assertEqual(self.succeeds("sum", "--digest", "sha256", self.there("d/n")).out,
                         hashlib.sha256(b"data").hexdigest() + "  d/n\n")
        self.fails(REFUSED, "no such", "ls", self.there("none"))

    def test_names_that_are_more_than_a_line(self):
        """As sha256sum(1) writes them, so that it can read them."""
        names = ["plain", "new\nline", "back\\slash", "\\n", "\n", "both\\\n", "\t tab"]
        for number, name in enumerate(names):
            write_file(self.server.path(name), content(100 + number, number))
        asked = ["ftx://%s/%s" % (self.where, urllib.parse.quote(name)) for name in names]
        ran = self.succeeds("sum", "--digest", "sha256", *asked)
        self.assertEqual(len(ran.out.splitlines()), len(names))
        sums = write_file(self.scratch("sums"), ran.out.encode())
        checked = run(["sha256sum", "--strict", "-c", sums], cwd=self.server.path(""))
        self.assertEqual((checked.status, checked.out.count(": OK")), (0, len(names)), checked)
        expected = run(["sha256sum", "--"] + names, cwd=self.server.path(""))
        self.assertEqual(sorted(ran.out.splitlines()), sorted(expected.out.splitlines()))

    def test_ls_goes_down_first(self):
        """Below each directory in it: those of the first one before the second one, as ls(1)."""
        for number in range(300):
            name = "d%d" % (number % 10)
            for digit in str(number):
                name += "/" + digit
            os.makedirs(self.server.path(name), exist_ok=True)
            write_file(self.server.path(name + "/n%d" % number), b"")

        def walk(at):
            names = sorted(os.listdir(os.path.join(self.server.root, at)), key=os.fsencode)
            dirs = [name for name in names
                    if os.path.isdir(os.path.join(self.server.root, at, name))]
            for name in names:
                yield os.path.join(at, name) + ("/" if name in dirs else "")
            for name in dirs:
                yield from walk(os.path.join(at, name))

        expected = [name for name in walk("") if not name.startswith(".ftxferd")]
        for jobs in ("1", "3"):
            ran = self.succeeds("ls", "-R", "-j", jobs, self.there())
            self.assertEqual(ran.out.splitlines(), expected)
        ran = self.succeeds("ls", "-R", "--json", self.there())
        self.assertEqual([it["remote"] for it in self.events(ran.out) if it["event"] == "entry"],
                         [name.rstrip("/") for name in expected])

    def test_mkdir_mv_rm(self):
        self.succeeds("mkdir", self.there("d"))
        self.succeeds("mkdir", self.there("d"))
        self.fails(REFUSED, "-p", "mkdir", self.there("a/b/c"))
        self.succeeds("mkdir", "-p", self.there("a/b/c"))
        write_file(self.server.path("a/b/n"), b"data")
        write_file(self.server.path("m"), b"old")
        self.fails(EXISTS, "--replace", "mv", self.there("a/b/n"), self.there("m"))
        self.succeeds("mv", "--replace", self.there("a/b/n"), self.there("m"))
        self.assertEqual(read_file(self.server.path("m")), b"data")
        self.succeeds("rm", self.there("m"))
        self.fails(REFUSED, "-r", "rm", self.there("a"))
        write_file(self.server.path("a/b/c/n"), b"data")
        self.succeeds("rm", "-r", self.there("a"), self.there("d"))
        self.assertEqual(self.succeeds("ls", self.there()).out, "")


class TestForbidden(CommandTest):
    options = {}

    def test_by_default(self):
        write_file(self.server.path("n"), b"data")
        here = self.scratch("here", b"other")
        self.fails(FORBIDDEN, "does not let.*allow_remove is off", "rm", self.there("n"))
        self.fails(FORBIDDEN, "does not let.*allow_rename is off", "mv", self.there("n"), self.there("m"))
        self.fails(FORBIDDEN, "does not let.*allow_replace is off", "put", "--replace", here,
                   self.there("n"))
        self.assertEqual(read_file(self.server.path("n")), b"data")


class TestSettings(CommandTest):
    def config(self, text):
        os.makedirs(self.scratch("config") + "/ftxfer", exist_ok=True)
        write_file(self.scratch("config") + "/ftxfer/config", text.encode())

    def test_alias(self):
        os.mkdir(self.server.path("d"))
        write_file(self.server.path("d/n"), b"data")
        self.config('aliases = ["here = ftx://%s/d"];' % self.where)
        self.assertEqual(self.succeeds("ls", "here:").out, "n\n")
        self.succeeds("get", "here:n", "-o", self.scratch("x"))
        self.environ["FTXFER_ALIASES"] = "here=ftx://%s/" % self.where
        self.assertEqual(self.succeeds("ls", "here:").out, "d/\n")

    def test_wrong(self):
        self.config("jobs = 0;")
        self.fails(USAGE, r"config:1: .*jobs", "ls", self.there())
        self.config("")
        self.environ["FTXFER_JOBS"] = "x"
        self.fails(USAGE, "FTXFER_JOBS", "ls", self.there())

    def test_usage(self):
        for args in (("put",), ("put", "x"), ("put", "x", "y"), ("get", "x"), ("ls",),
                     ("ls", "-Z", self.there()), ("mv", self.there("a")), ("rm", self.there()),
                     ("get", self.there("a"), "127.0.0.1:1/b"), ("put", "-", "-", self.there("a")),
                     ("get", "-r", self.there("*"), "-o", "-"), ("help", "none"),
                     ("sync", "a", "b"), ("verify", self.there("a"), "b"), ("ls", "me@h:/a"),
                     ("get", "--json", self.there("a"), "-o", "-")):
            with self.subTest(args=args):
                ran = self.fails(USAGE, "try ftxfer help", *args)
                self.assertEqual(len(ran.err.splitlines()), 1, ran)

    def test_help(self):
        self.assertIn("sync", self.succeeds("help").out)
        text = self.succeeds("help", "put").out
        self.assertIn("--replace", text)
        self.assertEqual(self.succeeds("put", "--help").out, text)
        self.assertNotIn("--replace", self.succeeds("ls", "--help").out)


class TestSaid(CommandTest):
    def test_what_was_there_already(self):
        file = write_file(self.scratch("n"), content(2 << 20))
        os.makedirs(self.scratch("tree"))
        write_file(self.scratch("tree/m"), b"more")
        said = self.succeeds("put", file, self.there()).err
        self.assertRegex(said, r"1 file, 2.0 MiB in [0-9.]+ s, .*B/s")
        said = self.succeeds("put", file, self.there()).err
        self.assertRegex(said, r"1 file, 2.0 MiB in [0-9.]+ s, which was there already\n")
        one, two = self.scratch("one", b"1"), self.scratch("two", b"2")
        said = self.succeeds("put", "-v", file, one, self.there()).err
        self.assertRegex(said, r"2 files, 2.0 MiB in [0-9.]+ s; 1 of them was there already\n")
        self.assertRegex(said, "(?m)^put \".*/n\" 2.0 MiB, which was there already$")
        self.assertRegex(said, "(?m)^put \".*/one\" 1 B$")
        said = self.succeeds("put", file, one, self.there()).err
        self.assertRegex(said, r"2 files, 2.0 MiB in [0-9.]+ s, which were there already\n")
        said = self.succeeds("put", one, two, self.there()).err
        self.assertRegex(said, r"2 files, 2 B in [0-9.]+ s, .*B/s; 1 of them was there already\n")
        said = self.succeeds("sync", "-v", self.scratch("tree"), self.there("tree")).err
        self.assertIn("mkdir \"tree\"", said)
        said = self.succeeds("sync", "-v", self.scratch("tree"), self.there("tree")).err
        self.assertNotIn("mkdir", said)
        self.assertIn("mkdir \"tree\"", self.succeeds("mkdir", "-v", self.there("tree")).err)


class TestJson(CommandTest):
    def test_each_item_ends(self):
        write_file(self.server.path("a"), b"data")
        ran = self.fails(REFUSED, "", "get", "--json", self.there("a"), self.there("none"), "-o",
                         self.dir)
        events = self.events(ran.out)
        ended = {event["remote"]: event for event in events if event["event"] in ("done", "failed")}
        self.assertEqual(ended["a"]["bytes"], 4)
        self.assertEqual(ended["none"]["exit"], REFUSED)
        self.assertEqual(events[-1]["event"], "summary")
        self.assertEqual((events[-1]["done"], events[-1]["failed"], events[-1]["exit"]),
                         (1, 1, REFUSED))
        self.assertEqual(ran.err, "")

    def test_what_an_earlier_command_has_stored(self):
        """Whether it was sent once more, as something small is, or not; however soon."""
        for number, size in enumerate((0, 1, 100000, 2 << 20) * 3):
            name = "n%d" % number
            here = self.scratch(name, content(size))
            for existed in (False, True, True):
                ran = self.succeeds("put", "--json", here, self.there(name))
                done = [it for it in self.events(ran.out) if it["event"] == "done"]
                self.assertEqual([it["existed"] for it in done], [existed], (size, ran.out))

    def test_the_summary_counts_the_events(self):
        tree = self.tree()
        os.symlink("a", os.path.join(tree, "link"))
        os.makedirs(self.server.path("sub/a"))
        for args, failed in ((("put", "-r", tree, self.there()), 0),
                             (("put", "-r", tree, self.there()), 0),
                             (("ls", self.there("tree")), 0), (("ls", "-R", self.there()), 0),
                             (("ls", self.there("none"), self.there("tree/a")), 1),
                             (("get", "-r", self.there("tree"), self.there("none"), "-o",
                               self.dir), 1),
                             (("get", self.there("tree/*"), "-o", self.dir), 0),
                             (("verify", tree, self.there("tree")), 0),
                             (("sync", "--delete", tree + "/sub", self.there("tree")), 0),
                             (("verify", tree, self.there("tree")), None),
                             (("stat", self.there("tree")), 0),
                             (("rm", "-r", self.there("tree"), self.there("sub")), 0)):
            with self.subTest(args=args):
                ran = self.ftxfer(args[0], "--json", *args[1:])
                events = self.events(ran.out)
                counts = {word: len([it for it in events if it["event"] == word and
                                     not it.get("sums_up")])
                          for word in ("done", "failed", "skipped")}
                self.assertEqual({word: events[-1][word] for word in counts}, counts)
                self.assertGreater(sum(counts.values()), 0)
                if failed is not None:
                    self.assertEqual(counts["failed"], failed)

    def test_without_a_server(self):
        self.server.stop()
        ran = self.ftxfer("stat", "--json", "--retry-time", "0", self.there("a"))
        self.assertEqual(ran.status, AGAIN)
        self.assertEqual([event["event"] for event in self.events(ran.out)], ["failed", "summary"])

    def test_bytes_that_are_no_utf8(self):
        name = os.path.join(self.server.path("").encode(), b"a\xffb")
        write_file(name, b"data")
        entry = self.events(self.succeeds("ls", "--json", self.there()).out)[1]
        self.assertEqual((entry["remote"], entry["remote_hex"]), ("a\ufffdb", "61ff62"))


def read_so_far(pid):
    """Bytes that the process has read, from wherever (proc(5), rchar)."""
    with open("/proc/%d/io" % pid) as file:
        return int(re.search(r"rchar: (\d+)", file.read())[1])


class TestAgain(CommandTest):
    def kill(self):
        self._cleanups = [one for one in self._cleanups if one[0] != self._stopped]
        self.server.process.kill()
        self.server.process.wait()

    def restart(self, after):
        """SIGKILL, and a new daemon on the same root and port."""
        time.sleep(after)
        self.kill()
        port = self.server.port
        self.server = self.daemon(root=self.server.path(""), args=("-l", str(port)), **self.options)

    def test_a_server_that_comes_back(self):
        tree = self.scratch("many")
        for number in range(2000):
            os.makedirs(os.path.join(tree, "d%d" % (number // 100)), exist_ok=True)
            write_file(os.path.join(tree, "d%d" % (number // 100), "n%d" % number),
                       content(4096, number + 1))
        killed = threading.Thread(target=self.restart, args=(0.05,))
        killed.start()
        ran = self.ftxfer("put", "-rp", "--replace", tree, self.there("x"))
        killed.join()
        self.assertEqual(ran.status, 0, ran)
        self.assert_same_trees(tree, self.server.path("x/many"))

    def test_what_is_in_the_way_meanwhile(self):
        """A download that is only to get its name keeps its connection. What has the name must not wait
        for room in the queue, which nothing but that connection empties."""
        here = self.scratch("here")
        os.makedirs(os.path.join(here, "a/sub"))
        write_file(os.path.join(here, "a/sub/x"), b"in the way")
        os.mkdir(self.server.path("d"))
        for name in ["a"] + ["f%d" % i for i in range(6000)]:
            write_file(self.server.path("d/" + name), b"x")

        def restart():
            wait_for(lambda: len(os.listdir(here)) > 200, "some to come")
            self.restart(0)
        killed = threading.Thread(target=restart)
        killed.start()
        ran = self.ftxfer("sync", "--delete", "--retry-time", "60s", self.there("d"), here)
        killed.join()
        self.assertEqual(ran.status, 0, ran)
        self.assert_same_trees(self.server.path("d"), here)

    def test_nothing_is_tried_again_in_vain(self):
        begin = time.monotonic()
        self.fails(REFUSED, "no such", "get", self.there("none"), "-o", self.scratch("x"))
        self.assertLess(time.monotonic() - begin, 5)

    def test_gives_up_after_a_time(self):
        self.server.stop()
        begin = time.monotonic()
        ran = self.fails(AGAIN, "connection refused", "ls", "--retry-time", "1", self.there())
        self.assertGreater(time.monotonic() - begin, 0.9)
        self.assertIn("127.0.0.1:%d: connection refused" % self.server.port, ran.err)
        self.assertEqual(ran.err.count("trying again for up to 1 s"), 1, ran.err)
        self.fails(AGAIN, "refused", "ls", "--retry-time", "0", self.there())

    def test_says_that_it_waits(self):
        """Once, and when it is over; each time with -v; not with -q."""
        for flags, least, most in ((["-q"], 0, 0), ([], 2, 2), (["-v"], 3, 40)):
            with self.subTest(flags=flags):
                self.kill()
                again = threading.Thread(target=self.restart, args=(1.5,))
                again.start()
                ran = self.ftxfer("ls", *flags, self.there())
                again.join()
                self.assertEqual(ran.status, 0, ran)
                said = [line for line in ran.err.splitlines() if self.where in line]
                self.assertTrue(least <= len(said) <= most, ran.err)
                if said:
                    self.assertIn("connection refused", said[0])
                    self.assertTrue(said[-1].endswith("connected"), ran.err)

    def test_broken_on_the_way(self):
        """Each of the first connections breaks somewhere else; then one holds."""
        data = content(3000000)
        here = self.scratch("here", data)
        for way in ("up", "down"):
            for reset in (False, True):
                with self.subTest(way=way, reset=reset):
                    relay = Relay(self.server.address, way, (5, 100, 70000, 2000000), reset)
                    self.addCleanup(relay.close)
                    name = "%s-%s" % (way, reset)
                    if way == "down":
                        write_file(self.server.path(name), data)
                        back = self.scratch("back")
                        ran = self.succeeds("get", "--json", relay.where + "/" + name, "-o", back)
                        self.assertEqual(read_file(back), data)
                        # What had come once does not come again.
                        self.assertLess(self.events(ran.out)[-1]["bytes_moved"], 3000000 + (1 << 20))
                    else:
                        self.succeeds("put", here, relay.where + "/" + name)
                    self.assertEqual(read_file(self.server.path(name)), data)
                    self.assertEqual(relay.count, 5)

    def test_what_was_sent_is_not_read_again(self):
        """Neither here nor there, when an upload goes on that broke far behind its beginning."""
        size = 48 << 20
        here = self.scratch("here", content(size))
        relay = Relay(self.server.address, "up", (40 << 20,), True)
        self.addCleanup(relay.close)
        before = read_so_far(self.server.process.pid)
        process = subprocess.Popen(ftxfer() + ["put", "-q", here, relay.where + "/n"],
                                   env=self.environ, stdin=subprocess.DEVNULL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        client = read_so_far(process.pid)
        server = read_so_far(self.server.process.pid) - before
        self.assertEqual(process.wait(), 0)
        self.assertEqual(relay.count, 2)
        self.assertEqual(read_file(self.server.path("n")), read_file(here))
        # What is behind the last mark, or was on the way, is read again. (recv(2) does not count.)
        self.assertLess(client, size + (16 << 20))
        self.assertLess(server, 16 << 20)

    def test_killed_by_a_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            proxy = self.proxy(self.server, "--delay", "0.05")
            process = subprocess.Popen(
                ftxfer() + ["put", self.scratch("here", content(3000000)), proxy.where + "/n"],
                env=self.environ, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
            time.sleep(0.3)
            process.send_signal(number)
            self.assertIn(b"cancelled", process.communicate(timeout=DEADLINE)[1])
            self.assertEqual(process.returncode, -number)
        self.assertFalse(os.path.exists(self.server.path("n")))


class Relay:
    """Passes connections on; the first ones break after so many bytes in that direction."""

    def __init__(self, target, way, limits, reset):
        self.target, self.way, self.limits, self.reset = target, way, limits, reset
        self.count = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.where = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            limit = self.limits[self.count] if self.count < len(self.limits) else None
            self.count += 1
            server = socket.create_connection(self.target)
            for way, one, other in (("up", client, server), ("down", server, client)):
                threading.Thread(target=self.forward, daemon=True, args=(
                    one, other, limit if way == self.way else None)).start()

    def forward(self, one, other, left):
        try:
            while True:
                data = one.recv(65536 if left is None else min(65536, left))
                other.sendall(data)
                if not data:
                    other.shutdown(socket.SHUT_WR)
                    return
                if left is not None:
                    left -= len(data)
                    if left == 0:
                        break
        except OSError:
            return
        for peer in (one, other):
            close_at_once(peer, self.reset)


class TestHostile(CommandTest):
    def frame(self, kind, identity, payload, flags=0):
        return struct.pack(">IBBH", len(payload), kind, flags, identity) + payload

    def attribute(self, number, value):
        return struct.pack(">HH", number, len(value)) + value

    def serve(self, answer):
        """A server that says HELLO and answers each request with answer(type, id)."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        hello = b"".join((self.attribute(1, b"\0\2"), self.attribute(3, b"\1\2"),
                          self.attribute(4, struct.pack(">I", 1 << 20)), self.attribute(5, b"\1\0"),
                          self.attribute(6, struct.pack(">I", 1 << 20))))

        def play():
            try:
                while True:
                    peer = listener.accept()[0]
                    with peer, peer.makefile("rb") as stream:
                        peer.sendall(PREFACE + self.frame(1, 0, hello))
                        stream.read(8)
                        while True:
                            head = stream.read(8)
                            if len(head) < 8:
                                break
                            length, kind, _, identity = struct.unpack(">IBBH", head)
                            stream.read(length)
                            said = answer(kind, identity)
                            if said:
                                peer.sendall(said)
            except OSError:
                pass

        threading.Thread(target=play, daemon=True).start()
        return "127.0.0.1:%d" % listener.getsockname()[1]

    def entry(self, name, kind=1):
        parts = self.attribute(0x10, name) + self.attribute(0x15, bytes([kind]))
        parts += self.attribute(0x13, bytes(12)) + self.attribute(0x14, b"\1\xa4")
        if kind == 1:
            parts += self.attribute(0x12, bytes(8)) + self.attribute(0x16, b"version1")
        return self.attribute(0x28, parts)

    def directory(self):
        return (self.attribute(0x15, b"\2") + self.attribute(0x13, bytes(12)) +
                self.attribute(0x14, b"\1\xed"))

    def test_names_that_climb(self):
        into = self.scratch("into")
        os.mkdir(into)
        os.makedirs(self.scratch("state") + "/ftxfer")
        before = sorted(os.listdir(self.dir))
        for name in (b"..", b".", b"../x", b"/x", b"a/b", b"", b"a\0b", b"n" * 256):
            with self.subTest(name=name):
                def answer(kind, identity):
                    if kind == 0x13:
                        return self.frame(0x50, identity, self.directory())
                    if kind == 0x14:
                        return self.frame(0x53, identity, self.entry(name))
                    return b""
                where = self.serve(answer)
                ran = self.ftxfer("get", "-r", where + "/d", "-o", into)
                self.assertNotEqual(ran.status, 0, ran)
                # Nothing beside it; what is there was before.
                self.assertEqual(sorted(os.listdir(self.dir)), before)
                self.assertIn(os.listdir(into), ([], ["d"]))
                self.assertFalse(os.path.exists(self.scratch("x")))

    def test_a_tree_without_a_bottom(self):
        def answer(kind, identity):
            if kind == 0x13:
                return self.frame(0x50, identity, self.directory())
            if kind == 0x14:
                return self.frame(0x53, identity, self.entry(b"d", 2))
            return b""
        into = self.scratch("into")
        os.mkdir(into)
        self.fails(70, "too large", "get", "-r", self.serve(answer) + "/d", "-o", into)

    def test_no_such_protocol(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def play():
            try:
                while True:
                    peer = listener.accept()[0]
                    peer.sendall(b"HTTP/1.0 400 Bad\r\n\r\n")
                    peer.close()
            except OSError:
                pass
        threading.Thread(target=play, daemon=True).start()
        self.fails(PROTOCOL, "", "ls", "127.0.0.1:%d/" % listener.getsockname()[1])


if __name__ == "__main__":
    unittest.main()
