#!/usr/bin/env python3
"""stammerproxy as a program: its options, its exit status, and what it costs."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
import unittest

from stammering import (
    BINARY,
    PATIENCE,
    QUIET,
    Case,
    listening,
    read_all,
    read_exactly,
    reset,
    send_all,
)


class CommandLine(unittest.TestCase):
    def run_proxy(self, *args):
        return subprocess.run(
            [BINARY, *args], capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def test_help(self):
        for flag in ("-?", "--usage", "-h", "--help"):
            with self.subTest(flag):
                done = self.run_proxy(flag)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                for option in ("listen-port", "listen-address", "server", "debug", "seed", "delay"):
                    self.assertIn(f"--{option}", done.stdout)
                for option in ("buffer", "cut-after", "reset-after", "stall-after", "version"):
                    self.assertIn(f"--{option}", done.stdout)
                self.assertNotIn("listenPort", done.stdout)

    def test_version(self):
        for flag in ("-V", "--version"):
            done = self.run_proxy(flag)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"^stammerproxy [0-9.]+ .*libevent 2\.")

    def test_usage_errors(self):
        for args in (
            ["--nonsense"],
            ["-x"],
            ["argument"],
            ["-l", "65536"],
            ["-l", "-1"],
            ["-l", "http"],
            ["-l"],
            ["-s", "host:0"],
            ["-s", ""],
            ["-s", "a:b:c"],
            ["--listen-address", "localhost"],
            ["--listen-address", "127.1"],
            ["--delay", "soon"],
            ["--delay", "-1"],
            ["--buffer", "0"],
            ["--buffer", "2000000000000"],
            ["--seed", "x"],
            ["--cut-after", ""],
            ["--cut-after", "left:5"],
            ["--reset-after", "-5"],
            ["--stall-after", "up:"],
        ):
            with self.subTest(args):
                done = self.run_proxy("-l", "0", *args)
                self.assertEqual((done.returncode, done.stdout), (64, ""))
                self.assertNotEqual(done.stderr, "")

    def test_unknown_host(self):
        done = self.run_proxy("-l", "0", "-s", "not a host name:1")
        self.assertEqual((done.returncode, done.stdout), (68, ""))
        self.assertIn("no such host", done.stderr)

    def test_cannot_bind(self):
        with listening() as taken:
            port = taken.getsockname()[1]
            done = self.run_proxy("-l", str(port))
        self.assertEqual((done.returncode, done.stdout), (69, ""))
        self.assertIn(str(port), done.stderr)
        done = self.run_proxy("-l", "0", "--listen-address", "192.0.2.1")
        self.assertEqual((done.returncode, done.stdout), (69, ""))

    def test_full_disk_behind_stdout(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        for args in (["--help"], ["-l", "0"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [BINARY, *args],
                    stdout=full,
                    stderr=subprocess.PIPE,
                    timeout=PATIENCE,
                    check=False,
                )
            self.assertEqual(done.returncode, 74)


class Process(Case):
    weight = 10

    def test_signals(self):
        for signo in (signal.SIGTERM, signal.SIGINT):
            proxy = self.proxy("--delay", "1000")
            client, server = self.pair(proxy)
            client.sendall(bytes(5000))
            read_all(server, QUIET)
            self.assertEqual(proxy.stop(signo), 0, proxy.log())
            # Not a FIN: what is missing must not look like the end.
            self.assertEqual(read_all(server), (b"", "reset"))
            self.assertEqual(read_all(client), (b"", "reset"))

    def test_debug(self):
        with self.proxy("-d", "--delay", "0") as proxy:
            client, server = self.pair(proxy)
            client.sendall(bytes(100))
            client.close()
            self.assertEqual(read_all(server), (bytes(100), "eof"))
            server.close()
            proxy.wait_for_log("connection 1 closed: up=100 down=0 reason=closed")
            self.assertRegex(proxy.log(), r"connection 1 opened: from 127\.0\.0\.1:[0-9]+\n")

    def test_quiet_without_debug(self):
        with self.proxy("--delay", "0") as proxy:
            client, server = self.pair(proxy)
            reset(client)
            read_all(server)
        self.assertEqual(proxy.log(), "")

    @contextlib.contextmanager
    def started(self, argv, **streams):
        """The proxy with streams of its own; what it says on stdout is read. SIGTERM ends it."""
        where = "%s:%d" % self.server.getsockname()
        argv = argv + [BINARY, "-d", "-l", "0", "--delay", "0", "-s", where]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, **streams) as process:
            try:
                port = int(process.stdout.readline().decode().rpartition(":")[2])
                yield process, ("127.0.0.1", port)
                process.terminate()
                self.assertEqual(process.wait(PATIENCE), 0)
            finally:
                process.kill()

    def test_closed_standard_streams(self):
        """Started without stdin and stderr, no connection takes their numbers."""
        with self.started(["sh", "-c", 'exec "$@" <&- 2>&-', "sh"]) as (process, address):
            for fd in (0, 2):
                self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{fd}"), "/dev/null")
            with socket.create_connection(address, timeout=PATIENCE) as client:
                server, _ = self.server.accept()
                client.sendall(b"data")
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(server), (b"data", "eof"))
                server.close()
                self.assertEqual(read_all(client), (b"", "eof"))

    def test_nobody_reads_the_log(self):
        """A closed pipe behind standard error is no reason to die."""
        with self.started([], stderr=subprocess.PIPE) as (process, address):
            process.stderr.close()
            for _ in range(2):
                with socket.create_connection(address, timeout=PATIENCE) as client:
                    server, _ = self.server.accept()
                    client.sendall(b"x")
                    self.assertEqual(server.recv(9), b"x")
                    reset(server)
                    self.assertEqual(read_all(client), (b"", "reset"))

    def test_idle(self):
        """Connections that do nothing cost nothing: no context switch."""
        with self.proxy("--delay", "0") as proxy:
            for _ in range(5):
                client, server = self.pair(proxy)
                client.sendall(b"x")
                self.assertEqual(server.recv(1), b"x")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(server), (b"", "eof"))
            time.sleep(0.3)
            before = proxy.context_switches(), proxy.cpu_seconds()
            time.sleep(2)
            self.assertEqual((proxy.context_switches(), proxy.cpu_seconds()), before)

    def test_descriptors_run_out(self):
        """Clients beyond the limit wait without any spinning, and all are served in the end."""
        with self.proxy("--delay", "0", descriptors=40) as proxy:
            clients = [proxy.connect() for _ in range(60)]
            for client in clients:
                self.addCleanup(client.close)
            time.sleep(0.3)
            cpu, switches = proxy.cpu_seconds(), proxy.context_switches()
            time.sleep(2)
            self.assertLess(proxy.cpu_seconds() - cpu, 0.2)
            self.assertLess(proxy.context_switches() - switches, 200)
            self.assertIn("cannot accept for now", proxy.log())
            self.assertLess(proxy.log().count("\n"), 10)
            # An open connection works meanwhile.
            server, _ = self.server.accept()
            server.sendall(b"hello")
            ready = select.select(clients, [], [], PATIENCE)[0]
            self.assertEqual(read_exactly(ready[0], 5), b"hello")
            server.close()
            # All the rest, as descriptors come free.
            for client in clients:
                client.shutdown(socket.SHUT_WR)
            for _ in range(59):
                server, _ = self.server.accept()
                server.settimeout(PATIENCE)
                server.close()
            for client in clients:
                self.assertEqual(read_all(client), (b"", "eof"))

    def end_somehow(self, proxy, outcome):
        """One connection; the outcome (0 to 4) says how it ends."""
        with proxy.connect() as client, self.server.accept()[0] as server:
            if outcome == 0:  # the reset fault
                if send_all(client, bytes(1000)):
                    self.assertEqual(read_all(client), (b"", "reset"))
            elif outcome == 1:  # the cut fault
                send_all(server, bytes(1000))
                self.assertEqual(read_all(client), (bytes(500), "eof"))
            elif outcome == 2:
                reset(client)
                self.assertEqual(read_all(server), (b"", "reset"))
            elif outcome == 3:
                reset(server)
                self.assertEqual(read_all(client), (b"", "reset"))
            else:
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(server), (b"", "eof"))

    def test_nothing_is_left(self):
        """Connections of every outcome leave no descriptor behind."""
        faults = ("--cut-after", "down:500", "--reset-after", "up:500")
        with self.proxy("-d", "--delay", "0", *faults) as proxy:
            self.end_somehow(proxy, 4)
            proxy.wait_for_log("connection 1 closed")
            before = proxy.descriptors()
            for i in range(300):
                self.end_somehow(proxy, i % 5)
            for i in range(301):
                proxy.wait_for_log(f"connection {i + 1} closed")
            self.assertEqual(proxy.descriptors(), before)


if __name__ == "__main__":
    unittest.main()
