"""The benchmark works: every workload once, tiny, ours and the references; no time is looked at."""

import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

from harness import TOP

RUN = os.path.join(TOP, "bench", "run")
REPORT = os.path.join(TOP, "bench", "report")
TRANSFERS = ("download", "upload", "durable", "downloads8", "uploads8", "connections")
WAITING = ("slowdisk", "cold", "held", "first")
SMALL = ("smallup", "smalldown", "smalldurable", "mediumup", "mediumdown", "mediumdurable", "farup",
         "fardown")
DIGESTS = ("digestup", "digestdown")


def call(*argv, **popen):
    return subprocess.run([sys.executable, "-B", *argv], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, **popen)


class Bench(unittest.TestCase):
    weight = 5

    def setUp(self):
        where = tempfile.TemporaryDirectory(prefix="ftxfer-test-bench.")
        self.addCleanup(where.cleanup)
        self.dir = where.name
        self.results = os.path.join(self.dir, "results")

    def run_bench(self, *args, **popen):
        return call(RUN, "--quick", "--tmpfs", self.dir, "--disk", self.dir, "--results",
                    self.results, "--peer", "ftxferd", "--peer", "native", *args, **popen)

    def load(self):
        path, = glob.glob(os.path.join(self.results, "*.json"))
        with open(path) as file:
            return path, json.load(file)

    def test_every_workload_has_figures_of_ours_and_of_a_reference(self):
        done = self.run_bench(*(word for name in TRANSFERS for word in ("--workload", name)))
        self.assertEqual(done.returncode, 0, done.stdout)
        path, results = self.load()
        self.assertEqual(results["failures"], [])
        self.assertNotIn(self.dir, json.dumps(results), "where it was made")
        for name in ("cpu", "cores", "kernel", "network"):
            self.assertTrue(results["machine"][name], name)
        figures = {}
        for run in results["runs"]:
            self.assertEqual(len(run["rounds"]), 1, run)
            figures.setdefault(run["workload"], {})[run["peer"]] = run["rounds"][0]
        for name in TRANSFERS:
            with self.subTest(name):
                peers = figures[name]
                self.assertIn("ftxferd", peers)
                self.assertTrue([peer for peer in peers if peer.startswith("native")])
                for key, _, _ in results["workloads"][name]["columns"]:
                    self.assertGreater(peers["ftxferd"][key], 0, key)
        shown = call(REPORT, path)
        self.assertIn(shown.stdout.strip(), done.stdout)
        readme = call(REPORT, "--readme", path)
        self.assertRegex(readme.stdout, r"(?m)^ +upload, tmpfs +[\d.]+ / [\d.]+ +[\d.]+ / [\d.]+$")
        self.assertEqual(os.listdir(self.dir), ["results"], "nothing else is left behind")

    def test_workloads_of_those_who_wait(self):
        done = self.run_bench("--peer", "first", *(
            word for name in WAITING for word in ("--workload", name)))
        self.assertEqual(done.returncode, 0, done.stdout)
        results = self.load()[1]
        figures = {(run["workload"], run["peer"]): run["rounds"] for run in results["runs"]}
        wanted = [(name, "ftxferd") for name in WAITING if name + " on slow" not in results["skipped"]]
        for which in wanted + [("first", "first programs (model)")]:
            with self.subTest(which):
                for key, _, _ in results["workloads"][which[0]]["columns"]:
                    if key != "user_kib":  # of so few it may be what the server had before
                        self.assertGreater(figures[which][0][key], 0, key)

    def test_workloads_of_protocol_2(self):
        done = self.run_bench("--peer", "rsync", *(
            word for name in SMALL + DIGESTS for word in ("--workload", name)))
        self.assertEqual(done.returncode, 0, done.stdout)
        results = self.load()[1]
        figures = {}
        for run in results["runs"]:
            figures.setdefault(run["workload"], {})[run["peer"]] = run["rounds"][0]
        for name in SMALL + DIGESTS:
            with self.subTest(name):
                for key, _, _ in results["workloads"][name]["columns"]:
                    if key != "rounds":  # of so few, and on a machine that does other things, it says nothing
                        self.assertGreater(figures[name]["ftxferd, protocol 2"][key], 0, key)
                others = [peer for peer in figures[name] if peer.startswith("native tar")]
                self.assertEqual(len(others), {"smalldurable": 2, "mediumdurable": 2}.get(name, 0 if name in DIGESTS else 1))
                self.assertEqual("ftxferd" in figures[name], name in DIGESTS)
                if "rsync" not in results["skipped"]:
                    self.assertEqual("rsync" in figures[name], name in SMALL)
        self.assertRegex(done.stdout, r"(?s)digestup.*\n +ftxferd +[\d.]+ +[\d.]+ ")  # ours by protocol 1's
        self.assertEqual(os.listdir(self.dir), ["results"], "nothing else is left behind")

    def test_small_files_that_differ_are_an_error(self):
        client = os.path.join(self.dir, "liar")
        with open(client, "w") as file:
            file.write("#!/bin/sh\n%s \"$@\" || exit\n"
                       "for last; do :; done\n[ ! -e \"$last/tree/file00007\" ] ||"
                       " printf x | dd of=\"$last/tree/file00007\" conv=notrunc 2>/dev/null\n"
                       % os.environ.get("FTXFER", os.path.join(TOP, "build", "ftxfer")))
        os.chmod(client, 0o755)
        done = self.run_bench("--workload", "smalldown", env={**os.environ, "FTXFER": client})
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("file00007 is not what was sent", done.stdout)

    def test_a_tarball_has_all_of_it(self):
        bench = os.path.dirname(RUN)
        with open(os.path.join(bench, "local.mk")) as file:
            named = file.read().split()
        for path in glob.glob(os.path.join(bench, "*.py")) + glob.glob(bench + "/native/*.[ch]"):
            self.assertIn(os.path.relpath(path, TOP), named)

    def test_a_transfer_that_brings_something_else_is_an_error(self):
        """A client that ends with 0 and has written other bytes: only comparing finds that."""
        client = os.path.join(self.dir, "liar")
        with open(client, "w") as file:
            file.write("#!/bin/sh\n%s \"$@\" || exit\n"
                       "for last; do :; done\nprintf x | dd of=\"$last\" conv=notrunc 2>/dev/null\n"
                       % os.environ.get("FTXFER", os.path.join(TOP, "build", "ftxfer")))
        os.chmod(client, 0o755)
        done = self.run_bench("--workload", "download", "--place", "tmpfs",
                              env={**os.environ, "FTXFER": client})
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("is not what was sent", done.stdout)
        self.assertTrue([run for run in self.load()[1]["runs"] if run["peer"].startswith("native")],
                        "the others go on")

    def test_a_peer_that_is_not_there_is_skipped_and_its_package_named(self):
        done = self.run_bench("--workload", "connections",
                              env={**os.environ, "FTXFERD": os.path.join(self.dir, "ftxferd")})
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^skipped: ftxferd: .* is not built$")
        peers = [run["peer"] for run in self.load()[1]["runs"]]
        self.assertEqual(peers, ["native small, http", "native small, ftxfer"])
        sys.path.insert(0, os.path.dirname(RUN))
        self.addCleanup(sys.path.remove, os.path.dirname(RUN))
        from peers import Curl
        other = Curl()
        other.programs = {"ftxfer-no-such-program": "its-package"}
        self.assertEqual(other.missing(), "there is no ftxfer-no-such-program (Debian: its-package)")
        for name in ("nginx-light", "lighttpd", "vsftpd", "curl", "gnuplot-nox"):
            self.assertIn(name, call(RUN, "--packages").stdout.split())
