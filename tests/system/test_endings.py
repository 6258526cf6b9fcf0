"""How ftxfer ends: what it says, to people and to programs, and its exit status."""

import json
import os
import re
import signal
import subprocess
import threading
import time
import unittest

from harness import ftxfer, mounted, run
from hostile import HostileTest, entry, error, page
from test_commands import (AGAIN, EXISTS, FORBIDDEN, NO_INPUT, REFUSED, USAGE, CommandTest)
from wire import DEADLINE, content, read_file, write_file
from wire2 import CODES, encode, frame

LOCAL = 74


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


class TestWords(CommandTest):
    """What is said is about what is wrong."""

    def test_names_in_failures(self):
        write_file(self.server.path("f"), b"data")
        write_file(self.server.path("g"), b"other")
        os.makedirs(self.server.path("d/e"))
        tree = self.tree()
        none = self.scratch("none/x")
        self.fails(EXISTS, '"%s": the directory' % none, "get", self.there("f"), "-o", none)
        self.fails(EXISTS, '"%s": no such' % none, "sync", self.there("d"), none)
        self.fails(EXISTS, '"f" to "g": .*exists', "mv", self.there("f"), self.there("g"))
        self.fails(REFUSED, '"x" to "y": no such', "mv", self.there("x"), self.there("y"))
        self.fails(REFUSED, '"nothing": no such', "verify", tree, self.there("nothing"))
        self.fails(REFUSED, '"d[*]": only directories match', "get", self.there("d*"), "-o", self.dir)
        self.fails(USAGE, "root.* is a directory: -r", "get", self.there(), "-o", self.dir)
        self.succeeds("get", self.there("*"), "-o", self.dir)
        self.fails(NO_INPUT, '"": no such file', "put", "", self.there("x"))
        self.fails(USAGE, "congestion control nix", "ls", "--tcp-congestion", "nix", self.there())
        self.assertTrue(self.succeeds("stat", self.there()).out.startswith("/: directory"))

    def test_a_directory_in_the_way_of_standard_input(self):
        os.mkdir(self.server.path("d"))
        ran = subprocess.run(ftxfer() + ["put", "-", self.there("d")], input=b"data",
                             env=self.environ, capture_output=True, timeout=60)
        self.assertEqual(ran.returncode, EXISTS)
        self.assertIn(b'"d": it is a directory', ran.stderr)
        self.assertEqual(os.listdir(self.server.path("d")), [])

    def test_mv_into(self):
        write_file(self.server.path("f"), b"data")
        os.makedirs(self.server.path("d/e"))
        self.succeeds("mv", self.there("f"), self.there("d/e/"))
        self.succeeds("mv", self.there("d/e/f"), self.there())
        self.succeeds("mv", self.there("f"), self.there("d/g"))
        self.assertEqual(read_file(self.server.path("d/g")), b"data")

    def test_what_would_be_done(self):
        """Also where there is no such directory yet; and nothing is."""
        tree = self.tree()
        ran = self.succeeds("sync", "-n", tree, self.there("new"))
        self.assertRegex(ran.err, 'would mkdir "new"\n(?s:.*)would put ".*/sub/b c"')
        self.assertRegex(ran.err, "9 files, .* would be moved$")
        self.assertEqual(self.server.strays(), [])
        self.succeeds("sync", tree, self.there("new"))
        down = self.scratch("down")
        ran = self.succeeds("sync", "-n", self.there("new"), down)
        self.assertRegex(ran.err, 'would mkdir "%s"\n(?s:.*)would mkdir "%s/sub"' % (down, down))
        self.assertFalse(os.path.exists(down))


class TestAdvice(CommandTest):
    """What to write instead is said, where it can be known."""

    def test_names_that_are_not_remote(self):
        here = self.scratch("here", b"data")
        for args in (("ls", self.where + ":/"), ("put", here, self.where)):
            self.fails(USAGE, r'HOST:PORT/PATH.*mean "%s/"\?' % self.where, *args)
        self.fails(USAGE, r'mean "h:1/a"\?', "ls", "h:1:/a")
        self.fails(USAGE, 'there is no alias "wrk"', "ls", "wrk:")
        self.fails(USAGE, 'there is no alias "wrk"', "get", "wrk:a/b")
        self.assertNotIn("alias \"", self.fails(USAGE, "not on a server", "ls", "a/b:c").err)
        self.fails(USAGE, "only ftx://", "put", here, "http://%s/x" % self.where)

    def test_several_files_need_a_directory(self):
        for name in "ab":
            write_file(self.server.path(name), b"data")
        none, here = self.scratch("none"), self.scratch("here", b"data")
        for args, why in (((self.there("a"), self.there("b")), "several files go into one"),
                          ((self.there("*"),), "what matches a pattern goes into one")):
            self.fails(EXISTS, '"%s": no such directory here: %s that is there' % (none, why), "get",
                       *args, "-o", none)
            self.fails(EXISTS, '"%s": it is not a directory here: %s' % (here, why), "get", *args,
                       "-o", here)
        for to, said in ((none, "no such directory"), (here, "it is not a directory")):
            self.fails(EXISTS, '"%s/": %s here: the slash at the end means one' % (to, said), "get",
                       self.there("a"), "-o", to + "/")
        ran = self.fails(REFUSED, 'no directory "multi" on the server: -p', "put", here,
                         self.scratch("other", b"data"), self.there("multi"))
        self.assertEqual(ran.err.count('"multi"'), 2)

    def test_only_files_can_be_renamed(self):
        os.mkdir(self.server.path("d"))
        self.fails(REFUSED, "only files can be renamed", "mv", self.there("d"), self.there("e"))

    def test_wildcards(self):
        write_file(self.server.path("data[1].csv"), b"data")
        for word in ("ls", "stat", "sum", "rm"):
            self.fails(REFUSED, "no such file: wildcards are for get", word, self.there("*.csv"))
        self.fails(REFUSED, "backslash", "get", self.there("data[1].csv"), "-o", self.dir)
        self.succeeds("get", self.there("data\\[1].csv"), "-o", self.dir)


class TestSums(CommandTest):
    """What is the same for many files, and what was there already, is said in few words."""

    def test_one_reason_for_many(self):
        files = [write_file(self.scratch("n%d" % number), b"data") for number in range(20)]
        self.server.stop()
        args = ["put", "--retry-time", "0"] + files + [self.there()]
        ran = self.fails(AGAIN, r'"[^"]*/n0": 127\.0', *args)
        self.assertEqual(ran.err.count("refused"), 4, ran)
        self.assertRegex(ran.err, "(?m)^ftxfer: and 17 more: 127.*refused")
        self.assertRegex(ran.err, r"0 files, 0 B in [0-9.]+ s; 20 failed")
        events = self.events(self.ftxfer(*args, "--json").out)
        self.assertEqual([it["event"] for it in events].count("failed"), 20)

    def test_what_is_refused_is_named(self):
        """By its own name, however many have the same reason; and there is no rate of nothing."""
        files = [write_file(self.scratch("n%d" % number), b"data") for number in range(6)]
        for number in range(6):
            write_file(self.server.path("n%d" % number), b"other")
        ran = self.fails(EXISTS, "exists", "put", *files, self.there())
        self.assertEqual(ran.err.count("exists"), 6)
        self.assertRegex(ran.err, r"0 files, 0 B in [0-9.]+ s; 6 failed")

    def test_what_is_gone_on_with(self):
        here = self.scratch("here", content(20 << 20))
        where = self.proxy(self.server, "--delay", "5ms", "--buffer", "100000").where + "/n"
        process = subprocess.Popen(ftxfer() + ["put", here, where], env=self.environ,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        self.assertIn(b"cancelled; what has come is kept", process.communicate(timeout=60)[1])
        said = self.succeeds("put", here, where).err
        self.assertRegex(said, r"1 file, 20.0 MiB in .*B/s; [0-9.]+ [KM]iB of it was there already")
        process = subprocess.Popen(ftxfer() + ["put", "-", where + "o"], env=self.environ,
                                   stderr=subprocess.PIPE, stdin=subprocess.PIPE)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        self.assertNotIn(b"is kept", process.communicate(timeout=60)[1])


class TestLog(CommandTest):
    options = {"allow_remove": True, "allow_rename": True}

    def test_what_changes_and_what_is_refused(self):
        """A line for each, at the level that is there without -d; reading leaves none."""
        here = self.scratch("here", content(300))
        large = self.scratch("large", content(3000000))
        self.succeeds("put", here, self.there("n"))
        self.succeeds("put", large, self.there("l"))
        self.fails(EXISTS, "exists", "put", large, self.there("n"))
        self.fails(FORBIDDEN, "", "put", "--replace", here, self.there("l"))
        self.succeeds("mkdir", self.there("d"))
        self.succeeds("mv", self.there("n"), self.there('d/"'))
        self.succeeds("get", self.there("l"), "-o", self.dir)
        self.fails(REFUSED, "no such", "get", self.there("n"), "-o", self.dir)
        self.succeeds("rm", self.there("l"))
        self.succeeds("stat", self.there("d"))
        self.assertEqual(re.findall(r"info: conn=\d+ request=\d+ (.*)", self.server.err()), [
            'op=PUT name="n" bytes=300 reason=ok',
            'op=PUT name="l" bytes=3000000 reason=ok',
            'op=PUT name="n" bytes=3000000 reason=exists',
            'op=PUT name="l" bytes=300 reason=forbidden',
            'op=MKDIR name="d" reason=ok',
            r'op=RENAME name="n" to="d/\x22" reason=ok',
            'op=GET name="n" reason=not-found',
            'op=REMOVE name="l" reason=ok'])


class TestEnds(CommandTest):
    """Whatever ends it: what a program reads can be read to the end, and the status says why."""

    def whole(self, text, summary=True):
        """Each line is JSON; each item that has begun ends, once; the summary is the last line."""
        events = [json.loads(line) for line in text.splitlines()]
        began = [it["item"] for it in events if it["event"] == "started"]
        ended = [it["item"] for it in events if it["event"] in ("done", "failed", "skipped")]
        self.assertEqual(len(set(ended)), len(ended))
        self.assertEqual([it["event"] for it in events].index("summary"), len(events) - 1)
        self.assertLessEqual(set(began), set(ended))
        return events[-1]

    def many(self, count=3000):
        top = self.scratch("many")
        os.mkdir(top)
        for number in range(count):
            write_file(os.path.join(top, "n%d" % number), content(300, number))
        return top

    def test_signals(self):
        many = self.many()
        write_file(self.server.path("big"), content(40 << 20))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for args in (("put", "-r", "--replace", many), ("get",)):
                proxy = self.proxy(self.server, "--delay", "5ms")
                args += (proxy.where + ("/big" if args == ("get",) else "/"),)
                with self.subTest(number=number, args=args):
                    process = subprocess.Popen(
                        ftxfer() + [args[0], "--json"] + list(args[1:]), cwd=self.dir,
                        env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, preexec_fn=lambda: signal.signal(
                            signal.SIGHUP, signal.SIG_DFL))
                    time.sleep(0.3)
                    process.send_signal(number)
                    out, err = process.communicate(timeout=60)
                    self.assertEqual((process.returncode, err), (-number, b""))
                    self.assertEqual(self.whole(out.decode())["status"], "cancelled")
                proxy.stop()

    def test_a_server_that_goes(self):
        many = self.many()
        proxy = self.proxy(self.server, "--delay", "5ms")
        process = subprocess.Popen(
            ftxfer() + ["put", "--json", "-r", "--retry-time", "1", many, proxy.where + "/"],
            env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        time.sleep(0.3)
        proxy.stop(signal.SIGKILL)
        out = process.communicate(timeout=60)[0].decode()
        self.assertEqual(process.returncode, AGAIN)
        last = self.whole(out)
        self.assertEqual((last["exit"], last["status"]), (AGAIN, "try-again"))
        self.assertIn('"event":"waiting"', out)

    def test_refused(self):
        os.mkdir(self.server.path("d"))
        for args in (("stat", self.there("none")), ("get", self.there("none")),
                     ("put", "/dev/null/x", self.there("y")), ("rm", self.there("d")),
                     ("sync", self.scratch("none"), self.there("z")), ("mkdir", self.there("a/b")),
                     ("get", self.there("x*"), "-o", self.dir), ("ls", self.there("n"))):
            with self.subTest(args=args):
                ran = self.ftxfer(args[0], "--json", *args[1:])
                last = self.whole(ran.out)
                self.assertEqual((last["exit"], last["failed"], ran.err), (ran.status, 1, ""))
                self.assertNotEqual(ran.status, 0)

    def test_a_full_disk(self):
        for number in range(4):
            write_file(self.server.path("f%d" % number), content(700000, number))
        full = self.scratch("full")
        os.mkdir(full)
        ran = run(mounted(full, 2 << 20, ftxfer() + ["get", "--json", self.there("f*"), "-o", full]),
                  env=self.environ)
        last = self.whole(ran.out)
        self.assertEqual((ran.status, last["status"], ran.err), (LOCAL, "local-error", ""))
        self.assertEqual((last["done"], last["failed"]), (2, 2))

    def test_output_that_nobody_takes(self):
        """A full disk, or a reader that has gone: said once, on the other way."""
        for number in range(300):
            os.makedirs(self.server.path("d%d/%s/" % (number, "e" * 200)))
        for args in (("ls", "-R"), ("ls", "-R", "--json"), ("ls", "-lR")):
            with open("/dev/full", "w") as full:
                ran = subprocess.run(ftxfer() + list(args) + [self.there()], stdout=full,
                                     env=self.environ, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual(ran.returncode, LOCAL)
            self.assertRegex(ran.stderr, b"^ftxfer: cannot write to standard output: [^\n]*\n$")
            process = subprocess.Popen(ftxfer() + list(args) + [self.there()], env=self.environ,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertTrue(process.stdout.readline().endswith(b"\n"))
            process.stdout.close()
            self.assertRegex(process.stderr.read(), b"^ftxfer: cannot write [^\n]*\n$")
            self.assertEqual(process.wait(60), LOCAL)

    def test_a_pipe_without_a_reader(self):
        write_file(self.server.path("big"), content(5 << 20))
        process = subprocess.Popen(ftxfer() + ["get", self.there("big"), "-o", "-"],
                                   env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(process.stdout.read(10), content(5 << 20)[:10])
        process.stdout.close()
        self.assertIn(b'"big": nobody reads what it is written to', process.stderr.read())
        self.assertEqual(process.wait(60), LOCAL)

    def test_closed_descriptors(self):
        """What is opened first does not become standard output."""
        here = write_file(self.scratch("here"), b"data")
        write_file(self.server.path("f"), b"data")
        for args, status in ((("get", self.there("f"), "-o", "-"), LOCAL), (("ls", self.there()), LOCAL),
                             (("put", "-", self.there("g")), LOCAL), (("put", here, self.there("f")), 0),
                             (("get", self.there("f"), "-o", self.scratch("back")), 0)):
            for closed in ("<&- >&-", "<&- >&- 2>&-"):
                if args[1] == here:
                    os.remove(self.server.path("f"))
                with self.subTest(args=args, closed=closed):
                    ran = run(["sh", "-c", 'exec "$@" ' + closed, "sh"] + ftxfer() + list(args),
                              env=self.environ)
                    self.assertEqual(ran.status, status, ran)
        self.assertFalse(os.path.exists(self.server.path("g")))
        self.assertEqual(read_file(self.scratch("back")), b"data")


class TestInVain(HostileTest):
    def test_a_listing_for_nobody(self):
        """A tree without a bottom: who cannot say what is in it asks no more."""
        asked = []

        def script(conversation):
            while True:
                message = conversation.next()
                asked.append(message.type)
                time.sleep(0.02)
                if message.type == "STAT":
                    conversation.send(frame("OK", message.id, 0, encode(entry(None, "directory"))))
                else:
                    conversation.send(page(message.id, entry("d", "directory")))

        with open("/dev/full", "w") as full:
            ran = subprocess.run(ftxfer() + ["ls", "-R", "--json", self.serve(script) + "/"],
                                 stdout=full, env=self.environ, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(ran.returncode, LOCAL)
        self.assertEqual(len(ran.stderr.splitlines()), 1)
        self.assertLess(len(asked), 100)  # and not as many as a path may have components


class TestAfterTheSummary(HostileTest):
    """A server that keeps its side open is waited for a moment, when all has been said."""

    def ends(self, answer, status, number):
        def script(conversation):
            conversation.send(answer(conversation.next().id))
            parted.wait(DEADLINE)

        parted, said = threading.Event(), []
        process = subprocess.Popen(
            ftxfer() + ["stat", "--json", self.serve(script) + "/f"], env=self.environ,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while not said or json.loads(said[-1])["event"] != "summary":
            said.append(process.stdout.readline())
        process.send_signal(number)
        time.sleep(0.2)  # the next one comes when it has nothing to do but to wait
        process.send_signal(number)
        parted.set()
        self.assertEqual(process.communicate(timeout=60), (b"", b""))
        self.assertEqual((process.returncode, json.loads(said[-1])["exit"]), (status, status))

    def test_signals(self):
        """They come too late: it ends as it has said."""
        for answer, status in (
                (lambda i: frame("OK", i, 0, encode(entry(None))), 0),
                (lambda i: error(i, CODES["NOT_FOUND"]), REFUSED)):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                with self.subTest(status=status, number=number):
                    self.ends(answer, status, number)


if __name__ == "__main__":
    unittest.main()
