"""What ftxfer shows while something takes long, on a terminal and to programs."""

import json
import os
import pty
import re
import subprocess
import time
import unittest

from harness import ftxfer
from hostile import HostileTest, error
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


class TestStages(HostileTest):
    """The server takes its time, and says how far it is."""

    pause = 1.6

    def setUp(self):
        super().setUp()
        self.data = content(3 * MIB)

    def shown(self, *args):
        """All that a terminal gets to see."""
        master, slave = pty.openpty()
        with open(master, "rb", 0) as terminal:
            process = subprocess.Popen(ftxfer() + [args[0], "--digest", "sha256"] + list(args[1:]), stdin=slave, stdout=slave, stderr=slave,
                                       env=dict(self.environ, TERM="xterm"))
            os.close(slave)
            shown = b""
            try:
                while more := terminal.read(65536):
                    shown += more
            except OSError:  # nobody has it any more
                pass
        self.assertEqual(process.wait(), 0, shown)
        self.assert_harmless(re.sub(rb"\r\x1b\[K|\x1b\[[0-9;]*[mK]", b"", shown).replace(b"\r", b""))
        return re.sub(r"\x1b\[[0-9;]*[mK]", "", shown.decode())

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
        self.assertEqual([(it["current"], it["current_stage"], it["current_digested"],
                           it["current_to_digest"]) for it in said],
                         [("d/f", "digesting", 5 * MIB, 0)])

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


if __name__ == "__main__":
    unittest.main()
