"""Workers: what each of them does, by the counters that -d prints at the end."""

import unittest

from harness import SystemTest, counters
from wire import content

SENT, RECEIVED = ("sendfile", "copy-sent"), ("copy-received", "direct")


def total(lines, names):
    return sum(line[name] for line in lines for name in names)


class TestCounters(SystemTest):
    def test_each_byte_is_counted_once(self):
        """By the daemon and by the client; a refused or broken transfer moves what it moved."""
        daemon = self.daemon(args=["-d"])
        local = self.scratch("local", content(1000000))
        ran = [self.transferred("upload", daemon, "n", local, "-d")]
        ran += [self.transferred("download", daemon, "n", local, "-d") for _ in range(2)]
        self.transfer("upload", daemon, "n", local)
        self.assertEqual(len(daemon.ended(4)), 4)
        daemon.stop()
        lines = daemon.counters()
        self.assertEqual(total(lines, ["connections"]), 4)
        self.assertEqual(total(lines, RECEIVED), 1000000)
        self.assertEqual(total(lines, SENT), 2 * 1000000)
        self.assertGreater(total(lines, ["turns"]), 4)
        self.assertGreater(total(lines, ["longest-turn-us"]), 0)
        for it, names in zip(ran, (SENT, RECEIVED, RECEIVED)):
            line, = counters(it.err)
            self.assertEqual((total([line], names), total([line], SENT + RECEIVED)),
                             (1000000, 1000000))

    def test_silent_without_debug(self):
        daemon = self.daemon()
        self.upload(daemon, "n", b"x")
        daemon.stop()
        self.assertEqual(daemon.counters(), [])


if __name__ == "__main__":
    unittest.main()
