"""Messages in pieces, messages together, half-closes, and peers that vanish at every state."""

import os
import socket
import unittest

from harness import SystemTest
from wire import (Peer, REFUSED, content, read_file, request, size_message, wait_for, write_file)

SIZE = 3000
OFFER = b"T" + size_message(SIZE)


class TestRawClient(SystemTest):
    """Against ftxferd."""

    def setUp(self):
        super().setUp()
        self.server = self.daemon()
        self.data = content(SIZE)

    def there(self):
        write_file(self.server.path("n"), self.data)

    def assert_there(self, peer):
        self.assertEqual(peer.rest(), (b"", "fin"))
        self.assertEqual(read_file(self.server.path("n")), self.data)
        self.assertEqual(self.server.strays("n"), [])

    def test_upload_byte_by_byte(self):
        peer = self.peer(self.server)
        peer.send_bytewise(request(b"U", "n"))
        self.assertEqual(peer.receive(1), b"T")
        peer.send_bytewise(size_message(SIZE))
        self.assertEqual(peer.receive(1), b"T")
        peer.send_bytewise(self.data)
        self.assert_there(peer)

    def test_download_byte_by_byte(self):
        self.there()
        peer = self.peer(self.server)
        peer.send_bytewise(request(b"D", "n"))
        self.assertEqual(peer.receive(9), OFFER)
        peer.send(b"T")
        self.assertEqual(peer.rest(), (self.data, "fin"))

    def test_refusal_of_a_request_byte_by_byte(self):
        peer = self.peer(self.server)
        peer.send_bytewise(request(b"D", "no"))
        self.assertEqual(peer.rest(), (b"F" + REFUSED, "fin"))

    def test_nothing_is_answered_before_the_request_is_whole(self):
        for kind in (b"U", b"D"):
            peer = self.peer(self.server)
            peer.send(request(kind, "n")[:255])
            self.assertTrue(peer.is_quiet(0.1))
            peer.send(b"\0")
            self.assertEqual(len(peer.receive(1)), 1)
            peer.close()

    def test_nothing_is_sent_before_it_is_due(self):
        """An original program cannot take the next message with the one before."""
        self.there()
        peer = self.started_download(self.server, "n", SIZE)
        self.assertTrue(peer.is_quiet(0.2), "content before the confirmation")
        peer.send(b"T")
        self.assertEqual(peer.rest(), (self.data, "fin"))
        peer = self.peer(self.server)
        peer.send(request(b"U", "m"))
        self.assertEqual(peer.receive(1), b"T")
        self.assertTrue(peer.is_quiet(0.2), "something before the size")
        peer.send(size_message(1)[:7])
        self.assertTrue(peer.is_quiet(0.1), "something before the whole size")
        peer.send(size_message(1)[7:])
        self.assertEqual(peer.receive(1), b"T")
        self.assertTrue(peer.is_quiet(0.2), "something before the content")
        peer.send(b"x")
        self.assertEqual(peer.rest(), (b"", "fin"))

    def test_upload_in_one_segment(self):
        peer = self.peer(self.server)
        peer.send(request(b"U", "n") + size_message(SIZE) + self.data)
        self.assertEqual(peer.receive(2), b"TT")
        self.assert_there(peer)

    def test_upload_of_nothing_in_one_segment(self):
        self.data = b""
        peer = self.peer(self.server)
        peer.send(request(b"U", "n") + size_message(0))
        self.assertEqual(peer.receive(2), b"TT")
        self.assert_there(peer)

    def test_large_upload_in_one_go(self):
        """More than any buffer holds is sent before the first answer is read."""
        self.data = content(5000000)
        peer = self.peer(self.server)
        peer.send(request(b"U", "n") + size_message(len(self.data)) + self.data)
        self.assertEqual(peer.receive(2), b"TT")
        self.assert_there(peer)

    def test_download_in_one_segment(self):
        self.there()
        peer = self.peer(self.server)
        peer.send(request(b"D", "n") + b"T")
        self.assertEqual(peer.rest(), (OFFER + self.data, "fin"))

    def test_cuts_at_every_odd_place(self):
        stream = request(b"U", "n") + size_message(10) + b"0123456789"
        for cut in (1, 2, 128, 255, 256, 257, 260, 263, 264, 265, 273):
            with self.subTest(cut=cut):
                peer = self.peer(self.server)
                peer.send(stream[:cut])
                peer.wait_sent()
                peer.is_quiet(0.02)
                peer.send(stream[cut:])
                self.assertEqual(peer.rest(), (b"TT", "fin"))
                self.assertEqual(read_file(self.server.path("n")), b"0123456789")
                os.unlink(self.server.path("n"))

    def test_half_close_after_an_upload(self):
        for at_once in (False, True):
            with self.subTest(at_once=at_once):
                peer = self.peer(self.server)
                peer.send(request(b"U", "n"))
                if not at_once:
                    self.assertEqual(peer.receive(1), b"T")
                peer.send(size_message(SIZE))
                if not at_once:
                    self.assertEqual(peer.receive(1), b"T")
                peer.send(self.data)
                peer.finish()
                if at_once:
                    self.assertEqual(peer.receive(2), b"TT")
                self.assert_there(peer)
                os.unlink(self.server.path("n"))

    def test_half_close_after_a_confirmation(self):
        self.data = content(5000000)
        self.there()
        for at_once in (False, True):
            with self.subTest(at_once=at_once):
                peer = self.peer(self.server)
                peer.send(request(b"D", "n") + (b"T" if at_once else b""))
                if at_once:
                    peer.finish()
                self.assertEqual(peer.receive(9), b"T" + size_message(len(self.data)))
                if not at_once:
                    peer.send(b"T")
                    peer.finish()
                self.assertEqual(peer.rest(), (self.data, "fin"))

    def test_half_close_after_a_refused_request(self):
        peer = self.peer(self.server)
        peer.send(request(b"D", "no"))
        peer.finish()
        self.assertEqual(peer.rest(), (b"F" + REFUSED, "fin"))

    def test_like_the_original_client(self):
        """It leaves at once after its last byte: by FIN, or by RST when that byte has arrived."""
        for leave in (Peer.close, Peer.reset):
            for size in (SIZE, 1, 300000):
                with self.subTest(leave=leave.__name__, size=size):
                    self.data = content(size)
                    peer = self.started_upload(self.server, "n", size, self.data)
                    if leave is Peer.reset:
                        peer.wait_sent()
                    leave(peer)
                    self.assertEqual(self.server.reason(peer), "ok")
                    self.assertEqual(read_file(self.server.path("n")), self.data)
                    self.assertEqual(self.server.strays("n"), [])
                    os.unlink(self.server.path("n"))

    def test_like_the_original_client_with_nothing_to_send(self):
        peer = self.started_upload(self.server, "n", 0)
        peer.close()
        self.server.ended(1)
        self.assertEqual(read_file(self.server.path("n")), b"")

    def test_one_who_does_not_read_the_last_answer(self):
        """Its close is a reset, since an answer lies unread; all was sent: published."""
        peer = self.peer(self.server)
        peer.send(request(b"U", "n") + size_message(SIZE) + self.data)
        peer.wait_sent()
        wait_for(lambda: len(peer.sock.recv(2, socket.MSG_PEEK)) == 2, "both answers")
        peer.close()
        self.server.ended(1)
        self.assertEqual(read_file(self.server.path("n")), self.data)


class TestVanish(SystemTest):
    """A peer that goes away, by FIN or RST, at each state: the daemon forgets it, all of it."""

    def setUp(self):
        super().setUp()
        self.server = self.daemon()

    def gone(self, peer, leave, name):
        leave(peer)
        self.assertIn(self.server.reason(peer), ("peer-closed", "peer-reset"))
        wait_for(lambda: not self.server.strays(name), "the stage to go")

    def assert_upload(self, leave, sent):
        """All answers to what was sent so far have been read."""
        peer = self.peer(self.server)
        for message, answer in sent:
            peer.send(message)
            self.assertEqual(peer.receive(len(answer)), answer)
        peer.wait_sent()
        self.gone(peer, leave, None)
        self.upload_when_free(self.server, "n", b"free")
        self.assertEqual(read_file(self.server.path("n")), b"free")
        os.unlink(self.server.path("n"))

    def test_upload(self):
        ask, size = (request(b"U", "n"), b"T"), (size_message(SIZE), b"T")
        states = {
            "connected": [], "one byte": [(b"U", b"")], "half a request": [(ask[0][:128], b"")],
            "all but a byte": [(ask[0][:255], b"")], "answered": [ask],
            "half a size": [ask, (size[0][:4], b"")], "size answered": [ask, size],
            "one byte of content": [ask, size, (b"x", b"")],
            "all but a byte of it": [ask, size, (content(SIZE - 1), b"")]}
        for leave in (Peer.close, Peer.reset):
            for state, sent in states.items():
                with self.subTest(state=state, leave=leave.__name__):
                    if state == "connected" and leave is Peer.close:
                        continue  # below: it may count as nothing at all
                    self.assert_upload(leave, sent)

    def test_upload_with_unread_answers(self):
        for leave in (Peer.close, Peer.reset):
            for sent in (request(b"U", "n"), request(b"U", "n") + size_message(SIZE),
                         request(b"U", "n") + size_message(SIZE) + content(SIZE - 1)):
                with self.subTest(leave=leave.__name__, sent=len(sent)):
                    peer = self.peer(self.server)
                    peer.send(sent)
                    peer.wait_sent()
                    self.gone(peer, leave, None)
                    self.upload_when_free(self.server, "n", b"free")
                    os.unlink(self.server.path("n"))

    def test_half_closed(self):
        """FIN alone, the peer stays: an end of file in the middle is not waited out."""
        for sent in (b"", b"U", request(b"U", "n")[:255], request(b"U", "n"),
                     request(b"U", "n") + size_message(SIZE)[:7],
                     request(b"U", "n") + size_message(SIZE) + content(SIZE - 1),
                     request(b"D", "here")):
            with self.subTest(sent=len(sent)):
                write_file(self.server.path("here"), content(SIZE))
                peer = self.peer(self.server)
                peer.send(sent)
                peer.finish()
                self.assertNotEqual(peer.rest()[1], "open")
                peer.close()
                self.assertEqual(self.server.reason(peer), "peer-closed")
        wait_for(lambda: not self.server.strays("here"), "the stages to go")

    def assert_download(self, leave, size, sent):
        write_file(self.server.path("n"), content(size))
        peer = self.peer(self.server)
        for message, count in sent:
            peer.send(message)
            peer.receive(count)
        peer.wait_sent()
        self.gone(peer, leave, "n")
        os.unlink(self.server.path("n"))
        self.upload_when_free(self.server, "n", b"free")
        os.unlink(self.server.path("n"))

    def test_download(self):
        ask = (request(b"D", "n"), 9)
        for leave in (Peer.close, Peer.reset):
            for state, sent in {
                    "one byte": [(b"D", 0)], "half a request": [(ask[0][:128], 0)],
                    "all but a byte": [(ask[0][:255], 0)], "asked": [(ask[0], 0)],
                    "answered": [ask]}.items():
                with self.subTest(state=state, leave=leave.__name__):
                    self.assert_download(leave, SIZE, sent)

    def test_download_in_the_middle(self):
        """64 MiB: more than the kernel buffers, so the daemon is held up when it goes."""
        ask = (request(b"D", "n"), 9)
        for leave in (Peer.close, Peer.reset):
            for count in (0, 1, 100000):
                with self.subTest(leave=leave.__name__, count=count):
                    self.assert_download(leave, 64 << 20, [ask, (b"T", count)])


class TestScriptedServer(SystemTest):
    """Against ftxfer: the other half of each case."""

    def setUp(self):
        super().setUp()
        self.data = content(SIZE)
        self.source = self.scratch("source", self.data)
        self.target = self.scratch("target")

    def download(self, play):
        server = self.script(play)
        self.transferred("download", server, "n", self.target)
        self.assertEqual(read_file(self.target), self.data)
        return server.end()

    def upload(self, play):
        server = self.script(play)
        self.transferred("upload", server, "n", self.source)
        return server.end()

    def test_download_byte_by_byte(self):
        def play(peer):
            self.assertEqual(peer.receive(256), request(b"D", "n"))
            peer.send_bytewise(OFFER)
            self.assertEqual(peer.receive(1), b"T")
            peer.send_bytewise(self.data)
        self.download(play)

    def test_upload_answers_one_by_one_and_nothing_early(self):
        def play(peer):
            self.assertEqual(peer.receive(256), request(b"U", "n"))
            self.assertTrue(peer.is_quiet(0.2), "the size before the answer")
            peer.send(b"T")
            self.assertEqual(peer.receive(8), size_message(SIZE))
            self.assertTrue(peer.is_quiet(0.2), "content before the answer")
            peer.send(b"T")
            self.assertEqual(peer.receive(SIZE), self.data)
            self.assertTrue(peer.is_quiet(0.2), "more than was announced, or a close")
        self.upload(play)

    def test_download_says_nothing_early(self):
        def play(peer):
            self.assertEqual(peer.receive(256), request(b"D", "n"))
            peer.send(OFFER[:8])
            self.assertTrue(peer.is_quiet(0.2), "a confirmation of half an answer")
            peer.send(OFFER[8:])
            self.assertEqual(peer.receive(1), b"T")
            self.assertTrue(peer.is_quiet(0.1), "more than the confirmation")
            peer.send(self.data)
            self.assertIn(peer.rest()[0], (b"",))
        self.download(play)

    def test_download_together(self):
        """A server must not, but what is there before it is due is kept."""
        def play(peer):
            peer.receive(256)
            peer.send(OFFER + self.data)
            self.assertEqual(peer.receive(1), b"T")
        self.download(play)

    def test_download_together_and_gone(self):
        def play(peer):
            peer.receive(256)
            peer.send(OFFER + self.data)
            peer.finish()
            self.assertEqual(peer.receive(1), b"T")
        self.download(play)

    def test_upload_answers_together(self):
        def play(peer):
            peer.receive(256)
            peer.send(b"TT")
            self.assertEqual(peer.receive(8 + SIZE), size_message(SIZE) + self.data)
        self.upload(play)

    def test_upload_answers_before_the_request(self):
        def play(peer):
            peer.send(b"TT")
            self.assertEqual(peer.receive(256 + 8 + SIZE)[256:], size_message(SIZE) + self.data)
        self.upload(play)

    def test_half_closed_server(self):
        """The server's end of file after its last answer says nothing about the upload yet."""
        def play(peer):
            peer.receive(256)
            peer.send(b"T")
            peer.receive(8)
            peer.send(b"T")
            self.assertEqual(peer.receive(SIZE), self.data)
            peer.finish()
            peer.rest()
        self.upload(play)

    def test_last_block_and_reset_after_a_download(self):
        """All bytes have come: a reset behind the last does not spoil them."""
        def play(peer):
            peer.receive(256)
            peer.send(OFFER)
            peer.receive(1)
            peer.send(self.data)
            peer.wait_sent()
            peer.reset()
        self.download(play)

    def test_whole_request_field(self):
        """The name, then nothing but NULs."""
        server = self.script(lambda peer: peer.receive(256))
        self.transfer("download", server, "sub/n m", self.target)
        self.assertEqual(server.end(), b"D" + b"sub/n m".ljust(255, b"\0"))


if __name__ == "__main__":
    unittest.main()
