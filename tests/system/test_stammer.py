#!/usr/bin/env python3
"""stammerproxy on loopback: every byte, every FIN, every reset, and the seed."""

import errno
import random
import re
import select
import socket
import struct
import threading
import time
import unittest

from stammering import (
    PATIENCE,
    QUIET,
    Case,
    in_background,
    listening,
    random_bytes,
    read_all,
    read_exactly,
    reset,
    send_all,
)


class Forwarding(Case):
    weight = 10

    def exchange(self, proxy, up, down):
        """Both directions at the same time, each ended by a half-close."""
        client, server = self.pair(proxy)
        in_background(send_all, client, up, True)
        in_background(send_all, server, down, True)
        got = {}
        reader = in_background(lambda: got.update(up=read_all(server)))
        got["down"] = read_all(client)
        reader.join(PATIENCE)
        self.assertEqual(got["up"][1], "eof")
        self.assertEqual(got["down"][1], "eof")
        self.assertTrue(got["up"][0] == up, f"up: {len(got['up'][0])} of {len(up)}")
        self.assertTrue(got["down"][0] == down, f"down: {len(got['down'][0])} of {len(down)}")

    def test_bytes_without_delay(self):
        with self.proxy("--delay", "0") as proxy:
            for size in (0, 1, 2, 255, 256, 999, 1000, 1001, 2048, 65536, 200000):
                self.exchange(proxy, random_bytes(size, 1), random_bytes(size, 2))
            dice = random.Random(7)
            for _ in range(20):
                up, down = dice.randrange(200000), dice.randrange(200000)
                self.exchange(proxy, random_bytes(up, 1), random_bytes(down, 2))

    def test_bytes_with_delay(self):
        with self.proxy("--delay", "0.001", "--seed", "3") as proxy:
            for size in (0, 1, 255, 256, 1000, 1001, 20000):
                self.exchange(proxy, random_bytes(size, 1), random_bytes(20000 - size, 2))
        with self.proxy("--delay", "0.02", "--seed", "3") as proxy:
            self.exchange(proxy, random_bytes(5000, 1), random_bytes(4000, 2))

    def test_latency(self):
        """Each byte and each end takes its time, and many may be on their way at once."""
        with self.proxy("--delay", "0", "--latency", "0.15", "--buffer", "1M") as proxy:
            client, server = self.pair(proxy)
            begin = time.monotonic()
            client.sendall(b"a")
            time.sleep(0.05)
            client.sendall(b"b")
            self.assertEqual(server.recv(10), b"a")
            self.assertGreaterEqual(time.monotonic() - begin, 0.149)
            self.assertEqual(server.recv(10), b"b")
            self.assertGreaterEqual(time.monotonic() - begin, 0.199)
            begin = time.monotonic()
            server.shutdown(socket.SHUT_WR)
            self.assertEqual(client.recv(10), b"")
            self.assertGreaterEqual(time.monotonic() - begin, 0.149)
            data = random_bytes(500000)
            begin = time.monotonic()
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(server), (data, "eof"))
            self.assertLess(time.monotonic() - begin, 2)
        with self.proxy("--delay", "0", "--latency", "0.01", "--seed", "5") as proxy:
            for size in (0, 1, 1000, 20000):
                self.exchange(proxy, random_bytes(size, 1), random_bytes(size // 2, 2))

    def test_buffers(self):
        small, large = ((1, 2000), (2, 3000), (7, 5000)), ((262144, 20 << 20), (1 << 30, 9 << 20))
        for buffer, size in small + large:
            with self.proxy("--delay", "0", "--buffer", str(buffer)) as proxy:
                self.exchange(proxy, random_bytes(size, 1), random_bytes(size // 2, 2))

    def test_defaults_stammer(self):
        """0.1 s between fragments of at most 1,000 bytes."""
        with self.proxy() as proxy:
            client, server = self.pair(proxy)
            client.sendall(random_bytes(4000))
            arrivals, total = [], 0
            while total < 4000:
                part = server.recv(65536)
                arrivals.append((time.monotonic(), len(part)))
                total += len(part)
            self.assertTrue(all(size <= 1000 for _, size in arrivals), arrivals)
            gaps = [b[0] - a[0] for a, b in zip(arrivals, arrivals[1:])]
            self.assertGreaterEqual(len(gaps), 4)
            # The last fragment of what is there is followed by no wait; all others are.
            self.assertGreater(sum(gap > 0.08 for gap in gaps), len(gaps) // 2, gaps)

    def test_one_message_is_not_delayed(self):
        """A fragment that empties the buffer is followed by no delay, as a lone byte always is."""
        with self.proxy("--delay", "5") as proxy:
            client, server = self.pair(proxy)
            start = time.monotonic()
            for _ in range(20):
                client.sendall(b"x")
                self.assertEqual(server.recv(10), b"x")
                server.sendall(b"y")
                self.assertEqual(client.recv(10), b"y")
            self.assertLess(time.monotonic() - start, 4)

    def test_a_fragment_is_a_segment(self):
        """The kernel does not join fragments again: no Nagle, neither way."""
        if not hasattr(socket, "TCP_INFO"):
            self.skipTest("no TCP_INFO here")
        with self.proxy("--delay", "0.002", "--buffer", "4", "-d") as proxy:
            ends = self.pair(proxy)
            for sender, receiver in (ends, ends[::-1]):
                sender.sendall(bytes(500))
                sender.shutdown(socket.SHUT_WR)
                # Who reads acknowledges at once, and then Nagle's algorithm would not show.
                poll = select.poll()
                poll.register(receiver, select.POLLRDHUP)
                self.assertTrue(poll.poll(PATIENCE * 1000))
                info = receiver.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
                if len(info) < 156:
                    self.skipTest("TCP_INFO does not count segments here")
                self.assertGreater(struct.unpack_from("I", info, 152)[0], 150)

    def test_half_close_up(self):
        with self.proxy("--delay", "0.01") as proxy:
            client, server = self.pair(proxy)
            client.sendall(b"request")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(server), (b"request", "eof"))
            self.assertEqual(read_all(client, QUIET), (b"", "silence"))
            answer = random_bytes(5000)
            server.sendall(answer)
            server.close()
            self.assertEqual(read_all(client), (answer, "eof"))

    def test_half_close_down(self):
        with self.proxy("--delay", "0.01") as proxy:
            client, server = self.pair(proxy)
            server.sendall(b"greeting")
            server.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(client), (b"greeting", "eof"))
            self.assertEqual(read_all(server, QUIET), (b"", "silence"))
            upload = random_bytes(5000)
            client.sendall(upload)
            client.close()
            self.assertEqual(read_all(server), (upload, "eof"))

    def test_close_at_once_loses_nothing(self):
        """The sender is long gone when its bytes come out."""
        with self.proxy("--delay", "0.005") as proxy:
            client, server = self.pair(proxy)
            data = random_bytes(20000)
            client.sendall(data)
            client.close()
            self.assertEqual(read_all(server), (data, "eof"))
            server.close()
            client, server = self.pair(proxy)
            server.sendall(data)
            server.close()
            self.assertEqual(read_all(client), (data, "eof"))

    def test_connections_end(self):
        """Nothing is left of a connection that both sides closed."""
        with self.proxy("-d", "--delay", "0") as proxy:
            before = proxy.descriptors()
            for _ in range(5):
                self.exchange(proxy, b"up", b"down")
            proxy.wait_for_log("connection 5 closed")
            # One socket for the next connection is held ready.
            self.assertLessEqual(proxy.descriptors(), before + 1)

    def test_back_pressure(self):
        """A receiver that does not read stops the sender; then everything arrives."""
        with self.proxy("--delay", "0") as proxy:
            client, server = self.pair(proxy)
            data = random_bytes(64 << 20)
            sent = 0
            client.setblocking(False)
            while select.select([], [client], [], 1.0)[1] and sent < len(data):
                sent += client.send(data[sent : sent + 65536])
            self.assertLess(sent, len(data))
            cpu = proxy.cpu_seconds()
            time.sleep(0.5)
            self.assertLess(proxy.cpu_seconds() - cpu, 0.1)
            client.settimeout(PATIENCE)
            in_background(send_all, client, data[sent:], True)
            got, end = read_all(server)
            self.assertEqual(end, "eof")
            self.assertTrue(got == data)

    def test_back_pressure_is_early(self):
        """With the delay, only the buffer and the kernel's queue of one side are filled."""
        with self.proxy("--delay", "1000") as proxy:
            client, server = self.pair(proxy)
            sent = 0
            client.setblocking(False)
            while select.select([], [client], [], 1.0)[1] and sent < 256 << 20:
                sent += client.send(bytes(65536))
            self.assertLess(sent, 256 << 20)
            got, end = read_all(server, QUIET)
            self.assertEqual(end, "silence")
            self.assertLessEqual(len(got), 1000)

    def test_many_connections(self):
        count = 200
        with self.proxy("--delay", "0.01", "-d") as proxy:
            pairs = [self.pair(proxy) for _ in range(count)]
            # Connections are accepted in any order: the first bytes say whose it is.
            data = [struct.pack("!I", i) + random_bytes(1500, i) for i in range(count)]
            for (client, _), sent in zip(pairs, data):
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
            seen = set()
            for _, server in pairs:
                got, end = read_all(server)
                self.assertEqual(end, "eof")
                number = struct.unpack("!I", got[:4])[0]
                self.assertTrue(got == data[number])
                seen.add(number)
                server.sendall(got[:4])
                server.shutdown(socket.SHUT_WR)
            self.assertEqual(len(seen), count)
            for i, (client, _) in enumerate(pairs):
                self.assertEqual(read_all(client), (struct.pack("!I", i), "eof"))
            end = time.monotonic() + PATIENCE
            while proxy.log().count(" closed: ") < count and time.monotonic() < end:
                time.sleep(0.01)
            self.assertEqual(proxy.log().count("reason=closed"), count)

    def test_fast_connection_starves_nobody(self):
        # A small buffer: it is the proxy that is the slowest of the three, and never has to wait.
        with self.proxy("--delay", "0") as proxy:
            fast_client, fast_server = self.pair(proxy)
            stop = threading.Event()

            def pour():
                while not stop.is_set():
                    fast_client.sendall(bytes(1 << 20))

            def swallow():
                while fast_server.recv(1 << 20):
                    pass

            threads = [in_background(pour), in_background(swallow)]
            client, server = self.pair(proxy)
            slowest = 0
            for _ in range(50):
                start = time.monotonic()
                client.sendall(b"?")
                self.assertEqual(server.recv(1), b"?")
                slowest = max(slowest, time.monotonic() - start)
            stop.set()
            threads[0].join(PATIENCE)
            fast_client.shutdown(socket.SHUT_WR)
            threads[1].join(PATIENCE)
            self.assertLess(slowest, 2)

    def test_server_by_name(self):
        try:
            answers = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
        except OSError:
            answers = []
        if "127.0.0.1" not in [answer[4][0] for answer in answers]:
            self.skipTest("localhost is not 127.0.0.1 here")
        port = self.server.getsockname()[1]
        with self.proxy("--delay", "0", server=("localhost", port)) as proxy:
            for _ in range(3):
                self.exchange(proxy, b"by name", b"answer")

    def test_ipv6(self):
        try:
            self.server = listening(socket.AF_INET6)
        except OSError:
            self.skipTest("no IPv6 here")
        self.addCleanup(self.server.close)
        with self.proxy("--listen-address", "::1", "--delay", "0") as proxy:
            self.assertEqual(proxy.address[0], "::1")
            self.exchange(proxy, b"six", b"six too")

    def test_old_spelling(self):
        with self.proxy("--listenPort", "0", "--delay", "0") as proxy:
            self.exchange(proxy, b"old", b"new")


class Resets(Case):
    def test_client_resets(self):
        with self.proxy("-d") as proxy:
            client, server = self.pair(proxy)
            reset(client)
            self.assertEqual(read_all(server), (b"", "reset"))
            proxy.wait_for_log("closed: up=0 down=0 reason=client-lost: ")

    def test_server_resets(self):
        with self.proxy("-d") as proxy:
            client, server = self.pair(proxy)
            reset(server)
            self.assertEqual(read_all(client), (b"", "reset"))
            proxy.wait_for_log("closed: up=0 down=0 reason=server-lost: ")

    def test_reset_behind_delivered_bytes(self):
        with self.proxy("--delay", "0") as proxy:
            client, server = self.pair(proxy)
            client.sendall(b"last words")
            self.assertEqual(read_exactly(server, 10), b"last words")
            reset(client)
            self.assertEqual(read_all(server), (b"", "reset"))

    def test_kernel_keeps_little(self):
        """For a receiver who does not read: with a small buffer the kernel's is not large, either."""
        with self.proxy("--delay", "0", "--buffer", "64k", "-d") as proxy:
            client = proxy.connect()
            self.addCleanup(client.close)
            self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            server, _ = self.server.accept()
            in_background(send_all, client, bytes(16 << 20))
            time.sleep(1)
            reset(server)
            proxy.wait_for_log("closed: up=")
            up = int(re.search(r"closed: up=(\d+) ", proxy.log()).group(1))
            self.assertLess(up, 1 << 20)

    def test_reset_overtakes_buffer(self):
        """With the buffer full and nothing being read, a reset is still seen, and at once."""
        with self.proxy("--delay", "1000") as proxy:
            for side in (0, 1):
                ends = self.pair(proxy)
                sender, receiver = ends[side], ends[1 - side]
                sender.sendall(random_bytes(50000))
                got, _ = read_all(receiver, QUIET)
                self.assertLessEqual(len(got), 1000)
                reset(sender)
                start = time.monotonic()
                self.assertEqual(read_all(receiver), (b"", "reset"))
                self.assertLess(time.monotonic() - start, 5)

    def test_reset_after_half_close(self):
        with self.proxy("--delay", "0") as proxy:
            for side in (0, 1):
                ends = self.pair(proxy)
                first, second = ends[side], ends[1 - side]
                first.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(second), (b"", "eof"))
                reset(first)
                # It read its end already; a reset shows when it looks for errors, or writes.
                poll = select.poll()
                poll.register(second, 0)
                self.assertTrue(poll.poll(PATIENCE * 1000))
                error = second.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                self.assertIn(error, (errno.ECONNRESET, errno.EPIPE))

    def test_writing_to_closed_peer(self):
        """A peer that has closed answers data with RST; the proxy passes that on."""
        with self.proxy("--delay", "0") as proxy:
            client, server = self.pair(proxy)
            server.close()
            self.assertEqual(read_all(client), (b"", "eof"))
            end = time.monotonic() + PATIENCE
            with self.assertRaises(OSError) as caught:
                while time.monotonic() < end:
                    client.sendall(b"anybody there?")
                    time.sleep(0.01)
            self.assertIn(caught.exception.errno, (errno.ECONNRESET, errno.EPIPE))

    def test_refused(self):
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            with self.proxy("-d", server=deaf) as proxy:
                before = proxy.descriptors()
                for data in (b"", bytes(100000)):
                    try:
                        client = proxy.connect()
                    except ConnectionResetError:
                        continue  # so soon that connect(2) itself saw it
                    with client:
                        if send_all(client, data):
                            self.assertEqual(read_all(client), (b"", "reset"))
                proxy.wait_for_log("connection 2 closed")
                self.assertIn("reason=not-reached: Connection refused", proxy.log())
                # One socket for the next connection is held ready.
                self.assertLessEqual(proxy.descriptors(), before + 1)

    def test_server_resets_at_once(self):
        with self.proxy("--delay", "0") as proxy:
            client = proxy.connect()
            self.addCleanup(client.close)
            reset(self.server.accept()[0])
            self.assertEqual(read_all(client), (b"", "reset"))


class Seeds(Case):
    def fragments(self, *args, others=0):
        """The sizes of the fragments of a run's first connection."""
        with self.proxy("--delay", "0.05", *args) as proxy:
            client, server = self.pair(proxy)
            for _ in range(others):
                self.pair(proxy)[0].sendall(bytes(5000))
            client.sendall(bytes(5000))
            sizes = []
            while sum(sizes) < 5000:
                sizes.append(len(server.recv(65536)))
            return sizes

    def test_seed_repeats(self):
        # A busy machine may join two fragments before they are read; it will not do so three times.
        for _ in range(3):
            one, two = self.fragments("--seed", "42"), self.fragments("--seed", "42", others=3)
            if one == two:
                break
        self.assertEqual(one, two)
        self.assertNotEqual(one, self.fragments("--seed", "43"))

    def test_each_direction_has_its_own(self):
        """Connections of one run, and both directions of each, stammer differently."""
        sizes = []

        def collect(sock):
            mine = []
            while sum(mine) < 5000:
                mine.append(len(sock.recv(65536)))
            sizes.append(tuple(mine))

        with self.proxy("--delay", "0.02", "--seed", "1") as proxy:
            ends = [end for _ in range(3) for end in self.pair(proxy)]
            threads = [in_background(collect, end) for end in ends]
            for end in ends:
                end.sendall(bytes(5000))
            for thread in threads:
                thread.join(PATIENCE)
        self.assertEqual(len(sizes), len(ends))
        self.assertEqual(len(set(sizes)), len(ends), sizes)

    def test_runs_differ(self):
        self.assertNotEqual(self.fragments(), self.fragments())

    def test_seed_is_told(self):
        with self.proxy("-d", "--seed", "9223372036854775807") as proxy:
            proxy.wait_for_log("seed 9223372036854775807\n")
        seeds = set()
        for _ in range(2):
            with self.proxy("--debug") as proxy:
                proxy.wait_for_log("seed ")
                seeds.add(re.search(r"seed ([0-9]+)\n", proxy.log()).group(1))
        self.assertEqual(len(seeds), 2)


if __name__ == "__main__":
    unittest.main()
