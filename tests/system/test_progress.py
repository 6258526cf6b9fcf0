"""What ftxfer shows while something takes long, on a terminal and to programs."""

import json
import os
import pty
import re
import subprocess
import time
import unittest
import urllib.parse

from harness import ftxfer
from hostile import HostileTest, error
from test_commands import EXISTS, REFUSED, CommandTest
from wire import content, write_file
from wire2 import CODES, encode, frame, sha256

SIZE = 1000000
MIB = 1 << 20


def working(number, done):
    return frame("WORKING", number, 0, encode([("DONE", done)]))


def receipt(number, data):
    return frame("OK", number, 0, encode([
        ("NAME", b"f"), ("SIZE", len(data)), ("DIGEST", sha256(data)),
        ("FILE_VERSION", b"version1"), ("TIME", (1, 0))]))


def on_terminal(args, environ):
    """The exit status, and all that a terminal gets to see but for how the bar is drawn."""
    master, slave = pty.openpty()
    with open(master, "rb", 0) as terminal:
        process = subprocess.Popen(ftxfer() + args, stdin=slave, stdout=slave, stderr=slave,
                                   env=dict(environ, TERM="xterm"))
        os.close(slave)
        shown = b""
        try:
            while more := terminal.read(65536):
                shown += more
        except OSError:  # nobody has it any more
            pass
    return process.wait(), re.sub(rb"\x1b\[K|\x1b\[(36|0)m", b"", shown)


class TestStages(HostileTest):
    """The server takes its time, and says how far it is."""

    pause = 1.6

    def setUp(self):
        super().setUp()
        self.data = content(3 * MIB)

    def shown(self, *args):
        status, shown = on_terminal([args[0], "--digest", "sha256"] + list(args[1:]), self.environ)
        self.assertEqual(status, 0, shown)
        self.assert_harmless(shown.replace(b"\r", b""))
        return shown.decode()

    def progress(self, *args):
        """The events that say how far it is."""
        ran = subprocess.run(ftxfer() + [args[0], "--json", "--digest", "sha256"] + list(args[1:]), env=self.environ,
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.assertEqual(ran.returncode, 0, ran)
        events = [json.loads(line) for line in ran.stdout.splitlines()]
        return [event for event in events if event["event"] == "progress"]

    def sums(self, conversation):
        message = conversation.next()
        self.assertEqual(message.type, "DIGEST")
        conversation.send(working(message.id, 5 * MIB))
        time.sleep(self.pause)
        conversation.send(frame("OK", message.id, 0, encode([
            ("SIZE", SIZE), ("DIGEST", sha256(b"")), ("FILE_VERSION", b"version1")])))

    def test_sum(self):
        self.assertRegex(self.shown("sum", self.serve(self.sums) + "/d/f"),
                         r'0 digesting 5\.0 MiB "f"')
        said = self.progress("sum", self.serve(self.sums) + "/d/f")
        self.assertEqual({(it["current"], it["current_stage"], it["current_digested"],
                           it["current_to_digest"]) for it in said},
                         {("d/f", "digesting", 5 * MIB, 0)})

    def takes(self, conversation):
        """Has a part of it, and takes its time to compare, and to store."""
        conversation.send(error(conversation.next().id, CODES["NOT_FOUND"]))  # STAT
        head = conversation.next()
        conversation.send(frame("HAVE", head.id, 0, encode([("OFFSET", 2 * MIB)])))
        while conversation.next().type != "PREFIX":
            pass
        conversation.send(working(head.id, MIB // 2))
        time.sleep(self.pause)
        conversation.send(frame("GO", head.id, 0, encode([("OFFSET", 2 * MIB)])))
        while conversation.next().type != "END":
            pass
        conversation.send(frame("WORKING", head.id))
        time.sleep(self.pause)
        conversation.send(receipt(head.id, self.data))

    def test_put(self):
        here = write_file(self.scratch("state/here"), self.data)
        shown = self.shown("put", here, self.serve(self.takes) + "/f")
        self.assertRegex(shown, r'0 digesting 25% "h')
        self.assertRegex(shown, r'0 storing "here" ')
        said = self.progress("put", here, self.serve(self.takes) + "/f")
        self.assertEqual(list(dict.fromkeys(it["current_stage"] for it in said)),
                         ["digesting", "storing"])
        self.assertEqual((said[0]["current_digested"], said[0]["current_to_digest"]),
                         (MIB // 2, 2 * MIB))
        self.assertNotIn("current_digested", said[-1])
        self.assertEqual(said[-1]["current_moved"], 3 * MIB)


class TestNames(CommandTest):
    """No control character of a name reaches a terminal, whoever says it."""

    options = dict(CommandTest.options, names="bytes")
    names = (b"a\nb", b"\x1b[2Jc", b"\xff\xfe\x1b[3m", b"tab\t\\", b"\x7f\n", "\u009bx".encode(),
             "\u202etxt".encode(), b"cr\rX")
    harmful = rb"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|cr\rX"

    def harmless(self, *args, status=0, lines=None):
        ended, shown = on_terminal(list(args), self.environ)
        self.assertEqual(ended, status, shown)
        self.assertNotRegex(shown, self.harmful)
        shown.decode()
        if lines is not None:
            self.assertEqual(shown.count(b"\n"), lines, shown)

    def test_each_command(self):
        tree = os.fsencode(self.scratch("tree"))
        os.mkdir(tree)
        for number, name in enumerate(self.names):
            write_file(os.path.join(tree, name), content(number + 1))
            os.mkdir(os.path.join(tree, b"d" + name))
        count = len(self.names)
        here = os.fsdecode(tree)
        self.harmless("put", "-rv", here, self.there())
        for number, name in enumerate(self.names):
            write_file(os.path.join(tree, name), content(number + 1, 7))
        self.harmless("put", "-rv", here, self.there(), status=EXISTS)
        self.harmless("sync", "-v", here, self.there("tree"))
        self.harmless("verify", "-v", here, self.there("tree"))
        for more in ((), ("-l",), ("-R",), ("-lR",)):
            self.harmless("ls", *more, self.there("tree"), lines=2 * count)
        self.harmless("ls", "--json", self.there("tree"))
        each = ["ftx://%s/tree/%s" % (self.where, urllib.parse.quote(name)) for name in self.names]
        self.harmless("stat", *each, lines=count)
        self.harmless("sum", *each, lines=count)
        self.harmless("sum", "--json", *each)
        self.harmless("get", "-v", *each, "-o", self.dir)
        self.harmless("get", "-rv", self.there("tree"), "-o", self.scratch("back"))
        self.harmless("mkdir", "-v", *each, status=EXISTS)
        self.harmless("stat", *(it + "%0Anone" for it in each), status=REFUSED)
        for name in self.names:
            self.harmless("get", "-d", each[0], "-o", os.fsdecode(os.path.join(b"/none", name)),
                          status=EXISTS)
            self.harmless("help", os.fsdecode(name), status=64)
            self.harmless("stat", os.fsdecode(name), status=64)
        self.harmless("rm", "-rv", self.there("tree"))


if __name__ == "__main__":
    unittest.main()
