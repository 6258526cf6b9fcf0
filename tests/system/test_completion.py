"""Completion, as bash and zsh call it: commands, options, aliases, local names."""

import os
import shutil
import subprocess
import unittest

from harness import TOP, SystemTest, ftxfer
from wire import write_file

# The shell's own words are not there outside of a completion; what they are told is printed.
BASH = """
compopt() { :; }
complete() { :; }
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_ftxfer "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
((${#COMPREPLY[@]} > 0)) && printf '%s\\n' "${COMPREPLY[@]}"
true
"""
ZSH = """
compadd() {
    local suffix=
    while [[ $1 == -* && $1 != -- ]]; do [[ $1 == -S* ]] && suffix=${1#-S}; shift; done
    [[ $1 == -- ]] && shift
    local it; for it; do [[ $it == ${words[CURRENT]}* ]] && print -r -- $it$suffix; done
    true
}
_files() { local it; for it in ${words[CURRENT]}*(N); do print -r -- $it; done }
_describe() { local it; for it in ${(P)2}; do [[ $it == ${words[CURRENT]}* ]] && print -r -- ${it%%:*}; done; true }
file=$1; shift
words=("$@"); CURRENT=$#
source $file
true
"""


class Completion:
    def setUp(self):
        super().setUp()
        config = self.scratch("config/ftxfer")
        os.makedirs(config)
        write_file(config + "/config", b'jobs = 2;\naliases = [ "work = ftx://w.example/me",\n'
                                       b'  "home=ftx://h.example/" ];\n')
        for name in ("here", "hello world", "-dash", "w"):
            write_file(self.scratch(name), b"")
        os.mkdir(self.scratch("hdir"))
        self.environ = dict(os.environ, XDG_CONFIG_HOME=self.scratch("config"), LC_ALL="C.UTF-8")

    def complete(self, *words):
        """What is offered for the last of these words, behind the program's name."""
        if shutil.which(self.shell[0]) is None:
            self.skipTest("there is no " + self.shell[0])
        ran = subprocess.run(self.shell + [self.script, self.shell[0],
                                           os.path.join(TOP, "completion", self.file), ftxfer()[-1]]
                             + list(words), cwd=self.dir, env=self.environ, capture_output=True,
                             stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual((ran.returncode, ran.stderr), (0, b""), ran)
        return ran.stdout.decode().splitlines()

    def test_commands(self):
        self.assertEqual(sorted(self.complete("")), sorted(
            "put get ls stat mkdir rm mv sum sync verify help".split()))
        self.assertEqual(sorted(self.complete("s")), ["stat", "sum", "sync"])
        self.assertEqual(self.complete("help", "ve"), ["verify"])
        self.assertEqual(self.complete("none", ""), [])

    def test_options(self):
        """Those that the program has, of that command."""
        self.assertEqual(sorted(self.complete("put", "--re")),
                         ["--recursive", "--replace", "--retry-time"])
        self.assertEqual(sorted(self.complete("get", "--o")), ["--output"])
        self.assertIn("--json", self.complete("ls", "-"))
        self.assertNotIn("--print-options", self.complete("ls", "-"))
        self.assertEqual(self.complete("put", "--digest", "s"), ["sha256"])
        self.assertEqual(self.complete("put", "--jobs", ""), [])

    def test_aliases(self):
        self.assertEqual(self.complete("ls", "w"), ["work:"])
        self.assertEqual(sorted(self.complete("get", "")), ["home:", "work:"])
        self.assertEqual(sorted(self.complete("rm", "-r", "h")), ["home:"])
        self.environ["FTXFER_ALIASES"] = "wide=ftx://x/,other = ftx://y/z"
        self.assertEqual(sorted(self.complete("ls", "")), ["other:", "wide:"])

    def test_local_names(self):
        self.assertEqual(sorted(self.complete("put", "he")), ["hello world", "here"])
        self.assertEqual(sorted(self.complete("sync", "h")), ["hdir", "hello world", "here", "home:"])
        self.assertEqual(self.complete("get", "work:x", "-o", "hd"), ["hdir"])
        self.assertEqual(self.complete("ls", "he"), [])


class TestBash(Completion, SystemTest):
    shell, script, file = ["bash", "--norc", "--noprofile", "-c"], BASH, "ftxfer.bash"

    def test_behind_an_alias(self):
        """The shell takes a colon for the end of a word: what is behind it is remote."""
        self.assertEqual(self.complete("put", "work", ":", "he"), [])
        self.assertEqual(self.complete("put", "work", ":"), [])


class TestZsh(Completion, SystemTest):
    shell, script, file = ["zsh", "-f", "-c"], ZSH, "_ftxfer"


if __name__ == "__main__":
    unittest.main()
