#!/usr/bin/env python3
"""The faults that stammerproxy makes on purpose, each at its exact byte."""

import errno
import select
import socket
import time
import unittest

from stammering import (
    PATIENCE,
    QUIET,
    Case,
    in_background,
    random_bytes,
    read_all,
    read_exactly,
    reset,
    send_all,
)


POINTS = (0, 1, 255, 256, 1000)
SIDES = {"up": (0, 1), "down": (1, 0)}  # sender's and receiver's place in a pair


class Faults(Case):
    weight = 20

    def each(self, option, check, delays=("0", "0.001"), points=POINTS):
        """All points, both directions, with a sender who has more to say than is let through."""
        for way, (sender, receiver) in SIDES.items():
            for point in points:
                for delay in delays:
                    args = (option, f"{way}:{point}", "--delay", delay)
                    with self.subTest(args), self.proxy(*args) as proxy:
                        ends = self.pair(proxy)
                        data = random_bytes(3000, point)
                        sent = send_all(ends[sender], data)
                        check(ends[sender], ends[receiver], data[:point], sent)

    def test_cut(self):
        def check(sender, receiver, expected, sent):
            self.assertTrue(sent)
            self.assertEqual(read_all(receiver), (expected, "eof"))
            self.assertEqual(read_all(sender), (b"", "eof"))

        self.each("--cut-after", check)

    def test_reset(self):
        def check(sender, receiver, expected, sent):
            self.assertEqual(read_all(receiver), (expected, "reset"))
            # A send that failed has taken the error off the socket already.
            self.assertEqual(read_all(sender), (b"", "reset" if sent else "eof"))

        self.each("--reset-after", check, points=POINTS[1:])

    def test_reset_at_once(self):
        for point in ("0", "up:0", "down:0"):
            with self.subTest(point), self.proxy("--reset-after", point) as proxy:
                try:
                    client = proxy.connect()
                except ConnectionResetError:
                    client = None  # so soon that connect(2) itself saw it
                server, _ = self.server.accept()
                with server:
                    self.assertEqual(read_all(server), (b"", "reset"))
                if client:
                    with client:
                        self.assertEqual(read_all(client), (b"", "reset"))

    def test_only_the_first_are_faulty(self):
        data = random_bytes(3000)
        with self.proxy("--cut-after", "up:1000", "--faulty", "2", "--delay", "0") as proxy:
            for passes in (1000, 1000, 3000, 3000):
                client, server = self.pair(proxy)
                send_all(client, data, finish=True)
                self.assertEqual(read_all(server), (data[:passes], "eof"))

    def test_stall(self):
        def check(sender, receiver, expected, sent):
            self.assertTrue(sent)
            self.assertEqual(read_all(receiver, QUIET), (expected, "silence"))
            receiver.sendall(b"the other way is silent, too")
            self.assertEqual(read_all(sender, QUIET / 2), (b"", "silence"))

        self.each("--stall-after", check, delays=("0",))

    def test_other_direction_does_not_count(self):
        """A fault of one direction leaves the other alone."""
        for option in ("--cut-after", "--reset-after", "--stall-after"):
            for way, (sender, receiver) in SIDES.items():
                with self.proxy(option, f"{way}:10", "--delay", "0") as proxy:
                    ends = self.pair(proxy)
                    data = random_bytes(5000)
                    ends[receiver].sendall(data)
                    self.assertEqual(read_exactly(ends[sender], 5000), data)
                    ends[sender].sendall(b"123456789")
                    self.assertEqual(read_exactly(ends[receiver], 9), b"123456789")
                    self.assertEqual(read_all(ends[receiver], QUIET / 4), (b"", "silence"))

    def test_either_direction(self):
        """Without a prefix the direction that gets there first; the counts are not added up."""
        for way, (sender, receiver) in SIDES.items():
            with self.subTest(way), self.proxy("--reset-after", "100", "--delay", "0") as proxy:
                ends = self.pair(proxy)
                ends[receiver].sendall(bytes(99))
                self.assertEqual(read_exactly(ends[sender], 99), bytes(99))
                ends[sender].sendall(bytes(200))
                self.assertEqual(read_all(ends[receiver]), (bytes(100), "reset"))
                self.assertEqual(read_all(ends[sender]), (b"", "reset"))

    def test_first_reached_counts(self):
        cases = (
            (("--cut-after", "300", "--reset-after", "200"), "reset", 200),
            (("--cut-after", "200", "--reset-after", "300"), "eof", 200),
            (("--stall-after", "up:100", "--reset-after", "200"), "silence", 100),
            (("--cut-after", "200", "--reset-after", "200"), "reset", 200),
            (("--cut-after", "200", "--stall-after", "200"), "eof", 200),
        )
        for args, end, count in cases:
            with self.subTest(args), self.proxy(*args, "--delay", "0") as proxy:
                client, server = self.pair(proxy)
                client.sendall(bytes(1000))
                self.assertEqual(read_all(server, QUIET), (bytes(count), end))

    def test_point_at_the_end(self):
        """Exactly as many bytes as the stream has: still the fault, not the FIN behind them."""
        with self.proxy("--reset-after", "up:1000", "--delay", "0") as proxy:
            client, server = self.pair(proxy)
            send_all(client, bytes(1000), True)
            self.assertEqual(read_all(server), (bytes(1000), "reset"))

    def test_point_not_reached(self):
        for option in ("--cut-after", "--reset-after", "--stall-after"):
            with self.proxy(option, "1001", "--delay", "0") as proxy:
                client, server = self.pair(proxy)
                send_all(client, bytes(1000), True)
                self.assertEqual(read_all(server), (bytes(1000), "eof"))
                send_all(server, bytes(1000), True)
                self.assertEqual(read_all(client), (bytes(1000), "eof"))

    def test_each_connection_counts_for_itself(self):
        with self.proxy("--reset-after", "100", "--delay", "0") as proxy:
            for _ in range(3):
                client, server = self.pair(proxy)
                client.sendall(bytes(99))
                self.assertEqual(read_exactly(server, 99), bytes(99))
                client.sendall(bytes(50))
                self.assertEqual(read_all(server), (bytes(1), "reset"))

    def test_far_points_are_exact(self):
        """More than the sockets hold, with a receiver that starts to read late."""
        point = 9_000_001
        for option, end in (("--reset-after", "reset"), ("--cut-after", "eof")):
            args = (option, f"up:{point}", "--delay", "0", "--buffer", "262144")
            with self.proxy(*args) as proxy:
                client, server = self.pair(proxy)
                data = random_bytes(point + 100000)
                in_background(send_all, client, data)
                time.sleep(0.3)
                got, how = read_all(server)
                self.assertEqual((len(got), how), (point, end))
                self.assertTrue(got == data[:point])

    def test_reset_does_not_wait_for_ever(self):
        """A receiver that never reads cannot put the reset off: 2 seconds, then it is gone."""
        with self.proxy("--reset-after", "up:60000", "--delay", "0", "-d") as proxy:
            client = proxy.connect()
            self.addCleanup(client.close)
            self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            server, _ = self.server.accept()
            self.addCleanup(server.close)
            in_background(send_all, client, bytes(200_000))
            proxy.wait_for_log("reset after 60000 bytes up")
            proxy.wait_for_log("closed: up=60000 down=0 reason=reset")
            self.assertEqual(read_all(client), (b"", "reset"))

    def test_cut_sender_goes_on(self):
        """It sees the FIN; what it still sends is dropped, and after 2 seconds refused."""
        with self.proxy("--cut-after", "up:10", "--delay", "0") as proxy:
            client, server = self.pair(proxy)
            client.sendall(bytes(100))
            self.assertEqual(read_all(server), (bytes(10), "eof"))
            self.assertEqual(client.recv(1), b"")
            start = time.monotonic()
            with self.assertRaises(OSError) as caught:
                while time.monotonic() < start + PATIENCE:
                    client.sendall(bytes(1000))
                    time.sleep(0.01)
            self.assertIn(caught.exception.errno, (errno.ECONNRESET, errno.EPIPE))
            self.assertGreater(time.monotonic() - start, 1)
            self.assertEqual(read_all(server, QUIET)[0], b"")

    def test_cut_flooded(self):
        """Discarding a flood does not keep the others waiting, and ends."""
        with self.proxy("--cut-after", "up:1000", "--delay", "0", "-d") as proxy:
            flood, _ = self.pair(proxy)
            in_background(send_all, flood, bytes(1 << 30))
            proxy.wait_for_log("cut after 1000 bytes up")
            client, server = self.pair(proxy)
            client.sendall(b"?")
            self.assertEqual(server.recv(1), b"?")
            proxy.wait_for_log("connection 1 closed")

    def test_stall_survives_its_sides(self):
        """What one side does is hidden from the other; nothing spins."""
        for way, (sender, receiver) in SIDES.items():
            for leave in (lambda s: s.shutdown(socket.SHUT_WR), socket.socket.close, reset):
                with self.proxy("--stall-after", f"{way}:10", "--delay", "0") as proxy:
                    ends = self.pair(proxy)
                    ends[sender].sendall(bytes(100))
                    self.assertEqual(read_exactly(ends[receiver], 10), bytes(10))
                    leave(ends[sender])
                    cpu = proxy.cpu_seconds()
                    self.assertEqual(read_all(ends[receiver], QUIET), (b"", "silence"))
                    self.assertLess(proxy.cpu_seconds() - cpu, 0.2)

    def test_stall_ends_with_both_sides(self):
        with self.proxy("--stall-after", "0", "--delay", "0", "-d") as proxy:
            client, server = self.pair(proxy)
            proxy.wait_for_log("stall after 0 bytes")
            reset(client)
            time.sleep(0.1)
            self.assertNotIn("closed", proxy.log())
            reset(server)
            proxy.wait_for_log("closed: up=0 down=0 reason=stall")

    def test_stall_takes_nothing_more_in(self):
        with self.proxy("--stall-after", "0") as proxy:
            client, _ = self.pair(proxy)
            client.setblocking(False)
            sent = 0
            while select.select([], [client], [], QUIET)[1] and sent < 256 << 20:
                sent += client.send(bytes(65536))
            self.assertLess(sent, 256 << 20)


if __name__ == "__main__":
    unittest.main()
