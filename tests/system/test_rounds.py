"""How often a client waits for a line that takes its time: many small files, there and back."""

import os
import shutil
import subprocess
import unittest

from harness import ftxfer
from test_commands import CommandTest
from turns import Turns
from wire import DEADLINE, content, write_file

FILES = 1000
FEW = 10  # round trips: fewer than these, for all of them


class RoundsTest(CommandTest):
    def rounds(self, *args, status=0):
        """Runs ftxfer to its end, through the line; {} is the server."""
        line = Turns(self.server)
        self.addCleanup(line.close)
        process = subprocess.Popen(
            ftxfer() + [it.format(line.where) for it in args], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environ)
        line.client = process.pid
        out, err = process.communicate(timeout=4 * DEADLINE)
        self.assertEqual(process.returncode, status, err[-2000:])
        line.close()
        self.out = os.fsdecode(out)
        self.turns = line.turns
        return line.rounds

    def few(self, *args, limit=FEW):
        rounds = self.rounds(*args)
        self.assertLess(rounds, limit, "%s takes %d round trips, of bytes up and down: %s" % (
            args[0], rounds, self.turns))


class TestRounds(RoundsTest):
    def files(self, name, directories):
        """FILES small ones, in so many directories, most of which are in others."""
        top = self.scratch(name)
        places = [top] if directories == 0 else [
            os.path.join(top, "a%d" % (number // 8), "b%d" % number)
            for number in range(directories)]
        for place in places:
            os.makedirs(place)
        for number in range(FILES):
            write_file(os.path.join(places[number % len(places)], "f%d" % number),
                       content(number % 700, number))
        return top

    def there_and_back(self, name, directories):
        top = self.files(name, directories)
        self.few("put", "-r", top, "{}/")
        self.assert_same_trees(top, self.server.path(name))
        back = self.scratch(name + "-back")
        self.few("get", "-r", "{}/" + name, "-o", back)
        self.assert_same_trees(top, back)
        self.few("sync", top, "{}/synced")
        self.assert_same_trees(top, self.server.path("synced"))
        self.few("sync", top, "{}/synced")
        self.assertLess(sum(up for up, _ in self.turns), 100 * (directories + 1) + 1000)
        back = self.scratch(name + "-synced-back")
        self.few("sync", "{}/synced", back)
        self.assert_same_trees(top, back)
        self.few("sync", "{}/synced", back)
        self.few("verify", back, "{}/synced")
        self.few("ls", "-R", "{}/synced")
        self.few("rm", "-r", "{}/synced", limit=FEW + 4)  # directories when they are empty
        self.assertEqual(os.path.exists(self.server.path("synced")), False)

    def test_one_question(self):
        write_file(self.server.path("f"), b"data")
        self.assertEqual(self.rounds("stat", "{}/f"), 2)  # with its end

    def test_one_directory(self):
        self.there_and_back("flat", 0)

    def test_many_directories(self):
        self.there_and_back("tree", 40)

    def test_ls_down_first(self):
        """Directories that are told of late are listed soon: in theirs, too."""
        for number in range(600):
            os.makedirs(os.path.join(self.server.root, "top", "a%d" % (number // 6),
                                     "b%d" % number, "c"))
        self.few("ls", "-R", "{}/top", limit=1 + 1300 // 64 + FEW)
        self.assertEqual(len(self.out.splitlines()), 100 + 600 + 600)

    def test_large_directories(self):
        """More of them than a server keeps listings that can go on, and more than a page each."""
        for number in range(5):
            where = os.path.join(self.server.root, "large", "d%d" % number)
            os.makedirs(where)
            for file in range(1100):
                write_file(os.path.join(where, "f%d" % file), b"")
        self.rounds("ls", "-R", "--json", "{}/large")
        found = [it["remote"] for it in self.events(self.out) if it["event"] == "entry"]
        self.assertEqual(len(found), 5 * 1101)
        self.assertEqual(len(set(found)), len(found))
        self.assertNotIn("retrying", self.out)
        here = shutil.copytree(self.server.path("large"), self.scratch("here"))
        self.rounds("sync", "--json", here, "{}/large")
        done = self.events(self.out)[-1]
        self.assertEqual((done["skipped"], done["failed"]), (5 * 1100, 0), done)
        self.assertLess(sum(up for up, _ in self.turns), 4000)


if __name__ == "__main__":
    unittest.main()
