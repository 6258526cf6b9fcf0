"""What ftxfer says: that its sentences are true, and name what is meant."""

import unittest

from test_commands import FORBIDDEN, USAGE, CommandTest


class TestWhichCommand(CommandTest):
    options = {}

    def test_misspelt(self):
        for word, meant in (("lss", "ls"), ("gett", "get"), ("sycn", "sync"), ("hepl", "help"),
                            ("vrify", "verify")):
            said = self.fails(USAGE, "", word, self.there()).err
            self.assertEqual(said, 'ftxfer: there is no command "%s"; did you mean %s? '
                             '(try ftxfer help)\n' % (word, meant))
        for args in (("upload", "a"), ("",), ("x" * 300,), ("a\nb",), ("help", "none")):
            said = self.fails(USAGE, 'there is no command ".*" .try ftxfer help', *args).err
            self.assertEqual(len(said.splitlines()), 1, said)
        self.fails(USAGE, r'no command "putt"; did you mean put\?', "help", "putt")

    def test_behind_options(self):
        """The command line of version 1 is of options only."""
        self.fails(USAGE, "a command stands before its options .try ftxfer help put", "-q", "put",
                   "a", self.there())
        self.fails(USAGE, "unexpected argument stray", "-q", "stray")

    def test_help_leads_to_the_commands(self):
        text = self.succeeds("--help").out
        for part in ("ftxfer help", "put, get, ls,", "verify", "--server-file-name"):
            self.assertIn(part, text)
        put = self.succeeds("help", "put").out
        for args in (("--help", "put"), ("put", "-h"), ("-h", "put")):
            self.assertEqual(self.succeeds(*args).out, put)
        commands = self.succeeds("help").out
        for word in ("help", "version", "--help", "-h"):
            self.assertEqual(self.succeeds("help", word).out, commands)
        self.fails(USAGE, 'no command "none"', "--help", "none")

    def test_options_that_are_of_use(self):
        """Others are taken, since a file may set them for all commands, but not offered."""
        for word in "put get ls stat mkdir rm mv sum sync verify".split():
            text = self.succeeds("help", word).out
            self.assertEqual("--digest" in text, word in ("put", "get", "sum", "sync", "verify"), word)
            self.assertEqual("--jobs" in text, word != "mv", word)
        self.environ.update(FTXFER_JOBS="2", FTXFER_DIGEST="sha256")
        self.fails(FORBIDDEN, "", "mv", "-j", "3", "--digest", "xxh128", self.there("a"), self.there("b"))

    def test_version(self):
        text = self.succeeds("version").out
        self.assertRegex(text, r"^ftxfer \d")
        self.assertEqual(self.succeeds("--version").out, text)


if __name__ == "__main__":
    unittest.main()
