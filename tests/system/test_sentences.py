"""What ftxfer says: that its sentences are true, and name what is meant."""

import os
import subprocess
import unittest

from harness import ftxfer, mounted, run
from hostile import HostileTest, error
from test_commands import EXISTS, FORBIDDEN, NO_INPUT, REFUSED, USAGE, CommandTest
from wire import content, write_file
from wire2 import CODES


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


class TestBadNames(CommandTest):
    """Which rule a name does not keep."""

    def test_of_the_server(self):
        here = self.scratch("here", b"data")
        for name, why in (("a/../b", r"no \. or \.\."), (".ftxferd-x", "begins with .ftxferd is kept"),
                          ("a/.ftxferd/b", "begins with .ftxferd is kept"),
                          ("a\tb", "control character, which the server's option names"),
                          (os.fsdecode(b"a\xffb"), "not UTF-8, which the server's option names"),
                          ("n" * 256, "longer than 255 bytes"), ("n/" * 2100 + "n", "than 4096 bytes"),
                          # What no server takes is said before what only this one may not take.
                          ("a\t/..", r"no \. or \.\.")):
            with self.subTest(name=name):
                self.fails(REFUSED, "not allowed on the server: .*" + why, "put", here, self.there(name))
                self.fails(REFUSED, "not allowed: .*" + why, "mkdir", self.there(name))
                self.fails(REFUSED, "not allowed: .*" + why, "mv", self.there("x"), self.there(name))

    def test_of_this_side(self):
        write_file(self.server.path("f"), b"data")
        self.fails(EXISTS, "not allowed here: .*begins with .ftxferd is kept", "get",
                   self.there(".ftxferd-part-1"))
        self.fails(NO_INPUT, "not allowed here: .*longer than 255 bytes", "put",
                   "../" + "n" * 256, self.there())
        self.fails(EXISTS, "not allowed here: .*longer than 255 bytes", "get", self.there("f"),
                   "-o", "n" * 256)


class TestWhichSide(HostileTest):
    """What may be wrong on either side names the one."""

    def answered(self, code):
        def script(conversation):
            while True:
                message = conversation.next()
                if message.id != 0:
                    conversation.send(error(message.id, CODES[code]))
        return self.serve(script)

    def said(self, code, *args):
        where = self.answered(code) + "/"
        status, _, err = self.run_client(*(arg.replace("S/", where) for arg in args))
        self.assertNotEqual(status, 0)
        return err

    def test_on_the_server(self):
        here = write_file(self.scratch("here"), b"data")
        os.makedirs(self.scratch("tree"))
        for code, words in (("NO_SPACE", "not enough space"), ("IS_DIRECTORY", "it is a directory"),
                            ("TOO_LARGE", "the file is larger than is allowed"),
                            ("NOT_DIRECTORY", "it is not a directory"),
                            ("INTERNAL", "internal error"), ("NOT_FOUND", "no such file")):
            with self.subTest(code=code):
                err = self.said(code, "get", "S/f", "-o", self.into + "/f")
                self.assertRegex(err, '"f": %s on the server' % words)
                if code != "NOT_FOUND":
                    self.assertIn('"%s": %s on the server' % (here, words), self.said(
                        code, "put", here, "S/f"))
        # Of what there is on the server only that need not be said.
        self.assertIn('"f": no such file\n', self.said("NOT_FOUND", "rm", "S/f"))

    def test_who_forbids(self):
        """The server has one answer for what it does not allow, and for what it may not do itself."""
        here = write_file(self.scratch("here"), b"data")
        for args, why in ((("rm", "S/f"), "its option allow_remove is off, or it may not write there"),
                          (("mv", "S/f", "S/g"), "its option allow_rename is off, or it may not write"),
                          (("put", "--replace", here, "S/f"), "allow_replace is off, or it may not write"),
                          (("mkdir", "S/f"), "perhaps it may not write there itself"),
                          (("ls", "S/f"), "perhaps it may not read that itself")):
            self.assertRegex(self.said("FORBIDDEN", *args), "does not let this user do that: .*" + why)

    def test_here(self):
        self.assertIn('no such file here', self.said("INTERNAL", "put", self.scratch("no"), "S/f"))
        self.assertIn('no such file here', self.said("INTERNAL", "sync", self.scratch("no"), "S/f"))


class TestNoSpaceHere(CommandTest):
    def test_it(self):
        write_file(self.server.path("big"), content(2 << 20))
        into = self.root("into")
        argv = mounted(into, 1 << 20, ftxfer() + ["get", self.there("big"), "-o", into])
        ran = run(argv, env=self.environ)
        self.assertIn('/big": not enough space here\n', ran.err)


class TestWhatIsThere(CommandTest):
    """What a server does not say by itself: which directory is missing, and what has a name."""

    def setUp(self):
        super().setUp()
        write_file(self.server.path("sm"), b"data")
        os.makedirs(self.server.path("md/sub"))
        os.symlink("md", self.server.path("link"))
        os.makedirs(self.scratch("a"))
        self.here = write_file(self.scratch("a/here"), b"data")

    def test_a_missing_directory(self):
        for args, missing in ((("put", self.here, self.there("A/x")), "A"),
                              (("put", "-r", self.scratch("a"), self.there("A")), "A"),
                              (("put", self.here, self.there("md/x/y/z")), "md/x"),
                              (("put", self.here, self.there("md//x/y")), "md//x"),
                              (("sync", self.scratch("a"), self.there("x/y/z")), "x"),
                              (("mkdir", self.there("md/sub/x/y/z")), "md/sub/x"),
                              (("mkdir", self.there("x/y")), "x")):
            self.fails(REFUSED, '": there is no directory "%s" on the server: -p would make it\n'
                       % missing, *args)
        self.fails(REFUSED, '"sm" to "x/y": there is no directory "x" on the server$', "mv",
                   self.there("sm"), self.there("x/y"))
        ran = subprocess.run(ftxfer() + ["put", "-", self.there("A/x")], input=b"data", timeout=60,
                             env=self.environ, capture_output=True)
        self.assertIn(b'there is no directory "A" on the server: -p', ran.stderr)

    def test_something_else_than_a_directory(self):
        for name, what in (("sm", "is a file on the server, not a directory"),
                           ("link", "is a symbolic link on the server")):
            for flags in ((), ("-p",)):
                for below in ("/x", "/x/y"):
                    for args in (("put", *flags, self.here), ("mkdir", *flags)):
                        ran = self.fails(REFUSED, '"%s" %s' % (name, what), *args,
                                         self.there(name + below))
                        self.assertNotIn("-p", ran.err)

    def test_a_name_that_is_taken(self):
        write_file(self.server.path("m1"), b"other")
        os.link(self.server.path("m1"), self.server.path("m2"))
        for to, flags, said in (
                ("md", (), 'directory: "md/" moves it into there'), ("sm", (), "--replace would replace it"),
                ("md", ("--replace",), 'directory: "md/" moves it into there'),
                ("link", (), "is no file that could be replaced"),
                ("m2", ("--replace",), "may be another name of the same file")):
            self.fails(EXISTS, '"m1" to "%s": "%s" .*%s$' % (to, to, said), "mv", *flags,
                       self.there("m1"), self.there(to))
        self.succeeds("mv", self.there("m1"), self.there("md/"))

    def test_a_directory_and_standard_output(self):
        """What is advised is not refused then."""
        for name, status in (("md", REFUSED), ("m*", REFUSED), ("", USAGE)):
            ran = self.fails(status, "one file goes to standard output", "get", self.there(name), "-o", "-")
            self.assertNotIn("-r", ran.err)

    def test_the_side_of_a_sync(self):
        """The name goes with what is said of it."""
        tree, into = self.scratch("a"), self.root("into")
        for args, said in (
                (("sync", "-n", tree, self.there("sm")), '"sm": it is not a directory on the server'),
                (("verify", tree, self.there("sm")), '"sm": it is not a directory on the server'),
                (("sync", self.there("sm"), into), '"sm": it is not a directory on the server'),
                (("get", "-r", self.there("none"), "-o", into), '"none": no such file on the server')):
            self.fails(REFUSED, "ftxfer: " + said, *args)
        self.fails(EXISTS, '"sm": a file of that name exists on the server', "sync", tree, self.there("sm"))
        for args in (("sync", self.here, self.there("md")), ("verify", self.here, self.there("md"))):
            self.fails(NO_INPUT, '"%s": it is not a directory here' % self.here, *args)
        self.fails(EXISTS, '"%s": a file of that name exists here' % self.here, "sync",
                   self.there("md"), self.here)


class TestInVain(HostileTest):
    def test_a_server_that_does_not_say(self):
        """Then it is said what was said before; and nobody asks twice."""
        here, asked = write_file(self.scratch("here"), b"data"), []

        def serve(answer):
            def script(conversation):
                while True:
                    message = conversation.next()
                    if message.type in ("PUT", "MKDIR", "STAT"):
                        asked.append(message.type)
                        code = "NO_PARENT" if message.type != "STAT" else (
                            answer if len(asked) > 1 and asked[-2] != "STAT" else "NOT_FOUND")
                        conversation.send(error(message.id, CODES[code]))
            return self.serve(script)
        for answer in ("NO_PARENT", "FORBIDDEN", "BUSY"):
            for args, types in ((("put", here), ["STAT", "PUT", "STAT"]), (("mkdir",), ["MKDIR", "STAT"])):
                del asked[:]
                status, _, err = self.run_client(*args, serve(answer) + "/a/b/c")
                self.assertEqual((status, asked), (REFUSED, types))
                self.assertRegex(err, "the directory does not exist( on the server)?: -p would make it")


if __name__ == "__main__":
    unittest.main()
