"""How ftxfer ends: what it says, to people and to programs, and its exit status."""

import unittest

from test_commands import REFUSED, CommandTest
from wire import content, write_file


class TestTooLarge(CommandTest):
    options = {"max_file_size": 100000}

    def test_before_and_after_the_greeting(self):
        """The limit is in the server's HELLO; what has gone out before is refused all the same."""
        for size in (100001, 3000000):
            here = write_file(self.scratch("here"), content(size))
            said = {}
            for kind in ("xxh128", "sha256"):  # a PUT with the latter waits for HELLO
                ran = self.fails(REFUSED, "larger than is allowed", "put", "--digest", kind, "-d",
                                 here, self.there())
                said[kind] = [line for line in ran.err.splitlines() if "larger" in line]
                states = [line.split(": ")[-1] for line in ran.err.splitlines()
                          if "changed status to: " in line]
                puts = [state for state in states[:states.index("open")] if state.startswith("put_")]
                self.assertEqual(bool(puts), kind == "xxh128", states)
            self.assertEqual(len(said["xxh128"]), 1)
            self.assertEqual(said["xxh128"], said["sha256"])


if __name__ == "__main__":
    unittest.main()
