"""A peer that half-closes behind its last byte still gets its answer and its file: over TCP, in the
same segment, in every state. The same over a socketpair: tests/pair/server_halfclose.pair."""

import os
import socket
import unittest

from harness import SystemTest
from wire import REFUSED, content, read_file, request, size_message, write_file


class TestHalfClose(SystemTest):
    def play(self, daemon, *steps):
        """Each step: what is sent, and how many bytes answer it. With the last goes the FIN, in one
        segment, and then all comes that still comes."""
        peer = self.peer(daemon)
        for data, answer in steps[:-1]:
            peer.send(data)
            peer.receive(answer)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        peer.send(steps[-1])
        peer.finish()
        got = peer.rest()
        peer.close()
        return got, daemon.reason(peer)

    def test_uploads(self):
        daemon = self.daemon()
        data = content(1000)
        ask, size = request(b"U", "n"), size_message(len(data))
        for steps, answer in (
                ((ask + size + data,), b"TT"),
                (((ask, 1), size + data), b"T"),
                (((ask + size, 2), data), b""),
                (((ask, 1), (size, 1), data), b""),
                (((ask + size + data[:-1], 2), data[-1:]), b"")):
            with self.subTest(steps=len(steps), answer=answer):
                self.assertEqual(self.play(daemon, *steps), ((answer, "fin"), "ok"))
                self.assertEqual(read_file(daemon.path("n")), data)
                os.unlink(daemon.path("n"))

    def test_larger_than_all_buffers(self):
        daemon = self.daemon()
        data = content(20000000)
        self.assertEqual(
            self.play(daemon, (request(b"U", "n") + size_message(len(data)), 2), data),
            ((b"", "fin"), "ok"))
        self.assertEqual(read_file(daemon.path("n")), data)
        got, reason = self.play(daemon, request(b"D", "n") + b"T")
        self.assertEqual((reason, got[1]), ("ok", "fin"))
        self.assertEqual(got[0], b"T" + size_message(len(data)) + data)

    def test_empty_files(self):
        daemon = self.daemon()
        ask = request(b"U", "n")
        for steps, answer in (((ask + size_message(0),), b"TT"),
                              (((ask, 1), size_message(0)), b"T")):
            with self.subTest(answer=answer):
                self.assertEqual(self.play(daemon, *steps), ((answer, "fin"), "ok"))
                self.assertEqual(read_file(daemon.path("n")), b"")
                self.assertEqual(self.play(daemon, request(b"D", "n") + b"T"),
                                 ((b"T" + size_message(0), "fin"), "ok"))
                os.unlink(daemon.path("n"))

    def test_downloads(self):
        daemon = self.daemon()
        data = content(1000)
        write_file(daemon.path("n"), data)
        ask, head = request(b"D", "n"), b"T" + size_message(len(data))
        self.assertEqual(self.play(daemon, ask + b"T"), ((head + data, "fin"), "ok"))
        self.assertEqual(self.play(daemon, (ask, 9), b"T"), ((data, "fin"), "ok"))
        self.assertEqual(self.play(daemon, ask + b"F"), ((head, "fin"), "declined"))
        self.assertEqual(self.play(daemon, (ask, 9), b"F"), ((b"", "fin"), "declined"))

    def test_refusals(self):
        daemon = self.daemon(max_file_size=10)
        write_file(daemon.path("there"), b"x")
        up, down = request(b"U", "there"), request(b"D", "no")
        large = size_message(11)
        for steps, answer, reason in (
                ((up,), b"F", "exists"),
                ((up + size_message(5) + b"12345",), b"F", "exists"),
                ((request(b"U", ".."),), b"E", "bad-name"),
                ((request(b"U", "n") + large,), b"TF", "too-large"),
                ((request(b"U", "n") + large + bytes(11),), b"TF", "too-large"),
                (((request(b"U", "n"), 1), large), b"F", "too-large"),
                ((down,), b"F" + REFUSED, "not-found"),
                ((down + b"T",), b"F" + REFUSED, "not-found"),
                ((request(b"D", ".."),), b"E" + REFUSED, "bad-name")):
            with self.subTest(answer=answer, reason=reason):
                self.assertEqual(self.play(daemon, *steps), ((answer, "fin"), reason))
        self.assertEqual(daemon.strays("there"), [])

    def test_too_little(self):
        """The answer to what was said, and an end: nobody waits for what cannot come any more."""
        daemon = self.daemon()
        write_file(daemon.path("there"), b"x")
        ask = request(b"U", "n")
        for steps, answer in (
                ((ask,), b"T"),
                ((ask[:-1],), b""),
                ((ask + size_message(5)[:4],), b"T"),
                ((ask + size_message(5),), b"TT"),
                ((ask + size_message(5) + b"1234",), b"TT"),
                ((request(b"D", "there"),), b"T" + size_message(1)),
                ((request(b"D", "there")[:9],), b"")):
            with self.subTest(answer=answer):
                got, reason = self.play(daemon, *steps)
                self.assertEqual((got[0], reason), (answer, "peer-closed"))
                self.assertNotEqual(got[1], "open")
        self.assertEqual(daemon.strays("there"), [])


if __name__ == "__main__":
    unittest.main()
