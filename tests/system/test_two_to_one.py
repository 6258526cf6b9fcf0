"""Two things of one command that would go to one name: neither is written over the other."""

import os
import re
import unittest

from test_commands import EXISTS, CommandTest
from wire import read_file, write_file

OVER = "\"%s\": %s would be written over \"%s\""


class TestTwoToOne(CommandTest):
    def make(self, top, *names):
        """Each file says which it is."""
        for name in names:
            path = os.path.join(top, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_file(path, name.encode())

    def there_are(self, top, **names):
        found = self.listed(top, False)
        self.assertEqual(sorted(name for name in found if found[name] != "directory"),
                         sorted(names), found)
        for name, data in names.items():
            self.assertEqual(read_file(os.path.join(top, name)), data.encode())

    def setUp(self):
        super().setUp()
        self.into = self.scratch("into")
        os.mkdir(self.into)

    def test_get(self):
        """The one that was named first comes, whichever is found first."""
        self.make(self.server.root, "a/x", "b/x", "b/y", "c/d/x")
        for _ in range(5):
            ran = self.fails(EXISTS, OVER % ("into/x", "\"b/x\"", "a/x"), "get", "-j", "4",
                             self.there("a/x"), self.there("b/x"), self.there("b/y"),
                             self.there("c//d/./x"), "-o", "into", cwd=self.dir)
            self.assertIn("2 files", ran.err)
            self.assertIn("2 failed", ran.err)
            self.there_are(self.into, x="a/x", y="b/y")

    def test_get_by_a_link(self):
        self.make(self.server.root, "a/x", "b/y")
        os.symlink("y", os.path.join(self.into, "x"))
        self.fails(EXISTS, "written over", "get", self.there("a/x"), self.there("b/y"), "-o",
                   self.into)
        self.assertEqual(read_file(os.path.join(self.into, "y")), b"a/x")

    def test_patterns(self):
        self.make(self.server.root, "g/a/x", "g/b/x", "g/b/y", "h/x")
        for args in (("g/*/x",), ("g/*/*",), ("g/a/x", "g/b/*"), ("g/a/[x]", "g/b/[xy]", "h/*")):
            ran = self.ftxfer("get", *[self.there(name) for name in args], "-o", self.into)
            self.assertEqual(ran.status, EXISTS, ran)
            first = read_file(os.path.join(self.into, "x")).decode()
            over = re.findall("\"(\\S*)\" would be written over \"(\\S*)\"", ran.err)
            self.assertTrue(over, ran)
            for second, written in over:
                self.assertNotEqual(second, first)
                self.assertEqual(written, first)
        self.assertEqual(read_file(os.path.join(self.into, "y")), b"g/b/y")

    def test_trees(self):
        """A second directory of the name is not merged with the first one."""
        self.make(self.server.root, "a/d/x", "b/d/x", "b/d/y")
        self.fails(EXISTS, OVER % ("into/d", "\"b/d\"", "a/d"), "get", "-r", self.there("a/d"),
                   self.there("b/d"), "-o", "into", cwd=self.dir)
        self.there_are(self.into, **{"d/x": "a/d/x"})
        here = self.scratch("here")
        self.make(here, "a/d/x", "b/d/x", "b/d/y")
        self.fails(EXISTS, OVER % ("b/d", "it", "a/d"), "put", "-r", "--replace", "a/d", "b/d",
                   self.there("new/"), "-p", cwd=here)
        self.there_are(self.server.path("new"), **{"d/x": "a/d/x"})

    def test_put(self):
        here = self.scratch("here")
        self.make(here, "a/x", "b/x", "b/y")
        for _ in range(3):
            ran = self.fails(EXISTS, OVER % ("b/x", "it", "a/x"), "put", "--replace", "-p", "a/x",
                             "b/x", "b/y", self.there("new/"), cwd=here)
            self.assertNotIn("in use", ran.err)
            self.there_are(self.server.path("new"), x="a/x", y="b/y")

    def test_beside_a_tree(self):
        """What is in a directory goes beside other things: only what has the same name is refused."""
        here = self.scratch("here")
        self.make(here, "d/x", "d/sub/y", "b/x", "c/x1", "e/sub/z")
        ran = self.ftxfer("put", "-rp", "--replace", "d/.", "b/x", "c/x1", "e/sub",
                          self.there("new"), cwd=here)
        self.assertEqual(ran.status, EXISTS, ran)
        self.assertEqual(ran.err.count("would be written over"), 2, ran)
        found = self.listed(self.server.path("new"), False)
        self.assertEqual(read_file(self.server.path("new/x1")), b"c/x1")
        self.assertEqual("sub/y" in found, "sub/z" not in found)
        self.assertIn("x", found)
        # And the other way, where the root of the server has no name.
        self.make(self.server.root, "x", "k/x", "k/more")
        self.fails(EXISTS, "written over", "get", "-r", self.there(), self.there("k/x"),
                   self.there("k/more"), "-o", self.into)
        self.assertEqual(read_file(os.path.join(self.into, "more")), b"k/more")

    def test_the_insides_of_two(self):
        """They go into one directory; what is there by one of them already is refused to the other."""
        here = self.scratch("here")
        self.make(here, "d/x", "d/same", "e/y", "e/same")
        ran = self.ftxfer("put", "-rp", "--replace", "d/.", "e/.", self.there("new"), cwd=here)
        self.assertEqual((ran.status, ran.err.count("would be written over")), (EXISTS, 1), ran)
        self.assertEqual(sorted(self.listed(self.server.path("new"), False)), ["same", "x", "y"])

    def test_named_twice(self):
        self.make(self.server.root, "a/x")
        ran = self.succeeds("get", self.there("a/x"), self.there("a/x"), self.there("*/x"), "-o",
                            self.into)
        self.assertEqual(ran.err.count("it is named twice"), 2, ran)
        self.assertIn("1 file,", ran.err)
        here = self.scratch("here")
        self.make(here, "x")
        ran = self.succeeds("put", "-p", "x", "x", self.there("new/"), cwd=here)
        self.assertEqual(ran.err.count("it is named twice"), 1, ran)


if __name__ == "__main__":
    unittest.main()
