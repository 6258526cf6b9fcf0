"""ftxferd's command line and configuration file."""

import os
import re
import socket
import subprocess
import unittest

from harness import SystemTest, ftxfer, ftxferd, run
from wire import write_file

CONFIG, USAGE, IOERR = 78, 64, 74


class TestCommandLine(SystemTest):
    def ran(self, *args):
        return run(ftxferd() + list(args))

    def conf(self, text):
        return self.scratch("conf", text.encode())

    def assert_refused(self, text, line, pattern):
        path = self.conf(text)
        for extra in (["-t"], []):
            ran = self.ran("-f", path, "-l", "0", *extra)
            self.assertEqual(ran.status, CONFIG, ran)
            self.assertRegex(ran.err, re.escape("%s:%d: " % (path, line)))
            self.assertRegex(ran.err, pattern)
            self.assertNotIn("listening", ran.out)

    def test_a_good_file(self):
        path = self.conf('storage_root = "%s";\nlisten_port = 0;\nmax_file_size = "5G";\n'
                         % self.root())
        ran = self.ran("-t", "-f", path)
        self.assertEqual(ran.status, 0, ran)
        self.assertEqual((ran.out, ran.err), ("OK: %s\n" % path, ""))

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_full_disk_behind_stdout(self):
        """What was asked for and could not be written is no success."""
        daemon = ftxferd() + ["-f", self.conf('storage_root = "%s";\n' % self.root())]
        for argv in ([daemon + [question] for question in ("--help", "--version", "--print-config", "-t")]
                     + [ftxfer() + [question] for question in ("--help", "--version")]):
            with self.subTest(argv=argv), open("/dev/full", "wb") as full:
                done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
                self.assertEqual((done.returncode, b"standard output" in done.stderr), (IOERR, True))

    def test_bad_files(self):
        for text, line, pattern in (
                ("listen_prot = 1;\n", 1, "listen_prot"),
                ("\n\nno_such_thing = true;\n", 3, "no_such_thing"),
                ('listen_port = "x";\n', 1, "listen_port"),
                ("listen_port = 65536;\n", 1, "listen_port"),
                ("listen_port = -1;\n", 1, "listen_port"),
                ("\nlisten_port = true;\n", 2, "listen_port"),
                ("storage_root = 5;\n", 1, "storage_root"),
                ("debug = 1;\n", 1, "debug"),
                ('debug = "true";\n', 1, "debug"),
                ("max_file_size = 5368709120;\n", 1, "5368709120"),
                ('max_file_size = "5X";\n', 1, "max_file_size"),
                ('max_file_size = "16000000000G";\n', 1, "max_file_size"),
                ('request_timeout = "soon";\n', 1, "request_timeout"),
                ("max_connections = -5;\n", 1, "max_connections"),
                ('file_mode = "0999";\n', 1, "file_mode"),
                ("listen_port = 1.5;\n", 1, "listen_port"),
                ("listen_address = [1, 2];\n", 1, "listen_address"),
                ("listen_port = 1\nlisten_port = 2;\n", 2, "."),
                ("listen_port = ;\n", 1, "."),
                ("a = { b = 1; };\n", 1, "a")):
            with self.subTest(text=text):
                self.assert_refused(text, line, pattern)

    def test_a_large_size_that_is_marked_so(self):
        path = self.conf('max_file_size = 5368709120L;\nstorage_root = "%s";' % self.root())
        ran = self.ran("-f", path, "--print-config")
        self.assertEqual(ran.status, 0, ran)
        self.assertRegex(ran.out, r'(?m)^max_file_size = ("5G(iB)?"|5368709120L|"5368709120");?$')

    def test_missing_file(self):
        path = self.scratch("no.conf")
        for extra in (["-t"], []):
            ran = self.ran("-f", path, *extra)
            self.assertEqual(ran.status, CONFIG, ran)
            self.assertIn(path, ran.err)

    def test_absent_default_file_is_fine(self):
        """Unless somebody has installed one, which is fine as well."""
        ran = self.ran("-t", "-r", self.root(), "-l", "0")
        self.assertEqual(ran.status, 0, ran)
        self.assertRegex(ran.out, r"^OK: (there is no )?/\S+/ftxferd\.conf(, and the defaults hold)?\n$")

    def test_print_config_reads_back(self):
        first = self.ran("-f", self.conf(""), "-r", self.root(), "-l", "1234", "--max-file-size=7G",
                         "--request-timeout=1.5s", "--listen-address=127.0.0.1,::1",
                         "--print-config")
        self.assertEqual((first.status, first.err), (0, ""), first)
        for key in ("listen_address", "listen_port", "storage_root", "max_connections",
                    "max_connections_per_address", "max_requests", "request_timeout",
                    "idle_timeout", "min_rate",
                    "grace_time", "max_file_size", "max_stage_bytes", "max_depth", "names",
                    "partials_keep_time", "partials_keep_bytes",
                    "file_mode", "daemonize", "pid_file", "pool_threads", "debug"):
            self.assertRegex(first.out, r"(?m)^(# *)?%s =" % key)
        again = write_file(self.scratch("again"), first.out.encode())
        second = self.ran("-f", again, "--print-config")
        self.assertEqual(second.status, 0, second)
        self.assertEqual(self.settings(second), self.settings(first))
        self.assertIn('max_file_size = "7G";', self.settings(first))
        self.assertIn("listen_port = 1234;", self.settings(first))
        self.assertEqual(self.ran("-f", again, "-t").status, 0)

    @staticmethod
    def settings(ran):
        """The lines without their comments, which say where a value is from."""
        lines = (line.split("#")[0].strip() for line in ran.out.splitlines())
        return [line for line in lines if line]

    def test_flags_beat_the_file(self):
        path = self.conf('storage_root = "/nonexistent";\nlisten_port = 1;\nfile_mode = "0600";\n')
        ran = self.ran("-f", path, "-l", "2222", "-r", self.root(), "-d", "--print-config")
        self.assertRegex(ran.out, r"(?m)^listen_port = 2222;?$")
        self.assertIn('"%s"' % self.root(), ran.out)
        self.assertRegex(ran.out, r"(?m)^debug = true;?$")
        self.assertRegex(ran.out, r'(?m)^file_mode = "0600";?$')

    def test_defaults(self):
        ran = self.ran("-f", self.conf(""), "--print-config")
        for line in ("listen_port = 50001", 'storage_root = "/var/lib/ftxferd"',
                     'file_mode = "0640"'):
            self.assertIn(line, ran.out)
        self.assertRegex(ran.out, r'(?m)^listen_address = .*"127\.0\.0\.1", *"::1"')

    def test_help_and_version(self):
        for flag in ("-h", "--help", "-?", "--usage"):
            ran = self.ran(flag)
            self.assertEqual((ran.status, ran.err), (0, ""), flag)
            for option in ("--listen-port", "--storage-root", "--config", "--print-config"):
                self.assertIn(option, ran.out)
        for flag in ("-V", "--version"):
            ran = self.ran(flag)
            self.assertEqual((ran.status, ran.err), (0, ""), flag)
            self.assertRegex(ran.out, r"ftxferd \d+\.\d+")
            self.assertRegex(ran.out, r"(?i)libevent")
            self.assertRegex(ran.out, r"(?i)libconfig")

    def test_usage_errors(self):
        for args in (["--nonsense"], ["-l"], ["-l", "x"], ["-l", "65536"], ["-l", "-1"], ["stray"],
                     ["--file-mode", "rw"], ["-x"]):
            with self.subTest(args=args):
                ran = self.ran(*args)
                self.assertEqual((ran.status, ran.out), (USAGE, ""), ran)
                self.assertTrue(ran.err)

    def test_storage_root_is_not_created(self):
        missing = self.scratch("missing")
        ran = self.ran("-f", self.conf(""), "-r", missing, "-l", "0")
        self.assertNotEqual(ran.status, 0, ran)
        self.assertIn(missing, ran.err)
        self.assertRegex(ran.err, r"(?i)creat")
        self.assertFalse(os.path.exists(missing))

    def test_storage_root_is_a_file(self):
        ran = self.ran("-f", self.conf(""), "-r", self.scratch("file", b""), "-l", "0")
        self.assertNotEqual(ran.status, 0, ran)
        self.assertRegex(ran.err, r"(?i)directory")

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            ran = self.ran("-f", self.conf(""), "-r", self.root(), "-l", port,
                           "--listen-address=127.0.0.1")
            self.assertNotEqual(ran.status, 0, ran)
            self.assertIn(port, ran.err)


if __name__ == "__main__":
    unittest.main()
