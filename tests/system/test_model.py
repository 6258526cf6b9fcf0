"""The models against one another, and their known faults: what our own programs are tested with
must itself be right, and the checks of the other files must be able to fail."""

import os
import time

import model
from harness import Listener, Program, SystemTest, run
from wire import Peer, REFUSED, content, read_file, request, size_message

HERE = os.path.dirname(os.path.abspath(__file__))


class ModelTest(SystemTest):
    def server(self, **kwargs):
        server = model.Server(self.root(), **kwargs)
        self.addCleanup(server.close)
        server.address = ("127.0.0.1", server.port)
        return server

    def through(self, server, **kwargs):
        proxy = model.Proxy(server.address, **kwargs)
        self.addCleanup(proxy.close)
        proxy.address = ("127.0.0.1", proxy.port)
        return proxy

    def client(self, server, mode, name, local, **kwargs):
        return model.Client(server.address, local, name, **kwargs).run(mode)

    def both_ways(self, server, way, size):
        data = content(size)
        self.assertEqual(self.client(way, "upload", "n", self.scratch("up", data)), "ok")
        server.settled(1)
        self.assertEqual(self.client(way, "download", "n", self.scratch("down")), "ok")
        self.assertEqual(read_file(self.scratch("down")), data)
        self.assertEqual(server.settled(2), ["upload n ok", "download n ok"])


class TestTheHarness(SystemTest):
    """What the checks of the other files rest on."""

    def test_sanitizer_reports_fail_a_test(self):
        script = "echo '==1==ERROR: LeakSanitizer: detected memory leaks' >&2; exit 23"
        self.assertRaisesRegex(AssertionError, "LeakSanitizer", run, ["sh", "-c", script])
        program = Program(["sh", "-c", script], self.dir, "program")
        program.wait()
        self.assertRaisesRegex(AssertionError, "LeakSanitizer", program.stop)

    def test_ends_are_told_apart(self):
        for leave, end in ((Peer.close, "fin"), (Peer.reset, "reset"),
                           (lambda peer: peer.is_quiet(1), "open")):
            def play(peer, leave=leave):
                peer.receive(1)
                peer.send(b"x")
                peer.wait_sent()
                leave(peer)
            script = self.script(play)
            with self.peer(("127.0.0.1", script.port), deadline=0.5) as peer:
                peer.send(b"?")
                self.assertEqual(peer.rest(), (b"x", end))
            script.end()


class TestAgainstOneAnother(ModelTest):
    def test_directly(self):
        for size in (1, 255, 256, 2047, 2048, 2049, 65536):
            with self.subTest(size=size):
                server = self.server()
                self.both_ways(server, server, size)
                os.unlink(os.path.join(self.root(), "n"))

    def test_through_the_model_proxy(self):
        server = self.server()
        self.both_ways(server, self.through(server, delay=0.001, seed=1), 5000)

    def test_proxy_loses_nothing(self):
        server = self.server()
        self.both_ways(server, self.through(server, delay=0, capacity=262144), 1000000)

    def test_refusals(self):
        server = self.server()
        local = self.scratch("local", b"x")
        self.assertEqual(self.client(server, "download", "n", local), "not found")
        self.assertEqual(self.client(server, "upload", " n\t", local), "ok")
        server.settled(2)
        self.assertEqual(self.client(server, "upload", "n", local), "exists")

    def test_as_scripts(self):
        argv = [os.path.join(HERE, "model.py")]
        server = self.scripted(argv + ["server", "--root", self.root(), "-l", "0"], "server")
        proxy = self.scripted(argv + ["proxy", "-s", server.where, "-l", "0", "--delay", "0.001"],
                              "proxy")
        local = self.scratch("local", content(3000))
        for mode, file in (("upload", local), ("download", self.scratch("back"))):
            ran = run(argv + ["client", "-m", mode, "-s", proxy.where, "-v", "n", "-l", file])
            self.assertEqual((ran.status, ran.out), (0, "file transfer: ok\n"), ran)
        self.assertEqual(read_file(self.scratch("back")), content(3000))

    def scripted(self, argv, name):
        program = Listener(argv, self.dir, name)
        self.addCleanup(program.stop)
        return program


class TestTheirStrictness(ModelTest):
    """Each way in which a peer can be too early or too much for an original program."""

    def outcome(self, server, play):
        with Peer(server.address) as peer:
            play(peer)
            return server.settled(1)[0]

    def test_server_takes_a_request_byte_by_byte(self):
        def play(peer):
            peer.send_bytewise(request(b"D", "n"))
            self.assertEqual(peer.receive(9), b"F" + REFUSED)
        self.assertEqual(self.outcome(self.server(settle=0.002), play), "download n not found")

    def test_server_cannot_take_the_size_with_the_request(self):
        server = self.server()
        outcome = self.outcome(server, lambda peer: peer.send(request(b"U", "n") + size_message(1)))
        self.assertIn("Broken: a message of 256 bytes was due, 264 came", outcome)

    def test_server_cannot_take_the_content_with_the_size(self):
        def play(peer):
            peer.send(request(b"U", "n"))
            peer.receive(1)
            peer.send(size_message(1) + b"x")
        self.assertIn("Broken: a message of 8 bytes", self.outcome(self.server(), play))

    def test_server_does_not_see_an_end_of_file(self):
        def play(peer):
            peer.send(request(b"U", "n")[:100])
            peer.finish()
        started = time.monotonic()
        self.assertIn("Stuck", self.outcome(self.server(deadline=0.4), play))
        self.assertGreaterEqual(time.monotonic() - started, 0.4)

    def test_client_cannot_take_content_before_its_confirmation(self):
        def play(peer):
            peer.receive(256)
            peer.send(b"T" + size_message(1) + b"x")
            peer.rest()
        script = self.script(play)
        client = model.Client(("127.0.0.1", script.port), self.scratch("local"), "n")
        self.assertRaisesRegex(model.Broken, "a message of 9 bytes was due, 10",
                               client.run, "download")
        script.end()

    def test_client_cannot_take_both_answers_at_once(self):
        def play(peer):
            peer.receive(256)
            peer.send(b"TT")
            peer.rest()
        script = self.script(play)
        client = model.Client(("127.0.0.1", script.port), self.scratch("local", b"x"), "n")
        self.assertRaisesRegex(model.Broken, "a message of 1 bytes was due, 2",
                               client.run, "upload")
        script.end()


class TestTheirFaults(ModelTest):
    """What the originals do and ours must not. Ours are held to the opposite in the other files."""

    def upload(self, server, name, size, data):
        peer = self.peer(server.address)
        peer.send(request(b"U", name))
        self.assertEqual(peer.receive(1), b"T")
        peer.send(size_message(size))
        self.assertEqual(peer.receive(1), b"T")
        peer.send(data)
        return peer

    def test_empty_file_creates_nothing(self):
        server = self.server()
        self.assertEqual(self.upload(server, "n", 0, b"").rest(), (b"", "fin"))
        self.assertEqual(os.listdir(self.root()), [])

    def test_half_a_file_stays_and_its_name_is_locked(self):
        server = self.server(deadline=0.5)
        self.upload(server, "n", 10, b"12345").close()
        self.assertIn("Stuck", server.settled(1)[0])
        self.assertEqual(read_file(os.path.join(self.root(), "n")), b"12345")
        os.unlink(os.path.join(self.root(), "n"))
        peer = self.peer(server.address)
        peer.send(request(b"U", "n"))
        self.assertEqual(peer.rest(), (b"F", "fin"))

    def test_excess_is_stored(self):
        server = self.server()
        self.upload(server, "n", 4, b"12345")
        server.settled(1)
        self.assertEqual(read_file(os.path.join(self.root(), "n")), b"12345")

    def test_refused_size_is_not_closed(self):
        server = self.server(space=9, deadline=1)
        peer = self.peer(server.address, deadline=0.4)
        peer.send(request(b"U", "n"))
        peer.receive(1)
        peer.send(size_message(10))
        self.assertEqual(peer.rest(), (b"F", "open"))

    def test_missing_directory_ends_the_server(self):
        server = self.server()
        self.upload(server, "no/n", 1, b"x")
        server.settled(1)
        self.assertIn("Died", server.died)

    def test_directory_ends_the_server(self):
        server = self.server()
        os.mkdir(os.path.join(self.root(), "sub"))
        peer = self.peer(server.address)
        peer.send(request(b"D", "sub"))
        server.settled(1)
        self.assertIn("Died", server.died)
        self.assertRaises(ConnectionRefusedError, Peer, server.address)

    def test_reset_ends_the_server(self):
        server = self.server()
        self.upload(server, "n", 10, b"1").reset()
        server.settled(1)
        self.assertIn("Died", server.died)

    def test_name_climbs_out(self):
        server = self.server()
        self.scratch("secret", b"s")
        peer = self.peer(server.address)
        peer.send(request(b"D", "../secret"))
        self.assertEqual(peer.receive(9), b"T" + size_message(1))

    def test_proxy_makes_a_reset_an_end_of_file(self):
        script = self.script(lambda peer: (peer.receive(1), peer.reset()))
        proxy = model.Proxy(("127.0.0.1", script.port))
        self.addCleanup(proxy.close)
        peer = self.peer(("127.0.0.1", proxy.port))
        peer.send(b"x")
        self.assertEqual(peer.rest(), (b"", "fin"))
        script.end()
